//! ZEC's actions, and what a caller can ask for after parsing.

use super::{Addresses, IdempotencyKey, NicId};

labels! {
    /// A ZEC action that the gateway can perform, by ZEC's own name.
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

/// What a caller asks for, fully parsed: it holds no raw text of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Show one vNIC.
    Read(ReadNic),
    /// Change a vNIC's addresses; with a key, once, however often the caller sends the request.
    Change(Selection, Option<IdempotencyKey>),
    /// Say what a change would do, without doing it.
    DryRun(Selection),
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

impl Operation {
    /// The ZEC action that performs the operation.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Read(_) => Action::DescribeNetworkInterfaces,
            Self::Change(selection, _) | Self::DryRun(selection) => selection.change().action(),
        }
    }

    /// The vNIC of the operation.
    #[must_use]
    pub const fn nic(&self) -> &NicId {
        match self {
            Self::Read(read) => &read.nic,
            Self::Change(selection, _) | Self::DryRun(selection) => selection.nic(),
        }
    }

    /// How many addresses the caller names.
    #[must_use]
    pub fn named_addresses(&self) -> usize {
        match self {
            Self::Change(Selection::Listed(change), _)
            | Self::DryRun(Selection::Listed(change)) => change.addresses.as_slice().len(),
            Self::Read(_)
            | Self::Change(Selection::All(_), _)
            | Self::DryRun(Selection::All(_)) => 0,
        }
    }
}

impl Selection {
    const fn change(&self) -> Change {
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
