//! A call that changes something.

use std::sync::Arc;

use super::{ActionCall, Call, ChangeIpv4};

/// A call that changes something. A permit for one becomes a ticket, and a ticket is what may be sent.
#[derive(Clone, Debug)]
pub enum WriteCall {
    /// A change of a vNIC's addresses.
    Ipv4(ChangeIpv4),
    /// A call of any other action that changes something. The body may be large, so clones share it.
    Other(Arc<ActionCall>),
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
        if call.row().effect.is_change() { Ok(Self::Other(Arc::new(call))) } else { Err(NotAWrite) }
    }

    /// The action's name.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Ipv4(change) => change.change.action().name(),
            Self::Other(call) => call.action(),
        }
    }

    /// The call as the journal keeps it; `digest` gives what replaces a secret.
    #[must_use]
    pub fn recorded(&self, digest: &impl Fn(&str) -> String) -> Call {
        match self {
            Self::Ipv4(change) => change.call(),
            Self::Other(call) => call.recorded(digest),
        }
    }
}
