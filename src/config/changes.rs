//! The source of a configuration, and what a reload of it would change.

use std::collections::BTreeMap;

use super::{
    Config,
    tree::{Table, Value},
};

/// The source of a configuration. It contains no secrets, because secrets are in separate files.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    /// The file's text.
    pub text: String,
    /// The variables that override values of the file.
    pub(super) variables: Vec<(String, String)>,
    /// The merged values of both, by key.
    pub(super) values: BTreeMap<String, String>,
}

impl Config {
    /// The changed keys that a running gateway does not apply: all but `[limits]` and `log.level`. In alphabetical
    /// order.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<String> {
        let (before, after) = (&self.source.values, &new.source.values);
        let gone = before.keys().filter(|key| !after.contains_key(*key));
        let other = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
        let mut keys: Vec<String> = gone.chain(other.map(|(key, _)| key)).cloned().collect();
        keys.retain(|key| !key.starts_with("limits.") && key != "log.level");
        keys.sort();
        keys
    }
}

/// Every value by its key, for example `auth.issuers[0].name`.
pub(super) fn values(root: &Table) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (key, node) in root {
        collect(key.clone(), &node.value, &mut values);
    }
    values
}

fn collect(path: String, value: &Value, into: &mut BTreeMap<String, String>) {
    let text = match value {
        Value::Text(text) | Value::Raw(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Other(kind) => (*kind).to_owned(),
        Value::List(items) => {
            for (number, item) in items.iter().enumerate() {
                collect(format!("{path}[{number}]"), &item.value, into);
            }
            return;
        }
        Value::Table(entries) => {
            for (key, node) in entries {
                collect(format!("{path}.{key}"), &node.value, into);
            }
            return;
        }
    };
    into.insert(path, text);
}
