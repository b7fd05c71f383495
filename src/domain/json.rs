//! Strict JSON parsing. An object that has a key twice is an error, even if one of them is written with
//! escapes (docs/threats.md, row 12). Bytes after the value are an error too.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::text::excerpt;

/// How many keys an object first has room for: as many as most tokens have claims.
const USUAL_KEYS: usize = 8;

/// A JSON value that borrows its texts from the input. It suits values that are read once and dropped, such
/// as a token's claims.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text; owned if it was written with escapes.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Node<'a>>),
    /// An object.
    Object(Members<'a>),
}

/// An object's members in the order they were written in, each key once.
#[derive(Clone, Debug, PartialEq)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Members<'a> {
    /// The member of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether there is a member of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The names of all members, in the order they were written in.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_ref())
    }

    fn repeated_key(&self) -> Option<&str> {
        let mut keys: Vec<&str> = self.0.iter().map(|(key, _)| key.as_ref()).collect();
        keys.sort_unstable();
        keys.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        })
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = (Cow<'a, str>, Node<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> Node<'a> {
    /// The member of this name, if the value is an object that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Self::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// The text, if the value is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<Node<'_>> for Value {
    fn from(node: Node<'_>) -> Self {
        match node {
            Node::Null => Self::Null,
            Node::Bool(value) => Self::Bool(value),
            Node::Number(number) => Self::Number(number),
            Node::Text(text) => Self::String(text.into_owned()),
            Node::List(list) => Self::Array(list.into_iter().map(Self::from).collect()),
            Node::Object(members) => Self::Object(members.into()),
        }
    }
}

impl From<Members<'_>> for Map<String, Value> {
    fn from(members: Members<'_>) -> Self {
        members.0.into_iter().map(|(key, value)| (key.into_owned(), value.into())).collect()
    }
}

/// Reads one JSON value and nothing after it.
///
/// # Errors
/// When the bytes are not one JSON value in UTF-8, or an object in it has a key twice. The error's text says
/// where, and holds no more of the input than one key.
pub fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    read(bytes).map(Value::from)
}

/// As [`parse`], without a copy of every text.
///
/// # Errors
/// As [`parse`].
pub fn read(bytes: &[u8]) -> Result<Node<'_>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node<'de>, E> {
        Number::from_f64(value)
            .map(Node::Number)
            .ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node<'de>, A::Error> {
        let mut members = Members(Vec::new());
        while let Some(key) = access.next_key_seed(KeySeed)? {
            // An empty object takes no room: a body may hold thousands of them.
            // An empty object takes no room: a body may hold thousands of them.
            if members.0.is_empty() {
                members.0.reserve(USUAL_KEYS);
            }
            members.0.push((key, access.next_value()?));
        }
        match members.repeated_key() {
            None => Ok(Node::Object(members)),
            Some(key) => {
                let key = excerpt(key);
                Err(A::Error::custom(format!("the key `{key}` appears twice")))
            }
        }
    }
}

/// Reads a key without copying it; serde's own `Cow` always copies.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_reads_is_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x\u0041"],"b":{"c":{}}}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_key_twice_is_refused_also_when_escaped_or_nested() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"ipAddresses":[],"ipAddre\u0073ses":[]}"#,
            r#"[{"x":{"y":1,"\u0079":2}}]"#,
        ] {
            assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("twice"), "{text}");
        }
    }

    #[test]
    fn bytes_after_the_value_and_broken_text_are_refused() {
        for bytes in [&b"{} x"[..], b"{}{}", b"", b"{", b"\"\xff\"", b"{'a':1}", b"{\"a\":1,}"] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow() {
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
