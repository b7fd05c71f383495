//! What can be asked of the policy: an action on a vNIC, for addresses.

use std::net::Ipv4Addr;

use crate::domain::{Action, ChangeIpv4, NicId, ReadNic, Rehearsal};

/// What can be asked of the policy.
pub trait AuthorizationRequest {
    /// Which action.
    fn action(&self) -> Action;
    /// On which vNIC.
    fn nic(&self) -> &NicId;
    /// For which addresses; none for a read.
    fn addresses(&self) -> &[Ipv4Addr];
    /// Whether nothing is to be done: `context.dryRun`.
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
