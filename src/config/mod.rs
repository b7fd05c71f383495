//! The configuration: one TOML file and the variables that override it. It is read as a whole, and all faults are
//! reported at once, as the head of `config/gateway.toml` says.
//!
//! `tree` records where each value is written, and `fields` reads one table. `sections` and `issuers` define the keys
//! and their defaults, and `warnings` finds settings that are allowed but dangerous. `partial` is the usable rest of a
//! faulty configuration.
//! `partial` is what remains of a configuration that has faults.

mod access_keys;
mod collector;
mod fields;
mod changes;
mod findings;
mod forms;
mod issuers;
mod origin;
mod partial;
mod sections;
mod tree;
mod unknown;
mod url;
mod variables;
mod warnings;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use changes::ConfigSource;
pub use partial::Partial;

use crate::{
    auth,
    error::{Fault, line_at},
    execute::Preflight,
    files, journal, limit, policy, server, telemetry, zec,
};
use fields::Fields;
use findings::{Findings, FoundFaults};

/// The commented reference, `config/gateway.toml`.
pub const REFERENCE: &str = include_str!("../../config/gateway.toml");

/// Everything an operator can set.
#[derive(Clone, Debug)]
pub struct Config {
    /// The path of its file.
    pub file: PathBuf,
    /// The text of the file, and the variables.
    pub source: ConfigSource,
    /// `[server]` and `[admin]`.
    pub server: server::Settings,
    /// `cors.allowed_origins`: exact origins, none by default.
    pub cors_allowed_origins: Vec<String>,
    /// `[auth]`.
    pub auth: auth::Settings,
    /// `[policy]`.
    pub policy: policy::Settings,
    /// `[zec]`: the connection to ZEC.
    pub zec: zec::Settings,
    /// `[zec]`: the checks before a write.
    pub preflight: Preflight,
    /// `[limits]`.
    pub limits: limit::Settings,
    /// `[journal]`.
    pub journal: journal::Settings,
    /// `[log]`.
    pub log: telemetry::Settings,
    /// `[telemetry]`; `None` if no collector is configured, or in a build without the feature `otlp`.
    pub collector: Option<telemetry::Collector>,
    /// Settings that are allowed but that the operator should know of, in the order of the file.
    pub warnings: Vec<Fault>,
}

impl Config {
    /// Reads a file, and lets variables that begin with `ZEC_GATEWAY__` override its values; other variables are
    /// ignored. Relative paths start from the file's directory.
    ///
    /// # Errors
    ///
    /// All faults, in the order of the file.
    pub fn load(
        path: &Path,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Fault>> {
        Self::load_or_rest(path, variables).map_err(|partial| partial.faults)
    }

    /// Reads a file as [`Config::load`] does.
    ///
    /// # Errors
    ///
    /// All faults, with the settings that could be read in spite of them.
    pub fn load_or_rest(
        path: &Path,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Partial> {
        Self::take(path, files::read(path), variables)
    }

    /// Reads the new content of the same file, with the variables of the first time, because a process's own variables
    /// do not change.
    ///
    /// # Errors
    ///
    /// All faults, in the order of the file.
    pub fn again(&self, bytes: io::Result<&[u8]>) -> Result<Self, Vec<Fault>> {
        let variables = self.source.variables.iter().cloned();
        let read = Self::take(&self.file, bytes.map(<[u8]>::to_vec), variables);
        read.map_err(|partial| partial.faults)
    }

    fn take(
        path: &Path,
        bytes: io::Result<Vec<u8>>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Partial> {
        let fault = |text: String| Fault::new(text).in_file(path);
        let unread = |error| Partial::unread(fault(format!("cannot be read: {error}")));
        match String::from_utf8(bytes.map_err(unread)?) {
            Ok(text) => Self::parse_or_rest(path, &text, variables),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let line = line_at(&String::from_utf8_lossy(error.as_bytes()), valid);
                let fault = fault("is not UTF-8: save it as UTF-8".to_owned());
                Err(Partial::unread(fault.on_line(line)))
            }
        }
    }

    /// Reads a text. Messages show `path` as its file, and relative paths start from the directory of `path`.
    ///
    /// # Errors
    ///
    /// All faults, in the order of the file.
    pub fn parse(
        path: &Path,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Fault>> {
        Self::parse_or_rest(path, text, variables).map_err(|partial| partial.faults)
    }

    fn parse_or_rest(
        path: &Path,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Partial> {
        let findings = Findings::new(path);
        let variables: Vec<_> = variables::ours(variables).collect();
        let config = tree::parse(text, &findings).map(|mut root| {
            variables::merge(&mut root, variables.iter().cloned(), &findings);
            let values = changes::values(&root);
            let mut config = Self::read(path, &mut Fields::root(root, &findings));
            config.source = ConfigSource { text: text.to_owned(), variables, values };
            access_keys::check(&mut config, &findings);
            warnings::find(&config, &findings);
            config
        });
        let FoundFaults { faults, faulty, warnings } = findings.finish();
        match config {
            Some(config) if faults.is_empty() => Ok(Self { warnings, ..config }),
            rest => Err(Partial { faults, faulty, rest: rest.map(Box::new) }),
        }
    }

    /// Reads every table; a faulty value is replaced by a placeholder without meaning.
    fn read(path: &Path, root: &mut Fields<'_>) -> Self {
        let (zec, preflight) = sections::zec(root);
        Self {
            file: path.to_owned(),
            source: ConfigSource::default(),
            server: sections::server(root),
            cors_allowed_origins: sections::cors(root),
            auth: issuers::auth(root),
            policy: sections::policy(root),
            zec,
            preflight,
            limits: sections::limits(root),
            journal: sections::journal(root),
            log: sections::log(root),
            collector: collector::collector(root),
            warnings: Vec::new(),
        }
    }
}

/// The process's variables, for [`Config::load`]. A variable that is not UTF-8 is kept with `�` in it, so that it is
/// reported as faulty instead of being ignored.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let readable = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, text)| (readable(name), readable(text)))
}
