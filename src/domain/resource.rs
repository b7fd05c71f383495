//! Resources of ZEC's, by their types and ids.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{NicId, text::excerpt_of};
use crate::catalogue::ResourceType;

/// The most characters of a resource's id, and of a whole resource in a message.
const MAX_ID: usize = 64;
const MAX_SHOWN: usize = 98;

/// A resource of ZEC's, written as `nic/1612345678901234567`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// Its id, unique among the resources of its type.
    pub id: String,
    /// Its type, in lower case.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The error for a text that names no [`Resource`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a resource: write its type and its id, as `nic/1612345678901234567`")]
pub struct ResourceError(String);

impl Resource {
    /// The id of the team's account.
    pub const ACCOUNT_ID: &str = "zec";

    /// The resource of a vNIC.
    #[must_use]
    pub fn nic(id: &NicId) -> Self {
        Self { kind: ResourceType::NIC.to_owned(), id: id.to_string() }
    }

    /// The team's account, on which a policy decides lists and creations.
    #[must_use]
    pub fn account() -> Self {
        Self { kind: "account".to_owned(), id: Self::ACCOUNT_ID.to_owned() }
    }

    /// The resource of an id whose type is unsaid.
    #[must_use]
    pub fn of_unsaid_type(id: &str) -> Self {
        Self { kind: "resource".to_owned(), id: id.to_owned() }
    }

    /// The id, if this is a vNIC.
    #[must_use]
    pub fn nic_id(&self) -> Option<&str> {
        (self.kind == ResourceType::NIC).then_some(self.id.as_str())
    }

    /// Reads `type/id`. Both parts may hold only characters that are harmless in a log line and a query.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        let wrong = || ResourceError(excerpt_of(text, MAX_SHOWN));
        let (kind, id) = text.split_once('/').ok_or_else(wrong)?;
        if ResourceType::parse(kind).is_some() && is_resource_id(id) {
            Ok(Self { kind: kind.to_owned(), id: id.to_owned() })
        } else {
            Err(wrong())
        }
    }
}

/// Whether a text can be the id of a resource: 1 to 64 letters, digits, `-` and `_`. ZEC's own ids are digits.
#[must_use]
pub fn is_resource_id(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(fits)
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_a_type_and_an_id() {
        for text in ["nic/1612345678901234567", "security-group/a_b-C"] {
            assert_eq!(Resource::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "nic", "nic/", "/1", "NIC/1", "nic/1/2", "nic/a b", "nic/ä", "nic/\n"] {
            assert!(Resource::parse(text).is_err(), "{text:?}");
        }
        Resource::parse(&format!("nic/{}", "1".repeat(65))).unwrap_err();
        Resource::parse(&format!("{}/1", "a".repeat(33))).unwrap_err();
    }
}
