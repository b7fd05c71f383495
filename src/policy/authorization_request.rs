//! A request for authorization: an action on a vNIC, for addresses.

use std::net::Ipv4Addr;

use crate::domain::{Action, ChangeIpv4, NicId, ReadNic, Rehearsal};

/// A request that the policy can decide.
pub trait AuthorizationRequest {
    /// The action.
    fn action(&self) -> Action;
    /// The vNIC that the action is for.
    fn nic(&self) -> &NicId;
    /// The addresses to decide one by one; empty for a read.
    fn addresses(&self) -> &[Ipv4Addr];
    /// Whether the action is only a dry run: `context.dryRun`.
    fn is_dry_run(&self) -> bool {
        false
    }
}

impl AuthorizationRequest for ReadNic {
    fn action(&self) -> Action {
        Action::DescribeNetworkInterfaces
    }

    fn nic(&self) -> &NicId {
        &self.nic
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        &[]
    }
}

impl AuthorizationRequest for ChangeIpv4 {
    fn action(&self) -> Action {
        self.change.action()
    }

    fn nic(&self) -> &NicId {
        &self.nic
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        self.addresses.as_slice()
    }
}

impl AuthorizationRequest for Rehearsal {
    fn action(&self) -> Action {
        self.0.action()
    }

    fn nic(&self) -> &NicId {
        &self.0.nic
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        self.0.addresses()
    }

    fn is_dry_run(&self) -> bool {
        true
    }
}
