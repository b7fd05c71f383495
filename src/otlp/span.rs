//! Turns a request into spans: one of the gateway's own, and one for each request to ZEC.
//!
//! Attributes have the names of the semantic conventions where these define one, and otherwise the names of the log's
//! fields with the prefix `zec_gateway.`. Only the values named here are exported: no header, no path as it was sent
//! and no cause of an error, because any of these may hold a caller's text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value},
    trace::v1::{
        Span, Status,
        span::SpanKind,
        status::StatusCode::{Error, Unset},
    },
};

use crate::telemetry::{Finished, TraceParent, ZecCall};

/// The first 8 bits of a span's flags are those of W3C Trace Context. This one means that the span is sampled.
const SAMPLED: u32 = 1;

/// The next two bits mean that it is known whether the parent is remote, and that it is.
const PARENT_IS_REMOTE: u32 = 0x300;

/// As [`PARENT_IS_REMOTE`], but the parent is not remote.
const PARENT_IS_LOCAL: u32 = 0x100;

/// How many spans a request has.
pub(super) fn count(request: &Finished) -> u64 {
    1 + request.facts.zec_calls.len() as u64
}

/// Returns a request's spans, its own first. `zec` is ZEC's host and port.
pub(super) fn of(request: &Finished, zec: &(String, u16)) -> Vec<Span> {
    let trace_id = match &request.trace {
        Some(trace) => bytes(trace.trace_id()),
        None => fastrand::u128(1..).to_be_bytes().to_vec(),
    };
    let own = server(request, trace_id);
    let calls: Vec<_> =
        request.facts.zec_calls.iter().map(|call| client(request, call, &own, zec)).collect();
    std::iter::once(own).chain(calls).collect()
}

fn server(request: &Finished, trace_id: Vec<u8>) -> Span {
    let facts = &request.facts;
    let name = match (request.method, facts.route) {
        // The name that the conventions give a method that is not known; the log uses another one.
        ("other", route) => format!("HTTP {}", route.unwrap_or_default()),
        (method, route) => format!("{method} {}", route.unwrap_or_default()),
    };
    let method = if request.method == "other" { "_OTHER" } else { request.method };
    let status = request.status.map(|status| status.as_u16());
    let problem = facts.problem.as_ref().map(|(slug, _)| *slug);
    // A caller's mistake is not an error of a server's span.
    let failed = match status {
        None => Some("caller_hung_up"),
        Some(500..) => Some(problem.unwrap_or("internal")),
        Some(_) => None,
    };
    let (action, nic, addresses) = facts.asked_fields();
    let policies = facts.policies.iter().map(|policy| Value::StringValue(policy.clone()));
    let policies = (!facts.policies.is_empty()).then(|| list(policies));
    let attributes = [
        text("http.request.method", Some(method)),
        text("http.route", facts.route),
        number("http.response.status_code", status.map(i64::from)),
        text("error.type", failed),
        text("zec_gateway.request.id", Some(&request.request_id)),
        text("zec_gateway.caller", facts.caller.as_deref()),
        text("zec_gateway.action", action),
        text("zec_gateway.nic", nic),
        number("zec_gateway.addresses", addresses.and_then(|count| i64::try_from(count).ok())),
        text("zec_gateway.decision", facts.decision),
        policies.map(|policies| ("zec_gateway.policies", policies)),
        text("zec_gateway.problem", problem),
        text("zec_gateway.zec.request_id", facts.zec_request_id.as_deref()),
    ];
    let parent = request.trace.as_ref().map(TraceParent::parent_id);
    Span {
        trace_id,
        span_id: fresh(),
        parent_span_id: parent.map(bytes).unwrap_or_default(),
        flags: SAMPLED | parent.map_or(0, |_| PARENT_IS_REMOTE),
        name: name.trim_end().to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(request.started),
        end_time_unix_nano: nanos(request.started + request.took),
        attributes: pairs(attributes),
        status: Some(status_of(failed.is_some())),
        ..Span::default()
    }
}

/// The span of one request to ZEC. The gateway sends ZEC nothing about the trace.
fn client(request: &Finished, call: &ZecCall, own: &Span, zec: &(String, u16)) -> Span {
    let failed = (call.outcome != "ok").then_some(call.outcome);
    let begun = request.started + call.after;
    let attributes = [
        text("http.request.method", Some("POST")),
        text("server.address", Some(&zec.0)),
        number("server.port", Some(i64::from(zec.1))),
        text("error.type", failed),
        text("zec_gateway.action", Some(call.action)),
        text("zec_gateway.zec.outcome", Some(call.outcome)),
        text("zec_gateway.zec.request_id", call.request_id.as_deref()),
    ];
    Span {
        trace_id: own.trace_id.clone(),
        span_id: fresh(),
        parent_span_id: own.span_id.clone(),
        flags: SAMPLED | PARENT_IS_LOCAL,
        name: format!("POST {}", call.action),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: nanos(begun),
        end_time_unix_nano: nanos(begun + call.took),
        attributes: pairs(attributes),
        status: Some(status_of(failed.is_some())),
        ..Span::default()
    }
}

fn status_of(failed: bool) -> Status {
    let code = if failed { Error } else { Unset };
    Status { code: code.into(), message: String::new() }
}

/// An attribute that is not yet a message.
type Attribute = (&'static str, Value);

pub(super) fn text(key: &'static str, value: Option<&str>) -> Option<Attribute> {
    value.map(|value| (key, Value::StringValue(value.to_owned())))
}

fn number(key: &'static str, value: Option<i64>) -> Option<Attribute> {
    value.map(|value| (key, Value::IntValue(value)))
}

fn list(values: impl Iterator<Item = Value>) -> Value {
    let values = values.map(|value| AnyValue { value: Some(value) }).collect();
    Value::ArrayValue(ArrayValue { values })
}

pub(super) fn pairs<const N: usize>(pairs: [Option<Attribute>; N]) -> Vec<KeyValue> {
    let pair = |(key, value): Attribute| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    pairs.into_iter().flatten().map(pair).collect()
}

/// Returns a new span id, which is never zero.
fn fresh() -> Vec<u8> {
    fastrand::u64(1..).to_be_bytes().to_vec()
}

/// The bytes that hexadecimal digits encode, two digits a byte. The ids of a [`TraceParent`] have only such digits.
fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).filter_map(byte).collect()
}

fn nanos(time: SystemTime) -> u64 {
    let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
