//! The permit, which only a decision of the policy makes.

use std::sync::Arc;

use crate::{
    catalogue::CatalogueError,
    domain::{ActionCall, ChangeIpv4, Nic, NotAWrite, ReadNic, Resource, WriteCall},
};

/// Proof that this caller may do exactly this operation. Only a decision in this module makes one, it cannot be copied,
/// and the operation comes out of it only when it is spent.
#[derive(Debug)]
#[must_use = "a permit is worth nothing until it is spent"]
pub struct Permit<O> {
    operation: O,
    policies: Vec<String>,
    version: Arc<str>,
}

impl<O> Permit<O> {
    pub(super) fn grant(operation: O, policies: Vec<String>, version: Arc<str>) -> Self {
        Self { operation, policies, version }
    }

    /// The permitted operation.
    #[must_use]
    pub fn operation(&self) -> &O {
        &self.operation
    }

    /// The ids of the policies that allow it, in alphabetical order.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// The version of the policy that decided.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Consumes the permit and returns the operation.
    #[must_use]
    pub fn spend(self) -> O {
        self.operation
    }
}

impl Permit<ChangeIpv4> {
    /// The same permit, for the call that makes the change.
    ///
    /// # Errors
    /// When the catalogue of this program is broken.
    pub fn into_write(self) -> Result<Permit<WriteCall>, CatalogueError> {
        let Self { operation, policies, version } = self;
        Ok(Permit { operation: WriteCall::of_change(operation)?, policies, version })
    }
}

impl Permit<ActionCall> {
    /// The same permit, where of a resource whose type was unsaid only the types remain of which ZEC shows it.
    pub fn narrow(mut self, is_shown: impl Fn(&Resource) -> bool) -> Self {
        self.operation.narrow(is_shown);
        self
    }

    /// The same permit, for the write that the call is.
    ///
    /// # Errors
    /// When the call changes nothing.
    pub fn into_write(self) -> Result<Permit<WriteCall>, NotAWrite> {
        let Self { operation, policies, version } = self;
        Ok(Permit { operation: WriteCall::of(operation)?, policies, version })
    }
}

/// A vNIC that a caller may see; only a permit to read it makes one.
#[derive(Debug)]
pub struct Shown(Box<Nic>);

/// The error for a permit that is for another vNIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the permit is for another vNIC than the one that was read")]
pub struct Mismatch;

impl Permit<ReadNic> {
    /// Consumes the permit to show a vNIC.
    ///
    /// # Errors
    /// When the permit is for another vNIC.
    pub fn show(self, nic: Box<Nic>) -> Result<Shown, Mismatch> {
        if self.operation.nic == nic.id { Ok(Shown(nic)) } else { Err(Mismatch) }
    }
}

impl Shown {
    /// The vNIC.
    #[must_use]
    pub fn nic(&self) -> &Nic {
        &self.0
    }
}
