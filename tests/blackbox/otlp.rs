//! Spans of requests at a collector, and that a collector cannot affect requests.

use std::net::SocketAddr;

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use secrecy::SecretString;
use tokio::net::TcpListener;
use zec_gateway::emulator::{Emulator, Settings};

use crate::{
    client,
    collector::{Collector, Manner, attribute},
    program::{Files, Served},
    real_parts::free_address,
    secure::Authority,
    world::{KEY_ID, NIC, PASSWORD, Setup, World},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The text of the header.
fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn section(collector: SocketAddr, period: &str) -> String {
    format!(
        "[telemetry]\notlp_endpoint = \"http://{collector}\"\notlp_period = \"{period}\"\n\
         otlp_timeout = \"200ms\"\n"
    )
}

async fn world(collector: &Collector, setup: Setup) -> World {
    Setup { rest: section(collector.address, "20ms"), ..setup }.start().await
}

/// The bytes for the digits of a trace or a span.
fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn said(span: &Span, key: &str) -> Option<String> {
    attribute(&span.attributes, key)
}

#[tokio::test]
async fn a_request_with_a_traceparent_is_a_span_of_that_trace_below_its_callers() {
    let collector = Collector::start(Manner::Takes).await;
    let world = world(&collector, Setup::default()).await;
    let (target, sampled, not) = (format!("/nics/{NIC}"), traceparent("01"), traceparent("00"));
    let get = async |header: &str| {
        world.alice().send("GET", &target, &[("traceparent", header)], None).await
    };
    // If the caller does not sample a trace, the gateway does not either; this span would have been sent before the
    // other.
    assert_eq!(get(&not).await.status, 200);
    let answer = get(&sampled).await;
    let spans = collector.until_spans(2).await;
    let [own, call] = spans.as_slice() else { panic!("{spans:#?}") };
    for span in &spans {
        assert_eq!(span.trace_id, bytes(TRACE));
    }
    assert_eq!(own.parent_span_id, bytes(PARENT));
    assert_eq!((own.name.as_str(), own.kind()), ("GET /nics/{nicId}", SpanKind::Server));
    let request_id = answer.header("x-request-id").unwrap();
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/nics/{nicId}"),
        ("http.response.status_code", "200"),
        ("zec_gateway.request.id", request_id),
        ("zec_gateway.caller", "corp/alice"),
        ("zec_gateway.action", "DescribeNetworkInterfaces"),
        ("zec_gateway.nic", NIC),
        ("zec_gateway.decision", "allow"),
        ("zec_gateway.policies", "netops-read"),
    ] {
        assert_eq!(said(own, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(own.status.as_ref().unwrap().code(), StatusCode::Unset);

    assert_eq!((&call.parent_span_id, call.kind()), (&own.span_id, SpanKind::Client));
    assert_eq!(call.name, "POST DescribeNetworkInterfaces");
    assert_eq!(said(call, "zec_gateway.zec.outcome").as_deref(), Some("ok"));
    assert_eq!(said(call, "server.address").as_deref(), Some("127.0.0.1"));
    assert_eq!(said(call, "server.port"), Some(world.zec_address.port().to_string()));
    let zec_id = said(own, "zec_gateway.zec.request_id");
    assert!(zec_id.is_some() && said(call, "zec_gateway.zec.request_id") == zec_id);
    assert!(own.start_time_unix_nano <= call.start_time_unix_nano);
    assert!(call.start_time_unix_nano <= call.end_time_unix_nano);
    assert!(call.end_time_unix_nano <= own.end_time_unix_nano);
}

#[tokio::test]
async fn a_batch_says_which_service_it_is_of_and_goes_where_the_protocol_wants_it() {
    let collector = Collector::start(Manner::Takes).await;
    let world = world(&collector, Setup::default()).await;
    world.alice().get("/whoami").await;
    let span = collector.until_spans(1).await.remove(0);
    assert_eq!((span.trace_id.len(), span.span_id.len(), span.parent_span_id.len()), (16, 8, 0));
    let sent = collector.sent().remove(0);
    assert!(sent.head.starts_with("POST /v1/traces "), "{}", sent.head);
    assert!(sent.head.contains("application/x-protobuf"), "{}", sent.head);
    let resource = sent.message.resource_spans[0].resource.clone().unwrap();
    let name = attribute(&resource.attributes, "service.name");
    assert_eq!(name.as_deref(), Some("zec-gateway"));
    let version = attribute(&resource.attributes, "service.version");
    assert_eq!(version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    world.until_metric("otlp_spans_total{result=\"exported\"}", 1.0).await;
    assert_eq!(world.metric("otlp_spans_total{result=\"dropped\"}").await, 0.0);
}

#[tokio::test]
async fn a_denied_request_is_a_span_with_the_decision_and_the_policies_that_made_it() {
    let collector = Collector::start(Manner::Takes).await;
    let forbid = "@id(\"never-that-one\") forbid (principal, action, resource) \
                  when { context has address && context.address == ip(\"10.0.0.21\") };\n\
                  @id(\"netops\") permit (principal in Zec::Group::\"corp/netops\", action, resource);";
    let world = world(&collector, Setup { policy: forbid.to_owned(), ..Setup::default() }).await;
    let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")).await;
    assert_eq!(answer.status, 403);
    let spans = collector.until_spans(1).await;
    let [own] = spans.as_slice() else { panic!("{spans:#?}") };
    for (key, value) in [
        ("http.route", "/nics/{nicId}/ipv4"),
        ("http.response.status_code", "403"),
        ("zec_gateway.action", "UnassignNetworkInterfaceIpv4"),
        ("zec_gateway.addresses", "1"),
        ("zec_gateway.decision", "deny"),
        ("zec_gateway.policies", "never-that-one"),
        ("zec_gateway.problem", "policy-denied"),
    ] {
        assert_eq!(said(own, key).as_deref(), Some(value), "{key}");
    }
    // A refusal is part of a gateway's work, so it is not an error.
    assert_eq!(own.status.as_ref().unwrap().code(), StatusCode::Unset);
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn a_write_has_a_span_for_the_look_at_the_vnic_and_one_for_what_was_sent() {
    let collector = Collector::start(Manner::Takes).await;
    let setup = Setup { zec: "preflight = true".to_owned(), ..Setup::default() };
    let world = world(&collector, setup).await;
    let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let spans = collector.until_spans(3).await;
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    let looked = "POST DescribeNetworkInterfaces";
    let wrote = "POST UnassignNetworkInterfaceIpv4";
    assert_eq!(names, ["DELETE /nics/{nicId}/ipv4", looked, wrote]);
    let zec_id = answer.json()["requestId"].as_str().unwrap().to_owned();
    assert_eq!(said(&spans[2], "zec_gateway.zec.request_id"), Some(zec_id));
}

#[tokio::test]
async fn no_secret_no_token_and_no_header_ever_gets_to_the_collector() {
    let collector = Collector::start(Manner::Takes).await;
    let world = world(&collector, Setup::default()).await;
    let alice = world.alice();
    let headers = [
        ("traceparent", traceparent("01")),
        ("tracestate", "vendor=hush-tracestate".to_owned()),
        ("X-Forwarded-For", "hush-forwarded".to_owned()),
        ("User-Agent", "hush-agent".to_owned()),
        ("Cookie", "session=hush-cookie".to_owned()),
        ("Idempotency-Key", "hush-idempotency".to_owned()),
    ];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    assert_eq!(alice.send("DELETE", &target, &headers, None).await.status, 200);
    assert_eq!(alice.send("GET", "/hush-path?hush-query=1", &headers, None).await.status, 404);
    let forged = world.bearer("hush.hush-token.hush");
    assert_eq!(forged.send("GET", "/whoami", &headers, None).await.status, 401);
    collector.until_spans(4).await;
    let bearer = alice.bearer();
    let token: Vec<_> = bearer.strip_prefix("Bearer ").unwrap().split('.').collect();
    for sent in collector.sent() {
        let body = String::from_utf8_lossy(&sent.body).into_owned();
        let all = format!("{}{body}", sent.head).to_lowercase();
        for secret in ["hush", "bearer", "authorization", KEY_ID, PASSWORD, "signature"] {
            assert!(!all.contains(secret), "{secret}: {all}");
        }
        assert!(!token.iter().any(|part| all.contains(&part.to_lowercase())), "{all}");
    }
}

#[tokio::test]
async fn requests_do_not_wait_for_a_collector_that_hangs_and_their_spans_wait_for_it() {
    let collector = Collector::start(Manner::Hangs).await;
    let world = world(&collector, Setup::default()).await;
    let alice = world.alice();
    alice.get("/whoami").await;
    collector.until("a try", || !collector.sent().is_empty()).await;
    for _ in 0..50 {
        assert_eq!(alice.get("/whoami").await.status, 200);
    }
    // The first attempt ended without an answer; the next one has the same spans.
    collector.until("another try", || collector.sent().len() > 1).await;
    collector.behave(Manner::Takes);
    assert_eq!(collector.until_spans(51).await.len(), 51);
    world.until_metric("otlp_spans_total{result=\"exported\"}", 51.0).await;
    assert_eq!(world.metric("otlp_spans_total{result=\"dropped\"}").await, 0.0);
}

#[tokio::test]
async fn spans_that_a_collector_refuses_for_good_are_counted_and_not_sent_again() {
    let collector = Collector::start(Manner::Answers(400)).await;
    let world = world(&collector, Setup::default()).await;
    world.alice().get("/whoami").await;
    world.until_metric("otlp_spans_total{result=\"dropped\"}", 1.0).await;
    collector.behave(Manner::Answers(503));
    world.alice().get("/whoami").await;
    // Refused for now: exactly the same batch comes again.
    collector.until("two tries", || collector.sent().len() > 2).await;
    collector.behave(Manner::Takes);
    assert_eq!(collector.until_spans(1).await.len(), 1);
    let sent = collector.sent();
    assert_eq!(sent[1].body, sent[2].body);
    assert_ne!(sent[0].body, sent[1].body);
    world.until_metric("otlp_spans_total{result=\"exported\"}", 1.0).await;
    assert_eq!(world.metric("otlp_spans_total{result=\"dropped\"}").await, 1.0);
}

/// The files for `serve`, with a configured collector and a ZEC that it can call.
async fn files(collector: SocketAddr, period: &str) -> Files {
    let zec = Emulator::new(Settings::new(KEY_ID, SecretString::from(PASSWORD))).with_demo_nics();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = Files::new(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(zec.serve(listener, std::future::pending()));
    let mut config = std::fs::read_to_string(files.config()).unwrap();
    config.push_str("[limits]\nrequests_per_second = 0\n");
    config.push_str(&section(collector, period));
    std::fs::write(files.config(), config).unwrap();
    files
}

/// One line for each request would fill the pipe, which nothing reads meanwhile.
const QUIET: &str = "info,zec_gateway::stack=warn";

async fn served(collector: SocketAddr, period: &str) -> (Served, Files) {
    let files = files(collector, period).await;
    (Served::start(&files, QUIET), files)
}

async fn whoami(served: &Served, files: &Files) -> u16 {
    let bearer = files.bearer(&["netops"]);
    let text = client::request("GET", "/whoami", &[("Authorization", &bearer)], None);
    client::raw(served.gateway, text.as_bytes()).await.expect("an answer").status
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_still_queued_are_sent_when_the_gateway_is_asked_to_stop() {
    let collector = Collector::start(Manner::Takes).await;
    let (mut served, files) = served(collector.address, "10m").await;
    for _ in 0..300 {
        assert_eq!(whoami(&served, &files).await, 200);
    }
    assert_eq!(served.stop(), Some(0), "{}", served.said);
    // One batch was full before; the others did not wait for their ten minutes.
    assert_eq!(collector.spans().len(), 300);
    assert!(!served.said.contains("last spans"), "{}", served.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_keeps_no_gateway_from_stopping() {
    let collector = Collector::start(Manner::Hangs).await;
    let (mut served, files) = served(collector.address, "10m").await;
    assert_eq!(whoami(&served, &files).await, 200);
    assert_eq!(served.stop(), Some(0), "{}", served.said);
    let lost = served.event("before the collector had accepted the last spans");
    assert_eq!(lost["spans"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_is_told_of_once_and_once_more_when_it_is_back() {
    let address = free_address();
    let (mut served, files) = served(address, "20ms").await;
    assert_eq!(whoami(&served, &files).await, 200);
    served.until("the collector does not accept spans");
    assert_eq!(whoami(&served, &files).await, 200);
    let back = TcpListener::bind(address).await.unwrap();
    let collector = Collector::on(back, Manner::Answers(503));
    collector.until("tries", || collector.sent().len() > 1).await;
    collector.behave(Manner::Takes);
    assert_eq!(collector.until_spans(2).await.len(), 2);
    served.until("the collector accepts spans again");
    assert_eq!(served.stop(), Some(0));
    for said in ["the collector does not accept spans", "the collector accepts spans again"] {
        assert_eq!(served.said.matches(said).count(), 1, "{}", served.said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_over_tls_to_a_collector_that_the_systems_authorities_vouch_for_and_to_no_other() {
    let (known, unknown) = (Authority::new(), Authority::new());
    for (authority, taken) in [(&known, true), (&unknown, false)] {
        let collector = Collector::over_tls(&authority.server(2100)).await;
        let files = files(collector.address, "20ms").await;
        let text = std::fs::read_to_string(files.config()).unwrap();
        let plain = format!("\"http://{}\"", collector.address);
        let secure = format!("\"https://{}\"", collector.address);
        assert!(text.contains(&plain));
        std::fs::write(files.config(), text.replace(&plain, &secure)).unwrap();
        let roots = files.directory.path().join("roots.pem");
        std::fs::write(&roots, known.pem()).unwrap();
        let mut command = files.serve(QUIET);
        command.env("SSL_CERT_FILE", roots);
        let mut served = Served::spawn(command);
        assert_eq!(whoami(&served, &files).await, 200);
        if taken {
            collector.until_spans(1).await;
        } else {
            served.until("the collector does not accept spans");
        }
        assert_eq!(served.stop(), Some(0));
        assert_eq!(collector.spans().len(), usize::from(taken), "{}", served.said);
    }
}
