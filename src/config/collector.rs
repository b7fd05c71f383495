//! `[telemetry]`: the collector for spans, in a build with the feature `otlp`.

use super::fields::Fields;
use crate::telemetry::Collector;

/// The key that the other keys require.
const ENDPOINT: &str = "otlp_endpoint";

/// `[telemetry]`; `None` if no collector is configured.
#[cfg(feature = "otlp")]
pub(super) fn collector(root: &mut Fields<'_>) -> Option<Collector> {
    use std::{ops::RangeInclusive, time::Duration};

    use super::url;

    const PERIOD: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);
    const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

    let mut fields = root.table("telemetry");
    let endpoint = fields.text(ENDPOINT, url::collector);
    let sample_percent = fields.integer("otlp_sample_percent", 100, 0..=100);
    let period = fields.duration("otlp_period", Duration::from_secs(5), &PERIOD);
    let timeout = fields.duration("otlp_timeout", Duration::from_secs(10), &TIMEOUT);
    Some(Collector { endpoint: endpoint?, sample_percent, period, timeout })
}

/// This build cannot send spans, so a configured collector is a fault instead of being ignored.
#[cfg(not(feature = "otlp"))]
pub(super) fn collector(root: &mut Fields<'_>) -> Option<Collector> {
    let mut fields = root.table("telemetry");
    for key in [ENDPOINT, "otlp_sample_percent", "otlp_period", "otlp_timeout"] {
        fields.unavailable(
            key,
            "this build cannot export spans: build with `--features otlp`, or take it out",
        );
    }
    None
}
