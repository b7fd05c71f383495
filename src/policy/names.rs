//! Names in the form in which Cedar has them.

use std::{collections::HashMap, fmt::Display};

use cedar_policy_core::ast::{Eid, EntityType, EntityUID};

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

/// The entity of a type with an id.
pub(super) fn uid(kind: &EntityType, id: &str) -> EntityUID {
    EntityUID::from_components(kind.clone(), Eid::new(id), None)
}

pub(super) fn unspeakable(error: impl Display) -> VocabularyError {
    VocabularyError(error.to_string())
}
