//! Collects all faults and warnings of a configuration, so that one run reports them all.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use super::origin::ValueOrigin;
use crate::error::Fault;

/// The faults and warnings so far, and the keys that are set.
pub(super) struct Findings {
    file: PathBuf,
    faults: RefCell<Vec<Finding>>,
    warnings: RefCell<Vec<Finding>>,
    seen: RefCell<Vec<SeenKey>>,
}

/// A fault with its rank: first lines of the file, then findings without a line, then variables.
struct Finding {
    rank: (u8, usize),
    key: String,
    fault: Fault,
}

/// All findings; faults and warnings are each in the order of the file.
pub(super) struct FoundFaults {
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    /// The keys of the faults; an empty one for a fault that concerns no key.
    pub(super) faulty: Vec<String>,
}

/// A key that is set.
#[derive(Clone, Debug)]
pub(super) struct SeenKey {
    /// The key's path, for example `auth.issuers[0].name`.
    pub(super) key: String,
    /// Where it is set.
    pub(super) origin: ValueOrigin,
}

impl Findings {
    /// No findings yet, for that file.
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            faults: RefCell::default(),
            warnings: RefCell::default(),
            seen: RefCell::default(),
        }
    }

    /// The file's directory, the base of relative paths.
    pub(super) fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Adds a fault, which must be corrected.
    pub(super) fn fault(&self, key: &str, origin: &ValueOrigin, text: impl Into<String>) {
        self.faults.borrow_mut().push(self.finding(key, origin, text.into()));
    }

    /// Adds a warning: a setting that is allowed, but that the operator should know of.
    pub(super) fn warning(&self, key: &str, origin: &ValueOrigin, text: impl Into<String>) {
        self.warnings.borrow_mut().push(self.finding(key, origin, text.into()));
    }

    /// Records that a key is set.
    pub(super) fn note(&self, seen: SeenKey) {
        self.seen.borrow_mut().push(seen);
    }

    /// Where the key is set; the key is a path such as `server.listen`.
    pub(super) fn origin(&self, key: &str) -> Option<ValueOrigin> {
        self.seen.borrow().iter().find(|seen| seen.key == key).map(|seen| seen.origin.clone())
    }

    /// All findings.
    pub(super) fn finish(self) -> FoundFaults {
        let faults = self.faults.into_inner();
        FoundFaults {
            faulty: faults.iter().map(|finding| finding.key.clone()).collect(),
            faults: in_order(faults),
            warnings: in_order(self.warnings.into_inner()),
        }
    }

    fn finding(&self, key: &str, origin: &ValueOrigin, text: String) -> Finding {
        let fault = Fault::new(text);
        let at_key = |fault: Fault| if key.is_empty() { fault } else { fault.at_key(key) };
        let (rank, fault) = match origin {
            ValueOrigin::Line(line) => {
                ((0, *line), at_key(fault.in_file(&self.file).on_line(*line)))
            }
            ValueOrigin::Nowhere => ((1, 0), at_key(fault.in_file(&self.file))),
            ValueOrigin::Variable(name) => ((2, 0), fault.at_key(name)),
        };
        Finding { rank, key: key.to_owned(), fault }
    }
}

fn in_order(mut findings: Vec<Finding>) -> Vec<Fault> {
    findings.sort_by_key(|finding| finding.rank);
    findings.into_iter().map(|finding| finding.fault).collect()
}
