//! Requests that are not exactly right are refused with a text that says what to do, and never reach ZEC.

use crate::{
    client,
    world::{NIC, Setup, World},
};

/// Target, body, and a text that the answer's `detail` must contain.
const BAD_DELETES: &[(&str, Option<&str>, &str)] = &[
    // No address, in every form.
    ("/nics/n/ipv4", None, "no address"),
    ("/nics/n/ipv4?", None, "no address"),
    ("/nics/n/ipv4", Some("{}"), "no address"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":[]}"#), "no address"),
    // Not an address.
    ("/nics/n/ipv4?ipAddresses=", None, "not an IPv4 address"),
    ("/nics/n/ipv4?ipAddresses=10.0.0.300", None, "10.0.0.300"),
    ("/nics/n/ipv4?ipAddresses=010.0.0.2", None, "leading zeros"),
    ("/nics/n/ipv4?ipAddresses=10.0.0.2,10.0.0.3", None, "10.0.0.2,10.0.0.3"),
    ("/nics/n/ipv4?ipAddresses=10.0.0.2%20", None, "not an IPv4 address"),
    ("/nics/n/ipv4?ipAddresses=::1", None, "not an IPv4 address"),
    ("/nics/n/ipv4/10.0.0", None, "not an IPv4 address"),
    ("/nics/n/ipv4/10.0.0.0x1", None, "not an IPv4 address"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":["10.0.0.2 "]}"#), "not an IPv4 address"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":[167772162]}"#), "not a string"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":[["10.0.0.2"]]}"#), "not a string"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":[null]}"#), "not a string"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":"10.0.0.2"}"#), "not a list"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":null}"#), "not a list"),
    ("/nics/n/ipv4", Some(r#"{"ipAddress":["10.0.0.2"]}"#), "not a string"),
    // Not an address, in a place where it would be ignored.
    ("/nics/n/ipv4?ipAddresses=10.0.0.2&ipAddress=%26ipAddresses=10.0.0.3", None, "%26"),
    ("/nics/n/ipv4?ipAddress=&ipAddresses=10.0.0.2", None, "not an IPv4 address"),
    (
        "/nics/n/ipv4",
        Some(r#"{"ipAddress":"x","ipAddresses":["10.0.0.2"]}"#),
        "not an IPv4 address",
    ),
    // Unknown or repeated.
    ("/nics/n/ipv4?ipAddresses=10.0.0.2&x=1", None, "unknown query key `x`"),
    ("/nics/n/ipv4?ipAddresses[]=10.0.0.2", None, "repeat the key without brackets"),
    ("/nics/n/ipv4?ipaddresses=10.0.0.2", None, "unknown query key"),
    ("/nics/n/ipv4?%69pAddresses=10.0.0.2", None, "unknown query key"),
    ("/nics/n/ipv4?ipAddress=10.0.0.2&ipAddress=10.0.0.3", None, "twice"),
    ("/nics/n/ipv4?ipAddresses", None, "key=value"),
    ("/nics/n/ipv4?ipAddresses=10.0.0.2&", None, "key=value"),
    ("/nics/n/ipv4?access_token=x&ipAddresses=10.0.0.2", None, "unknown query key"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":["10.0.0.2"],"force":true}"#), "unknown field `force`"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":["10.0.0.2"],"nicId":"m"}"#), "unknown field"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":["10.0.0.2"],"ipAddresses":["10.0.0.3"]}"#), "twice"),
    (
        "/nics/n/ipv4",
        Some(r#"{"ipAddresses":["10.0.0.2"],"ipAddre\u0073ses":["10.0.0.3"]}"#),
        "twice",
    ),
    ("/nics/n/ipv4", Some(r#"{"ipAddress":"10.0.0.2","ipAddress":"10.0.0.2"}"#), "twice"),
    // Not valid JSON.
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":["10.0.0.2"]} x"#), "not JSON"),
    ("/nics/n/ipv4", Some(r#"{"ipAddresses":["10.0.0.2"]}{}"#), "not JSON"),
    ("/nics/n/ipv4", Some(r#"[["10.0.0.2"]]"#), "not a JSON object"),
    ("/nics/n/ipv4", Some("ipAddresses=10.0.0.2"), "not JSON"),
    ("/nics/n/ipv4", Some(" "), "not JSON"),
    // Both places, or a body on a route without one.
    ("/nics/n/ipv4?ipAddresses=10.0.0.2", Some(r#"{"ipAddresses":["10.0.0.2"]}"#), "both"),
    ("/nics/n/ipv4?ipAddress=10.0.0.2", Some(r#"{"ipAddress":"10.0.0.2"}"#), "both"),
    ("/nics/n/ipv4/10.0.0.2", Some(r#"{"ipAddresses":["10.0.0.2"]}"#), "no body"),
    ("/nics/n/ipv4/10.0.0.2?ipAddresses=10.0.0.3", None, "unknown query key"),
    // Switches that are neither on nor off, or have no meaning beside addresses.
    ("/nics/n/ipv4?ipAddresses=10.0.0.2&dryRun=yes", None, "`dryRun` is `yes`"),
    ("/nics/n/ipv4?ipAddresses=10.0.0.2&dryRun=", None, "`dryRun` is ``"),
    ("/nics/n/ipv4?ipAddresses=10.0.0.2&dryRun=TRUE", None, "`dryRun` is `TRUE`"),
    ("/nics/n/ipv4?ipAddresses=10.0.0.2&dryRun=true&dryRun=false", None, "appears twice"),
    ("/nics/n/ipv4?ipAddresses=10.0.0.2&dryrun=true", None, "unknown query key"),
    ("/nics/n/ipv4/10.0.0.2?dryRun=1", None, "`dryRun` is `1`"),
    ("/nics/n/ipv4/10.0.0.2?all=true", None, "unknown query key"),
    ("/nics/n/ipv4?all=1", None, "`all` is `1`"),
    ("/nics/n/ipv4?all=false", None, "no address"),
    ("/nics/n/ipv4?dryRun=true", None, "no address"),
    ("/nics/n/ipv4?all=true&ipAddresses=10.0.0.2", None, "name no address with it"),
    ("/nics/n/ipv4?ipAddress=10.0.0.2&all=true", None, "name no address with it"),
    ("/nics/n/ipv4?all=true", Some(r#"{"ipAddresses":["10.0.0.2"]}"#), "name no address with it"),
    ("/nics/n/ipv4?all=true", Some(r#"{"ipAddresses":[]}"#), "name no address with it"),
    // The grammar of the path, and of the vNIC's id.
    ("/nics/a%2Fb/ipv4?ipAddresses=10.0.0.2", None, "`%`"),
    ("/nics/n;x/ipv4?ipAddresses=10.0.0.2", None, "`;`"),
    ("/nics//ipv4?ipAddresses=10.0.0.2", None, "segment"),
    ("/nics/../nics/n/ipv4?ipAddresses=10.0.0.2", None, "segment"),
    ("/nics/-n/ipv4?ipAddresses=10.0.0.2", None, "not a vNIC id"),
    ("/nics/n.1/ipv4?ipAddresses=10.0.0.2", None, "not a vNIC id"),
    ("/nics/n*/ipv4?ipAddresses=10.0.0.2", None, "not a vNIC id"),
];

#[tokio::test]
async fn a_delete_that_is_not_exactly_right_is_400_and_reaches_nobody() {
    let world = Setup::without_rate().start().await;
    let alice = world.alice();
    for (target, body, word) in BAD_DELETES {
        let answer = match body {
            Some(body) => alice.delete_with(target, body).await,
            None => alice.delete(target).await,
        };
        let (status, slug, code) = answer.problem();
        assert_eq!((status, slug.as_str()), (400, "invalid-request"), "{target} {body:?}");
        let expected =
            if *word == "no address" { "MISSING_PARAMETER" } else { "INVALID_PARAMETER_VALUE" };
        assert_eq!(code, expected, "{target}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{target} {body:?}: `{detail}` does not say `{word}`");
    }
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn the_other_routes_are_as_strict() {
    let world = World::start().await;
    let alice = world.alice();
    let good = r#"{"ipAddresses":["10.0.0.2"]}"#;
    let answers = [
        alice.post("/nics/n/ipv4", "{}").await,
        alice.post("/nics/n/ipv4", r#"{"ipAddress":"10.0.0.2"}"#).await,
        alice.post("/nics/n/ipv4", r#"{"ipAddressCount":1}"#).await,
        alice.post("/nics/n/ipv4?ipAddresses=10.0.0.2", good).await,
        alice.post("/nics/n/ipv4?dryRun=on", good).await,
        alice.post("/nics/n/ipv4?all=true", good).await,
        alice.send("POST", "/nics/n/ipv4", &[], None).await,
        alice.get("/nics/n?x=1").await,
        alice.send("GET", "/nics/n", &[("Content-Type", "application/json")], Some("{}")).await,
        alice.get("/nics/n.1").await,
        alice.get("/whoami?x=1").await,
        alice.get("/problems/internal?x=1").await,
    ];
    for answer in answers {
        assert_eq!(answer.problem().0, 400, "{}", answer.text());
    }
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn the_number_of_addresses_is_limited() {
    let world = Setup { limits: "max_addresses = 2".to_owned(), ..Setup::default() }.start().await;
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21&ipAddresses=10.0.0.22");
    let answer = world.alice().delete(&format!("{target}&ipAddresses=10.0.0.23")).await;
    assert_eq!(answer.problem().0, 400);
    assert!(answer.text().contains("3 addresses") && world.nothing_was_sent());
    assert_eq!(world.alice().delete(&format!("{target}&ipAddresses=10.0.0.21")).await.status, 200);
}

#[tokio::test]
async fn what_clients_get_wrong_is_named_as_it_should_be() {
    let world = World::start().await;
    let alice = world.alice();
    for (query, hint) in [
        ("ipAddresses[]=10.0.0.21&ipAddresses[]=10.0.0.22", "repeat the key without brackets"),
        ("ipAddresses=10.0.0.21,10.0.0.22", "repeat the key for each address"),
    ] {
        let answer = alice.delete(&format!("/nics/{NIC}/ipv4?{query}")).await;
        assert_eq!(answer.problem().1, "invalid-request", "{query}");
        assert!(answer.text().contains(hint), "{query}: {}", answer.text());
        assert!(answer.text().contains("ipAddresses=10.0.0.2&ipAddresses=10.0.0.3"));
    }
    let mark = "\u{feff}{\"ipAddresses\":[\"10.0.0.21\"]}";
    let answer = alice.delete_with(&format!("/nics/{NIC}/ipv4"), mark).await;
    assert!(answer.text().contains("byte order mark"), "{}", answer.text());
    assert!(world.nothing_was_sent());
    // Some clients send an empty object with every request; it names no address.
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    assert_eq!(alice.delete_with(&target, "{}").await.status, 200);
    let all = format!("/nics/{NIC}/ipv4?all=true&dryRun=true");
    assert_eq!(alice.delete_with(&all, "{}").await.status, 200);
    let both = alice.delete_with(&target, "{\"ipAddresses\":[]}").await;
    assert!(both.text().contains("use one of them"), "{}", both.text());
    let basic = [("Authorization", "Basic YWxpY2U6c2VjcmV0")];
    let answer = world.stranger().send("GET", "/whoami", &basic, None).await;
    assert_eq!(answer.problem().1, "missing-token");
    assert!(answer.text().contains("is Basic") && answer.text().contains("~/.netrc"));
    let key = "ZC2-HMAC-SHA256 Credential=id, SignedHeaders=content-type;host, Signature=00";
    let answer = world.stranger().send("GET", "/whoami", &[("Authorization", key)], None).await;
    assert_eq!(answer.problem().1, "missing-token");
    assert!(answer.text().contains("an access key, which this gateway does not take"));
}

#[tokio::test]
async fn bodies_are_declared_measured_and_bounded() {
    let world = Setup { server: "max_body = \"64B\"".to_owned(), ..Setup::default() }.start().await;
    let alice = world.alice();
    let body = Some(r#"{"ipAddresses":["10.0.0.21"]}"#);
    let target = "/nics/n/ipv4";
    let send = async |headers: &[(&str, &str)], body: Option<&str>| {
        alice.send("DELETE", target, headers, body).await.problem()
    };
    let unsupported = (415, "unsupported-media-type".to_owned(), "INVALID_REQUEST".to_owned());
    for headers in [
        &[][..],
        &[("Content-Type", "text/plain")],
        &[("Content-Type", "application/json; charset=latin1")],
        &[("Content-Type", "application/jsonx")],
        &[("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
    ] {
        assert_eq!(send(headers, body).await, unsupported, "{headers:?}");
    }
    let json = [("Content-Type", "application/json")];
    assert_eq!(send(&[json[0], json[0]], body).await.0, 400);
    let large = "x".repeat(65);
    assert_eq!(send(&json, Some(&large)).await.1, "body-too-large");
    for coding in ["chunked", "identity", "gzip, chunked", "Chunked"] {
        let headers = [json[0], ("Transfer-Encoding", coding)];
        let text = alice.text("DELETE", target, &headers, None);
        let answer = client::raw(world.gateway, format!("{text}0\r\n\r\n").as_bytes()).await;
        // hyper itself refuses bodies that it cannot frame, and an empty chunked body names no address.
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 400, "{coding}");
        if coding == "chunked" {
            assert_eq!(answer.problem().2, "MISSING_PARAMETER");
        }
    }
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn json_with_a_charset_is_json() {
    let world = World::start().await;
    let alice = world.alice();
    let body = r#"{"ipAddresses":["10.0.0.21"]}"#;
    let headers = [("Content-Type", "Application/JSON; Charset=\"UTF-8\"")];
    let answer = alice.send("DELETE", &format!("/nics/{NIC}/ipv4"), &headers, Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn long_targets_are_refused() {
    let world = World::start().await;
    let alice = world.alice();
    let long = format!("/nics/n/ipv4?ipAddresses={}", "1".repeat(9000));
    assert_eq!(alice.delete(&long).await.problem().1, "uri-too-long");
    assert_eq!(alice.get("/whoami").await.status, 200);
}

#[tokio::test]
async fn targets_that_are_no_paths_are_refused() {
    let world = World::start().await;
    for target in ["*", "//whoami", "/whoami/", "/WHOAMI", "/nics/n/ipv4/"] {
        let answer = world.stranger().get(target).await;
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
    }
    let connect = client::request("CONNECT", "evil.example:443", &[], None);
    let answer = client::raw(world.gateway, connect.as_bytes()).await.expect("an answer");
    assert_eq!(answer.status, 400);
    assert!(world.nothing_was_sent());
}
