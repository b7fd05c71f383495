//! A verified identity: issuer, subject and groups.

use std::{ops::Range, sync::Arc};

/// What stands before the name of a caller with an access key of the gateway's own, in place of an issuer's name.
pub const KEYS_ISSUER: &str = "keys";

/// The most bytes a subject or a group may have (docs/api.md, "Forms and limits").
pub const MAX_NAME_BYTES: usize = 256;

/// A verified identity: who calls, as the gateway sees it.
///
/// `auth` makes it from a token that passed every check. The offline policy tools make it too, but they
/// decide nothing. `tests/blackbox/architecture.rs` keeps every other room from making one. A clone is the
/// same identity, however many groups it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(Arc<Identity>);

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    issuer: String,
    id: String,
    /// The ids of all groups in one text: a caller may be in a hundred groups or more.
    group_ids: String,
    /// Where each group's id is in `group_ids`, in alphabetical order, without duplicates.
    places: Vec<Range<usize>>,
}

/// Why a name cannot be used in a policy.
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
    /// Makes a caller of a verified identity: `issuer` is the issuer's configured name, `subject` and
    /// `groups` are the token's own.
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
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        groups.dedup_by(|one, other| one.as_ref() == other.as_ref());
        let (mut group_ids, mut places) = (String::new(), Vec::with_capacity(groups.len()));
        for group in groups {
            places.push(add_qualified(&mut group_ids, issuer, group.as_ref())?);
        }
        let mut id = String::new();
        add_qualified(&mut id, issuer, subject)?;
        Ok(Self(Arc::new(Identity { issuer: issuer.to_owned(), id, group_ids, places })))
    }

    /// The configured name of the token's issuer, such as `corp`.
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
        self.group_ids().map(|id| self.bare(id))
    }

    /// `issuer/subject`: the id that policies and logs use. It is unambiguous, because an issuer's name never
    /// holds a `/` (docs/threats.md, row 29).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// `issuer/group` for each group: the ids that policies use.
    #[must_use]
    pub fn group_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        let Identity { group_ids, places, .. } = &*self.0;
        places.iter().map(|place| group_ids.get(place.clone()).unwrap_or_default())
    }

    fn bare<'a>(&self, id: &'a str) -> &'a str {
        id.get(self.0.issuer.len() + 1..).unwrap_or_default()
    }
}

/// Appends `issuer/name` to `ids` and returns where it is.
fn add_qualified(ids: &mut String, issuer: &str, name: &str) -> Result<Range<usize>, CallerError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(CallerError::TooLong);
    }
    // Most names are plain ASCII, which needs no check of each character.
    let plain = name.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    if !plain && name.chars().any(char::is_control) {
        return Err(CallerError::Control);
    }
    let start = ids.len();
    ids.reserve(issuer.len() + 1 + name.len());
    ids.push_str(issuer);
    ids.push('/');
    ids.push_str(name);
    Ok(start..ids.len())
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

    #[test]
    fn groups_are_in_order_and_each_is_there_once() {
        let caller = Caller::vouch("corp", "alice", ["b", "a", "", "b", "ä/a", "a"]).unwrap();
        assert_eq!(caller.groups().collect::<Vec<_>>(), ["", "a", "b", "ä/a"]);
        let ids: Vec<_> = caller.group_ids().collect();
        assert_eq!(ids, ["corp/", "corp/a", "corp/b", "corp/ä/a"]);
    }
}
