//! The file of keys: one table for each key. It holds no secret.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ipnet::IpNet;
use serde::Deserialize;
use toml::{Spanned, value::Datetime};

use super::{
    FILE_KEY,
    header::{MAX_ID, is_id},
    issued::KeyState,
    networks::network,
};
use crate::{
    domain::{Caller, KEYS_ISSUER, text::excerpt},
    error::{Fault, line_at},
};

/// The most keys of a file. A company has one for each pipeline and each tool of its people.
const MAX_KEYS: usize = 10_000;

/// How long before its end the gateway says that a key ends soon.
pub(super) const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// What policies put before the names and groups of the file.
const PREFIX: &str = "keys/";

/// The form of a key, for messages.
const FORM: &str = "a key is `[[key]]` with `id`, `name`, `ends = 2027-03-01T00:00:00Z` without quotes, and perhaps \
    `groups` and `from`, which are lists";

/// A key, as its file says it.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// The public half, by which a request names the key.
    pub id: String,
    /// The caller's name: a policy speaks of `Zec::Caller::"keys/<name>"`. A new key of the same caller has the same.
    pub name: String,
    /// The caller's groups: `Zec::Group::"keys/<group>"`.
    pub groups: Vec<String>,
    /// From then on the key is refused.
    pub ends: SystemTime,
    /// The networks from which the key may be used; from everywhere if there are none.
    pub from: Vec<IpNet>,
    /// Where the value of `ends` is in the text.
    pub(super) ends_at: Range<usize>,
    line: usize,
}

/// The text of a file of keys, and the keys in it.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    pub(super) text: String,
    entries: Vec<KeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    key: Vec<Spanned<RawKey>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    id: Spanned<String>,
    name: Spanned<String>,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
    ends: Spanned<Datetime>,
    from: Option<Spanned<Vec<Spanned<String>>>>,
}

impl KeyEntry {
    /// The caller that requests with this key are of.
    ///
    /// # Errors
    /// Why a name or group cannot be used in a policy.
    pub(super) fn caller(&self) -> Result<Caller, String> {
        Caller::vouch(KEYS_ISSUER, &self.name, &self.groups).map_err(|error| error.to_string())
    }

    /// Whether the key is good at that time.
    #[must_use]
    pub fn state(&self, now: SystemTime) -> KeyState {
        match self.ends.duration_since(now) {
            Ok(left) if left > SOON => KeyState::Valid,
            Ok(left) if !left.is_zero() => KeyState::Ending,
            _ => KeyState::Ended,
        }
    }
}

impl KeyFile {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Every fault, in the order of the file; of its syntax, the first.
    pub fn parse(path: &Path, text: String) -> Result<Self, Vec<Fault>> {
        let raw: RawFile = toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(text.len(), |span| span.start);
            let said = format!("{}; {FORM}", error.message());
            let fault = Fault::new(said).in_file(path).on_line(line_at(&text, at));
            vec![fault.at_key(FILE_KEY)]
        })?;
        let mut reader = EntryReader {
            path,
            lines: LineEnds::of(&text),
            ids: BTreeMap::new(),
            faults: Vec::new(),
        };
        if raw.key.len() > MAX_KEYS {
            reader.fault(0, format!("more than {MAX_KEYS} keys: take out those that have ended"));
        }
        let entries = raw.key.into_iter().map(|key| reader.entry(key)).collect();
        let faults = reader.faults;
        if faults.is_empty() {
            Ok(Self { path: path.to_owned(), text, entries })
        } else {
            Err(faults)
        }
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every key, in the file's order.
    #[must_use]
    pub fn entries(&self) -> &[KeyEntry] {
        &self.entries
    }

    /// The key of each caller that ends last. The others are being replaced.
    pub(super) fn last_of_each_caller(&self) -> Vec<&KeyEntry> {
        let mut last: BTreeMap<&str, &KeyEntry> = BTreeMap::new();
        for key in &self.entries {
            let known = last.entry(&key.name).or_insert(key);
            if known.ends < key.ends {
                *known = key;
            }
        }
        last.into_values().collect()
    }

    /// A warning for each caller whose last key ends soon, the first to end first.
    #[must_use]
    pub fn ending_soon(&self, now: SystemTime) -> Vec<Fault> {
        let last = self.last_of_each_caller().into_iter();
        let mut ending: Vec<_> = last.filter(|key| key.state(now) == KeyState::Ending).collect();
        ending.sort_by_key(|key| key.ends);
        let warning = |key: &KeyEntry| {
            let ends = humantime::format_rfc3339_seconds(key.ends);
            let text = format!(
                "the last access key of `{}` ends at {ends}: make a new one with `zec-gateway key new`",
                key.name
            );
            Fault::new(text).in_file(&self.path).on_line(key.line)
        };
        ending.into_iter().map(warning).collect()
    }
}

/// Reads the keys of a text, and collects what is wrong with them.
struct EntryReader<'a> {
    path: &'a Path,
    lines: LineEnds,
    /// The line of each id so far.
    ids: BTreeMap<String, usize>,
    faults: Vec<Fault>,
}

/// Where the lines of a text end. Counting them for each of thousands of keys would take minutes.
struct LineEnds(Vec<usize>);

impl LineEnds {
    fn of(text: &str) -> Self {
        Self(memchr::memchr_iter(b'\n', text.as_bytes()).collect())
    }

    /// The line of an offset, counted from 1.
    fn at(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|end| *end < offset)
    }
}

impl EntryReader<'_> {
    fn fault(&mut self, at: usize, text: String) {
        let fault = Fault::new(text).in_file(self.path).on_line(self.lines.at(at));
        self.faults.push(fault);
    }

    /// A faulty entry is reported and still returned, so that all its faults are found.
    fn entry(&mut self, raw: Spanned<RawKey>) -> KeyEntry {
        let start = raw.span().start;
        let RawKey { id, name, groups, ends, from } = raw.into_inner();
        let (id_at, name_at, ends_at) = (id.span().start, name.span().start, ends.span());
        self.id(id.get_ref(), id_at);
        let from = from.map(|from| self.networks(&from)).unwrap_or_default();
        let ends = self.end(ends.get_ref(), ends_at.start);
        let entry = KeyEntry {
            id: id.into_inner(),
            name: name.into_inner(),
            groups: groups.into_iter().map(Spanned::into_inner).collect(),
            ends,
            from,
            ends_at,
            line: self.lines.at(start),
        };
        if let Err(error) = entry.caller() {
            self.fault(name_at, format!("the name or a group of the key is not valid: {error}"));
        }
        for text in [&entry.name].into_iter().chain(&entry.groups) {
            if text.trim() != text || text.starts_with(PREFIX) {
                let text = excerpt(text);
                self.fault(name_at, format!("write `{text}` without space around it, and without `{PREFIX}`, which policies put before names and groups"));
            }
        }
        entry
    }

    fn id(&mut self, id: &str, at: usize) {
        if !is_id(id) {
            let text = "is no id of a key: `zec-gateway key new` makes one, of letters and digits, at most";
            self.fault(at, format!("`{}` {text} {MAX_ID}", excerpt(id)));
            return;
        }
        let line = self.lines.at(at);
        if let Some(before) = self.ids.insert(id.to_owned(), line) {
            self.fault(
                at,
                format!("`{id}` is already on line {before}: each key needs its own id"),
            );
        }
    }

    fn networks(&mut self, from: &Spanned<Vec<Spanned<String>>>) -> Vec<IpNet> {
        if from.get_ref().is_empty() {
            let text = "`from` is empty: name a network, leave `from` out to allow every network, or end the key";
            self.fault(from.span().start, text.to_owned());
        }
        from.get_ref().iter().filter_map(|text| self.network(text)).collect()
    }

    fn network(&mut self, text: &Spanned<String>) -> Option<IpNet> {
        let said = |error| format!("`{}` {error}", excerpt(text.get_ref()));
        let read = network(text.get_ref()).map_err(said);
        read.map_err(|said| self.fault(text.span().start, said)).ok()
    }

    fn end(&mut self, ends: &Datetime, at: usize) -> SystemTime {
        let utc = ends.offset == Some(toml::value::Offset::Z);
        let read = humantime::parse_rfc3339(&ends.to_string());
        read.ok().filter(|_| utc).unwrap_or_else(|| {
            self.fault(at, "write the end as a time in UTC, as 2027-03-01T00:00:00Z".to_owned());
            SystemTime::UNIX_EPOCH
        })
    }
}
