//! The arguments of a call: read completely by the action's row, or refused.
//!
//! What is read here is what a policy decides on and what is sent, so nothing may be left that one of them would read
//! differently: no unknown member, no member twice, no value of another type.

mod reader;
mod tags;

use std::fmt;

use serde_json::{Map, Value};

use super::json::{self, Node};
use crate::catalogue::{ActionRow, Certainty, IfAbsent, Meaning, Parameter, ResourceType};

/// The arguments of a call, checked against the action's row.
#[derive(Clone, PartialEq)]
pub struct Arguments {
    members: Map<String, Value>,
    named: Vec<NamedResource>,
}

/// A resource that the arguments name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedResource {
    /// The types that it can be of; most parameters allow one.
    pub types: Vec<ResourceType>,
    /// Its id.
    pub id: String,
    /// The parameter that names it, such as `members[].resourceId`.
    pub parameter: String,
}

/// What becomes of a member of a body that the action's row does not have (`zec.unknown_fields`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownFields {
    /// The call is refused.
    #[default]
    Refuse,
    /// It is sent as it is, although no policy can see it. A name that is only another spelling of a known one is refused.
    Pass,
}

/// Why arguments cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    /// There is no body. A client that sends a request again may have lost it, so this never means "no filter".
    #[error("the body is empty: send the arguments as a JSON object, `{{}}` if there are none")]
    Empty,
    /// The body is not JSON.
    #[error("the body is not JSON that the gateway accepts: {0}")]
    Json(String),
    /// The body is JSON, but no object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// The action has no such parameter.
    #[error("unknown parameter `{name}`: {known}")]
    Unknown {
        /// The path that was sent.
        name: String,
        /// The parameters that there are, or one that was probably meant.
        known: String,
    },
    /// A parameter has a value of another type, or one that means nothing.
    #[error("`{parameter}` is not {wanted}")]
    Value {
        /// The path of the parameter.
        parameter: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The parameter that names what the call is about is missing.
    #[error("`{0}` is missing: it names what the call is about")]
    Missing(String),
    /// A parameter that ZEC requires is missing, and it names a resource that a policy decides on.
    #[error("`{0}` is missing: ZEC requires it, and the policy decides on it")]
    Required(String),
    /// Without this parameter the call would change what it does not name.
    #[error(
        "`{parameter}` is missing: without it, ZEC acts on more than the call names ({effect}), which no policy can decide; name them"
    )]
    Widens {
        /// The parameter to add.
        parameter: String,
        /// What ZEC does without it.
        effect: String,
    },
    /// Several parameters say the same thing, and ZEC would heed only one.
    #[error("only one of `{}` may be given, because ZEC heeds one and ignores the others", .0.join("`, `"))]
    Alternatives(Vec<String>),
    /// A write names a tag's key twice, so no source says which tags it leaves.
    #[error("the tag key `{0}` is named twice: name each key once")]
    RepeatedTag(String),
    /// There are more values, or more named resources, than the gateway reads.
    #[error("the body holds more than {most} {what}: send several calls")]
    TooMany {
        /// The limit.
        most: usize,
        /// What there are too many of.
        what: &'static str,
    },
}

/// Shows no value, because some are secrets.
impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members.keys()).finish()
    }
}

impl Arguments {
    /// Reads the arguments of an action from a body.
    ///
    /// A member that is `null` counts as absent, because half of ZEC's clients leave such members out.
    ///
    /// # Errors
    /// When the body is not exactly what the action's row says.
    pub fn parse(row: &ActionRow, body: &[u8]) -> Result<Self, ArgumentsError> {
        Self::parse_with(row, body, UnknownFields::Refuse)
    }

    /// As [`Self::parse`], with a choice of what becomes of members that the row does not have.
    ///
    /// # Errors
    /// As there.
    pub fn parse_with(
        row: &ActionRow,
        body: &[u8],
        unknown_fields: UnknownFields,
    ) -> Result<Self, ArgumentsError> {
        if body.is_empty() {
            return Err(ArgumentsError::Empty);
        }
        let node = json::read(body).map_err(|error| ArgumentsError::Json(error.to_string()))?;
        let Node::Object(members) = node else { return Err(ArgumentsError::NotAnObject) };
        let (members, named) = reader::read(&row.parameters, members, unknown_fields)?;
        let this = Self { members, named };
        this.check_together(row)?;
        if row.effect.is_change() {
            tags::check(&row.parameters, &this.members)?;
        }
        Ok(this)
    }

    /// Checks what the parameters mean together: none that must be there is missing, and no two of them contradict.
    fn check_together(&self, row: &ActionRow) -> Result<(), ArgumentsError> {
        let given = |name: &str| self.given().any(|one| one == name);
        // `false` in a switch such as `isAllEip` leaves the choice to the other parameter.
        let chosen = |name: &str| given(name) && self.get(name) != Some(&Value::Bool(false));
        for group in &row.alternatives {
            let both: Vec<String> = group.iter().filter(|name| chosen(name)).cloned().collect();
            if both.len() > 1 {
                return Err(ArgumentsError::Alternatives(both));
            }
        }
        if let Some(parameter) = row.required_id()
            && !given(&parameter.name)
        {
            return Err(ArgumentsError::Missing(parameter.name.clone()));
        }
        if let Some((list, member)) = row.required_id_of_each() {
            let items = self.get(&list.name).and_then(Value::as_array);
            let has = |item: &Value| item.get(&member.name).is_some();
            if items.is_none_or(|items| items.is_empty() || !items.iter().all(has)) {
                return Err(ArgumentsError::Missing(format!("{}[].{}", list.name, member.name)));
            }
        }
        // What is decided on must be there: ZEC might choose another resource than the policy saw.
        let names_a_resource = |one: &&Parameter| match &one.meaning {
            Meaning::Id(types) => types.iter().any(|kind| !kind.is_of_another_product()),
            _ => false,
        };
        let required = row.parameters.iter().filter(|one| one.required == Certainty::Yes);
        if let Some(absent) = required.filter(names_a_resource).find(|one| !given(&one.name)) {
            return Err(ArgumentsError::Required(absent.name.clone()));
        }
        for parameter in &row.parameters {
            let IfAbsent::Widens { effect, unless } = &parameter.if_absent else { continue };
            let openly = unless.as_deref().is_some_and(&chosen);
            if !given(&parameter.name) && !openly {
                let (parameter, effect) = (parameter.name.clone(), effect.clone());
                return Err(ArgumentsError::Widens { parameter, effect });
            }
        }
        Ok(())
    }

    /// All values, by the names of their parameters.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// The arguments as canonical JSON for a record: `digest` gives what replaces a secret.
    #[must_use]
    pub fn without_secrets(&self, row: &ActionRow, digest: &impl Fn(&str) -> String) -> String {
        if !needs_strike(&row.parameters, &self.members) {
            return self.canonical();
        }
        let members = strike(&row.parameters, &self.members, digest);
        serde_json::to_string(&members).unwrap_or_default()
    }

    /// The arguments as canonical JSON: members sorted by name, no white space.
    #[must_use]
    pub fn canonical(&self) -> String {
        // Texts, numbers and lists of them can always be serialised.
        serde_json::to_string(&self.members).unwrap_or_default()
    }

    /// The value of a parameter without a path.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// The names of all parameters that have a value. Some of ZEC's clients send an empty list where others send none,
    /// so a list counts only if it has items.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        self.members
            .iter()
            .filter(move |(_, value)| !is_empty(value))
            .map(|(name, _)| name.as_str())
    }

    /// Every resource that the arguments name, in the order of the body.
    #[must_use]
    pub fn named(&self) -> &[NamedResource] {
        &self.named
    }
}

/// Whether some value is a secret, or may be one because it has no parameter.
fn needs_strike(parameters: &[Parameter], members: &Map<String, Value>) -> bool {
    let struck = |(name, value): (&String, &Value)| {
        let parameter = parameters.iter().find(|one| one.name == *name);
        parameter.is_none_or(|one| one.meaning == Meaning::Secret || holds_members(value))
    };
    members.iter().any(struck)
}

/// Whether a value has members of its own, which may be secrets.
fn holds_members(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.first().is_some_and(Value::is_object),
        _ => false,
    }
}

/// The members, with a digest in the place of each secret.
fn strike(
    parameters: &[Parameter],
    members: &Map<String, Value>,
    digest: &impl Fn(&str) -> String,
) -> Map<String, Value> {
    let struck = |(name, value): (&String, &Value)| {
        let parameter = parameters.iter().find(|one| one.name == *name);
        // A value without a parameter may be a secret.
        let value = parameter.map_or_else(
            || Value::String(digest(&value.to_string())),
            |one| strike_one(one, value, digest),
        );
        (name.clone(), value)
    };
    members.iter().map(struck).collect()
}

fn strike_one(parameter: &Parameter, value: &Value, digest: &impl Fn(&str) -> String) -> Value {
    match (&parameter.meaning, value) {
        (Meaning::Secret, value) => Value::String(digest(&value.to_string())),
        (_, Value::Object(members)) => Value::Object(strike(parameter.members(), members, digest)),
        (_, Value::Array(items)) => {
            items.iter().map(|item| strike_one(parameter, item, digest)).collect()
        }
        (_, value) => value.clone(),
    }
}

#[cfg(test)]
mod tests;
