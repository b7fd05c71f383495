//! The metrics that Prometheus sees, and that no caller can create unlimited series.

use std::collections::BTreeSet;

use crate::world::{NIC, World};

fn series(metrics: &str) -> BTreeSet<String> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test]
async fn every_series_of_the_contract_is_there_from_the_start() {
    let world = World::start().await;
    let metrics = world.metrics().await;
    for name in [
        "http_requests_total",
        "http_request_duration_seconds_bucket",
        "http_requests_abandoned_total",
        "http_requests_in_flight",
        "auth_results_total",
        "jwks_keys",
        "jwks_age_seconds",
        "jwks_refreshes_total",
        "policy_decisions_total",
        "policy_info",
        "reloads_total",
        "journal_entries",
        "journal_head_info",
        "journal_commits_total",
        "journal_commit_seconds_bucket",
        "operations_total",
        "last_reload_successful",
        "zec_requests_total",
        "zec_request_duration_seconds_bucket",
        "zec_clock_skew_seconds",
        "unassigned_addresses_total",
        "rejected_total",
        "build_info",
    ] {
        let full = format!("zec_gateway_{name}");
        let there = metrics
            .lines()
            .any(|line| line.strip_prefix(&full).is_some_and(|rest| rest.starts_with(['{', ' '])));
        assert!(there, "{full} is missing");
    }
    for name in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"] {
        assert!(metrics.contains(name), "{name} is missing");
    }
    for issuer in ["corp", "none"] {
        for result in ["ok", "missing", "bad_signature", "expired"] {
            let series = format!(r#"auth_results_total{{issuer="{issuer}",result="{result}"}}"#);
            assert!(world.metric(&series).await == 0.0, "{series}");
        }
    }
}

#[tokio::test]
async fn no_answer_of_a_route_makes_a_new_series() {
    let world = World::start().await;
    let before = series(&world.metrics().await);
    let (alice, stranger) = (world.alice(), world.stranger());
    for (method, target) in [
        ("DELETE", "/nics/n/ipv4"),
        ("POST", "/nics/n/ipv4"),
        ("DELETE", "/nics/n/ipv4/10.0.0.2"),
        ("GET", "/nics/n"),
        ("GET", "/operations"),
        ("GET", "/operations/0190163d-8694-739b-aea5-966c26f8ad91"),
        ("GET", "/whoami"),
        ("GET", "/problems/internal"),
    ] {
        alice.send(method, target, &[], None).await;
        alice.send(method, &format!("{target}?x=1"), &[], None).await;
        alice.send(method, target, &[("Content-Type", "text/plain")], Some("x")).await;
        alice.send(method, target, &[("Transfer-Encoding", "chunked")], None).await;
        stranger.send(method, target, &[], None).await;
    }
    let mut after = series(&world.metrics().await);
    // One series replaced by another: the current head of the journal.
    after.retain(|series| !series.starts_with("zec_gateway_journal_head_info"));
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
    let refused = r#"http_requests_total{code="400",method="GET",route="/whoami"}"#;
    assert!(world.metric(refused).await == 3.0);
}

/// There are 247 actions, so only those of the gateway's own routes have series from the start.
#[tokio::test]
async fn a_rare_action_has_a_series_from_its_first_use_and_an_invented_one_never() {
    let world = World::start().await;
    let about = |metrics: &str, action: &str| {
        metrics.lines().filter(|line| line.contains(&format!("\"{action}\""))).count()
    };
    assert_eq!(about(&world.metrics().await, "DeleteVpc"), 0);
    world.alice().post("/actions/DeleteVpc", r#"{"vpcId":"1"}"#).await;
    world.alice().post("/actions/DeleteNothing", "{}").await;
    let denied = r#"policy_decisions_total{action="DeleteVpc",decision="deny"}"#;
    assert!(world.metric(denied).await == 1.0);
    let metrics = world.metrics().await;
    assert_eq!((about(&metrics, "DeleteVpc"), about(&metrics, "DeleteNothing")), (1, 0));
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_code() {
    let world = World::start().await;
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    world.alice().delete(&target).await;
    world.stranger().delete(&target).await;
    world.stranger().get("/beside").await;
    for code in [200, 401] {
        let series = format!(
            r#"http_requests_total{{code="{code}",method="DELETE",route="/nics/{{nicId}}/ipv4"}}"#
        );
        assert!(world.metric(&series).await == 1.0, "{series}");
    }
    let beside = r#"http_requests_total{code="404",method="GET",route="unmatched"}"#;
    assert!(world.metric(beside).await == 1.0);
    assert!(world.metric("http_requests_in_flight").await == 0.0);
    assert!(world.metric(r#"auth_results_total{issuer="corp",result="ok"}"#).await == 1.0);
    assert!(world.metric(r#"auth_results_total{issuer="none",result="missing"}"#).await == 1.0);
    let decisions =
        r#"policy_decisions_total{action="UnassignNetworkInterfaceIpv4",decision="allow"}"#;
    assert!(world.metric(decisions).await == 1.0);
}

#[tokio::test]
async fn no_caller_can_make_the_series_grow() {
    let world = World::start().await;
    let methods =
        ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "BREW", "X-1", "get"];
    // Every series that can appear appears here once: every method on a route and beside one.
    for method in methods {
        for target in ["/whoami", "/nics/n/ipv4", "/beside"] {
            let text = world.stranger().text(method, target, &[("Connection", "close")], None);
            let _ = crate::client::raw(world.gateway, text.as_bytes()).await;
        }
    }
    let before = series(&world.metrics().await);
    for invented in ["BREW", "X-1", "get", "beside"] {
        assert!(!before.iter().any(|one| one.contains(&format!("\"{invented}\""))), "{invented}");
    }
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..20 {
        let stranger = world.stranger();
        let gateway = world.gateway;
        tasks.spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = tokio::net::TcpStream::connect(gateway).await.unwrap();
            for number in 0..500_u32 {
                let random = fastrand::u64(..);
                let method = methods[(number as usize + task) % 5];
                let target = match number % 4 {
                    0 => format!("/{random}"),
                    1 => format!("/nics/{random}/ipv4?ipAddresses=10.0.0.1"),
                    2 => format!("/nics/{random}/{random}"),
                    _ => format!("/whoami?{random}={random}"),
                };
                let host = format!("host-{random}");
                let headers = [("X-Request-Id", host.as_str()), ("User-Agent", &host)];
                let text = stranger.text(method, &target, &headers, None);
                stream.write_all(text.as_bytes()).await.unwrap();
                crate::client::read(&mut stream).await.expect("an answer");
            }
            let _ = stream.shutdown().await;
            let _ = stream.read(&mut [0]).await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let after = series(&world.metrics().await);
    let new: Vec<_> = after.difference(&before).collect();
    // A route's own 401 may appear for a method that the first round answered with 405.
    assert!(new.len() <= 10, "10,000 random requests made {} series: {new:?}", new.len());
    for one in new {
        assert!(!one.contains("host-"), "{one}");
    }
}

#[tokio::test]
async fn the_admin_listener_is_for_operators_only() {
    let world = World::start().await;
    for (target, status) in
        [("/livez", 200), ("/readyz", 200), ("/readyz?verbose", 200), ("/whoami", 404)]
    {
        let text = crate::client::request("GET", target, &[], None);
        assert_eq!(crate::client::raw(world.admin, text.as_bytes()).await.unwrap().status, status);
    }
    let post = crate::client::request("POST", "/metrics", &[], None);
    assert_eq!(crate::client::raw(world.admin, post.as_bytes()).await.unwrap().status, 405);
    assert_eq!(world.stranger().get("/metrics").await.status, 404);
}
