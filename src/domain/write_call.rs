//! A call that changes something.

use std::sync::Arc;

use super::{ActionCall, Call, ChangeIpv4};
use crate::catalogue::CatalogueError;

/// A call that changes something. A permit for one becomes a ticket, and a ticket is what may be sent.
///
/// The body may be large, so clones share it.
#[derive(Clone, Debug)]
pub struct WriteCall(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    call: ActionCall,
    change: Option<ChangeIpv4>,
}

/// The call changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call changes nothing")]
pub struct NotAWrite;

impl WriteCall {
    /// The write that an action's call makes.
    ///
    /// # Errors
    /// When the action changes nothing.
    pub fn of(call: ActionCall) -> Result<Self, NotAWrite> {
        if call.row().effect.is_change() {
            Ok(Self(Arc::new(Inner { call, change: None })))
        } else {
            Err(NotAWrite)
        }
    }

    /// The write that makes a change of addresses: the call of the action's row.
    ///
    /// # Errors
    /// When the catalogue of this program is broken.
    pub fn of_change(change: ChangeIpv4) -> Result<Self, CatalogueError> {
        let call = ActionCall::of_change(&change)?;
        Ok(Self(Arc::new(Inner { call, change: Some(change) })))
    }

    /// The call, which is what the journal records and what is sent.
    #[must_use]
    pub fn call(&self) -> &ActionCall {
        &self.0.call
    }

    /// The change of addresses that it makes. The gateway checks the state of the vNIC before such a write, and finds
    /// its outcome out.
    #[must_use]
    pub fn change(&self) -> Option<&ChangeIpv4> {
        self.0.change.as_ref()
    }

    /// The action's name.
    #[must_use]
    pub fn action(&self) -> &'static str {
        self.call().action()
    }

    /// The call as the journal keeps it; `digest` gives what replaces a secret.
    #[must_use]
    pub fn recorded(&self, digest: &impl Fn(&str) -> String) -> Call {
        self.call().recorded(digest)
    }
}
