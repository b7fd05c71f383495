//! One request in, one signed request out.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{NIC, World};

#[tokio::test]
async fn one_delete_becomes_one_signed_request_and_the_address_leaves() {
    let world = World::start().await;
    let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")).await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["nicId"], NIC);
    assert_eq!(json["ipAddresses"], json!(["10.0.0.21"]));
    assert!(json["requestId"].as_str().unwrap().starts_with('T'));
    assert!(json["operationId"].is_string());

    assert!(!world.addresses(NIC).contains(&"10.0.0.21".to_owned()));
    let requests = world.zec.requests();
    let [look, request] = requests.as_slice() else { panic!("a look and a write: {requests:?}") };
    assert_eq!(look.action, "DescribeNetworkInterfaces");
    assert!(request.authenticated);
    assert_eq!(request.action, "UnassignNetworkInterfaceIpv4");
    assert_eq!(request.body, format!(r#"{{"ipAddresses":["10.0.0.21"],"nicId":"{NIC}"}}"#));
}

#[tokio::test]
async fn the_upstream_request_is_made_from_nothing() {
    let world = World::start().await;
    let headers = [
        ("X-Forwarded-Uri", "/admin"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("X_Forwarded_User", "root"),
        ("X-HTTP-Method-Override", "GET"),
        ("X-ZC-Action", "DeleteNetworkInterface"),
        ("User-Agent", "kube-probe/1.0"),
        ("Cookie", "token=x"),
        ("X-Request-Id", "mine"),
    ];
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let answer = world.alice().send("DELETE", &target, &headers, None).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("mine")));

    let request = world.zec.requests().remove(1);
    let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let expected = [
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-zc-action",
        "x-zc-service",
        "x-zc-signature-method",
        "x-zc-timestamp",
        "x-zc-version",
    ];
    let unexpected: Vec<_> =
        names.iter().filter(|name| !expected.contains(name) && **name != "authorization").collect();
    assert!(unexpected.is_empty(), "{unexpected:?} went upstream");
    // Not the caller's own header.
    assert_eq!(request.header("user-agent"), Some(zec_gateway::net::AGENT));
    assert_eq!(request.header("x-zc-action"), Some("UnassignNetworkInterfaceIpv4"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("host"), Some(world.zec_address.to_string().as_str()));
}

#[tokio::test]
async fn addresses_come_from_the_query_the_body_or_the_path() {
    let world = World::start().await;
    let alice = world.alice();
    let ipv4 = format!("/nics/{NIC}/ipv4");
    let answers = [
        alice
            .delete(&format!(
                "{ipv4}?ipAddresses=10.0.0.21&ipAddresses=10.0.0.22&ipAddresses=10.0.0.21"
            ))
            .await,
        alice.post(&ipv4, r#"{"ipAddresses": ["10.0.0.21", "10.0.0.22"]}"#).await,
        alice.delete_with(&ipv4, r#"{"ipAddresses": ["10.0.0.22", "10.0.0.21"]}"#).await,
        alice.post(&ipv4, r#"{"ipAddresses": ["10.0.0.21", "10.0.0.22"]}"#).await,
        alice.delete(&format!("{ipv4}/10.0.0.21")).await,
        alice.delete(&format!("{ipv4}?ipAddress=10.0.0.22")).await,
        alice.delete_with(&ipv4, r#"{"ipAddress": "10.0.0.23"}"#).await,
    ];
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let lists: Vec<_> = answers.iter().map(|answer| answer.json()["ipAddresses"].clone()).collect();
    assert_eq!(lists[0], json!(["10.0.0.21", "10.0.0.22"]), "merged, in the caller's order");
    assert_eq!(lists[2], json!(["10.0.0.22", "10.0.0.21"]));
    assert_eq!(world.addresses(NIC), ["10.0.0.24"]);
    assert_eq!(world.sent("BatchAssignNetworkInterfaceIpv4").len(), 2);
    for body in world.sent("UnassignNetworkInterfaceIpv4") {
        assert!(body.contains(r#""ipAddresses":["#) && !body.contains(r#""ipAddress":"#), "{body}");
    }
}

#[tokio::test]
async fn the_list_outranks_the_deprecated_address_for_policy_and_zec_alike() {
    let world = World::start().await;
    let alice = world.alice();
    let ipv4 = format!("/nics/{NIC}/ipv4");
    let query = format!("{ipv4}?ipAddress=10.9.9.9&ipAddresses=10.0.0.21");
    assert_eq!(alice.delete(&query).await.status, 200);
    let body = r#"{"ipAddress": "10.9.9.9", "ipAddresses": ["10.0.0.22"]}"#;
    assert_eq!(alice.delete_with(&ipv4, body).await.status, 200);
    // The other way round: the forbidden address is in the list, so it decides.
    let body = r#"{"ipAddress": "10.0.0.23", "ipAddresses": ["10.9.9.9"]}"#;
    assert_eq!(alice.delete_with(&ipv4, body).await.status, 403);
    // An empty list is still a list; the single address does not replace it.
    let body = r#"{"ipAddress": "10.0.0.23", "ipAddresses": []}"#;
    assert_eq!(alice.delete_with(&ipv4, body).await.status, 400);
    assert_eq!(world.addresses(NIC), ["10.0.0.23", "10.0.0.24"]);
}

#[tokio::test]
async fn a_nic_is_shown_as_zec_describes_it() {
    let world = World::start().await;
    let answer = world.alice().get(&format!("/nics/{NIC}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), world.zec.nic(NIC).unwrap());
    assert_eq!(world.sent("DescribeNetworkInterfaces"), [format!(r#"{{"nicIds":["{NIC}"]}}"#)]);
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let world = World::start().await;
    let nic = format!("/nics/{NIC}");
    for (target, caller) in [
        ("/whoami", world.alice()),
        ("/whoami", world.stranger()),
        ("/operations", world.alice()),
        (nic.as_str(), world.alice()),
        ("/openapi.json", world.stranger()),
        ("/docs", world.stranger()),
        ("/problems/internal", world.stranger()),
        ("/problems/no-such", world.stranger()),
    ] {
        let get = caller.get(target).await;
        let text = caller.text("HEAD", target, &[("Connection", "close")], None);
        let mut stream = tokio::net::TcpStream::connect(world.gateway).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut head = String::new();
        stream.read_to_string(&mut head).await.unwrap();
        let (head, body) = head.split_once("\r\n\r\n").unwrap();
        assert!(body.is_empty(), "{target}: {body}");
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", get.status)), "{head}");
        // The body may contain the request's id, which always has the same length.
        let length = format!("content-length: {}", get.body.len());
        assert!(head.contains(&length), "{target}: {head}");
    }
    assert_eq!(
        world.alice().send("PUT", "/whoami", &[], None).await.header("allow"),
        Some("GET, HEAD")
    );
    let counted = r#"http_requests_total{code="200",method="HEAD",route="/whoami"}"#;
    assert_eq!(world.metric(counted).await, 1.0);
}

#[tokio::test]
async fn whoami_shows_the_caller_as_the_policy_sees_them() {
    let world = World::start().await;
    let answer = world.alice().get("/whoami").await;
    assert_eq!(
        answer.json(),
        json!({"issuer": "corp", "subject": "alice", "groups": ["netops", "staff"]})
    );
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_every_answer_has() {
    let world = World::start().await;
    let alice = world.alice();
    for answer in [
        alice.get("/whoami").await,
        world.stranger().get("/whoami").await,
        alice.get("/no/such/path").await,
        alice.send("PATCH", "/whoami", &[], None).await,
        alice.get("/nics/a%41").await,
    ] {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", answer.status);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("x-request-id").is_some_and(|id| id.len() == 36));
    }
}

#[tokio::test]
async fn a_harmless_request_id_is_kept_and_any_other_replaced() {
    let world = World::start().await;
    let stranger = world.stranger();
    let long = "x".repeat(65);
    for (sent, kept) in [
        ("a.b_c-1", true),
        (&"x".repeat(64), true),
        (&long, false),
        ("a b", false),
        ("a\"b", false),
        ("", false),
    ] {
        let answer = stranger.send("GET", "/whoami", &[("X-Request-Id", sent)], None).await;
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(id == sent, kept, "{sent}");
        assert_eq!(answer.json()["requestId"], id);
    }
    let twice = [("X-Request-Id", "a"), ("X-Request-Id", "b")];
    let answer = stranger.send("GET", "/whoami", &twice, None).await;
    assert_eq!(answer.header("x-request-id").unwrap().len(), 36);
}

#[tokio::test]
async fn a_caller_who_hangs_up_changes_nothing_about_the_write() {
    use tokio::io::AsyncWriteExt;
    use zec_gateway::emulator::{Fault, FaultKind};

    let world = World::start().await;
    let late = FaultKind::Delay(std::time::Duration::from_millis(300));
    world.zec.inject(Fault::once(late).on("UnassignNetworkInterfaceIpv4"));
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let text = world.alice().text("DELETE", &target, &[], None);
    let mut stream = tokio::net::TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    world.until_sent_to("UnassignNetworkInterfaceIpv4", 1).await;
    drop(stream);
    // The outcome is counted although no client waits for it any more.
    world.until_metric("unassigned_addresses_total", 1.0).await;
    assert!(!world.addresses(NIC).contains(&"10.0.0.21".to_owned()));
    assert_eq!(world.sent("UnassignNetworkInterfaceIpv4").len(), 1);
    let abandoned = r#"http_requests_abandoned_total{method="DELETE",route="/nics/{nicId}/ipv4"}"#;
    assert_eq!(world.metric(abandoned).await, 1.0);
}
