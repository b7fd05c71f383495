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

/// What a `has` asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    /// A caller or a resource.
    Entity,
    /// The context.
    Context,
    /// The request in the context, or something in it.
    Request,
}

/// The names after `has` that nothing has to which the policy's actions can apply, each once.
pub(super) fn unknown_names(policy: &Policy, vocabulary: &Vocabulary) -> Vec<String> {
    let Ok(json) = policy.to_json() else { return Vec::new() };
    let Some(conditions) = json.get("conditions") else { return Vec::new() };
    let mut asked = BTreeSet::new();
    collect(conditions, &mut asked);
    asked.retain(|(owner, name)| match owner {
        // An id in the request is an entity too.
        Owner::Entity | Owner::Request => !ATTRIBUTES.contains(name),
        Owner::Context => !CONTEXT.contains(name),
    });
    let constraint = policy.action_constraint();
    let mut known = BTreeSet::new();
    if asked.iter().any(|(owner, _)| *owner == Owner::Request) {
        for (uid, groups, parameters) in vocabulary.actions_and_parameters() {
            if index::covers(&constraint, (uid, groups)) {
                names(parameters, &mut known);
            }
        }
    }
    asked.retain(|(owner, name)| *owner != Owner::Request || !known.contains(name));
    asked.into_iter().map(|(_, name)| excerpt(name)).collect()
}

/// Every name after a `has` whose left side is a variable or a member of one.
fn collect<'a>(value: &'a Value, found: &mut BTreeSet<(Owner, &'a str)>) {
    match value {
        Value::Object(members) => {
            for (operator, operand) in members {
                if operator == "has"
                    && let Some(owner) = operand.get("left").and_then(owner)
                {
                    match operand.get("attr") {
                        // `has a.b` is written as a list.
                        Some(Value::Array(path)) => {
                            let mut owner = owner;
                            for name in path.iter().filter_map(Value::as_str) {
                                found.insert((owner, name));
                                owner = member_of(owner);
                            }
                        }
                        name => {
                            found.extend(name.and_then(Value::as_str).map(|name| (owner, name)));
                        }
                    }
                }
                collect(operand, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// What an expression is, if it is a variable or a member of one.
fn owner(expression: &Value) -> Option<Owner> {
    if let Some(variable) = expression.get("Var") {
        return Some(if variable == "context" { Owner::Context } else { Owner::Entity });
    }
    owner(expression.get(".")?.get("left")?).map(member_of)
}

fn member_of(owner: Owner) -> Owner {
    match owner {
        Owner::Context | Owner::Request => Owner::Request,
        Owner::Entity => Owner::Entity,
    }
}

fn names<'a>(parameters: &'a [Parameter], known: &mut BTreeSet<&'a str>) {
    for parameter in parameters {
        known.insert(&parameter.name);
        names(parameter.members(), known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of an entity's attributes, or of a context's members, in the text of the schema.
    fn members(block: &str) -> BTreeSet<&str> {
        block
            .lines()
            .filter_map(|line| line.trim().split_once(':'))
            .map(|(name, _)| name.trim_end_matches('?'))
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .collect()
    }

    #[test]
    fn every_attribute_of_the_schema_may_follow_a_has() {
        const SCHEMA: &str = include_str!("schema.cedarschema");
        let mut found = BTreeSet::new();
        for entity in SCHEMA.split("\n  entity ").skip(1) {
            let head = entity.split(';').next().unwrap_or_default();
            if let Some((_, block)) = head.split_once('{') {
                found.extend(members(block));
            }
        }
        assert_eq!(found, ATTRIBUTES.into_iter().collect(), "the constant, and the schema");
    }
}
