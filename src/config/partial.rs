//! The part of a faulty configuration that can still be checked.

use super::Config;
use crate::error::Fault;

/// A configuration with faults: what is wrong with it, and the rest of it, so that the files which
/// the rest names can be looked at in the same run.
#[derive(Debug)]
pub struct Partial {
    /// Every fault of the text and the variables, in the order of the file.
    pub faults: Vec<Fault>,
    /// The keys that the faults are about; an empty one where a fault is about no key.
    pub(super) faulty: Vec<String>,
    /// None where the file cannot be read, or its syntax is broken.
    pub(super) rest: Option<Box<Config>>,
}

impl Partial {
    /// A configuration of which nothing can be read.
    pub(super) fn unread(fault: Fault) -> Self {
        Self { faults: vec![fault], faulty: Vec::new(), rest: None }
    }

    /// The settings, as far as they could be read; none where nothing could. A value that
    /// [`Self::has`] denies stands for a faulty one and means nothing.
    #[must_use]
    pub fn rest(&self) -> Option<&Config> {
        self.rest.as_deref()
    }

    /// Whether the value of that key, as `policy.directory`, is what the operator wrote, or its
    /// default: neither the key nor a table around it is faulty, and it is not missing.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        let about = |faulty: &String| {
            key.strip_prefix(faulty.as_str())
                .is_some_and(|inner| inner.is_empty() || inner.starts_with(['.', '[']))
        };
        !self.faulty.iter().any(about)
    }
}
