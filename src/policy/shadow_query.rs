//! A copy of a request for the shadow policy; its permit allows nothing.

use std::{borrow::Cow, net::Ipv4Addr};

use serde_json::{Map, Value};

use super::{
    AuthorizationRequest,
    authorization_request::{NicRequest, TargetRef},
};
use crate::domain::NicId;

/// A copy of a request to one policy, for asking another policy. A permit for the copy allows nothing.
#[derive(Clone, Debug)]
pub struct ShadowQuery {
    action: &'static str,
    nic: NicId,
    addresses: Vec<Ipv4Addr>,
    dry_run: bool,
    arguments: Map<String, Value>,
}

impl ShadowQuery {
    /// The copy of an operation's request.
    #[must_use]
    pub fn by<O: NicRequest>(operation: &O) -> Self {
        Self {
            action: operation.action(),
            nic: operation.nic().clone(),
            addresses: operation.addresses().to_vec(),
            dry_run: operation.is_dry_run(),
            arguments: operation.arguments().into_owned(),
        }
    }
}

impl AuthorizationRequest for ShadowQuery {
    fn action(&self) -> &'static str {
        self.action
    }

    fn targets(&self) -> impl Iterator<Item = TargetRef<'_>> {
        [TargetRef::Nic(&self.nic)].into_iter()
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        &self.addresses
    }

    fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    fn arguments(&self) -> Cow<'_, Map<String, Value>> {
        Cow::Borrowed(&self.arguments)
    }
}

impl NicRequest for ShadowQuery {
    fn nic(&self) -> &NicId {
        &self.nic
    }
}
