//! The file as a tree in which every value has its place in the file.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue, Error};

use super::{findings::Findings, origin::ValueOrigin};
use crate::error::line_at;

/// A table's values by key.
pub(super) type Table = BTreeMap<String, TomlNode>;

/// One value with its place.
#[derive(Clone, Debug)]
pub(super) struct TomlNode {
    pub(super) value: Value,
    pub(super) origin: ValueOrigin,
}

/// The kinds of value that a key may have.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<TomlNode>),
    Table(Table),
    /// A variable's text; the reader of the key decides its type.
    Raw(String),
    /// A type that no key accepts, by its name for people.
    Other(&'static str),
}

/// Parses the file's text; `None` if its syntax is so broken that further faults would mislead.
///
/// A repeated key is a fault, but the rest can still be read.
pub(super) fn parse(text: &str, findings: &Findings) -> Option<Table> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut readable = true;
    for error in &errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let said = if let Some(key) = repeated_key(error, text) {
            format!("`{key}` is written twice: keep one of them")
        } else {
            readable = false;
            error.message().to_owned()
        };
        findings.fault("", &ValueOrigin::Line(line_at(text, span.start)), said);
    }
    readable.then(|| table(document.into_inner(), text))
}

/// The repeated key or table, if that is the only error.
fn repeated_key<'a>(error: &Error, text: &'a str) -> Option<&'a str> {
    error.span().filter(|_| error.message() == "duplicate key").and_then(|span| text.get(span))
}

fn table(table: DeTable<'_>, text: &str) -> Table {
    let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<DeValue<'_>>)| {
        let origin = ValueOrigin::Line(line_at(text, key.span().start));
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        (key.into_owned(), TomlNode { value: convert(value.into_inner(), text), origin })
    };
    table.into_iter().map(entry).collect()
}

fn convert(value: DeValue<'_>, text: &str) -> Value {
    match value {
        DeValue::String(value) => Value::Text(value.into_owned()),
        DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix())
            .map_or(Value::Other("a number that large"), Value::Integer),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| TomlNode {
                    origin: ValueOrigin::Line(line_at(text, item.span().start)),
                    value: convert(item.into_inner(), text),
                })
                .collect(),
        ),
        DeValue::Table(entries) => Value::Table(table(entries, text)),
    }
}

impl TomlNode {
    /// The text.
    pub(super) fn text(&self) -> Result<&str, String> {
        match &self.value {
            Value::Text(text) | Value::Raw(text) => Ok(text),
            other => Err(format!("must be a string in quotes, not {}", other.kind())),
        }
    }

    /// The whole number.
    pub(super) fn integer(&self) -> Result<i64, String> {
        match &self.value {
            Value::Integer(number) => Ok(*number),
            Value::Raw(text) => {
                text.parse().map_err(|_| format!("{} is not a whole number", shown(text)))
            }
            other => Err(format!("must be a whole number, not {}", other.kind())),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, String> {
        match &self.value {
            Value::Boolean(value) => Ok(*value),
            Value::Raw(text) => {
                text.parse().map_err(|_| format!("{} is not `true` or `false`", shown(text)))
            }
            other => Err(format!("must be `true` or `false`, not {}", other.kind())),
        }
    }

    /// Whether it is a list, or a variable whose text begins like one.
    pub(super) fn is_list(&self) -> bool {
        match &self.value {
            Value::List(_) => true,
            Value::Raw(text) => text.trim_start().starts_with('['),
            _ => false,
        }
    }

    /// The items of a list; a variable holds a list in TOML's syntax.
    pub(super) fn list(self) -> Result<Vec<Self>, String> {
        match self.value {
            Value::List(items) => Ok(items),
            Value::Raw(text) => match DeValue::parse(&text).map(toml::Spanned::into_inner) {
                Ok(value @ DeValue::Array(_)) => match convert(value, &text).from(&self.origin) {
                    Value::List(items) => Ok(items),
                    other => Err(format!("must be a list, not {}", other.kind())),
                },
                _ => Err(format!("{} is not a list, as `[\"a\", \"b\"]`", shown(&text))),
            },
            other => Err(format!("must be a list, as `[\"a\", \"b\"]`, not {}", other.kind())),
        }
    }

    /// The entries of a table.
    pub(super) fn table(self) -> Result<Table, String> {
        match self.value {
            Value::Table(entries) => Ok(entries),
            Value::Raw(_) => Err("is a table: set its keys one by one".to_owned()),
            other => Err(format!("is a table with keys of its own, not {}", other.kind())),
        }
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Raw(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "`true` or `false`",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }

    /// The same value with one origin for all of it, because a variable's text has no lines.
    fn from(self, origin: &ValueOrigin) -> Self {
        let moved =
            |node: TomlNode| TomlNode { value: node.value.from(origin), origin: origin.clone() };
        match self {
            Self::List(items) => Self::List(items.into_iter().map(moved).collect()),
            Self::Table(entries) => {
                Self::Table(entries.into_iter().map(|(key, node)| (key, moved(node))).collect())
            }
            other => other,
        }
    }
}

/// Input in the form for messages: in backticks, short, without control characters.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut short: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}
