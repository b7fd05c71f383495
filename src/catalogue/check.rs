//! Checks that the tables fit together.

use super::{
    action::{ActionRow, Effect},
    parameter::Parameter,
    proof::Proof,
    resource::{ResourceRow, ResourceType},
    table::CatalogueError,
};

/// Checks that each type that an action names is known, that what an id of several types names can be found out, because
/// each of them is read by its id, and that what proves an outcome can be read.
pub(super) fn types(
    actions: &[ActionRow],
    resources: &[ResourceRow],
) -> Result<(), CatalogueError> {
    let resource = |kind: &str| resources.iter().find(|row| row.kind.as_str() == kind);
    for action in actions {
        let readable = |kind: &ResourceType| {
            let read_by = resource(kind.as_str()).and_then(|row| row.read_by.as_ref());
            kind.is_of_another_product() || read_by.is_some_and(|read| read.also.is_none())
        };
        let fault =
            |what: String| CatalogueError::in_table("actions", what).of_action(&action.name);
        if let Some(what) = proof_fault(action, actions, readable) {
            return Err(fault(what));
        }
        for types in action.parameters.iter().flat_map(Parameter::unsaid_types) {
            if let Some(kind) = types.iter().find(|kind| !readable(kind)) {
                let what =
                    format!("has an id of several types, and no action reads a `{kind}` by its id");
                return Err(fault(what));
            }
        }
        let named = action.parameters.iter().flat_map(Parameter::types);
        let answered = action.answer.iter().flat_map(|held| &held.resource_types);
        for kind in action.resource_types.iter().chain(named).chain(answered) {
            if resource(kind.as_str()).is_none() && !kind.is_of_another_product() {
                return Err(fault(format!("names the unknown type `{kind}`")));
            }
        }
    }
    Ok(())
}

/// What is wrong with an action's proof, if something is. `all` are the actions of the catalogue, and `is_readable` says
/// whether one of them reads resources of a type by their ids.
fn proof_fault(
    action: &ActionRow,
    all: &[ActionRow],
    is_readable: impl Fn(&ResourceType) -> bool,
) -> Option<String> {
    let changes_one_type = matches!(
        action.types_of_the_changed(),
        [kind] if is_readable(kind) && !kind.is_of_another_product()
    );
    match &action.proof {
        Proof::Nothing => None,
        Proof::Gone if action.effect == Effect::Destructive && changes_one_type => None,
        Proof::Gone => Some(
            "has the proof `gone`, but is not destructive, or does not change one type of resources that can be read \
             by their ids"
                .to_owned(),
        ),
        Proof::Shows(_) if !changes_one_type => Some(
            "has a proof by what ZEC shows, but does not change one type of resources that can be read by their ids"
                .to_owned(),
        ),
        Proof::Shows(values) => {
            let is_there =
                |name: &&String| action.parameters.iter().any(|one| one.name == **name);
            let mut named = values.iter().flat_map(|value| &value.parameters);
            if let Some(unknown) = named.find(|name| !is_there(name)) {
                return Some(format!("its proof names `{unknown}`, which is no parameter of it"));
            }
            let proves_the_same = |other: &&ActionRow| {
                let own = |member: &str| action.proof.members().any(|one| one == member);
                other.name != action.name
                    && other.types_of_the_changed() == action.types_of_the_changed()
                    && other.proof.members().any(own)
            };
            let other = all.iter().find(proves_the_same)?;
            Some(format!("`{}` has the same proof, so neither proves anything", other.name))
        }
    }
}
