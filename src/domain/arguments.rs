//! The arguments of a call: read completely by the action's row, or refused.
//!
//! What is read here is what a policy decides on and what is sent, so nothing may be left that one of them would read
//! differently: no unknown member, no member twice, no value of another type.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use serde_json::{Map, Number, Value};

use super::{
    json::{self, Members, Node},
    resource::is_resource_id,
    text::excerpt,
};
use crate::catalogue::{ActionRow, IfAbsent, Meaning, Parameter, ResourceType, Scalar, Shape};

/// The most digits after the point of a fraction: a policy sees no more.
const MAX_DECIMALS: usize = 4;

/// A policy's numbers end below this (Cedar's `decimal`).
const MAX_MAGNITUDE: f64 = 922_337_203_685_477.0;

/// The longest name for which a similar one is looked for, in bytes.
const MAX_NAME: usize = 64;

/// The most values in one body, counting each item of a list. Rule sets of a few thousand rules fit.
const MAX_VALUES: usize = 50_000;

/// The most resources that one call can name. ZEC takes 100 in a list, and no call has more than two long lists.
const MAX_NAMED: usize = 200;

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
        if body.is_empty() {
            return Err(ArgumentsError::Empty);
        }
        let node = json::read(body).map_err(|error| ArgumentsError::Json(error.to_string()))?;
        let Node::Object(members) = node else { return Err(ArgumentsError::NotAnObject) };
        let mut reader = ArgumentsReader { named: Vec::new(), values: 0 };
        let members = reader.object(&row.parameters, members, &Path::Root)?;
        let this = Self { members, named: reader.named };
        this.check_together(row)?;
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

/// The path to a parameter, for messages.
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str, bool),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Member(holder, name, is_list) = self else { return Ok(()) };
        if matches!(holder, Path::Member(..)) {
            write!(f, "{holder}.")?;
        }
        write!(f, "{name}{}", if *is_list { "[]" } else { "" })
    }
}

struct ArgumentsReader {
    named: Vec<NamedResource>,
    /// How many values were read.
    values: usize,
}

impl ArgumentsReader {
    fn object(
        &mut self,
        parameters: &[Parameter],
        members: Members<'_>,
        holder: &Path<'_>,
    ) -> Result<Map<String, Value>, ArgumentsError> {
        self.count()?;
        let mut values = BTreeMap::new();
        for (name, node) in members {
            let Some(parameter) = parameters.iter().find(|one| one.name == name) else {
                let path = Path::Member(holder, &name, false);
                return Err(unknown(parameters, &name, &path.to_string()));
            };
            if node != Node::Null {
                let is_list = matches!(parameter.shape, Shape::Many(_) | Shape::Objects(_));
                let path = Path::Member(holder, &parameter.name, is_list);
                let value = self.value(parameter, node, &path)?;
                values.insert(parameter.name.clone(), value);
            }
        }
        // A map may keep the order in which it is filled, so it is filled in the canonical one.
        Ok(values.into_iter().collect())
    }

    fn count(&mut self) -> Result<(), ArgumentsError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(ArgumentsError::TooMany { most: MAX_VALUES, what: "values" });
        }
        Ok(())
    }

    fn value(
        &mut self,
        parameter: &Parameter,
        node: Node<'_>,
        path: &Path<'_>,
    ) -> Result<Value, ArgumentsError> {
        let wrong = |wanted| ArgumentsError::Value { parameter: path.to_string(), wanted };
        match (&parameter.shape, node) {
            (Shape::One(scalar), node) => self.scalar(*scalar, &parameter.meaning, node, path),
            (Shape::Many(scalar), Node::List(nodes)) => nodes
                .into_iter()
                .map(|node| self.scalar(*scalar, &parameter.meaning, node, path))
                .collect(),
            (Shape::Many(_), _) => Err(wrong("a list")),
            (Shape::Object(members), Node::Object(found)) => {
                self.object(members, found, path).map(Value::Object)
            }
            (Shape::Object(_), _) => Err(wrong("an object")),
            (Shape::Objects(members), Node::List(nodes)) => nodes
                .into_iter()
                .map(|node| match node {
                    Node::Object(found) => self.object(members, found, path).map(Value::Object),
                    _ => Err(wrong("a list of objects")),
                })
                .collect(),
            (Shape::Objects(_), _) => Err(wrong("a list of objects")),
        }
    }

    fn scalar(
        &mut self,
        scalar: Scalar,
        meaning: &Meaning,
        node: Node<'_>,
        path: &Path<'_>,
    ) -> Result<Value, ArgumentsError> {
        let wrong = |wanted| ArgumentsError::Value { parameter: path.to_string(), wanted };
        self.count()?;
        match (scalar, node) {
            (Scalar::Text, Node::Text(text)) => {
                match meaning {
                    Meaning::Id(types) => {
                        if !is_resource_id(&text) {
                            return Err(wrong("an id: 1 to 64 letters, digits, `-` and `_`"));
                        }
                        if self.named.len() == MAX_NAMED {
                            let what = "ids of resources";
                            return Err(ArgumentsError::TooMany { most: MAX_NAMED, what });
                        }
                        self.named.push(NamedResource {
                            types: types.clone(),
                            id: text.clone().into_owned(),
                            parameter: path.to_string(),
                        });
                    }
                    Meaning::Address if text.parse::<IpAddr>().is_err() => {
                        return Err(wrong("an IP address, as `10.0.0.2` or `2001:db8::2`"));
                    }
                    Meaning::Addresses
                        if !text.split(',').all(|one| one.parse::<IpAddr>().is_ok()) =>
                    {
                        return Err(wrong("one or more IP addresses, joined by commas"));
                    }
                    Meaning::Network if !is_network(&text) => {
                        return Err(wrong("a network or an IP address, as `10.0.0.0/24`"));
                    }
                    _ => {}
                }
                Ok(Value::String(text.into_owned()))
            }
            (Scalar::Text, _) => Err(wrong("a string")),
            (Scalar::Integer, Node::Number(number)) if number.is_i64() => Ok(Value::Number(number)),
            (Scalar::Integer, _) => Err(wrong("a whole number")),
            (Scalar::Float, Node::Number(number)) if is_exact(&number) => Ok(Value::Number(number)),
            (Scalar::Float, Node::Number(_)) => {
                Err(wrong("a plain number with at most four digits after the point"))
            }
            (Scalar::Float, _) => Err(wrong("a number")),
            (Scalar::Boolean, Node::Bool(value)) => Ok(Value::Bool(value)),
            (Scalar::Boolean, _) => Err(wrong("`true` or `false`")),
        }
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
        // Every value was read by its row, so each has one. A value without a row would be a secret.
        let value = parameter.map_or(Value::Null, |one| strike_one(one, value, digest));
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

/// Whether a text is an IP address, or one with the length of a prefix, as a policy reads it.
fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().is_ok();
    };
    let plain =
        length.bytes().all(|b| b.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    match (address.parse(), length.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(length)) => plain && length <= 32,
        (Ok(IpAddr::V6(_)), Ok(length)) => plain && length <= 128,
        _ => false,
    }
}

/// Whether a policy can see the number exactly: without an exponent, and with few digits after the point.
fn is_exact(number: &Number) -> bool {
    let text = number.to_string();
    let in_range = number.as_f64().is_some_and(|value| value.abs() < MAX_MAGNITUDE);
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    in_range && !text.contains(['e', 'E']) && decimals <= MAX_DECIMALS
}

/// The error of an unknown parameter, with the one that was probably meant: ZEC might accept it in another spelling.
fn unknown(parameters: &[Parameter], name: &str, path: &str) -> ArgumentsError {
    let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
    // No parameter's name is so long, and a caller may send a very long one.
    let wanted = (name.len() <= MAX_NAME).then(|| plain(name));
    let meant = parameters.iter().find(|one| Some(plain(&one.name)) == wanted);
    let known = match meant {
        Some(meant) => format!("write `{}`", meant.name),
        None if parameters.is_empty() => "the action takes none here".to_owned(),
        None => {
            let names: Vec<&str> = parameters.iter().map(|one| one.name.as_str()).collect();
            format!("the action takes `{}`", names.join("`, `"))
        }
    };
    ArgumentsError::Unknown { name: excerpt(path), known }
}

#[cfg(test)]
mod tests;
