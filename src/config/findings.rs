//! Where everything that is said about a configuration is gathered, so that one run shows it all.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use super::origin::Origin;
use crate::error::Fault;

/// The faults and warnings so far, and which keys were set.
pub(super) struct Findings {
    file: PathBuf,
    faults: RefCell<Vec<Finding>>,
    warnings: RefCell<Vec<Finding>>,
    seen: RefCell<Vec<SeenKey>>,
}

/// A fault, with its place in the order of the file: lines, then what has none, then variables.
struct Finding {
    rank: (u8, usize),
    key: String,
    fault: Fault,
}

/// Everything that was found, each in the order of the file.
pub(super) struct FoundFaults {
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    /// The keys that the faults are about; an empty one where a fault is about no key.
    pub(super) faulty: Vec<String>,
}

/// A key that somebody set.
#[derive(Clone, Debug)]
pub(super) struct SeenKey {
    /// As `auth.issuers[0].name`.
    pub(super) key: String,
    /// Where.
    pub(super) origin: Origin,
}

impl Findings {
    /// Nothing found yet in that file.
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            faults: RefCell::default(),
            warnings: RefCell::default(),
            seen: RefCell::default(),
        }
    }

    /// The file's directory, which relative paths start from.
    pub(super) fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Something that must be mended.
    pub(super) fn fault(&self, key: &str, origin: &Origin, text: impl Into<String>) {
        self.faults.borrow_mut().push(self.finding(key, origin, text.into()));
    }

    /// Something that is allowed and should be known.
    pub(super) fn warning(&self, key: &str, origin: &Origin, text: impl Into<String>) {
        self.warnings.borrow_mut().push(self.finding(key, origin, text.into()));
    }

    /// Notes that a key is set.
    pub(super) fn note(&self, seen: SeenKey) {
        self.seen.borrow_mut().push(seen);
    }

    /// Where that key is set, as `server.listen`.
    pub(super) fn origin(&self, key: &str) -> Option<Origin> {
        self.seen.borrow().iter().find(|seen| seen.key == key).map(|seen| seen.origin.clone())
    }

    /// Everything that was found.
    pub(super) fn finish(self) -> FoundFaults {
        let faults = self.faults.into_inner();
        FoundFaults {
            faulty: faults.iter().map(|finding| finding.key.clone()).collect(),
            faults: in_order(faults),
            warnings: in_order(self.warnings.into_inner()),
        }
    }

    fn finding(&self, key: &str, origin: &Origin, text: String) -> Finding {
        let fault = Fault::new(text);
        let at_key = |fault: Fault| if key.is_empty() { fault } else { fault.at_key(key) };
        let (rank, fault) = match origin {
            Origin::Line(line) => ((0, *line), at_key(fault.in_file(&self.file).on_line(*line))),
            Origin::Nowhere => ((1, 0), at_key(fault.in_file(&self.file))),
            Origin::Variable(name) => ((2, 0), fault.at_key(name)),
        };
        Finding { rank, key: key.to_owned(), fault }
    }
}

fn in_order(mut findings: Vec<Finding>) -> Vec<Fault> {
    findings.sort_by_key(|finding| finding.rank);
    findings.into_iter().map(|finding| finding.fault).collect()
}
