//! Posts one batch to the collector.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::InstrumentationScope,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;

use super::span::{pairs, text};
use crate::{
    error::Fault,
    net::{self, ExchangeError, HttpClient},
    telemetry::Collector,
};

/// The largest answer that is read, in bytes. A collector's answers need only a few.
const MAX_ANSWER: usize = 64 * 1024;

/// How long connecting may take at most.
const CONNECT: Duration = Duration::from_secs(3);

/// What a collector did not accept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CollectorRefusal {
    /// It may accept the same batch later: it could not be reached, or says that it is busy.
    Later(String),
    /// It will never accept this batch.
    Never(String),
    /// It refused this many spans and accepted the others.
    Some(u64),
}

/// Spans that are sent together, encoded once however often they are sent.
#[derive(Clone, Debug)]
pub(super) struct SpanBatch {
    /// The encoded message of the protocol.
    pub(super) message: Bytes,
    /// How many spans the message has.
    pub(super) spans: u64,
}

impl SpanBatch {
    pub(super) fn new(spans: Vec<Span>) -> Self {
        let count = spans.len() as u64;
        Self { message: envelope(spans).encode_to_vec().into(), spans: count }
    }
}

/// The client of one collector.
#[derive(Debug)]
pub(super) struct Post {
    http: HttpClient,
    endpoint: Uri,
    host: HeaderValue,
    timeout: Duration,
}

impl Post {
    /// Does not connect yet.
    pub(super) fn new(collector: &Collector) -> Result<Self, Fault> {
        let endpoint = collector.endpoint.clone();
        let https = endpoint.scheme_str() == Some("https");
        let host = endpoint.authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(host).map_err(|error| {
            Fault::new(format!("the host cannot be sent in a header: {error}"))
                .at_key("telemetry.otlp_endpoint")
        })?;
        let timeout = collector.timeout;
        let http = net::client(net::Options {
            connect_timeout: CONNECT.min(timeout),
            https,
            trust: net::Trust::System,
            proxy: None,
            section: "telemetry",
        })?;
        Ok(Self { http, endpoint, host, timeout })
    }

    /// Sends a batch's message, and returns what was not accepted.
    pub(super) async fn send(&self, message: Bytes) -> Result<(), CollectorRefusal> {
        match tokio::time::timeout(self.timeout, self.exchange(message)).await {
            Ok(result) => result,
            Err(_) => Err(CollectorRefusal::Later("it took too long".to_owned())),
        }
    }

    async fn exchange(&self, body: Bytes) -> Result<(), CollectorRefusal> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(net::target(&self.endpoint))
            .header(header::HOST, self.host.clone())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))
            .header(header::USER_AGENT, HeaderValue::from_static(USER_AGENT))
            .body(Full::new(body))
            .map_err(|error| CollectorRefusal::Never(error.to_string()))?;
        let later = |error: ExchangeError| CollectorRefusal::Later(error.to_string());
        let link = self.http.link(&self.endpoint).await.map_err(later)?;
        let answer = link.exchange(request, MAX_ANSWER).await.map_err(later)?;
        verdict(answer.status(), answer.body())
    }
}

const USER_AGENT: &str = concat!("zec-gateway/", env!("CARGO_PKG_VERSION"));

/// Judges an answer by the protocol: these four statuses are worth a retry, all others are not.
fn verdict(status: StatusCode, body: &[u8]) -> Result<(), CollectorRefusal> {
    match status.as_u16() {
        200..=299 => {}
        429 | 502..=504 => return Err(CollectorRefusal::Later(format!("it answers {status}"))),
        _ => return Err(CollectorRefusal::Never(format!("it answers {status}"))),
    }
    // A 2xx answer may refuse some spans. A body that cannot be decoded refuses none.
    let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
    match u64::try_from(rejected) {
        Ok(1..) => Err(CollectorRefusal::Some(rejected.unsigned_abs())),
        _ => Ok(()),
    }
}

fn envelope(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let attributes =
        pairs([text("service.name", Some("zec-gateway")), text("service.version", Some(version))]);
    let scope = InstrumentationScope {
        name: "zec-gateway".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
    let resource = Resource { attributes, ..Resource::default() };
    let resource_spans = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn only_the_protocols_passing_statuses_are_worth_another_try() {
        for code in [400, 401, 404, 413, 429, 500, 501, 502, 503, 504, 301] {
            let later = [429, 502, 503, 504].contains(&code);
            let said = verdict(StatusCode::from_u16(code).unwrap(), b"").unwrap_err();
            assert_eq!(matches!(said, CollectorRefusal::Later(_)), later, "{code}: {said:?}");
        }
        for body in [&b""[..], b"no protobuf"] {
            assert_eq!(verdict(StatusCode::OK, body), Ok(()));
        }
    }

    #[test]
    fn what_was_not_taken_of_a_batch_is_counted() {
        let answer = |rejected_spans| {
            let error_message = "too old".to_owned();
            let partial = ExportTracePartialSuccess { rejected_spans, error_message };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        };
        assert_eq!(verdict(StatusCode::OK, &answer(3)), Err(CollectorRefusal::Some(3)));
        for no_harm in [0, -1] {
            assert_eq!(verdict(StatusCode::OK, &answer(no_harm)), Ok(()));
        }
    }
}
