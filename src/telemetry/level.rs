use tracing_subscriber::{EnvFilter, Registry, reload::Handle};

use crate::error::Fault;

/// What the process's log level can be changed by; nothing, where logging was not turned on here, or
/// where `RUST_LOG` has the say.
#[derive(Clone, Debug, Default)]
pub struct Level(pub(super) Option<Handle<EnvFilter, Registry>>);

impl Level {
    /// Logs at that level from now on. Says whether that is so, and not somebody else's to say.
    ///
    /// # Errors
    /// When it is no filter; it stays as it was.
    pub fn set(&self, level: &str) -> Result<bool, Fault> {
        let Some(handle) = &self.0 else { return Ok(false) };
        let changed = handle.reload(filter(level)?);
        changed.map_err(|error| Fault::new(format!("the log level cannot be changed: {error}")))?;
        Ok(true)
    }
}

pub(super) fn filter(text: &str) -> Result<EnvFilter, Fault> {
    EnvFilter::try_new(text).map_err(|error| {
        Fault::new(format!("the log level is no filter: {error}")).at_key("log.level")
    })
}
