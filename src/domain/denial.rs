//! The reasons for a denial, address by address and resource by resource.

use std::net::Ipv4Addr;

use super::Resource;

/// The reasons for a denial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Each address, or each resource, that is not allowed.
    pub denied: Vec<Denied>,
}

impl Denial {
    /// Whether a policy could not be evaluated, which is a denial.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.denied.iter().any(|denied| !denied.failed.is_empty())
    }
}

/// An address or a resource that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The address; `None` for an action that is not decided for each address.
    pub address: Option<Ipv4Addr>,
    /// The resource, or `account/zec`.
    pub resource: Resource,
    /// The policies that forbid it; empty if it is denied because no policy permits it.
    pub policies: Vec<Reason>,
    /// The policies that could not be evaluated. Cedar skips such a policy, even a `forbid`, so here each of them is a
    /// denial (docs/threats.md, row 20).
    pub failed: Vec<Reason>,
}

impl Denied {
    /// Whether the reason is only that no policy permits it, not that some policy forbids it or failed.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.policies.is_empty() && self.failed.is_empty()
    }
}

/// A policy that took part in the decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// Its `@id`.
    pub id: String,
    /// Its `@reason`, for people.
    pub reason: Option<String>,
}
