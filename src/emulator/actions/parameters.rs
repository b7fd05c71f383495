//! Reads the parameters in the JSON body of a request to the emulator.

use std::net::Ipv4Addr;

use serde_json::{Map, Value};

use super::super::failure::{Code, Failure};

/// The members of a request's JSON object. `null` counts as absent, and unknown members are ignored. An empty list
/// counts as absent too, because ZEC's Python SDK sends one where its Go SDK sends nothing.
pub(in super::super) struct Parameters(Map<String, Value>);

impl Parameters {
    /// Reads a request's body.
    ///
    /// # Errors
    /// When it is not a JSON object; ZEC does not document its answer to that.
    pub(in super::super) fn parse(body: &[u8]) -> Result<Self, Failure> {
        if body.is_empty() {
            return Err(Failure::new(Code::MissingParameter, "the body is empty"));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(mut members)) => {
                members.retain(|_, value| !value.is_null());
                Ok(Self(members))
            }
            Ok(_) => Err(Failure::new(Code::ParameterType, "the body is no JSON object")),
            Err(error) => {
                Err(Failure::new(Code::ParameterType, format!("the body is no JSON: {error}")))
            }
        }
    }

    /// All members, without those that are null.
    pub(super) fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text, if it is present.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| kind(name, "a text"))).transpose()
    }

    /// A required text.
    pub(super) fn required_text(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// One of a few texts, if it is present.
    pub(super) fn choice(&self, name: &str, allowed: &[&str]) -> Result<Option<&str>, Failure> {
        let text = self.text(name)?;
        if text.is_none_or(|text| allowed.contains(&text)) {
            return Ok(text);
        }
        let message = format!("`{name}` is none of {}", allowed.join(", "));
        Err(Failure::new(Code::ParameterValue, message))
    }

    /// A whole number from 1 to `max`, if it is present.
    pub(super) fn count(&self, name: &str, max: u64) -> Result<Option<u64>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if value.as_i64().is_some_and(|number| number < 1) {
            return Err(Failure::new(Code::LessMinimum, format!("`{name}` is less than 1")));
        }
        match value.as_u64() {
            None => Err(kind(name, "a whole number")),
            Some(number) if number > max => {
                Err(Failure::new(Code::ExceedMaximum, format!("`{name}` is more than {max}")))
            }
            number => Ok(number),
        }
    }

    /// A list of at most `max` elements; empty if absent.
    pub(super) fn list(&self, name: &str, max: usize) -> Result<&[Value], Failure> {
        let Some(value) = self.get(name) else { return Ok(&[]) };
        let list = value.as_array().ok_or_else(|| kind(name, "a list"))?;
        if list.len() > max {
            let message = format!("`{name}` has more than {max} elements");
            return Err(Failure::new(Code::ExceedLength, message));
        }
        Ok(list)
    }

    /// A list of at most `max` texts; empty if absent.
    pub(super) fn texts(&self, name: &str, max: usize) -> Result<Vec<&str>, Failure> {
        let text = |value: &'_ Value| value.as_str().is_some();
        let list = self.list(name, max)?;
        if !list.iter().all(text) {
            return Err(kind(name, "a list of texts"));
        }
        Ok(list.iter().filter_map(Value::as_str).collect())
    }

    /// The list `ipAddresses`; empty if absent. An address that is named twice counts once.
    pub(super) fn addresses(&self) -> Result<Vec<Ipv4Addr>, Failure> {
        let mut addresses = Vec::new();
        for text in self.texts("ipAddresses", usize::MAX)? {
            let address = address("ipAddresses", text)?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    /// The single address `ipAddress`, if it is present.
    pub(super) fn address(&self) -> Result<Option<Ipv4Addr>, Failure> {
        self.text("ipAddress")?.map(|text| address("ipAddress", text)).transpose()
    }
}

/// The refusal of a request without that parameter.
pub(super) fn missing(name: &str) -> Failure {
    Failure::new(Code::MissingParameter, format!("`{name}` is missing"))
}

fn kind(name: &str, wanted: &str) -> Failure {
    Failure::new(Code::ParameterType, format!("`{name}` is not {wanted}"))
}

fn address(name: &str, text: &str) -> Result<Ipv4Addr, Failure> {
    text.parse().map_err(|_| {
        Failure::new(Code::PatternError, format!("`{name}` holds what is no IPv4 address"))
    })
}
