//! The metrics for Prometheus. One struct declares and creates every series at the start. Label values are from closed
//! sets only, so that no caller can ever create a series (docs/threats.md, row 22).

mod http;
mod journal;
mod labels;
mod register;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::{
    Gauge, GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};

pub use http::{HttpMetrics, InFlightGauge, RouteSeries};
pub use journal::JournalMetrics;
pub use labels::{AuthResult, Decision, Kind, ShadowChange, ZecResult};
use register::Maker;

use crate::{domain::Action, error::Problem, telemetry};

/// The content type of the text that [`Metrics::render`] returns.
pub const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

/// The value of the label `issuer` if the token's issuer is not a configured one, or not known yet.
const NO_ISSUER: &str = "none";

/// In seconds: from a millisecond, which is the gateway's own share of a request, to the 30 s after which the gateway
/// answers without waiting any longer.
const DURATION_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

const FROM_FILE: u64 = u64::MAX;

/// How many access keys there are, by whether they are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Those that are good for more than two weeks.
    pub valid: usize,
    /// Those that end within two weeks.
    pub ending: usize,
    /// Those that have ended.
    pub ended: usize,
    /// When the next caller's last key ends, since 1970.
    pub next_end: Option<Duration>,
}

/// Every metric of the gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// The series of requests, by route.
    pub http: HttpMetrics,
    /// The series of the journal.
    pub journal: JournalMetrics,
    auth_results: IntCounterVec,
    issuers: Vec<IssuerKeys>,
    jwks_age: GaugeVec,
    jwks_keys: IntGaugeVec,
    jwks_refreshes: IntCounterVec,
    policy_decisions: IntCounterVec,
    policy_info: IntGaugeVec,
    policy_shadow_differences: IntCounterVec,
    reloads: IntCounterVec,
    last_reload_successful: IntGauge,
    tls_certificate_expiry: IntGaugeVec,
    access_keys: IntGaugeVec,
    access_key_next_end: IntGaugeVec,
    zec_requests: IntCounterVec,
    zec_durations: HistogramVec,
    zec_broken_answers: IntCounter,
    zec_clock_skew: Gauge,
    zec_breaker_open: IntGaugeVec,
    zec_breaker_open_nics: IntGaugeVec,
    unassigned_addresses: IntCounter,
    rejected: IntCounterVec,
    otlp_spans: IntCounterVec,
    log_lines_dropped: IntCounter,
}

/// When an issuer's key set was last fetched, in Unix milliseconds. 0 means never; [`FROM_FILE`] means that it is read
/// from a file and never fetched.
#[derive(Debug)]
struct IssuerKeys {
    name: String,
    fetched: AtomicU64,
}

impl Metrics {
    /// Creates every series at 0. `routes` are those of the public listener, `issuers` the configured names.
    ///
    /// # Errors
    /// Fails if two metrics share a name, which a test would show.
    pub fn new(routes: &[RouteSeries], issuers: &[String]) -> Result<Self, prometheus::Error> {
        let make = Maker::new();
        let metrics = Self {
            http: HttpMetrics::new(&make, routes)?,
            journal: JournalMetrics::new(&make)?,
            auth_results: make.counters("auth_results_total", "Tokens and signatures with access keys checked.", &["issuer", "result"])?,
            issuers: issuers
                .iter()
                .map(|name| IssuerKeys { name: name.clone(), fetched: AtomicU64::new(0) })
                .collect(),
            jwks_age: make.float_gauges("jwks_age_seconds", "Seconds since an issuer's key set was last fetched completely; +Inf before the first time, 0 for a file.", &["issuer"])?,
            jwks_keys: make.gauges("jwks_keys", "Usable keys in an issuer's key set.", &["issuer"])?,
            jwks_refreshes: make.counters("jwks_refreshes_total", "Attempts to fetch an issuer's key set.", &["issuer", "result"])?,
            policy_decisions: make.counters("policy_decisions_total", "Requests decided by the policy.", &["action", "decision"])?,
            policy_info: make.gauges("policy_info", "1 for the version of the policy in force.", &["version"])?,
            policy_shadow_differences: make.counters("policy_shadow_differences_total", "Questions that the shadow policy answers differently from the live one, or was not asked.", &["action", "change"])?,
            reloads: make.counters("reloads_total", "Attempts to reload files, one for each unit that is reloaded separately; a repeat of the same fault is not counted.", &["result"])?,
            last_reload_successful: make.gauge("last_reload_successful", "1 if the files on disk are in force, for everything that is reloaded.")?,
            // Without TLS this series does not exist, because 0 would be a date long past.
            tls_certificate_expiry: make.gauges("tls_certificate_expiry_timestamp_seconds", "When the listener's own certificate expires, in Unix seconds.", &[])?,
            // Without access keys neither of the two exists; without one that has yet to end, only the first.
            access_keys: make.gauges("access_keys", "Access keys of the gateway's own: good for more than 14 days, ending within them, and ended.", &["state"])?,
            access_key_next_end: make.gauges("access_key_next_end_timestamp_seconds", "When the next caller's last access key ends, in Unix seconds.", &[])?,
            zec_requests: make.counters("zec_requests_total", "Requests to ZEC.", &["action", "outcome"])?,
            zec_durations: make.histograms("zec_request_duration_seconds", "Seconds that a request to ZEC took.", &["action"], &DURATION_BUCKETS)?,
            zec_broken_answers: make.counter("zec_broken_answers_total", "Long answers of ZEC that broke off after the caller had got a part.")?,
            zec_clock_skew: make.float_gauge("zec_clock_skew_seconds", "Seconds that ZEC's clock is ahead of ours, by its last answer; ZEC refuses signatures past 300.")?,
            zec_breaker_open: make.gauges("zec_breaker_open", "1 while requests to ZEC are refused without being sent, because ZEC failed too often at several vNICs or could not be reached.", &["kind"])?,
            zec_breaker_open_nics: make.gauges("zec_breaker_open_nics", "vNICs for which requests to ZEC are refused without being sent, because ZEC failed too often there.", &["kind"])?,
            unassigned_addresses: make.counter("unassigned_addresses_total", "Addresses taken off vNICs.")?,
            rejected: make.counters("rejected_total", "Requests answered with a problem, by the problem's slug.", &["reason"])?,
            // Without a collector there is nothing to count, and no series.
            otlp_spans: make.counters("otlp_spans_total", "Spans that a collector accepted, or that were dropped because there was no room or the collector refused them.", &["result"])?,
            log_lines_dropped: make.counter("log_lines_dropped_total", "Lines of the log that were dropped: standard error was not read in time, or refused them.")?,
            registry: make.into_registry()?,
        };
        metrics.start_at_zero(issuers);
        Ok(metrics)
    }

    fn start_at_zero(&self, issuers: &[String]) {
        for issuer in issuers {
            for result in AuthResult::ALL {
                self.auth_results.with_label_values(&[issuer, result.label()]);
            }
            for result in ["ok", "failed"] {
                self.jwks_refreshes.with_label_values(&[issuer.as_str(), result]);
            }
            self.jwks_keys.with_label_values(&[issuer]);
        }
        for result in AuthResult::ALL {
            self.auth_results.with_label_values(&[NO_ISSUER, result.label()]);
        }
        for action in Action::ALL {
            for decision in Decision::ALL {
                self.policy_decisions.with_label_values(&[action.name(), decision.label()]);
            }
            for change in ShadowChange::ALL {
                let labels = [action.name(), change.label()];
                self.policy_shadow_differences.with_label_values(&labels);
            }
            for outcome in ZecResult::ALL {
                self.zec_requests.with_label_values(&[action.name(), outcome.label()]);
            }
            self.zec_durations.with_label_values(&[action.name()]);
        }
        for kind in Kind::ALL {
            self.zec_breaker_open.with_label_values(&[kind.label()]);
            self.zec_breaker_open_nics.with_label_values(&[kind.label()]);
        }
        for result in ["ok", "failed"] {
            self.reloads.with_label_values(&[result]);
        }
        for problem in Problem::ALL {
            self.rejected.with_label_values(&[problem.slug()]);
        }
    }

    /// Counts a checked token. `issuer` is `None` if the issuer is not a configured one.
    pub fn token_checked(&self, issuer: Option<&str>, result: AuthResult) {
        let issuer = issuer.unwrap_or(NO_ISSUER);
        self.auth_results.with_label_values(&[issuer, result.label()]).inc();
    }

    /// Notes that a whole key set with this number of usable keys was fetched.
    pub fn keys_fetched(&self, issuer: &str, keys: usize) {
        self.jwks_refreshes.with_label_values(&[issuer, "ok"]).inc();
        self.jwks_keys.with_label_values(&[issuer]).set(i64::try_from(keys).unwrap_or(i64::MAX));
        if let Some(issuer) = self.issuers.iter().find(|keys| keys.name == issuer) {
            issuer.fetched.store(unix_millis(), Ordering::Relaxed);
        }
    }

    /// Notes that a key set with this number of usable keys and of this age was read from the cache on disk.
    pub fn keys_recalled(&self, issuer: &str, keys: usize, age: Duration) {
        self.jwks_keys.with_label_values(&[issuer]).set(i64::try_from(keys).unwrap_or(i64::MAX));
        if let Some(issuer) = self.issuers.iter().find(|keys| keys.name == issuer) {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            issuer.fetched.store(unix_millis().saturating_sub(age).max(1), Ordering::Relaxed);
        }
    }

    /// Notes that a key set with this number of usable keys was read from a configured file. Such a set has no age.
    pub fn keys_read(&self, issuer: &str, keys: usize) {
        self.jwks_keys.with_label_values(&[issuer]).set(i64::try_from(keys).unwrap_or(i64::MAX));
        if let Some(issuer) = self.issuers.iter().find(|keys| keys.name == issuer) {
            issuer.fetched.store(FROM_FILE, Ordering::Relaxed);
        }
    }

    /// Counts a failed attempt to fetch a key set.
    pub fn keys_failed(&self, issuer: &str) {
        self.jwks_refreshes.with_label_values(&[issuer, "failed"]).inc();
    }

    /// Counts a decision of the policy. `action` is from the catalogue, which is a closed set.
    pub fn decided(&self, action: &'static str, decision: Decision) {
        self.policy_decisions.with_label_values(&[action, decision.label()]).inc();
    }

    /// Counts a question that the shadow policy answered differently, or was not asked.
    pub fn shadow_differed(&self, action: &'static str, change: ShadowChange) {
        self.policy_shadow_differences.with_label_values(&[action, change.label()]).inc();
    }

    /// Sets the version of the policy that is now in force.
    pub fn policy_loaded(&self, version: &str) {
        self.policy_info.reset();
        self.policy_info.with_label_values(&[version]).set(1);
    }

    /// Sets whether all files are in force as they are on disk.
    pub fn loaded(&self, ok: bool) {
        self.last_reload_successful.set(i64::from(ok));
    }

    /// Counts a reload. If it failed, what was loaded before stays in force. `all` says whether every unit is in force
    /// as it is on disk.
    pub fn reloaded(&self, ok: bool, all: bool) {
        self.reloads.with_label_values(&[if ok { "ok" } else { "failed" }]).inc();
        self.loaded(all);
    }

    /// Sets when the listener's certificate expires, in Unix seconds.
    pub fn certificate_expires(&self, at: u64) {
        let series = self.tls_certificate_expiry.with_label_values::<&str>(&[]);
        series.set(i64::try_from(at).unwrap_or(i64::MAX));
    }

    /// Creates the series of callers that `issuer` stands for: those with access keys.
    pub fn access_keys_taken(&self, issuer: &str) {
        for result in AuthResult::ALL {
            self.auth_results.with_label_values(&[issuer, result.label()]);
        }
    }

    /// Sets how many access keys there are, and when the next one ends.
    pub fn access_keys(&self, counts: &KeyCounts) {
        let KeyCounts { valid, ending, ended, next_end } = counts;
        for (state, count) in [("valid", valid), ("ending", ending), ("ended", ended)] {
            let series = self.access_keys.with_label_values(&[state]);
            series.set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        match next_end {
            Some(end) => {
                let series = self.access_key_next_end.with_label_values::<&str>(&[]);
                series.set(i64::try_from(end.as_secs()).unwrap_or(i64::MAX));
            }
            None => self.access_key_next_end.reset(),
        }
    }

    /// Counts a request to ZEC that ended, and how long it took.
    pub fn zec_answered(&self, action: &'static str, outcome: ZecResult, took: Duration) {
        self.zec_requests.with_label_values(&[action, outcome.label()]).inc();
        self.zec_durations.with_label_values(&[action]).observe(took.as_secs_f64());
    }

    /// Counts a long answer of ZEC's that broke off after its caller had got a part of it.
    pub fn zec_answer_broke_off(&self) {
        self.zec_broken_answers.inc();
    }

    /// Sets by how many seconds ZEC's clock is ahead of the gateway's.
    pub fn zec_clock_skew(&self, seconds: f64) {
        self.zec_clock_skew.set(seconds);
    }

    /// Sets whether the breaker for requests of this kind to ZEC is open.
    pub fn breaker(&self, kind: Kind, open: bool) {
        self.zec_breaker_open.with_label_values(&[kind.label()]).set(i64::from(open));
    }

    /// Sets on how many vNICs the breaker refuses requests of this kind, because ZEC fails there.
    pub fn breaker_nics(&self, kind: Kind, nics: usize) {
        let series = self.zec_breaker_open_nics.with_label_values(&[kind.label()]);
        series.set(i64::try_from(nics).unwrap_or(i64::MAX));
    }

    /// Counts addresses that were taken off a vNIC.
    pub fn unassigned(&self, addresses: usize) {
        self.unassigned_addresses.inc_by(addresses as u64);
    }

    /// Counts a request that was answered with a problem.
    pub fn rejected(&self, problem: Problem) {
        self.rejected.with_label_values(&[problem.slug()]).inc();
    }

    /// Counts the spans that a collector took, and those that were dropped. The first call creates both series.
    pub fn spans(&self, exported: u64, dropped: u64) {
        self.otlp_spans.with_label_values(&["exported"]).inc_by(exported);
        self.otlp_spans.with_label_values(&["dropped"]).inc_by(dropped);
    }

    /// Returns every series in Prometheus' text format.
    ///
    /// # Errors
    /// Fails if a metric breaks the format, which a test would show.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        self.log_lines_dropped.inc_by(telemetry::take_dropped_lines());
        let now = unix_millis();
        for issuer in &self.issuers {
            #[expect(clippy::cast_precision_loss, reason = "an age in seconds needs no more")]
            let age = match issuer.fetched.load(Ordering::Relaxed) {
                0 => f64::INFINITY,
                FROM_FILE => 0.0,
                fetched => now.saturating_sub(fetched) as f64 / 1000.0,
            };
            self.jwks_age.with_label_values(&[&issuer.name]).set(age);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn unix_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
