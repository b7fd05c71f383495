//! Requests from pages of other origins.

use crate::world::{Setup, World};

const PAGE: (&str, &str) = ("Origin", "https://console.example.com");

async fn world() -> World {
    let rest = "[cors]\nallowed_origins = [\"https://console.example.com\"]".to_owned();
    Setup { rest, ..Setup::default() }.start().await
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_token() {
    let world = world().await;
    let headers = [
        PAGE,
        ("Access-Control-Request-Method", "DELETE"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    let answer = world.stranger().send("OPTIONS", "/nics/n/ipv4", &headers, None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE.1));
    let methods = answer.header("access-control-allow-methods").unwrap();
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(methods.contains("DELETE") && allowed.contains("authorization"), "{methods} {allowed}");
    assert!(answer.header("access-control-allow-credentials").is_none());
}

#[tokio::test]
async fn only_a_preflight_is_answered_as_one() {
    let world = world().await;
    let asks = ("Access-Control-Request-Method", "DELETE");
    let bad = "/nics/a%2Fb/ipv4";
    for (headers, target, status) in [
        (&[PAGE, asks][..], "/nics/n/ipv4", 200),
        (&[PAGE], "/nics/n/ipv4", 405),
        (&[asks], "/nics/n/ipv4", 405),
        (&[], "/nics/n/ipv4", 405),
        (&[], "/nowhere", 404),
        (&[PAGE], bad, 400),
    ] {
        let answer = world.stranger().send("OPTIONS", target, headers, None).await;
        assert_eq!(answer.status, status, "{headers:?} {target}");
        assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"));
        let told = answer.header("access-control-allow-origin").is_some();
        assert_eq!(told, headers.contains(&PAGE), "{headers:?}");
    }
    let counted = r#"http_requests_total{code="405",method="OPTIONS",route="/nics/{nicId}/ipv4"}"#;
    assert_eq!(world.metric(counted).await, 3.0);
}

#[tokio::test]
async fn a_traced_page_may_call() {
    let world = world().await;
    let headers = [
        PAGE,
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "authorization,traceparent,tracestate"),
    ];
    let answer = world.stranger().send("OPTIONS", "/whoami", &headers, None).await;
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("traceparent") && allowed.contains("tracestate"), "{allowed}");
}

#[tokio::test]
async fn a_page_can_read_answers_and_errors_and_a_foreign_one_can_not() {
    let world = world().await;
    let alice = world.alice();
    for (answer, status) in [
        (alice.send("GET", "/whoami", &[PAGE], None).await, 200),
        (world.stranger().send("GET", "/whoami", &[PAGE], None).await, 401),
        (alice.send("GET", "/nowhere", &[PAGE], None).await, 404),
    ] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE.1));
        assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"));
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("x-request-id") && exposed.contains("retry-after"), "{exposed}");
    }
    for origin in ["https://evil.example", "null", "https://console.example.com.evil.example"] {
        let answer = alice.send("GET", "/whoami", &[("Origin", origin)], None).await;
        assert!(answer.header("access-control-allow-origin").is_none(), "{origin}");
        assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"));
    }
}

#[tokio::test]
async fn without_allowed_origins_there_are_no_cors_headers() {
    let world = World::start().await;
    let answer = world.alice().send("GET", "/whoami", &[PAGE], None).await;
    assert!(answer.header("access-control-allow-origin").is_none());
}
