//! Reads one table key by key. Faults go to the findings, never to the caller. Dropping the reader reports the keys
//! that were never read.

use std::{
    collections::BTreeMap, fmt::Display, ops::RangeInclusive, path::PathBuf, time::Duration,
};

use super::{
    findings::{Findings, SeenKey},
    forms,
    origin::ValueOrigin,
    tree::{Table, TomlNode, Value},
    unknown,
};
use crate::server::Address;

/// One table while it is being read.
pub(super) struct Fields<'a> {
    findings: &'a Findings,
    key: String,
    origin: ValueOrigin,
    entries: Table,
    /// The keys read so far, and where each is set.
    asked: BTreeMap<&'static str, ValueOrigin>,
    /// The table itself is faulty, so missing keys are not reported.
    broken: bool,
}

/// The value of a key that takes one text or a list of texts.
pub(super) enum TextOrTexts<T, L = T> {
    Text(T),
    Texts(Vec<L>),
}

impl<'a> Fields<'a> {
    /// The whole file.
    pub(super) fn root(entries: Table, findings: &'a Findings) -> Self {
        let node = TomlNode { value: Value::Table(entries), origin: ValueOrigin::Nowhere };
        Self::new(findings, String::new(), node)
    }

    fn new(findings: &'a Findings, key: String, node: TomlNode) -> Self {
        let origin = node.origin.clone();
        let (entries, broken) = match node.table() {
            Ok(entries) => (entries, false),
            Err(said) => {
                findings.fault(&key, &origin, said);
                (Table::new(), true)
            }
        };
        Self { findings, key, origin, entries, asked: BTreeMap::new(), broken }
    }

    /// A table in this one; an empty table if it is omitted.
    pub(super) fn table(&mut self, key: &'static str) -> Self {
        let empty = || TomlNode { value: Value::Table(Table::new()), origin: ValueOrigin::Nowhere };
        let node = self.take(key).unwrap_or_else(empty);
        Self::new(self.findings, self.path_of(key), node)
    }

    /// A table in this one, if it is set.
    pub(super) fn optional_table(&mut self, key: &'static str) -> Option<Self> {
        let node = self.take(key)?;
        Some(Self::new(self.findings, self.path_of(key), node))
    }

    /// The tables of a list; `None` if the list is missing or faulty.
    pub(super) fn tables(&mut self, key: &'static str) -> Option<Vec<Self>> {
        let path = self.path_of(key);
        let items = self.read(key, TomlNode::list)?;
        let item = |(index, node)| Self::new(self.findings, format!("{path}[{index}]"), node);
        Some(items.into_iter().enumerate().map(item).collect())
    }

    /// A text, parsed by `parse`.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read(key, |node| parse(node.text()?))
    }

    /// A required text; `hint` says what to write.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        hint: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.text(key, parse);
        self.demand(key, hint);
        value
    }

    /// A list of texts, each parsed by `parse`; `None` if the list is missing or has a faulty item.
    pub(super) fn texts<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let items = self.read(key, TomlNode::list)?;
        self.items(key, items, parse)
    }

    /// One text parsed by `one`, or a list of texts, each parsed by `item`.
    pub(super) fn text_or_texts<T>(
        &mut self,
        key: &'static str,
        one: impl FnOnce(&str) -> Result<T, String>,
        item: impl Fn(&str) -> Result<T, String>,
    ) -> Option<TextOrTexts<T>> {
        let read = |node: TomlNode| {
            if node.is_list() {
                node.list().map(TextOrTexts::Texts)
            } else {
                one(node.text()?).map(TextOrTexts::Text)
            }
        };
        Some(match self.read(key, read)? {
            TextOrTexts::Text(text) => TextOrTexts::Text(text),
            TextOrTexts::Texts(items) => TextOrTexts::Texts(self.items(key, items, item)?),
        })
    }

    fn items<T>(
        &self,
        key: &str,
        items: Vec<TomlNode>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let path = self.path_of(key);
        let read = |(index, node): (usize, TomlNode)| {
            let parsed = node.text().and_then(&parse);
            let report =
                |said| self.findings.fault(&format!("{path}[{index}]"), &node.origin, said);
            parsed.map_err(report).ok()
        };
        // Reads all items before giving up, so that every faulty item is reported.
        let values: Vec<_> = items.into_iter().enumerate().map(read).collect();
        values.into_iter().collect()
    }

    /// A path, relative to the file's directory.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let directory = self.findings.directory();
        self.text(key, |text| Ok(directory.join(forms::plain(text)?)))
    }

    /// The default path of a file with that name.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.findings.directory().join(name)
    }

    /// A required path.
    pub(super) fn required_path(&mut self, key: &'static str, hint: &str) -> Option<PathBuf> {
        let value = self.path(key);
        self.demand(key, hint);
        value
    }

    /// An address to listen on.
    pub(super) fn address(&mut self, key: &'static str, default: ([u8; 4], u16)) -> Address {
        self.text(key, forms::address).unwrap_or_else(|| Address::Tcp(default.into()))
    }

    /// `true` or `false`, if it is set.
    pub(super) fn optional_boolean(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, |node| node.boolean())
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.optional_boolean(key).unwrap_or(default)
    }

    /// A whole number within a range.
    pub(super) fn integer<T>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let parse = |node: TomlNode| {
            let number = node.integer()?;
            let within = T::try_from(number).ok().filter(|number| range.contains(number));
            within.ok_or_else(|| {
                format!("`{number}` is out of range: use {} to {}", range.start(), range.end())
            })
        };
        self.read(key, parse).unwrap_or(default)
    }

    /// A duration within a range, if it is set.
    pub(super) fn optional_duration(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.text(key, |text| forms::duration(text, range))
    }

    /// A duration within a range.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: &RangeInclusive<Duration>,
    ) -> Duration {
        self.optional_duration(key, range).unwrap_or(default)
    }

    /// A size in bytes, from 1 to `largest`.
    pub(super) fn size(&mut self, key: &'static str, default: usize, largest: usize) -> usize {
        self.text(key, |text| forms::size(text, largest)).unwrap_or(default)
    }

    /// Reports a known key that this build or setting cannot use; `text` says why and what to do.
    pub(super) fn unavailable(&mut self, key: &'static str, text: &str) {
        if let Some(node) = self.take(key) {
            self.findings.fault(&self.path_of(key), &node.origin, text);
        }
    }

    /// Reports a key that must not be set; `text` says what to do instead.
    pub(super) fn refuse(&mut self, key: &'static str, text: &str) {
        self.unavailable(key, text);
        self.asked.remove(key); // so that no fault suggests it
    }

    /// Whether the key is set, validly or not.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.entries.contains_key(key) || self.asked.get(key).is_some_and(ValueOrigin::is_somewhere)
    }

    /// Where the key is set, for people.
    pub(super) fn place(&self, key: &str) -> String {
        match self.asked.get(key) {
            Some(ValueOrigin::Line(line)) => format!("on line {line}"),
            Some(ValueOrigin::Variable(name)) => format!("in `{name}`"),
            Some(ValueOrigin::Nowhere) | None => "by default".to_owned(),
        }
    }

    /// Reports a fault of a key, or of the table if the key is not set.
    pub(super) fn fault(&self, key: &str, text: impl Into<String>) {
        let origin = self.asked.get(key).filter(|origin| origin.is_somewhere());
        self.findings.fault(&self.path_of(key), origin.unwrap_or(&self.origin), text);
    }

    /// Reports a fault of the table as a whole.
    pub(super) fn table_fault(&self, text: &str) {
        self.fault_without_line(&self.key, text);
    }

    /// Reports a required key that is missing.
    pub(super) fn demand(&self, key: &'static str, hint: &str) {
        if !self.is_set(key) {
            self.fault_without_line(&self.path_of(key), &format!("is missing: {hint}"));
        }
    }

    /// Points to the table, because there is no key to point to. For a table that a variable began, the variable's name
    /// alone would not explain the fault.
    fn fault_without_line(&self, path: &str, text: &str) {
        match &self.origin {
            _ if self.broken => {}
            ValueOrigin::Variable(_) => {
                self.findings.fault(path, &self.origin, format!("`{path}` {text}"));
            }
            ValueOrigin::Line(_) | ValueOrigin::Nowhere => {
                self.findings.fault(path, &self.origin, text);
            }
        }
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(TomlNode) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.take(key)?;
        let origin = node.origin.clone();
        let report = |said| self.findings.fault(&self.path_of(key), &origin, said);
        parse(node).map_err(report).ok()
    }

    fn take(&mut self, key: &'static str) -> Option<TomlNode> {
        let node = self.entries.remove(key);
        let origin = node.as_ref().map_or(ValueOrigin::Nowhere, |node| node.origin.clone());
        self.asked.insert(key, origin);
        if let Some(node) = &node {
            let origin = node.origin.clone();
            self.findings.note(SeenKey { key: self.path_of(key), origin });
        }
        node
    }

    fn path_of(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        let known: Vec<_> = self.asked.keys().copied().collect();
        for (key, node) in std::mem::take(&mut self.entries) {
            unknown::report(self.findings, &self.key, &key, &node, &known);
        }
    }
}
