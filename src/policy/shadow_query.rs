//! A copy of a request for the shadow policy; its permit allows nothing.

use std::net::Ipv4Addr;

use super::AuthorizationRequest;
use crate::domain::{Action, NicId};

/// A copy of a request to one policy, for asking another policy. A permit for the copy allows nothing.
#[derive(Clone, Debug)]
pub struct ShadowQuery {
    action: Action,
    nic: NicId,
    addresses: Vec<Ipv4Addr>,
    dry_run: bool,
}

impl ShadowQuery {
    /// The copy of an operation's request.
    #[must_use]
    pub fn by<O: AuthorizationRequest>(operation: &O) -> Self {
        Self {
            action: operation.action(),
            nic: operation.nic().clone(),
            addresses: operation.addresses().to_vec(),
            dry_run: operation.is_dry_run(),
        }
    }
}

impl AuthorizationRequest for ShadowQuery {
    fn action(&self) -> Action {
        self.action
    }

    fn nic(&self) -> &NicId {
        &self.nic
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        &self.addresses
    }

    fn is_dry_run(&self) -> bool {
        self.dry_run
    }
}
