//! The limits of single values outside `[auth]`.

use std::{path::Path, time::Duration};

use http::uri::Scheme;

use super::{assert_fault, parse_after};
use crate::server::Address;

#[test]
fn durations_are_numbers_with_units() {
    let read = |text: &str| {
        let config = parse_after(&format!("[server]\nidle_timeout = \"{text}\"\n"));
        config.map(|config| config.server.idle_timeout)
    };
    assert_eq!(read("1500ms"), Ok(Duration::from_millis(1500)));
    assert_eq!(read("5s"), Ok(Duration::from_secs(5)));
    assert_eq!(read("1m 30s"), Ok(Duration::from_secs(90)));
    assert_eq!(read("1h"), Ok(Duration::from_secs(3600)));
    for text in ["", "5", "s", "-5s", "5 apples", "1e3s"] {
        assert_fault(
            &format!("[server]\nidle_timeout = \"{text}\"\n"),
            &format!("2: server.idle_timeout: `{text}` is not a duration, as `5s`, `10m` or `24h`"),
        );
    }
}

#[test]
fn a_timer_is_neither_zero_nor_endless() {
    let keys = [
        "server.header_timeout",
        "server.body_timeout",
        "server.idle_timeout",
        "server.handshake_timeout",
        "server.request_timeout",
        "server.read_timeout",
        "zec.connect_timeout",
        "zec.request_timeout",
    ];
    for key in keys {
        for text in ["0s", "2h", "500000000000y"] {
            let lines = format!("{key} = \"{text}\"\n");
            let said = parse_after(&lines).unwrap_err();
            assert_eq!(said.len(), 1, "{said:#?}");
            assert!(
                said[0].starts_with(&format!("etc/g.toml:1: {key}: `{text}` is ")),
                "{said:#?}"
            );
        }
    }
    assert_fault(
        "[server]\nbody_timeout = \"0s\"\n",
        "2: server.body_timeout: `0s` is out of range: use 1ms to 1h",
    );
}

#[test]
fn an_answer_has_the_time_that_a_write_needs() {
    let read = |text: &str| {
        let lines = format!("[server]\nrequest_timeout = \"{text}\"\n");
        parse_after(&lines).map(|config| config.server.request_timeout)
    };
    assert_eq!(read("2s"), Ok(Duration::from_secs(2)));
    let fault = "2: server.request_timeout: `1999ms` is out of range: use 2s to 1h";
    assert_eq!(read("1999ms"), Err(vec![format!("etc/g.toml:{fault}")]));
}

#[test]
fn a_delay_may_be_zero() {
    let config = parse_after("[server]\ndrain_delay = \"0s\"\ndrain_timeout = \"0s\"\n").unwrap();
    assert_eq!(config.server.drain_delay, Duration::ZERO);
    assert_eq!(config.server.drain_timeout, Duration::ZERO);
}

#[test]
fn sizes_are_numbers_with_units() {
    let read = |text: &str| {
        parse_after(&format!("[server]\nmax_body = \"{text}\"\n")).map(|c| c.server.max_body)
    };
    assert_eq!(read("512B"), Ok(512));
    assert_eq!(read("64KiB"), Ok(65_536));
    assert_eq!(read("16MiB"), Ok(16_777_216));
    for text in ["", "64", "64KB", "64 KiB", "KiB", "-1B", "1.5MiB", "99999999999999999999B"] {
        assert_fault(
            &format!("[server]\nmax_body = \"{text}\"\n"),
            &format!("2: server.max_body: `{text}` is not a size, as `512B`, `64KiB` or `1MiB`"),
        );
    }
    for text in ["0B", "17MiB", "16385KiB", "18446744073709551615MiB"] {
        assert_fault(
            &format!("[server]\nmax_body = \"{text}\"\n"),
            &format!("2: server.max_body: `{text}` is out of range: use 1B to 16MiB"),
        );
    }
}

#[test]
fn counts_have_bounds() {
    let cases = [
        ("server.max_connections = 0", "1 to 1000000"),
        ("server.max_connections = 1000001", "1 to 1000000"),
        ("limits.max_concurrent_requests = 0", "1 to 1000000"),
        ("limits.max_concurrent_per_caller = 0", "1 to 1000000"),
        ("limits.max_addresses = 0", "1 to 1000"),
        ("limits.max_addresses = 1001", "1 to 1000"),
        ("limits.requests_per_second = -1", "0 to 1000000"),
        ("limits.addresses_per_hour = 4294967296", "0 to 1000000000"),
        ("limits.destructive_per_hour = 4294967296", "0 to 1000000000"),
    ];
    for (line, range) in cases {
        let (key, number) = line.split_once(" = ").unwrap();
        assert_fault(
            &format!("{line}\n"),
            &format!("1: {key}: `{number}` is out of range: use {range}"),
        );
    }
    let config = parse_after("limits.requests_per_second = 0\nlimits.max_addresses = 1000\n");
    assert_eq!(config.unwrap().limits.requests_per_second, 0);
}

#[test]
fn listeners_are_addresses_of_their_own() {
    for text in ["localhost:8080", "127.0.0.1", ":8080", "127.0.0.1:99999", ""] {
        assert_fault(
            &format!("server.listen = \"{text}\"\n"),
            &format!(
                "1: server.listen: `{text}` is neither an IP address with a port, as `127.0.0.1:8080` or `[::1]:8080`, nor a socket, as `unix:/run/zec-gateway.sock`"
            ),
        );
    }
    let same = "`server.listen` and `admin.listen` are the same: give each its own";
    assert_fault(
        "server.listen = \"127.0.0.1:9000\"\nadmin.listen = \"127.0.0.1:9000\"\n",
        &format!("2: admin.listen: {same}"),
    );
    assert_fault("server.listen = \"127.0.0.1:9464\"\n", &format!("1: server.listen: {same}"));
    let any = "server.listen = \"[::1]:0\"\nadmin.listen = \"[::1]:0\"\n";
    assert_eq!(parse_after(any).unwrap().server.listen.to_string(), "[::1]:0");
}

#[test]
fn a_listener_may_be_a_unix_socket() {
    let server = parse_after("server.listen = \"unix:/run/g.sock\"\n").unwrap().server;
    assert_eq!(server.listen, Address::Unix("/run/g.sock".into()));
    assert!(server.listen.is_local());
    let long = format!("unix:/{}", "x".repeat(107));
    for text in ["unix:", "unix:g.sock", &long] {
        let said = parse_after(&format!("server.listen = \"{text}\"\n")).unwrap_err();
        assert!(said[0].contains("is not a socket: write a whole path"), "{said:?}");
    }
    let both = "server.listen = \"unix:/a\"\nadmin.listen = \"unix:/a\"\n";
    assert!(parse_after(both).unwrap_err()[0].contains("are the same"));
}

#[test]
fn trusted_proxies_are_addresses_networks_and_the_word_unix() {
    let text = "server.trusted_proxies = [\"10.0.0.5\", \"10.1.0.0/16\", \"::1\", \"unix\"]\n";
    let trusted = parse_after(text).unwrap().server.trusted_proxies;
    let networks: Vec<String> = trusted.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.5/32", "10.1.0.0/16", "::1/128"]);
    assert!(trusted.unix);
    for (entry, why) in [
        ("10.1.2.3/16", "has bits set beyond its mask: write `10.1.0.0/16`"),
        ("haproxy", "is neither an address, as `10.0.0.5`, nor a network"),
        ("10.0.0.0/33", "is neither an address"),
    ] {
        let said = parse_after(&format!("server.trusted_proxies = [\"{entry}\"]\n")).unwrap_err();
        assert!(said[0].contains(why), "{said:?}");
    }
}

#[test]
fn relative_paths_start_from_the_files_directory() {
    let config = parse_after(
        "zec.ca_file = \"ca.pem\"\nserver.tls = {cert_file = \"/c\", key_file = \"tls/k\"}\n",
    )
    .unwrap();
    assert_eq!(config.zec.ca_file.as_deref(), Some(Path::new("etc/ca.pem")));
    assert_eq!(config.policy.directory, Path::new("etc/policy"));
    assert_eq!(config.journal.path, Path::new("etc/journal.db"));
    let tls = config.server.tls.unwrap();
    assert_eq!((&*tls.cert_file, &*tls.key_file), (Path::new("/c"), Path::new("etc/tls/k")));
    assert_fault("zec.ca_file = \"\"\n", "1: zec.ca_file: is empty");
    assert_fault("zec.ca_file = \" a\"\n", "1: zec.ca_file: ` a` has space around it: take it out");
    assert_fault(
        "[server.tls]\ncert_file = \"c\"\n",
        "1: server.tls.key_file: is missing: name the private key's PEM file",
    );
}

#[test]
fn origins_are_exact() {
    let good = r#"cors.allowed_origins = ["https://a.example", "http://localhost:3000", "https://[::1]:8443"]"#;
    assert_eq!(parse_after(&format!("{good}\n")).unwrap().cors_allowed_origins.len(), 3);
    let cases = [
        ("https://a.example/", "https://a.example"),
        ("https://a.example/app?x", "https://a.example"),
        ("https://A.example", "https://a.example"),
        ("HTTPS://a.example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
    ];
    for (text, exact) in cases {
        assert_fault(
            &format!("cors.allowed_origins = [\"{text}\"]\n"),
            &format!(
                "1: cors.allowed_origins[0]: `{text}` is not how browsers write an origin: write it as `{exact}`"
            ),
        );
    }
    for text in ["*", "https://*.example"] {
        assert_fault(
            &format!("cors.allowed_origins = [\"{text}\"]\n"),
            "1: cors.allowed_origins[0]: never holds `*`: name each origin, as `https://console.example.com`",
        );
    }
    for text in ["null", "a.example", "file:///x", "https://", "https://a.example:0"] {
        assert_fault(
            &format!("cors.allowed_origins = [\"{text}\"]\n"),
            &format!(
                "1: cors.allowed_origins[0]: `{text}` is not a URL, as `https://host.example`"
            ),
        );
    }
}

#[test]
fn the_endpoint_is_a_scheme_and_a_host_in_lower_case() {
    let read = |text: &str| {
        let zec = parse_after(&format!("zec.endpoint = \"{text}\"\n")).unwrap().zec;
        (zec.scheme, zec.authority.to_string())
    };
    assert_eq!(
        read("https://Console.Zenlayer.com/"),
        (Scheme::HTTPS, "console.zenlayer.com".into())
    );
    assert_eq!(read("http://127.0.0.1:18080"), (Scheme::HTTP, "127.0.0.1:18080".into()));
    assert_eq!(read("https://zec:443"), (Scheme::HTTPS, "zec:443".into()));
    for text in [
        "zec",
        "zec:443",
        "//zec",
        "https:///x",
        "https://zec:",
        "https://zec:99999",
        "https://a b",
        "https://[::1",
        "https://z%65c",
    ] {
        assert_fault(
            &format!("zec.endpoint = \"{text}\"\n"),
            &format!("1: zec.endpoint: `{text}` is not a URL, as `https://host.example`"),
        );
    }
    for text in ["https://zec/api", "https://zec?x=1", "https://zec/?"] {
        assert_fault(
            &format!("zec.endpoint = \"{text}\"\n"),
            &format!("1: zec.endpoint: `{text}` has a path or query: write it as `https://zec`"),
        );
    }
    assert_fault(
        "zec.endpoint = \"https://zec#x\"\n",
        "1: zec.endpoint: `https://zec#x` has a fragment: take out `#` and what follows",
    );
}

#[test]
fn a_password_in_an_address_is_refused_and_not_shown() {
    for key in ["zec.endpoint", "zec.proxy"] {
        for text in ["http://me:hunter2@zec:3128", "me:hunter2@zec", "http://me:hunter2@"] {
            assert_fault(
                &format!("{key} = \"{text}\"\n"),
                &format!("1: {key}: has a user name or password in it: take it out"),
            );
        }
    }
}

#[test]
fn a_proxy_is_a_plain_http_address() {
    let config = parse_after("zec.proxy = \"http://proxy:3128\"\n").unwrap();
    let proxy = config.zec.proxy.unwrap();
    assert_eq!((&*proxy.address.to_string(), proxy.credentials_file), ("http://proxy:3128/", None));
    let both = "zec.proxy = \"http://p:1\"\nzec.proxy_credentials_file = \"pass\"\n";
    let file = parse_after(both).unwrap().zec.proxy.unwrap().credentials_file;
    assert_eq!(file.unwrap(), Path::new("etc/pass"));
    assert_fault(
        "zec.proxy_credentials_file = \"pass\"\n",
        "1: zec.proxy_credentials_file: is set without `proxy`: name the proxy too",
    );
    for text in ["https://proxy:3128", "http://proxy/x"] {
        assert_fault(
            &format!("zec.proxy = \"{text}\"\n"),
            &format!("1: zec.proxy: `{text}` is not a proxy, as `http://proxy.example:3128`"),
        );
    }
}

#[test]
fn the_access_key_is_two_files_or_none_and_never_written_here() {
    let pair = "zec.access_key_id_file = \"ak\"\nzec.access_key_password_file = \"sk\"\n";
    let zec = parse_after(pair).unwrap().zec;
    assert_eq!(zec.access_key_password_file.as_deref(), Some(Path::new("etc/sk")));
    let rest = "set both, or neither and use the variables `ZEC_ACCESS_KEY_ID` and `ZEC_ACCESS_KEY_PASSWORD`";
    for (here, there) in [("id", "password"), ("password", "id")] {
        assert_fault(
            &format!("zec.access_key_{here}_file = \"x\"\n"),
            &format!(
                "1: zec.access_key_{here}_file: is set without `access_key_{there}_file`: {rest}"
            ),
        );
        assert_fault(
            &format!("zec.access_key_{here} = \"hunter2\"\n"),
            &format!(
                "1: zec.access_key_{here}: secrets are never written here: name a file in `access_key_{here}_file`, or set the variable `ZEC_ACCESS_KEY_{}`",
                here.to_uppercase()
            ),
        );
    }
}

#[test]
fn words_come_from_a_list() {
    assert_fault(
        "zec.unknown_fields = \"drop\"\n",
        "1: zec.unknown_fields: `drop` is not `refuse` or `pass`",
    );
    assert_fault(
        "zec.eip_check = \"on\"\n",
        "1: zec.eip_check: `on` is not `nic`, `address` or `off`",
    );
    assert_fault("log.format = \"xml\"\n", "1: log.format: `xml` is not `auto`, `text` or `json`");
    assert_fault("log.level = \"\"\n", "1: log.level: is empty");
    let log = parse_after("log.level = \"info,zec_gateway=debug\"\n").unwrap().log;
    assert_eq!(log.level, "info,zec_gateway=debug");
}

#[test]
fn a_log_level_is_a_level_or_a_filter() {
    for text in ["info", "off", "zec_gateway=debug,hyper=warn"] {
        assert!(parse_after(&format!("[log]\nlevel = \"{text}\"\n")).is_ok(), "{text}");
    }
    assert_fault(
        "[log]\nlevel = \"foo=bar=baz\"\n",
        "2: log.level: `foo=bar=baz` is neither a level, as `info`, nor a filter, as `zec_gateway=debug`",
    );
}
