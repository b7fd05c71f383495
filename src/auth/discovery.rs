//! `OpenID` Connect Discovery 1.0: the document in which an issuer publishes the address of its keys.

use http::{Uri, uri::Scheme};
use serde_json::Value;

use crate::{
    domain::{json, text::excerpt_of},
    net,
};

/// The path after an issuer's address (section 4 of the specification).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// The address of an issuer's discovery document.
///
/// # Errors
/// When the issuer is not an address.
pub(super) fn address(issuer: &str) -> Result<Uri, String> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let uri = format!("{base}{WELL_KNOWN}").parse().map_err(|_| "the issuer is not a URL")?;
    safe(uri, "the issuer", true)
}

/// The address of the key set in an issuer's discovery document.
///
/// # Errors
/// When the document belongs to another issuer, or somebody could change its keys in transit.
pub(super) fn parse(document: &[u8], issuer: &str) -> Result<Uri, String> {
    let value = json::parse(document).map_err(|error| format!("not JSON: {error}"))?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    // Section 4.3: the two must be identical; otherwise the document belongs to another issuer.
    match text("issuer") {
        Some(found) if found == issuer => {}
        Some(found) => {
            let found = excerpt_of(found, 200);
            return Err(format!("its `issuer` is `{found}`, not `{issuer}`"));
        }
        None => return Err("it has no `issuer`".to_owned()),
    }
    let Some(text) = text("jwks_uri") else { return Err("it has no `jwks_uri`".to_owned()) };
    if text.contains(['#', '@']) {
        return Err("its `jwks_uri` has a user name or a fragment".to_owned());
    }
    let uri = text.parse().map_err(|_| "its `jwks_uri` is not a URL")?;
    // Plain http is allowed only if the issuer itself is on loopback. A remote provider must not make the gateway fetch
    // from its own machine.
    let local = address(issuer)?.scheme() == Some(&Scheme::HTTP);
    safe(uri, "its `jwks_uri`", local)
}

/// Accepts https, or plain http where nobody can listen in.
fn safe(uri: Uri, name: &str, local: bool) -> Result<Uri, String> {
    let https = uri.scheme() == Some(&Scheme::HTTPS);
    let http = uri.scheme() == Some(&Scheme::HTTP);
    let named = uri.host().is_some_and(|host| !host.is_empty());
    if !named || !uri.authority().is_some_and(net::is_port_or_nothing) || !(https || http) {
        return Err(format!("{name} is not an https address"));
    }
    if http && !(local && uri.host().is_some_and(net::is_loopback)) {
        return Err(format!(
            "{name} is plain http: the gateway fetches keys only over https or from loopback"
        ));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://sso.example.com/realms/corp";

    fn document(issuer: &str, jwks_uri: &str) -> String {
        serde_json::json!({"issuer": issuer, "jwks_uri": jwks_uri, "x": 1}).to_string()
    }

    #[test]
    fn the_document_stands_under_the_issuer() {
        for (issuer, want) in [
            (ISSUER, "https://sso.example.com/realms/corp/.well-known/openid-configuration"),
            ("https://sso.example.com", "https://sso.example.com/.well-known/openid-configuration"),
            (
                "https://sso.example.com/",
                "https://sso.example.com/.well-known/openid-configuration",
            ),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/.well-known/openid-configuration"),
            // The addresses that `check` accepts as loopback must be loopback here too.
            (
                "http://[::ffff:127.0.0.1]:9000",
                "http://[::ffff:127.0.0.1]:9000/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(address(issuer).unwrap().to_string(), want);
        }
        for issuer in ["http://sso.example.com", "sso.example.com", "", "ftp://127.0.0.1"] {
            assert!(address(issuer).is_err(), "{issuer}");
        }
    }

    #[test]
    fn the_keys_are_where_the_document_says() {
        for keys in ["https://sso.example.com/jwks", "https://keys.elsewhere.example:8443/a?b=c"] {
            assert_eq!(parse(document(ISSUER, keys).as_bytes(), ISSUER).unwrap().to_string(), keys);
        }
        let (local, keys) = ("http://localhost:9000", "http://127.0.0.1:9001/jwks");
        assert_eq!(parse(document(local, keys).as_bytes(), local).unwrap().to_string(), keys);
    }

    #[test]
    fn documents_that_are_not_the_issuers_own_are_refused() {
        let keys = "https://sso.example.com/jwks";
        for (text, why) in [
            ("<html>".to_owned(), "not JSON"),
            ("[]".to_owned(), "no `issuer`"),
            ("{}".to_owned(), "no `issuer`"),
            (document("https://evil.example", keys), "`https://evil.example`, not"),
            (document(&format!("{ISSUER}/"), keys), "not `https://sso"),
            (document("https://sso.example.com/realms", keys), "not `https://sso"),
            (document(&ISSUER.to_uppercase(), keys), "not `https://sso"),
            (format!(r#"{{"issuer":"{ISSUER}"}}"#), "no `jwks_uri`"),
            (format!(r#"{{"issuer":"{ISSUER}","jwks_uri":7}}"#), "no `jwks_uri`"),
            (
                format!(
                    r#"{{"issuer":"https://evil.example","issuer":"{ISSUER}","jwks_uri":"{keys}"}}"#
                ),
                "not JSON",
            ),
            (document(ISSUER, "http://sso.example.com/jwks"), "plain http"),
            (document(ISSUER, "http://127.0.0.1/jwks"), "plain http"),
            (document(ISSUER, "http://localhost:9000/jwks"), "plain http"),
            (document(ISSUER, "file:///etc/jwks"), "not a URL"),
            (document(ISSUER, "/jwks"), "not an https"),
            // A fuzzer found this one.
            (document(ISSUER, "https://sso.example.com:4221b=c"), "not an https"),
            (document(ISSUER, "ftp://sso.example.com/jwks"), "not an https"),
            (document(ISSUER, "https://"), "not a URL"),
            (document(ISSUER, "https://sso.example.com@evil.example/"), "user name"),
            (document(ISSUER, "https://sso.example.com/jwks#a"), "fragment"),
        ] {
            let said = parse(text.as_bytes(), ISSUER).unwrap_err();
            assert!(said.contains(why), "{text}: `{said}` does not say `{why}`");
        }
    }
}
