//! Cedar's values of a request's arguments: `context.request`.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use cedar_policy_core::{
    ast::{ExtensionFunction, Name, PartialValue, Value},
    extensions::Extensions,
};
use serde_json::{Map, Value as Json};

use super::names::{Types, VocabularyError, unspeakable};
use crate::catalogue::{IfAbsent, Meaning, Parameter, Scalar, Shape};

/// Cedar's functions that make values of its own types.
#[derive(Debug)]
pub(super) struct Makers {
    ip: &'static ExtensionFunction,
    decimal: &'static ExtensionFunction,
    datetime: &'static ExtensionFunction,
}

impl Makers {
    /// # Errors
    /// When Cedar lacks one of them.
    pub(super) fn new() -> Result<Self, String> {
        let find = |name: &str| {
            let named = Name::from_str(name).map_err(|error| error.to_string())?;
            Extensions::all_available().func(&named).map_err(|error| error.to_string())
        };
        Ok(Self { ip: find("ip")?, decimal: find("decimal")?, datetime: find("datetime")? })
    }

    pub(super) fn ip(&self, text: impl Display) -> Result<Value, VocabularyError> {
        call(self.ip, text)
    }

    pub(super) fn datetime(&self, text: impl Display) -> Result<Value, VocabularyError> {
        call(self.datetime, text)
    }

    /// A number as Cedar writes it, with 1 to 4 digits after the point. Arguments have no more.
    fn decimal(&self, number: &str) -> Result<Value, VocabularyError> {
        let point = if number.contains('.') { "" } else { ".0" };
        call(self.decimal, format!("{number}{point}"))
    }
}

fn call(function: &ExtensionFunction, text: impl Display) -> Result<Value, VocabularyError> {
    match function.call(&[Value::from(text.to_string())]).map_err(unspeakable)? {
        PartialValue::Value(value) => Ok(value),
        PartialValue::Residual(rest) => Err(unspeakable(rest)),
    }
}

/// Makes `context.request`.
pub(super) struct RequestValues<'a> {
    pub(super) makers: &'a Makers,
    pub(super) types: &'a Types,
}

impl RequestValues<'_> {
    /// The record of these arguments. Where one is absent and ZEC's default is known, the record has the default.
    pub(super) fn record(
        &self,
        parameters: &[Parameter],
        members: &Map<String, Json>,
    ) -> Result<Value, VocabularyError> {
        let mut record = BTreeMap::new();
        for parameter in parameters {
            let given = members.get(&parameter.name).filter(|value| !is_empty(value));
            let value = match (given, &parameter.if_absent) {
                (Some(value), _) => self.value(parameter, value)?,
                (None, IfAbsent::Value(text)) => self.default(parameter, text)?,
                (None, _) => None,
            };
            if let Some(value) = value {
                record.insert(parameter.name.as_str(), value);
            }
        }
        Ok(Value::record(record, None))
    }

    fn value(&self, parameter: &Parameter, value: &Json) -> Result<Option<Value>, VocabularyError> {
        match (&parameter.shape, value) {
            (Shape::One(scalar), value) => self.scalar(*scalar, &parameter.meaning, value),
            (Shape::Many(scalar), Json::Array(items)) => {
                let each = items.iter().map(|item| self.scalar(*scalar, &parameter.meaning, item));
                let all = each.collect::<Result<Option<Vec<_>>, _>>()?;
                Ok(all.map(|all| Value::set(all, None)))
            }
            (Shape::Object(parameters), Json::Object(members)) => {
                self.record(parameters, members).map(Some)
            }
            (Shape::Objects(parameters), Json::Array(items)) => {
                let objects: Vec<_> = items.iter().filter_map(Json::as_object).collect();
                self.sets(parameters, &objects).map(Some)
            }
            // The arguments were read by the same parameters.
            _ => Err(VocabularyError::new("an argument of another type than its parameter")),
        }
    }

    /// A set for each member of a list of objects.
    fn sets(
        &self,
        parameters: &[Parameter],
        objects: &[&Map<String, Json>],
    ) -> Result<Value, VocabularyError> {
        let mut record = BTreeMap::new();
        for parameter in parameters.iter().filter(|one| one.meaning != Meaning::Secret) {
            let name = parameter.name.as_str();
            let given = objects.iter().filter_map(|object| object.get(name));
            let all = match &parameter.shape {
                Shape::One(scalar) | Shape::Many(scalar) => {
                    let mut all = Vec::new();
                    let missing =
                        objects.iter().any(|object| object.get(name).is_none_or(is_empty));
                    if missing && let IfAbsent::Value(text) = &parameter.if_absent {
                        all.extend(self.default(parameter, text)?);
                    }
                    for value in given {
                        let items =
                            value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                        for item in items {
                            all.extend(self.scalar(*scalar, &parameter.meaning, item)?);
                        }
                    }
                    Value::set(all, None)
                }
                Shape::Object(members) | Shape::Objects(members) => {
                    let inner: Vec<_> = given
                        .flat_map(|value| {
                            value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
                        })
                        .filter_map(Json::as_object)
                        .collect();
                    self.sets(members, &inner)?
                }
            };
            record.insert(name, all);
        }
        Ok(Value::record(record, None))
    }

    fn default(&self, parameter: &Parameter, text: &str) -> Result<Option<Value>, VocabularyError> {
        let Shape::One(scalar) = parameter.shape else {
            return Err(VocabularyError::new("a default of a list"));
        };
        let value = match scalar {
            Scalar::Text => Json::from(text),
            Scalar::Integer | Scalar::Float | Scalar::Boolean => {
                serde_json::from_str(text).map_err(unspeakable)?
            }
        };
        self.scalar(scalar, &parameter.meaning, &value)
    }

    /// One value; `None` for a secret.
    fn scalar(
        &self,
        scalar: Scalar,
        meaning: &Meaning,
        value: &Json,
    ) -> Result<Option<Value>, VocabularyError> {
        let wrong = || VocabularyError::new("an argument of another type than its parameter");
        let text = || value.as_str().ok_or_else(wrong);
        Ok(Some(match (scalar, meaning) {
            (_, Meaning::Secret) => return Ok(None),
            (Scalar::Text, Meaning::Id(types)) => match types.as_slice() {
                [kind] => Value::from(self.types.uid(kind.as_str(), text()?)?),
                _ => Value::from(text()?),
            },
            (Scalar::Text, Meaning::Address | Meaning::Network) => self.makers.ip(text()?)?,
            (Scalar::Text, Meaning::Addresses) => {
                let each = text()?.split(',').map(|one| self.makers.ip(one));
                Value::set(each.collect::<Result<Vec<_>, _>>()?, None)
            }
            (Scalar::Text, _) => Value::from(text()?),
            (Scalar::Integer, _) => Value::from(value.as_i64().ok_or_else(wrong)?),
            (Scalar::Float, _) if value.is_number() => self.makers.decimal(&value.to_string())?,
            (Scalar::Float, _) => return Err(wrong()),
            (Scalar::Boolean, _) => Value::from(value.as_bool().ok_or_else(wrong)?),
        }))
    }
}

/// Whether a value counts as absent: some of ZEC's clients send an empty list where others send none.
fn is_empty(value: &Json) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
