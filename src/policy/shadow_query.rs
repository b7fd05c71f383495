//! A copy of a request for the shadow policy; its permit allows nothing.

use std::{borrow::Cow, net::Ipv4Addr};

use serde_json::{Map, Value};

use super::{
    AuthorizationRequest,
    authorization_request::{NicRequest, TargetRef},
};
use crate::domain::{ActionCall, NicId, Target};

/// A copy of a request to one policy, for asking another policy. A permit for the copy allows nothing.
#[derive(Clone, Debug)]
pub struct ShadowQuery {
    action: &'static str,
    targets: ShadowTargets,
    addresses: Vec<Ipv4Addr>,
    dry_run: bool,
    arguments: Map<String, Value>,
}

#[derive(Clone, Debug)]
enum ShadowTargets {
    Nic(NicId),
    Call(Vec<Target>),
}

impl ShadowQuery {
    /// The copy of a call's request.
    #[must_use]
    pub fn by_call<O: AuthorizationRequest + AsRef<ActionCall>>(request: &O) -> Self {
        let call: &ActionCall = request.as_ref();
        Self {
            action: call.action(),
            targets: ShadowTargets::Call(call.targets().to_vec()),
            addresses: Vec::new(),
            dry_run: request.is_dry_run(),
            arguments: call.arguments().members().clone(),
        }
    }

    /// The copy of an operation's request.
    #[must_use]
    pub fn by<O: NicRequest>(operation: &O) -> Self {
        Self {
            action: operation.action(),
            targets: ShadowTargets::Nic(operation.nic().clone()),
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
        let (nic, call) = match &self.targets {
            ShadowTargets::Nic(nic) => (Some(TargetRef::Nic(nic)), &[][..]),
            ShadowTargets::Call(targets) => (None, targets.as_slice()),
        };
        nic.into_iter().chain(call.iter().map(TargetRef::from))
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
