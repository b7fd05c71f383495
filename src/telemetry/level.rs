//! The log level, which a reload can change.

use tracing_subscriber::{EnvFilter, Registry, reload::Handle};

use crate::error::Fault;

/// Changes the process's log level. Empty if this process did not turn logging on here, or if `RUST_LOG` sets the
/// level.
#[derive(Clone, Debug, Default)]
pub struct Level(pub(super) Option<Handle<EnvFilter, Registry>>);

impl Level {
    /// Sets the level. Returns whether it took effect, which it does not if the handle is empty.
    ///
    /// # Errors
    /// Fails if the text is no filter; the level stays as it was.
    pub fn set(&self, level: &str) -> Result<bool, Fault> {
        let Some(handle) = &self.0 else { return Ok(false) };
        let changed = handle.reload(filter(level)?);
        changed.map_err(|error| Fault::new(format!("the log level cannot be changed: {error}")))?;
        Ok(true)
    }
}

/// Parses a filter. A lone word must be a level or a part of the gateway. The filter itself would take any word for a
/// target, and a target that does not exist silences the whole log.
pub(super) fn filter(text: &str) -> Result<EnvFilter, Fault> {
    const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];
    let fault = |text: String| Fault::new(text).at_key("log.level");
    for word in text.split(',').map(str::trim) {
        let level = LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
        let number = word.bytes().all(|byte| byte.is_ascii_digit());
        if !level && !number && !word.contains(['=', '[']) && !word.starts_with("zec_gateway") {
            return Err(fault(format!(
                "`{word}` is not a level: use one of {}",
                LEVELS.join(", ")
            )));
        }
    }
    EnvFilter::try_new(text)
        .map_err(|error| fault(format!("the log level is not a filter: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused_and_does_not_silence_the_log() {
        for good in
            ["info", "WARN", "3", "info,zec_gateway=debug", "warn, zec_gateway::auth", "off"]
        {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["inf", "loud", "info,debgu", "hyper", "foo=bar=baz"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
        let told = filter("inf").unwrap_err().to_string();
        assert!(told.contains("`inf` is not a level: use one of trace, debug, info"), "{told}");
    }
}
