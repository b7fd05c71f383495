//! Reads a body by an action's row, value by value.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use serde_json::{Map, Number, Value};

use super::{
    super::{
        json::{Members, Node},
        resource::is_resource_id,
        text::excerpt,
    },
    ArgumentsError, NamedResource, UnknownFields,
};
use crate::catalogue::{Meaning, Parameter, ResourceType, Scalar, Shape};

/// The most digits after the point of a fraction: a policy sees no more.
const MAX_DECIMALS: usize = 4;

/// A policy's numbers end below this (Cedar's `decimal`).
const MAX_MAGNITUDE: f64 = 922_337_203_685_477.0;

/// The longest name for which a similar one is looked for, in bytes.
const MAX_NAME: usize = 64;

/// The most values in one body, counting each item of a list. Rule sets of a few thousand rules fit.
pub(super) const MAX_VALUES: usize = 50_000;

/// The most resources that one call can name. ZEC takes 100 in a list, and no call has more than two long lists.
const MAX_NAMED: usize = 200;

/// The most resources that the ids of one call may name if each is taken as every type that it can have. The policy decides
/// on each of them: an id that may be of any of the 18 types can come 44 times.
const MAX_POSSIBLE: usize = 800;

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

/// Reads the members of a body, and lists the resources that they name in the order of the body.
///
/// # Errors
/// When a member is not what its parameter says, or there are too many values.
pub(super) fn read(
    parameters: &[Parameter],
    members: Members<'_>,
    unknown_fields: UnknownFields,
) -> Result<(Map<String, Value>, Vec<NamedResource>), ArgumentsError> {
    let mut reader = ArgumentsReader { unknown_fields, named: Vec::new(), possible: 0, values: 0 };
    let members = reader.object(parameters, members, &Path::Root)?;
    Ok((members, reader.named))
}

struct ArgumentsReader {
    unknown_fields: UnknownFields,
    named: Vec<NamedResource>,
    /// How many resources the ids may name, each as every type that it can have.
    possible: usize,
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
                if self.unknown_fields == UnknownFields::Pass && is_new(parameters, &name) {
                    let value = Value::from(node);
                    self.count_all(&value)?;
                    values.insert(name.into_owned(), value);
                    continue;
                }
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

    /// Counts a value that no parameter describes, with everything in it.
    fn count_all(&mut self, value: &Value) -> Result<(), ArgumentsError> {
        self.count()?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.count_all(item)),
            Value::Object(members) => members.values().try_for_each(|item| self.count_all(item)),
            _ => Ok(()),
        }
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

    fn name_resource(
        &mut self,
        types: &[ResourceType],
        id: &str,
        path: &Path<'_>,
    ) -> Result<(), ArgumentsError> {
        if self.named.len() == MAX_NAMED {
            return Err(ArgumentsError::TooMany { most: MAX_NAMED, what: "ids of resources" });
        }
        self.possible += types.len();
        if self.possible > MAX_POSSIBLE {
            let most = MAX_POSSIBLE / types.len().max(1);
            let what = match types {
                [_] => "ids of resources beside those whose type the call does not say",
                _ => "ids of resources whose type the call does not say",
            };
            return Err(ArgumentsError::TooMany { most, what });
        }
        let (types, id, parameter) = (types.to_vec(), id.to_owned(), path.to_string());
        self.named.push(NamedResource { types, id, parameter });
        Ok(())
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
                        self.name_resource(types, &text, path)?;
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

/// Whether a name can be that of a parameter that ZEC has added: it is plain, as all of ZEC's are, and no other spelling of
/// a known one. A reader that folds letters beyond ASCII might take another name for a known one.
fn is_new(parameters: &[Parameter], name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let fits = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain);
    fits && meant(parameters, name).is_none()
}

/// The parameter of which a name is only another spelling. ZEC might accept it so.
fn meant<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a Parameter> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_ascii_lowercase();
    // No parameter's name is so long, and a caller may send a very long one.
    let wanted = (name.len() <= MAX_NAME).then(|| plain(name))?;
    parameters.iter().find(|one| plain(&one.name) == wanted)
}

/// The error of an unknown parameter, with the one that was probably meant.
fn unknown(parameters: &[Parameter], name: &str, path: &str) -> ArgumentsError {
    let known = match meant(parameters, name) {
        Some(meant) => format!("write `{}`", meant.name),
        None if parameters.is_empty() => "the action takes none here".to_owned(),
        None => {
            let names: Vec<&str> = parameters.iter().map(|one| one.name.as_str()).collect();
            format!("the action takes `{}`", names.join("`, `"))
        }
    };
    ArgumentsError::Unknown { name: excerpt(path), known }
}
