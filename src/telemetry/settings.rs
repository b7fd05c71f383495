//! The settings of `[log]` and `[telemetry]`.

use std::time::Duration;

use http::Uri;

/// What is logged and how (`[log]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The form of a line.
    pub format: Format,
    /// The lowest level that is logged, or a filter in `tracing`'s syntax, for example `info` or `zec_gateway=debug`.
    pub level: String,
}

/// Where spans go (`[telemetry]`), in a build with the feature `otlp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// The full address to which spans are posted, path included.
    pub endpoint: Uri,
    /// How many percent of the requests without a caller's trace are exported.
    pub sample_percent: u8,
    /// How long spans may wait for others, to be sent in one batch.
    pub period: Duration,
    /// How long the collector may take to answer for a batch.
    pub timeout: Duration,
}

impl std::str::FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("use `auto`, `text` or `json`"),
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}
