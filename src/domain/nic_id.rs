//! The id of a vNIC, checked against its grammar.

use std::fmt;

use super::text::excerpt_of;

/// The most characters a vNIC id may have (docs/api.md, "Forms and limits").
const MAX_CHARS: usize = 64;

/// The id of a vNIC: `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`.
///
/// ZEC's own ids are strings of 18 or 19 digits. The wider grammar leaves room for ZEC to change them, while
/// every character is harmless in a path, a log line and a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NicId(String);

/// Why a text cannot become a [`NicId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a vNIC id: 1 to 64 letters, digits, `-` and `_`, the first a letter or a digit"
)]
pub struct NicIdError(String);

impl NicId {
    /// Takes a vNIC id as a caller wrote it.
    ///
    /// # Errors
    /// When the text does not follow the grammar above.
    pub fn parse(text: &str) -> Result<Self, NicIdError> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if first && rest && text.len() <= MAX_CHARS {
            Ok(Self(text.to_owned()))
        } else {
            Err(NicIdError(excerpt_of(text, MAX_CHARS + 1)))
        }
    }

    /// The id as ZEC writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_within_the_grammar_are_taken() {
        for id in ["1612345678901234567", "nic-1", "A", "a_b-C", &"a".repeat(64)] {
            assert_eq!(NicId::parse(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn ids_outside_the_grammar_are_refused() {
        for id in ["", "-a", "_a", "a.b", "a/b", "a b", "é", "a\0", "a%41", "a;b", &"a".repeat(65)]
        {
            assert!(NicId::parse(id).is_err(), "{id:?}");
        }
    }
}
