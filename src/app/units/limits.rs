//! Limits and log level: the part of the configuration that takes effect without a restart.

use super::{Reloadable, Watched, files};
use crate::{config::Config, error::Fault, limit::Live, reload::Snapshot, telemetry::Level};

#[derive(Debug)]
struct ReloadLimits {
    /// The configuration that the gateway was started with.
    started: Config,
    limits: Live,
    level: Level,
}

/// Watches the file that the configuration was read from.
pub(in crate::app) fn followed(config: &Config, limits: Live, level: Level) -> Watched {
    let places = files([config.file.clone()]);
    let read = Snapshot::of(config.file.clone(), config.source.text.clone().into_bytes());
    Watched::new(ReloadLimits { started: config.clone(), limits, level }, places, &read)
}

impl Reloadable for ReloadLimits {
    fn name(&self) -> String {
        "limits and log level".to_owned()
    }

    fn load(&self, files: &Snapshot) -> Result<String, Vec<Fault>> {
        let new = self.started.again(files.read(&self.started.file))?;
        // First, because only this step can fail.
        let leveled = self.level.set(&new.log.level).map_err(|fault| vec![fault])?;
        self.limits.replace(new.limits.clone());
        let keys = self.started.needs_restart(&new);
        if !keys.is_empty() {
            let keys = keys.join(", ");
            tracing::warn!(keys, "changed keys are not in force: they need a restart");
        }
        let level = if leveled { &new.log.level } else { "as `RUST_LOG` has it" };
        Ok(format!("log level {level}"))
    }
}
