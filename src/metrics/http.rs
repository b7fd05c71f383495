//! The metrics of requests on the callers' listener.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

use super::{DURATION_BUCKETS, register::Maker};

/// The series that exist from the start for one method of one route.
#[derive(Clone, Debug)]
pub struct RouteSeries {
    /// The route's pattern, for example `/nics/{nicId}/ipv4`.
    pub route: &'static str,
    /// The method of the request.
    pub method: &'static str,
    /// Every status that this method of this route can answer with.
    pub codes: Vec<u16>,
}

/// Requests on the public listener.
#[derive(Debug)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    abandoned: IntCounterVec,
    in_flight: IntGauge,
    connections: IntGaugeVec,
}

impl HttpMetrics {
    pub(super) fn new(make: &Maker, routes: &[RouteSeries]) -> Result<Self, prometheus::Error> {
        let requests = make.counters(
            "http_requests_total",
            "Requests answered.",
            &["route", "method", "code"],
        )?;
        let durations = make.histograms(
            "http_request_duration_seconds",
            "Seconds from the head of a request to its answer.",
            &["route", "method"],
            &DURATION_BUCKETS,
        )?;
        let abandoned = make.counters(
            "http_requests_abandoned_total",
            "Requests whose caller hung up before there was an answer.",
            &["route", "method"],
        )?;
        for RouteSeries { route, method, codes } in routes {
            abandoned.with_label_values(&[*route, *method]);
            for code in codes {
                requests.with_label_values(&[*route, *method, &code.to_string()]);
            }
            durations.with_label_values(&[*route, *method]);
        }
        let in_flight = make.gauge(
            "http_requests_in_flight",
            "Requests in flight, until their answers are sent.",
        )?;
        let connections = make.gauges(
            "connections",
            "Connections of callers: active with a request or an answer in flight, idle after a valid token was sent, anonymous before.",
            &["state"],
        )?;
        let made = Self { requests, durations, abandoned, in_flight, connections };
        made.connections(0, 0, 0);
        Ok(made)
    }

    /// Sets how many connections of callers are open, by state.
    pub fn connections(&self, active: usize, idle: usize, anonymous: usize) {
        for (state, count) in [("active", active), ("idle", idle), ("anonymous", anonymous)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.connections.with_label_values(&[state]).set(count);
        }
    }

    /// Counts a request as running until the guard is dropped.
    #[must_use]
    pub fn running(&self) -> InFlightGauge {
        self.in_flight.inc();
        InFlightGauge(self.in_flight.clone())
    }

    /// Counts a request whose caller hung up before it was answered. `route` and `method` are from the route table.
    pub fn abandoned(&self, route: &'static str, method: &'static str) {
        self.abandoned.with_label_values(&[route, method]).inc();
    }

    /// Counts an answered request. `route` and `method` are from the route table, never the caller's text.
    pub fn answered(
        &self,
        route: &'static str,
        method: &'static str,
        code: http::StatusCode,
        took: Duration,
    ) {
        self.requests.with_label_values(&[route, method, code.as_str()]).inc();
        self.durations.with_label_values(&[route, method]).observe(took.as_secs_f64());
    }
}

/// A request in flight; dropping this ends the count.
#[derive(Debug)]
pub struct InFlightGauge(IntGauge);

impl Drop for InFlightGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}
