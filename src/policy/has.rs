//! Checks the names after `has` against the schema. Cedar takes any name there, and a misspelt one is silently false: a
//! `forbid` with it would never apply.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

use super::{index, vocabulary::Vocabulary};
use crate::{catalogue::Parameter, domain::text::excerpt};

/// The members of every context.
const CONTEXT: [&str; 6] = ["address", "addressCount", "dryRun", "via", "now", "request"];
/// The attributes of callers, and of resources of all types.
const ATTRIBUTES: [&str; 9] = [
    "issuer",
    "subject",
    "id",
    "name",
    "status",
    "nicType",
    "primaryIpv4",
    "attached",
    "hasPublicIp",
];

/// The names after `has` that nothing has to which the policy's actions can apply, each once.
pub(super) fn unknown_names(policy: &Policy, vocabulary: &Vocabulary) -> Vec<String> {
    let Ok(json) = policy.to_json() else { return Vec::new() };
    let Some(conditions) = json.get("conditions") else { return Vec::new() };
    let mut asked = BTreeSet::new();
    collect(conditions, &mut asked);
    asked.retain(|name| !CONTEXT.contains(name) && !ATTRIBUTES.contains(name));
    if asked.is_empty() {
        return Vec::new();
    }
    let constraint = policy.action_constraint();
    let mut known = BTreeSet::new();
    for (uid, groups, parameters) in vocabulary.actions_and_parameters() {
        if index::covers(&constraint, (uid, groups)) {
            names(parameters, &mut known);
        }
    }
    asked.difference(&known).map(|name| excerpt(name)).collect()
}

/// Every name after a `has` whose left side is a variable or a member of one.
fn collect<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            for (operator, operand) in members {
                if operator == "has" && operand.get("left").is_some_and(is_of_a_variable) {
                    match operand.get("attr") {
                        // `has a.b` is written as a list.
                        Some(Value::Array(path)) => {
                            found.extend(path.iter().filter_map(Value::as_str));
                        }
                        name => found.extend(name.and_then(Value::as_str)),
                    }
                }
                collect(operand, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

fn is_of_a_variable(expression: &Value) -> bool {
    match (expression.get("Var"), expression.get(".")) {
        (Some(_), _) => true,
        (None, Some(access)) => access.get("left").is_some_and(is_of_a_variable),
        (None, None) => false,
    }
}

fn names<'a>(parameters: &'a [Parameter], known: &mut BTreeSet<&'a str>) {
    for parameter in parameters {
        known.insert(&parameter.name);
        names(parameter.members(), known);
    }
}
