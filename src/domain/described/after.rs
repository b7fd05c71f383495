//! A resource as a call could leave it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Described;
use crate::{
    catalogue::ResourceType,
    domain::{ActionCall, Resource},
};

/// The parameters of an action that changes some of a resource's tags: those to set, and the keys of those to remove.
const REPLACED_TAGS: &str = "replaceTags";
const REMOVED_TAGS: &str = "deleteTagKeys";

impl Described {
    /// The resource as a call could leave it, with other tags or in another resource group; empty if it changes neither.
    #[must_use]
    pub fn after(&self, call: &ActionCall) -> Vec<Self> {
        let (given, removed) =
            (call.arguments().get(REPLACED_TAGS), call.arguments().get(REMOVED_TAGS));
        if call.row().parameters.iter().any(|one| one.name == REPLACED_TAGS) {
            // No source says whether tags that the call does not name remain.
            let given = given.map(given_tags);
            let is_removed = |key: &str| {
                let keys = removed.and_then(Value::as_array);
                keys.is_some_and(|keys| keys.iter().any(|one| one == key))
            };
            let mut merged = self.tags.clone();
            merged.extend(given.clone().unwrap_or_default());
            merged.retain(|key, _| !is_removed(key));
            let both = given.into_iter().chain([merged]);
            return both.map(|tags| self.with_tags(tags)).collect();
        }

        let mut after = self.clone();
        let mut changed = false;
        for parameter in &call.row().parameters {
            let Some(value) = call.arguments().get(&parameter.name) else { continue };
            if parameter.names_group()
                && let Some(id) = value.as_str()
            {
                changed = true;
                let group =
                    Resource { kind: ResourceType::RESOURCE_GROUP.to_owned(), id: id.to_owned() };
                for lineage in &mut after.lineages {
                    lineage.retain(|one| one.kind != ResourceType::RESOURCE_GROUP);
                    lineage.push(group.clone());
                }
                if let Some(nic) = &mut after.nic {
                    nic.resource_group = Some(id.to_owned());
                }
            }
            if parameter.sets_tags() {
                changed = true;
                after = after.with_tags(given_tags(value));
            }
        }
        if changed { vec![after] } else { Vec::new() }
    }

    fn with_tags(&self, tags: BTreeMap<String, String>) -> Self {
        let mut this = self.clone();
        if let Some(nic) = &mut this.nic {
            nic.tags.clone_from(&tags);
        }
        Self { tags, ..this }
    }
}

/// The tags in an argument such as `{"tags":[{"key":"env","value":"lab"}]}`.
fn given_tags(value: &Value) -> BTreeMap<String, String> {
    let list = value.get("tags").unwrap_or(value).as_array();
    let text = |tag: &Value, name: &str| Some(tag.get(name)?.as_str()?.to_owned());
    let pair = |tag: &Value| Some((text(tag, "key")?, text(tag, "value").unwrap_or_default()));
    list.into_iter().flatten().filter_map(pair).collect()
}
