//! What an error tells programs beyond its text. `api` gives it its form in the problem document.

use std::net::Ipv4Addr;

use crate::domain::{Caller, Denied, OperationId};

/// What an error tells programs beyond its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extra {
    /// What the policy denied, and the caller as the policy sees them.
    Denied {
        /// Each address or resource that is not allowed.
        denied: Vec<Denied>,
        /// The caller.
        caller: Caller,
    },
    /// The tag that protects the vNIC.
    Tag(&'static str),
    /// Every address that the vNIC's state forbids to change.
    Conflicts(Vec<Conflict>),
    /// The operation to look up.
    Operation(OperationId),
}

/// An address that the vNIC's state forbids to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The address.
    pub address: Ipv4Addr,
    /// ZEC's code for this case.
    pub code: &'static str,
    /// The reason, for people.
    pub reason: &'static str,
}
