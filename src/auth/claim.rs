//! Where a provider puts a claim, and how it writes groups there.

use std::fmt;

use crate::domain::json::{Members, Node};

/// Where a claim is in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimPath {
    /// A claim's whole name, or a dotted path into objects. A claim with the whole name has precedence.
    Text(String),
    /// One name for each step into objects; a name may contain dots.
    Names(Vec<String>),
}

/// How a groups claim holds its groups (`groups_form`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupsForm {
    /// A list of texts.
    #[default]
    List,
    /// An object whose keys are the groups, as Zitadel writes roles.
    Keys,
    /// A text with one group, or with several in brackets as Cognito writes them. A list is accepted too, because AD FS
    /// writes several groups as a list.
    Text,
}

/// A step of a path leads into a value that has no members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAnObject;

impl ClaimPath {
    /// The claim at the path; `None` if a step of the path is absent.
    pub(super) fn find<'a>(
        &self,
        claims: &'a Members<'a>,
    ) -> Result<Option<&'a Node<'a>>, NotAnObject> {
        match self {
            Self::Text(text) => match claims.get(text) {
                Some(claim) => Ok(Some(claim)),
                None => walk(claims, text.split('.')),
            },
            Self::Names(names) => walk(claims, names.iter().map(String::as_str)),
        }
    }

    /// Whether the claim at the start of the path is among these names.
    pub(super) fn begins_in(&self, names: &Members<'_>) -> bool {
        match self {
            Self::Text(text) => {
                names.has(text) || text.split('.').next().is_some_and(|first| names.has(first))
            }
            Self::Names(steps) => steps.first().is_some_and(|first| names.has(first)),
        }
    }
}

impl From<&str> for ClaimPath {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The path as the configuration writes it.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Names(names) => write!(f, "{names:?}"),
        }
    }
}

fn walk<'a, 'b>(
    claims: &'a Members<'a>,
    mut names: impl Iterator<Item = &'b str>,
) -> Result<Option<&'a Node<'a>>, NotAnObject> {
    let mut found = names.next().and_then(|name| claims.get(name));
    for name in names {
        found = match found {
            Some(Node::Object(members)) => members.get(name),
            Some(_) => return Err(NotAnObject),
            None => return Ok(None),
        };
    }
    Ok(found)
}

impl GroupsForm {
    /// The groups in a claim; `None` if the claim does not have this form.
    pub(super) fn read<'a>(self, claim: &'a Node<'a>) -> Option<Vec<&'a str>> {
        match (self, claim) {
            (Self::List | Self::Text, Node::List(list)) => list.iter().map(Node::as_str).collect(),
            (Self::Keys, Node::Object(members)) => Some(members.keys().collect()),
            (Self::Text, Node::Text(text)) => one_text(text),
            _ => None,
        }
    }

    /// The expected form of the claim, for error messages.
    pub(super) const fn wanted(self) -> &'static str {
        match self {
            Self::List => "a list of strings",
            Self::Keys => "an object whose keys are the groups",
            Self::Text => "one group as a string, or several as `[one, other]`",
        }
    }
}

/// Cognito joins a SAML attribute with several values into one text: `[one, other]`. No provider documents commas
/// outside of brackets, so they may or may not separate groups.
fn one_text(text: &str) -> Option<Vec<&str>> {
    let text = text.trim();
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) if inner.contains(['[', ']']) => None,
        Some(inner) if inner.trim().is_empty() => Some(Vec::new()),
        Some(inner) => {
            let groups: Vec<&str> = inner.split(',').map(str::trim).collect();
            groups.iter().all(|group| !group.is_empty()).then_some(groups)
        }
        None if text.is_empty() => Some(Vec::new()),
        None => (!text.contains([',', '[', ']'])).then(|| vec![text]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(form: GroupsForm, claim: &str) -> Option<Vec<String>> {
        let claim = crate::domain::json::read(claim.as_bytes()).unwrap();
        form.read(&claim).map(|groups| groups.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn each_form_takes_what_its_providers_write_and_nothing_else() {
        use GroupsForm::{Keys, List, Text};
        for (form, claim, want) in [
            (List, r#"["a","b"]"#, Some(&["a", "b"][..])),
            (List, r#""a""#, None),
            (List, r#"["a",1]"#, None),
            (List, r#"{"a":1}"#, None),
            (Keys, r#"{"a":{"1":"x"},"b":{}}"#, Some(&["a", "b"])),
            (Keys, "{}", Some(&[])),
            (Keys, r#"["a"]"#, None),
            (Keys, r#""a""#, None),
            (Text, r#""Domain Admins""#, Some(&["Domain Admins"])),
            (Text, r#""[a, b c]""#, Some(&["a", "b c"])),
            (Text, r#""[]""#, Some(&[])),
            (Text, r#""""#, Some(&[])),
            (Text, r#"["a","b"]"#, Some(&["a", "b"])),
            (Text, r#""a,b""#, None),
            (Text, r#""[a,]""#, None),
            (Text, r#""[a""#, None),
            (Text, r#""[[a], b]""#, None),
            (Text, r#"{"a":1}"#, None),
            (Text, "null", None),
        ] {
            let want: Option<Vec<_>> = want.map(|all| all.iter().map(|&one| one.into()).collect());
            assert_eq!(groups(form, claim), want, "{form:?} {claim}");
        }
    }
}
