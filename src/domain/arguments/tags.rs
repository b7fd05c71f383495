//! Checks the tags of a write: a policy must know which ones it leaves.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{super::text::excerpt, ArgumentsError};
use crate::catalogue::{Meaning, Parameter};

/// Checks that a write names each tag's key once, whether it sets or removes the tag, and gives each tag a key.
///
/// # Errors
/// When a key comes twice, or a tag has none.
pub(super) fn check(
    parameters: &[Parameter],
    members: &Map<String, Value>,
) -> Result<(), ArgumentsError> {
    each_key(parameters, members, &mut HashSet::new())
}

fn each_key<'a>(
    parameters: &[Parameter],
    members: &'a Map<String, Value>,
    seen: &mut HashSet<&'a str>,
) -> Result<(), ArgumentsError> {
    for parameter in parameters.iter().filter(|one| one.sets_tags()) {
        let Some(value) = members.get(&parameter.name) else { continue };
        let own_key = parameter.members().iter().find(|one| one.meaning == Meaning::TagKey);
        for item in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            match (item, own_key) {
                (Value::Object(tag), Some(key)) if !tag.contains_key(&key.name) => {
                    let path = format!("{}[].{}", parameter.name, key.name);
                    return Err(ArgumentsError::Missing(path));
                }
                (Value::Object(inner), _) => each_key(parameter.members(), inner, seen)?,
                (Value::String(key), _) if !seen.insert(key) => {
                    return Err(ArgumentsError::RepeatedTag(excerpt(key)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
