//! The id of a recorded write, a UUID of version 7.

use std::fmt;

use uuid::Uuid;

/// The id of a recorded write: a UUID of version 7, so that later ids sort after earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(Uuid);

/// Why a text cannot become an [`OperationId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no operation has such an id: send a UUID in lower case with hyphens, as an answer's `operationId`"
)]
pub struct OperationIdError;

impl OperationId {
    /// A new id that carries the current time.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default would hide that each is another")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// Accepts only the form in which the gateway returns ids: lower case with hyphens, version 7.
    ///
    /// # Errors
    /// For any other text.
    pub fn parse(text: &str) -> Result<Self, OperationIdError> {
        let id = Uuid::try_parse(text).map_err(|_| OperationIdError)?;
        let id = Self(id);
        // `Uuid` also accepts braces, capitals and bare digits, which would give one operation many names.
        let is_ours = id.0.get_version_num() == 7 && id.to_string() == text;
        if is_ours { Ok(id) } else { Err(OperationIdError) }
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_form_only() {
        let id = OperationId::new();
        let text = id.to_string();
        assert_eq!(OperationId::parse(&text), Ok(id));
        for other in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
            format!("{text} "),
            "67e55044-10b1-426f-9247-bb680e5fe0c8".to_owned(),
            String::new(),
        ] {
            assert_eq!(OperationId::parse(&other), Err(OperationIdError), "{other}");
        }
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let ids: Vec<String> = (0..1000).map(|_| OperationId::new().to_string()).collect();
        assert!(ids.is_sorted());
    }
}
