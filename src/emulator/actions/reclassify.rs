//! The actions that change the tags or the resource group of a resource.

use serde_json::{Map, Value, json};

use super::{
    State,
    any::{resource_row, set_group},
};
use crate::catalogue::ResourceType;

impl State {
    /// Changes the resource group of one resource, and single tags of it.
    pub(super) fn reclassify(&mut self, kind: &str, id: &str, given: &Map<String, Value>) {
        let (tags, removed) = (given.get("replaceTags"), given.get("deleteTagKeys"));
        let group = given.get("resourceGroupId").and_then(Value::as_str);
        if let (ResourceType::NIC, Some(nic)) = (kind, self.nics.get_mut(id)) {
            let before = json!({ "tags": objects(&nic.seed.tags) });
            nic.seed.tags = pairs(changed_tags(tags, removed, &before).get("tags"));
            if let Some(group) = group {
                nic.seed.resource_group = Some((group.to_owned(), "group".to_owned()));
            }
        }
        let key = (kind.to_owned(), id.to_owned());
        let row = resource_row(kind);
        if let (Some(row), Some(object)) = (row, self.resources.objects.get_mut(&key)) {
            if tags.is_some() || removed.is_some() {
                let before = object.remove("tags").unwrap_or_default();
                object.insert("tags".to_owned(), changed_tags(tags, removed, &before));
            }
            if let Some(group) = group {
                set_group(row, object, group);
            }
        }
    }
}

/// Tags in ZEC's form after some were set, and those with the removed keys were taken away.
fn changed_tags(set: Option<&Value>, removed: Option<&Value>, before: &Value) -> Value {
    let mut pairs = pairs(before.get("tags"));
    for (key, value) in self::pairs(set) {
        pairs.retain(|(known, _)| *known != key);
        pairs.push((key, value));
    }
    let removed: Vec<&Value> = removed.and_then(Value::as_array).into_iter().flatten().collect();
    pairs.retain(|(key, _)| !removed.iter().any(|one| *one == key));
    json!({ "tags": objects(&pairs) })
}

/// The keys and values of a list of tags.
fn pairs(tags: Option<&Value>) -> Vec<(String, String)> {
    let text = |tag: &Value, name: &str| tag.get(name).and_then(Value::as_str).map(str::to_owned);
    let pair = |tag: &Value| Some((text(tag, "key")?, text(tag, "value").unwrap_or_default()));
    tags.and_then(Value::as_array).into_iter().flatten().filter_map(pair).collect()
}

fn objects(pairs: &[(String, String)]) -> Vec<Value> {
    pairs.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}
