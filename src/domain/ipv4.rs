//! ZEC's actions on one vNIC and its private IPv4 addresses.

use super::{Addresses, NicId};

labels! {
    /// A ZEC action on one vNIC that has a route of its own, by ZEC's own name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Action by name, from from_name {
        /// Reads one vNIC.
        DescribeNetworkInterfaces = "DescribeNetworkInterfaces",
        /// Gives a vNIC further private IPv4 addresses.
        BatchAssignNetworkInterfaceIpv4 = "BatchAssignNetworkInterfaceIpv4",
        /// Takes private IPv4 addresses off a vNIC. ZEC offers no undo.
        UnassignNetworkInterfaceIpv4 = "UnassignNetworkInterfaceIpv4",
    }
}

/// Which addresses a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The addresses that the caller names.
    Listed(ChangeIpv4),
    /// All secondary addresses that the vNIC has: remove them.
    All(UnassignAll),
}

/// Remove all secondary addresses that a vNIC has when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnassignAll {
    /// The vNIC that loses its addresses.
    pub nic: NicId,
    /// The most addresses that one request may remove.
    pub max: usize,
}

/// Show one vNIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadNic {
    /// The vNIC to show.
    pub nic: NicId,
}

/// Add addresses to a vNIC, or remove them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeIpv4 {
    /// Whether the addresses are added or removed.
    pub change: Change,
    /// The vNIC to change.
    pub nic: NicId,
    /// The addresses that the caller names.
    pub addresses: Addresses,
}

/// A change that is only to be judged. The policy knows that it is a dry run. It can never be sent, because
/// that takes a permit for the change itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal(pub ChangeIpv4);

impl AsRef<ChangeIpv4> for Rehearsal {
    fn as_ref(&self) -> &ChangeIpv4 {
        &self.0
    }
}

impl AsRef<Self> for ChangeIpv4 {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The two directions of a [`ChangeIpv4`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Add addresses.
    Assign,
    /// Remove addresses.
    Unassign,
}

impl Change {
    /// The ZEC action that makes the change.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Assign => Action::BatchAssignNetworkInterfaceIpv4,
            Self::Unassign => Action::UnassignNetworkInterfaceIpv4,
        }
    }
}

impl Selection {
    pub(super) const fn change(&self) -> Change {
        match self {
            Self::Listed(change) => change.change,
            Self::All(_) => Change::Unassign,
        }
    }

    /// The vNIC of the selection.
    #[must_use]
    pub const fn nic(&self) -> &NicId {
        match self {
            Self::Listed(change) => &change.nic,
            Self::All(all) => &all.nic,
        }
    }
}
