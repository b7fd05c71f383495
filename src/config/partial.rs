//! The part of a faulty configuration that can still be checked.

use super::Config;
use crate::error::Fault;

/// A faulty configuration: its faults and the settings that could be read, so that the same run can check the files
/// that those settings name.
#[derive(Debug)]
pub struct Partial {
    /// Every fault of the text and the variables, in the order of the file.
    pub faults: Vec<Fault>,
    /// The keys of the faults; an empty one for a fault that concerns no key.
    pub(super) faulty: Vec<String>,
    /// `None` if the file cannot be read, or its syntax is broken.
    pub(super) rest: Option<Box<Config>>,
}

impl Partial {
    /// A configuration of which nothing could be read.
    pub(super) fn unread(fault: Fault) -> Self {
        Self { faults: vec![fault], faulty: Vec::new(), rest: None }
    }

    /// The settings that could be read; `None` if nothing could. If [`Self::has`] is false for a key, its value is a
    /// placeholder without meaning.
    #[must_use]
    pub fn rest(&self) -> Option<&Config> {
        self.rest.as_deref()
    }

    /// Whether the value of that key, for example `policy.directory`, comes from the operator or is its default. That
    /// is so if neither the key nor a table around it is faulty, and the key is not missing.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        let about = |faulty: &String| {
            key.strip_prefix(faulty.as_str())
                .is_some_and(|inner| inner.is_empty() || inner.starts_with(['.', '[']))
        };
        !self.faulty.iter().any(about)
    }
}
