//! A search for vNICs.

use std::{fmt, net::Ipv4Addr};

use super::Nic;

/// Which vNICs a caller looks for. A vNIC must have everything that is given.
#[derive(Clone, Debug, Default)]
pub struct NicFilter {
    /// One of its private IPv4 addresses.
    pub address: Option<Ipv4Addr>,
    /// A part of its name, in any case.
    pub name: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Its VPC.
    pub vpc: Option<String>,
    /// Its subnet.
    pub subnet: Option<String>,
    /// The instance that it is attached to.
    pub instance: Option<String>,
    /// A tag's key, and its value if that matters.
    pub tag: Option<(String, Option<String>)>,
}

impl NicFilter {
    /// Whether a vNIC passes what ZEC is not asked to look at. Name and tags are among it: the places in ZEC's list would
    /// say how many vNICs pass that the caller may not see.
    #[must_use]
    pub fn passes(&self, nic: &Nic) -> bool {
        let is_named =
            |part: &String| nic.name.to_lowercase().contains(part.to_lowercase().as_str());
        let is_tagged = |(key, value): &(String, Option<String>)| {
            let found = nic.tags.get(key);
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        };
        self.address.is_none_or(|address| nic.ipv4s().contains(&address))
            && self.name.as_ref().is_none_or(is_named)
            && self.tag.as_ref().is_none_or(is_tagged)
    }
}

/// A search, and where it begins.
#[derive(Clone, Debug)]
pub struct FindNics {
    /// Which vNICs.
    pub filter: NicFilter,
    /// How many are shown at most.
    pub limit: usize,
    /// Where the search begins.
    pub start: Cursor,
}

/// A place in ZEC's list, written as `3-17`: the page, counted from 1, and how many of its vNICs come before the place.
/// They count also if the caller may not see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The page.
    pub page: u32,
    /// How many vNICs of the page come before.
    pub skip: u32,
}

impl Cursor {
    /// The beginning of the list.
    pub const START: Self = Self { page: 1, skip: 0 };

    /// Neither number of a cursor is larger. ZEC's list is far shorter.
    const MAX: u32 = 999_999;

    /// Reads a cursor. Each has one form: no sign and no leading zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (page, skip) = text.split_once('-')?;
        let cursor = Self { page: page.parse().ok()?, skip: skip.parse().ok()? };
        let fits = (1..=Self::MAX).contains(&cursor.page) && cursor.skip <= Self::MAX;
        (fits && cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.page, self.skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_form() {
        for text in ["1-0", "3-17", "999999-999999"] {
            assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "1",
            "0-0",
            "01-0",
            "+1-0",
            "1-",
            "1--1",
            "1-0-0",
            "1000000-0",
            "1-1000000",
            "1-00",
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
