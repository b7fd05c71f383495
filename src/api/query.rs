//! Reads the query of a request strictly: known keys only, without decoding.

use crate::{domain::text::excerpt, error::Error};

/// The keys of a query, read strictly. Nothing is decoded here, because two readers of an escape may disagree. The routes
/// decode what decides nothing: the slash of `resource`, and the texts of a search.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Query<'a> {
    /// Reads `key=value` pairs joined by `&`. Only `known` keys are accepted, and only `ipAddresses` more than once.
    pub(super) fn parse(query: Option<&'a str>, known: &[&str]) -> Result<Self, Error> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for pair in query.into_iter().filter(|query| !query.is_empty()).flat_map(|q| q.split('&')) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Error::invalid(format!(
                    "the query holds `{}`: write `key=value`, joined by `&`",
                    excerpt(pair)
                )));
            };
            if let Some(name) = key.strip_suffix("[]")
                && known.contains(&name)
            {
                return Err(Error::invalid(format!(
                    "the query key `{key}` is not `{name}`: repeat the key without brackets, as \
                     `{name}=10.0.0.2&{name}=10.0.0.3`"
                )));
            }
            if !known.contains(&key) {
                let hint = match known {
                    [] => "this route takes no query keys".to_owned(),
                    known => format!("the known keys are `{}`", known.join("`, `")),
                };
                return Err(Error::invalid(format!(
                    "unknown query key `{}`: {hint}",
                    excerpt(key)
                )));
            }
            if key != "ipAddresses" && pairs.iter().any(|(earlier, _)| *earlier == key) {
                return Err(Error::invalid(format!(
                    "the query key `{key}` appears twice: send it once"
                )));
            }
            pairs.push((key, value));
        }
        Ok(Self { pairs })
    }

    /// Every value of a key, in order.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// The value of a key that appears at most once.
    pub(super) fn one(&self, key: &str) -> Option<&'a str> {
        self.all(key).next()
    }

    /// Whether a switch is on; an omitted switch is off.
    pub(super) fn is_true(&self, key: &str) -> Result<bool, Error> {
        match self.one(key) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Error::invalid(format!(
                "`{key}` is `{}`: write `{key}=true`, or leave it out",
                excerpt(other)
            ))),
        }
    }

    /// The first of these keys that the query has.
    pub(super) fn first_of(&self, keys: &[&str]) -> Option<&'a str> {
        self.pairs.iter().find(|(name, _)| keys.contains(name)).map(|(name, _)| *name)
    }
}
