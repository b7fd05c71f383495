//! Names in the form in which Cedar has them.

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
    str::FromStr,
};

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{Eid, Entity, EntityType, EntityUID};

use super::schema::parents_of_group;
use crate::catalogue::Parameter;

/// The hash for lookups of names: a caller may be in hundreds of groups. Names from callers are never inserted, so
/// callers cannot fill the table with colliding names.
pub(super) type FastHash = foldhash::fast::RandomState;

/// The entity type of each type of resource.
#[derive(Debug)]
pub(super) struct Types(HashMap<String, EntityType, FastHash>);

/// Why a value of the vocabulary could not be built: a bug or a hostile name. It is never ignored.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct VocabularyError(String);

impl VocabularyError {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl Types {
    pub(super) fn new(types: HashMap<String, EntityType, FastHash>) -> Self {
        Self(types)
    }

    fn get(&self, kind: &str) -> Result<&EntityType, VocabularyError> {
        self.0.get(kind).ok_or_else(|| VocabularyError(format!("no type `{kind}`")))
    }

    /// The entity of a resource.
    pub(super) fn uid(&self, kind: &str, id: &str) -> Result<EntityUID, VocabularyError> {
        Ok(uid(self.get(kind)?, id))
    }
}

/// An action, as a request names it.
#[derive(Debug)]
pub(super) struct ActionNames {
    pub(super) uid: EntityUid,
    pub(super) with_groups: Vec<EntityUid>,
    /// The action and its groups, which is all that `action in ...` needs.
    pub(super) entities: Vec<Entity>,
    /// The parameters of every version.
    pub(super) parameters: Vec<Parameter>,
}

/// The names of an action in these groups, which are all that it is in.
pub(super) fn action_names(
    name: &str,
    groups: &[&str],
    parameters: Vec<Parameter>,
) -> Result<ActionNames, String> {
    let all = groups.iter().map(|group| (*group, parents_of_group(group)));
    let (mut with_groups, mut entities) = (Vec::new(), Vec::new());
    for (name, within) in all.chain([(name, groups)]) {
        let uid = |name: &&str| {
            let uid = EntityUid::from_str(&format!("Zec::Action::\"{name}\""));
            uid.map_err(|error| error.to_string())
        };
        let own = uid(&name)?;
        let parents = within.iter().map(|name| Ok(uid(name)?.as_ref().clone()));
        let parents = parents.collect::<Result<_, String>>()?;
        let uid = own.as_ref().clone();
        entities.push(Entity::new_with_attr_partial_value(uid, [], HashSet::new(), parents, []));
        with_groups.push(own);
    }
    let uid = with_groups.last().cloned().ok_or("an action without a name")?;
    Ok(ActionNames { uid, with_groups, entities, parameters })
}

/// The entity of a type with an id.
pub(super) fn uid(kind: &EntityType, id: &str) -> EntityUID {
    EntityUID::from_components(kind.clone(), Eid::new(id), None)
}

pub(super) fn unspeakable(error: impl Display) -> VocabularyError {
    VocabularyError(error.to_string())
}
