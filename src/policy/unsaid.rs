//! Resources whose type the call does not say: their id can be of several types.

use std::collections::{HashMap, HashSet};

use super::authorization_request::{AuthorizationRequest, TargetRef};
use crate::domain::{Denial, Denied, Resource};

/// Whether an id can be of several types.
pub(super) fn is_of_unsaid_type(target: TargetRef<'_>) -> bool {
    matches!(target, TargetRef::OneOf(resources) if resources.len() > 1)
}

/// The resources of an unsaid type that are not denied as every type that they may have.
pub(super) fn still_open(
    operation: &impl AuthorizationRequest,
    denied: &[Denied],
) -> HashSet<Resource> {
    let denied: HashSet<&Resource> = denied.iter().map(|denied| &denied.resource).collect();
    let mut open = HashSet::new();
    for target in operation.targets().filter(|target| is_of_unsaid_type(*target)) {
        if let TargetRef::OneOf(resources) = target
            && !resources.iter().all(|resource| denied.contains(resource))
        {
            open.extend(resources.iter().cloned());
        }
    }
    open
}

/// The denial as its caller sees it. An id of an unsaid type has one entry, which does not name the type that the resource
/// turned out to have.
pub(super) fn denial(operation: &impl AuthorizationRequest, denied: Vec<Denied>) -> Denial {
    if !operation.targets().any(is_of_unsaid_type) {
        return Denial { denied };
    }
    let unsaid: HashSet<&Resource> = operation
        .targets()
        .filter(|target| is_of_unsaid_type(*target))
        .flat_map(|target| match target {
            TargetRef::OneOf(resources) => resources,
            TargetRef::Account | TargetRef::Nic(_) => &[],
        })
        .collect();
    let mut merged: Vec<Denied> = Vec::new();
    let mut places = HashMap::new();
    for mut one in denied {
        if unsaid.contains(&one.resource) {
            one.resource = Resource::of_unsaid_type(&one.resource.id);
        }
        let place = *places.entry((one.resource.clone(), one.address)).or_insert(merged.len());
        match merged.get_mut(place) {
            None => merged.push(one),
            Some(known) => {
                for (all, more) in
                    [(&mut known.policies, one.policies), (&mut known.failed, one.failed)]
                {
                    all.extend(more);
                    all.sort();
                    all.dedup();
                }
            }
        }
    }
    Denial { denied: merged }
}
