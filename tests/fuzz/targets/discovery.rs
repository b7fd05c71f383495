//! Discovery documents. Only the issuer's own document gives the address of its keys, and never an address where others
//! could change them in transit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zec_gateway::fuzz;

/// A remote issuer, with and without a path, and one on this machine.
const ISSUERS: [&str; 3] =
    ["https://sso.example.com", "https://sso.example.com/realms/corp/", "http://127.0.0.1:9000"];

fuzz_target!(|input: &[u8]| {
    let Some((choice, document)) = input.split_first() else { return };
    let issuer = ISSUERS[usize::from(choice.wrapping_sub(b'0')) % ISSUERS.len()];
    let Some(found) = fuzz::discovered(document, issuer) else { return };
    let value = oracle::strict(document).expect("strict JSON");
    assert_eq!(value["issuer"], issuer);
    let text = value["jwks_uri"].as_str().expect("an address");

    // Parsed by hand: a scheme, a host without anything before an `@`, a port.
    let (scheme, rest) = text.split_once("://").expect("a scheme");
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    assert!(!text.contains(['#', '@']) && !authority.is_empty());
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !authority.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    match scheme.to_ascii_lowercase().as_str() {
        "https" => {}
        "http" => {
            assert!(issuer.starts_with("http://"), "plain http for {issuer}");
            let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
            let local =
                host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback());
            assert!(local, "plain http to {host}");
        }
        other => panic!("the scheme {other}"),
    }
    // The fetched address is the one in the document.
    assert_eq!(found.scheme_str().map(str::to_ascii_lowercase), Some(scheme.to_ascii_lowercase()));
    assert_eq!(found.host(), Some(host));
    assert_eq!(found.port().map(|port| port.as_str().to_owned()).unwrap_or_default(), port);
});
