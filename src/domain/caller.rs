use std::{collections::BTreeSet, sync::Arc};

/// The most bytes a subject or a group may have (contract, section 5).
pub const MAX_NAME_BYTES: usize = 256;

/// A verified identity: who calls, as the gateway sees it.
///
/// Made by `auth` from a token that passed every check, and by the offline policy tools, which
/// decide nothing; `tests/blackbox/architecture.rs` keeps every other room from making one. A clone
/// is the same identity, however many groups it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(Arc<Identity>);

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    issuer: String,
    id: String,
    group_ids: BTreeSet<String>,
}

/// Why a name cannot stand in a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The subject is empty.
    #[error("the subject is empty")]
    EmptySubject,
    /// A subject or group is longer than [`MAX_NAME_BYTES`].
    #[error("a subject or group is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// A subject or group holds a control character.
    #[error("a subject or group holds a control character")]
    Control,
}

impl Caller {
    /// Vouches for an identity: `issuer` is the issuer's configured name, `subject` and `groups`
    /// are the token's own.
    ///
    /// # Errors
    /// When a name is too long, holds control characters, or the subject is empty.
    pub fn vouch(
        issuer: &str,
        subject: &str,
        groups: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<Self, CallerError> {
        if subject.is_empty() {
            return Err(CallerError::EmptySubject);
        }
        let mut group_ids = BTreeSet::new();
        for group in groups {
            group_ids.insert(qualified(issuer, group.as_ref())?);
        }
        let id = qualified(issuer, subject)?;
        Ok(Self(Arc::new(Identity { issuer: issuer.to_owned(), id, group_ids })))
    }

    /// The configured name of the token's issuer, as `corp`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The token's subject, as the issuer wrote it.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.bare(&self.0.id)
    }

    /// The token's groups in alphabetical order, as the issuer wrote them.
    #[must_use]
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.group_ids.iter().map(|id| self.bare(id))
    }

    /// `issuer/subject`: the id that policies and logs use. Unambiguous, for an issuer's name
    /// never holds a `/` (threats, row 29).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// `issuer/group` for each group: the ids that policies use.
    #[must_use]
    pub fn group_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.group_ids.iter().map(String::as_str)
    }

    fn bare<'a>(&self, id: &'a str) -> &'a str {
        id.get(self.0.issuer.len() + 1..).unwrap_or_default()
    }
}

fn qualified(issuer: &str, name: &str) -> Result<String, CallerError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(CallerError::TooLong);
    }
    if name.chars().any(char::is_control) {
        return Err(CallerError::Control);
    }
    Ok(format!("{issuer}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_mislead_are_refused() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for (subject, group, why) in [
            ("", "g", CallerError::EmptySubject),
            (long.as_str(), "g", CallerError::TooLong),
            ("alice", long.as_str(), CallerError::TooLong),
            ("al\nice", "g", CallerError::Control),
            ("alice", "g\u{7f}", CallerError::Control),
        ] {
            assert_eq!(Caller::vouch("corp", subject, [group.to_owned()]), Err(why));
        }
        assert!(Caller::vouch("corp", &"x".repeat(MAX_NAME_BYTES), [""; 0]).is_ok());
    }
}
