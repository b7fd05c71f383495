//! The outermost layer: request id, counting, logging and spans.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header::CONTENT_LENGTH};
use tower::{Service, ServiceExt};

use super::{
    request_id::{self, X_REQUEST_ID},
    request_state::RequestState,
};
use crate::{
    api::{Answer, UNMATCHED, method_label},
    domain::Peer,
    metrics::{InFlightGauge, Metrics},
    telemetry::{Facts, Finished, Record, Sink, TraceParent},
};

/// Sets the request's id, by which its answer and its log event are found. Counts, times and logs the request once,
/// when it is answered or given up. Passes it on if spans are exported.
pub(super) async fn observe<B, S>(
    metrics: Arc<Metrics>,
    spans: Option<Arc<dyn Sink>>,
    mut request: Request<B>,
    mut next: S,
) -> Result<Answer, S::Error>
where
    S: Service<Request<B>, Response = Answer>,
{
    let id = request_id::keep_or_make(request.headers());
    let peer = request.extensions_mut().remove::<Peer>();
    let record = Arc::new(Record::start(id.as_str(), trace(request.headers()), peer));
    let mut watch = Observed {
        running: Some(metrics.http.running()),
        method: method_label(request.method()),
        status: None,
        record: Arc::clone(&record),
        metrics,
        spans,
    };
    let found = RequestState::new(id.clone(), record);
    let places = found.places.clone();
    request.extensions_mut().insert(found);
    let mut answer = next.ready().await?.call(request).await?;
    watch.status = Some(answer.status());
    answer.headers_mut().insert(X_REQUEST_ID, id.0);
    if watch.method == "HEAD" {
        without_body(&mut answer);
    }
    let body = answer.body_mut();
    body.authenticated = watch.record.facts().caller.is_some();
    // Both are held until the answer is sent: a caller who does not read takes up as much as one who waits.
    body.places = places.is_of_caller().then_some(places);
    body.running = watch.running.take();
    Ok(answer)
}

/// Reduces an answer to what HEAD requires: the header says how long the body would be (RFC 9110, 9.3.2). Over HTTP/2
/// hyper would send the body.
fn without_body(answer: &mut Answer) {
    let length = HeaderValue::from(answer.body().bytes.len());
    answer.headers_mut().insert(CONTENT_LENGTH, length);
    answer.body_mut().bytes = Bytes::new();
    answer.body_mut().long = None;
}

/// Of several headers, it is not clear which one is valid, so none is used.
fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    let mut sent = headers.get_all("traceparent").iter();
    match (sent.next(), sent.next()) {
        (Some(header), None) => TraceParent::parse(header.to_str().ok()?),
        _ => None,
    }
}

/// Ends the count when it is dropped. hyper drops a request whose caller hung up.
struct Observed {
    /// `None` once there is an answer, which then holds it.
    running: Option<InFlightGauge>,
    method: &'static str,
    status: Option<StatusCode>,
    record: Arc<Record>,
    metrics: Arc<Metrics>,
    spans: Option<Arc<dyn Sink>>,
}

impl Observed {
    fn hand_on(&self, took: Duration, facts: &Facts) {
        let wants = |spans: &&Arc<dyn Sink>| spans.wants(self.record.trace());
        let Some(spans) = self.spans.as_ref().filter(wants) else { return };
        spans.finished(Finished {
            request_id: self.record.request_id().to_owned(),
            trace: self.record.trace().cloned(),
            started: self.record.started_at(),
            took,
            method: self.method,
            status: self.status,
            facts: facts.clone(),
        });
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let took = self.record.elapsed();
        let (facts, trace) = (self.record.facts(), self.record.trace());
        let route = facts.route.unwrap_or(UNMATCHED);
        match self.status {
            Some(status) => self.metrics.http.answered(route, self.method, status, took),
            None => self.metrics.http.abandoned(route, self.method),
        }
        let peer = self.record.peer();
        let client = peer.map(|peer| tracing::field::display(peer.client));
        let proxy = peer.and_then(|peer| peer.proxy).map(tracing::field::display);
        let (action, nic, addresses) = facts.asked_fields();
        let (problem, cause) = match &facts.problem {
            Some((slug, cause)) => (Some(*slug), cause.as_deref()),
            None => (None, None),
        };
        let policies = (!facts.policies.is_empty()).then(|| facts.policies.join(" "));
        let zec_ms = facts.zec_took().as_secs_f64() * 1000.0;
        let zec_ms = (!facts.zec_calls.is_empty()).then_some(zec_ms);
        tracing::info!(
            request.id = self.record.request_id(),
            trace.id = trace.map(TraceParent::trace_id),
            trace.parent_id = trace.map(TraceParent::parent_id),
            http.route = route,
            http.method = self.method,
            http.status = self.status.map(|status| status.as_u16()),
            client.address = client,
            proxy.address = proxy,
            client.software = facts.software.as_deref(),
            caller = facts.caller.as_deref(),
            action,
            nic,
            addresses,
            decision = facts.decision,
            policies,
            problem,
            cause,
            zec.request_id = facts.zec_request_id.as_deref(),
            zec.duration_ms = zec_ms,
            duration_ms = took.as_secs_f64() * 1000.0,
            "{}",
            if self.status.is_some() { "answered" } else { "the caller hung up" },
        );
        self.hand_on(took, &facts);
    }
}
