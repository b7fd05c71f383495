//! What each question to Cedar is about: the targets of a request, with the data that was read of them.

use std::collections::HashMap;

use super::authorization_request::TargetRef;
use crate::domain::{Described, Nic, NicId, Resource};

/// The data of the resources of a request.
#[derive(Clone, Copy, Debug)]
pub enum ResourceData<'a> {
    /// Nothing was read.
    Unread,
    /// The vNIC of a request on one vNIC.
    Nic(&'a Nic),
    /// Everything that was read. What is not in it could not be read, and is denied.
    Read(&'a HashMap<Resource, Described>),
}

impl<'a> From<&'a Nic> for ResourceData<'a> {
    fn from(nic: &'a Nic) -> Self {
        Self::Nic(nic)
    }
}

impl<'a> From<&'a HashMap<Resource, Described>> for ResourceData<'a> {
    fn from(read: &'a HashMap<Resource, Described>) -> Self {
        Self::Read(read)
    }
}

/// What one question is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// The account.
    Account,
    /// A vNIC, with its data if it was read.
    Nic(&'a NicId, Option<&'a Nic>),
    /// A resource without its data.
    Unread(&'a Resource),
    /// A resource that was read, in one of its lineages.
    Read(&'a Described, &'a [Resource]),
    /// A resource that could not be read, or that is not there. Nothing permits anything on it.
    Unreadable(&'a Resource),
    /// The same for a vNIC.
    UnreadableNic(&'a NicId),
}

impl Subject<'_> {
    /// The resource, for people and programs.
    pub(super) fn resource(self) -> Resource {
        match self {
            Self::Account => Resource::account(),
            Self::Nic(id, _) | Self::UnreadableNic(id) => Resource::nic(id),
            Self::Unread(resource) | Self::Unreadable(resource) => resource.clone(),
            Self::Read(described, _) => described.resource.clone(),
        }
    }
}

/// Calls `ask` with each subject of a target: one for each lineage, and for each type that it may be of. If the data was
/// read and does not have the resource, the one subject says so.
pub(super) fn for_each_subject<'a>(
    target: TargetRef<'a>,
    data: ResourceData<'a>,
    ask: &mut impl FnMut(Subject<'a>),
) {
    match (target, data) {
        (TargetRef::Account, _) => ask(Subject::Account),
        (TargetRef::Nic(id), ResourceData::Nic(nic)) => ask(Subject::Nic(id, Some(nic))),
        (TargetRef::Nic(id), ResourceData::Unread) => ask(Subject::Nic(id, None)),
        // A request on one vNIC is asked with that vNIC's data.
        (TargetRef::Nic(id), ResourceData::Read(_)) => ask(Subject::UnreadableNic(id)),
        (TargetRef::OneOf(resources), ResourceData::Read(read)) => of_read(resources, read, ask),
        (TargetRef::OneOf(resources), ResourceData::Unread | ResourceData::Nic(_)) => {
            resources.iter().map(Subject::Unread).for_each(ask);
        }
    }
}

/// The subjects of a resource that was read, of whichever of the types it turned out to be.
fn of_read<'a>(
    resources: &'a [Resource],
    read: &'a HashMap<Resource, Described>,
    ask: &mut impl FnMut(Subject<'a>),
) {
    let mut found = false;
    let shown = resources.iter().filter_map(|resource| read.get(resource));
    // A call that changes what policies rely on is decided on the resource as it is, and as it would be.
    for described in shown.flat_map(|one| [one].into_iter().chain(&one.would_be)) {
        found = true;
        if described.lineages.is_empty() {
            ask(Subject::Unreadable(&described.resource));
        }
        for lineage in &described.lineages {
            ask(Subject::Read(described, lineage));
        }
    }
    if let (false, Some(first)) = (found, resources.first()) {
        ask(Subject::Unreadable(first));
    }
}
