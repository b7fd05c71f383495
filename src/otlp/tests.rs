//! Tests of which requests are kept or dropped, and of the content of spans.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{StatusCode, Uri};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind, status},
};

use super::{Exporter, SpanQueue, span};
use crate::{
    domain::Action,
    metrics::Metrics,
    telemetry::{Collector, Facts, Finished, Sink, TraceParent, ZecCall},
};

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn zec() -> (String, u16) {
    ("zec.example".to_owned(), 443)
}

fn request(traceparent: Option<&str>) -> Finished {
    Finished {
        request_id: "r-1".to_owned(),
        trace: traceparent.map(|header| TraceParent::parse(header).unwrap()),
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1000),
        took: Duration::from_millis(20),
        method: "GET",
        status: Some(StatusCode::OK),
        facts: Facts { route: Some("/nics/{nicId}"), ..Facts::default() },
    }
}

/// A queue whose exporter does not run.
fn queue(sample_percent: u8) -> (SpanQueue, Exporter, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let collector = Collector {
        endpoint: Uri::from_static("http://127.0.0.1:1/v1/traces"),
        sample_percent,
        period: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
    };
    let (queue, exporter) = Exporter::new(&collector, zec(), Arc::clone(&metrics)).unwrap();
    (queue, exporter, metrics)
}

fn dropped(metrics: &Metrics) -> u64 {
    let text = metrics.render().unwrap();
    let series = "zec_gateway_otlp_spans_total{result=\"dropped\"} ";
    text.lines().find_map(|line| line.strip_prefix(series)).unwrap().parse().unwrap()
}

#[test]
fn what_has_no_room_is_dropped_and_counted_and_nobody_waits() {
    let (queue, _exporter, metrics) = queue(100);
    for _ in 0..2048 {
        queue.finished(request(None));
    }
    assert_eq!(dropped(&metrics), 0);
    let mut with_calls = request(None);
    let call = ZecCall {
        action: Action::DescribeNetworkInterfaces.name(),
        after: Duration::ZERO,
        took: Duration::ZERO,
        outcome: "ok",
        request_id: None,
    };
    with_calls.facts.zec_calls = vec![call.clone(), call];
    queue.finished(with_calls);
    assert_eq!(dropped(&metrics), 3);
}

#[test]
fn the_callers_flag_decides_whether_a_request_is_kept_and_the_percentage_where_there_is_none() {
    for (percent, traceparent, kept) in [
        (100, None, true),
        (0, None, false),
        (0, Some(SAMPLED), true),
        (100, Some(NOT_SAMPLED), false),
    ] {
        let (queue, mut exporter, _) = queue(percent);
        let request = request(traceparent);
        assert_eq!(queue.wants(request.trace.as_ref()), kept, "{percent} {traceparent:?}");
        queue.finished(request);
        assert!(exporter.took_one());
    }
}

fn said<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    let pair = span.attributes.iter().find(|pair| pair.key == key)?;
    pair.value.as_ref()?.value.as_ref()
}

fn text(span: &Span, key: &str) -> Option<String> {
    match said(span, key)? {
        Value::StringValue(text) => Some(text.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_the_gateway_could_not_do_is_an_error_of_its_span() {
    for (status, problem, error) in [
        (Some(200), None, None),
        (Some(403), Some("policy-denied"), None),
        (Some(429), Some("rate-limited"), None),
        (Some(500), None, Some("internal")),
        (Some(504), Some("outcome-unknown"), Some("outcome-unknown")),
        (None, None, Some("caller_hung_up")),
    ] {
        let mut request = request(None);
        request.status = status.map(|code| StatusCode::from_u16(code).unwrap());
        request.facts.problem = problem.map(|slug| (slug, Some("an inner cause".to_owned())));
        let spans = span::of(&request, &zec());
        let [own] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!(text(own, "error.type").as_deref(), error);
        assert_eq!(text(own, "zec_gateway.problem").as_deref(), problem);
        let code = own.status.as_ref().unwrap().code();
        assert_eq!(code == status::StatusCode::Error, error.is_some());
        assert!(!format!("{own:?}").contains("inner cause"));
    }
}

#[test]
fn times_ids_and_names_are_those_of_the_request_and_its_calls() {
    let mut request = request(Some(SAMPLED));
    request.facts.zec_calls.push(ZecCall {
        action: Action::DescribeNetworkInterfaces.name(),
        after: Duration::from_millis(5),
        took: Duration::from_millis(10),
        outcome: "unknown",
        request_id: None,
    });
    let spans = span::of(&request, &zec());
    let [own, call] = spans.as_slice() else { panic!("{spans:?}") };
    let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
    assert_eq!((&own.trace_id[..], &call.trace_id[..]), (&trace[..], &trace[..]));
    assert_eq!(own.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert_eq!(call.parent_span_id, own.span_id);
    assert_ne!(call.span_id, own.span_id);
    assert_eq!((own.kind(), call.kind()), (SpanKind::Server, SpanKind::Client));
    assert_eq!(own.name, "GET /nics/{nicId}");
    assert_eq!(call.name, "POST DescribeNetworkInterfaces");
    let (second, milli) = (1_000_000_000, 1_000_000);
    assert_eq!(own.start_time_unix_nano, 1000 * second);
    assert_eq!(own.end_time_unix_nano, 1000 * second + 20 * milli);
    assert_eq!(call.start_time_unix_nano, 1000 * second + 5 * milli);
    assert_eq!(call.end_time_unix_nano, 1000 * second + 15 * milli);
    assert_eq!(text(call, "error.type").as_deref(), Some("unknown"));
    assert_eq!(said(call, "server.port"), Some(&Value::IntValue(443)));
}

#[test]
fn a_request_beside_every_route_with_an_unknown_method_has_the_conventions_names() {
    let mut request = request(None);
    (request.method, request.facts.route) = ("other", None);
    let own = span::of(&request, &zec()).remove(0);
    assert_eq!(own.name, "HTTP");
    assert_eq!(text(&own, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(said(&own, "http.route"), None);
    assert_eq!((own.trace_id.len(), own.span_id.len(), own.parent_span_id.len()), (16, 8, 0));
}
