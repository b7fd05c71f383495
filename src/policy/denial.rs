//! Why the policy denies a request, address by address.

use std::net::Ipv4Addr;

/// Why the policy says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Each address that is not allowed; one entry without an address for a read.
    pub denied: Vec<Denied>,
}

impl Denial {
    /// Whether a policy could not be evaluated, which denies by itself.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.denied.iter().any(|denied| !denied.failed.is_empty())
    }
}

/// One address, or the vNIC itself, that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The address; none for a read.
    pub address: Option<Ipv4Addr>,
    /// The policies that forbid it; empty where none allows it.
    pub policies: Vec<Reason>,
    /// The policies that could not be evaluated. Cedar skips such a one, a `forbid` too, so
    /// each is a denial here (docs/threats.md, row 20).
    pub failed: Vec<Reason>,
}

/// A policy that had a say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// Its `@id`.
    pub id: String,
    /// Its `@reason`, for people.
    pub reason: Option<String>,
}
