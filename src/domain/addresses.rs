//! The list of IPv4 addresses in a request: never empty, without duplicates, bounded.

use std::{collections::HashSet, hash::Hash, net::Ipv4Addr};

use super::text::excerpt;

/// Up to this many addresses are compared one by one, which is cheaper than hashing each.
const FEW: usize = 16;

/// The addresses that a request names: at least one, no duplicates, in the caller's order.
///
/// The type cannot be empty. ZEC's Go SDK drops an empty list on the wire, and ZEC does not document what it
/// does with a bare `nicId` (docs/threats.md, row 14).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Addresses(Vec<Ipv4Addr>);

/// Why a list of texts cannot become [`Addresses`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// The list has no address.
    #[error("name at least one address")]
    Empty,
    /// One of them is not a dotted quad.
    #[error("`{}` is not an IPv4 address: four numbers from 0 to 255 without leading zeros, as in `10.0.0.2`", .0)]
    Malformed(String),
    /// There are more than one request may name. The rest of the list was not read.
    #[error("{} addresses or more in one request: {max} at most, send several requests", .max.saturating_add(1))]
    TooLong {
        /// The configured limit (`limits.max_addresses`).
        max: usize,
    },
    /// There are more than one request may name. All were counted.
    #[error("{count} addresses in one request: {max} at most, send several requests")]
    TooMany {
        /// How many there are, after duplicates are merged.
        count: usize,
        /// The configured limit (`limits.max_addresses`).
        max: usize,
    },
}

/// A list without duplicates, in the order in which its items came. Callers choose the length, so adding an
/// item takes a bounded number of comparisons, however long the list is.
#[derive(Debug)]
struct Merged<T> {
    list: Vec<T>,
    /// The same items, once there are more than [`FEW`].
    seen: HashSet<T>,
}

impl<T: Copy + Eq + Hash> Merged<T> {
    fn new() -> Self {
        Self { list: Vec::new(), seen: HashSet::new() }
    }

    fn add(&mut self, item: T) {
        let is_new = if self.list.len() < FEW {
            !self.list.contains(&item)
        } else {
            if self.seen.is_empty() {
                self.seen.extend(self.list.iter().copied());
            }
            self.seen.insert(item)
        };
        if is_new {
            self.list.push(item);
        }
    }
}

impl Addresses {
    /// Takes the addresses of a request as texts; duplicates are merged, the order is kept.
    ///
    /// `max` is the most that one request may name, counted after merging. Parsing stops at the first address
    /// beyond that limit.
    ///
    /// # Errors
    /// When the list is empty, too long, or holds anything but strict dotted quads.
    pub fn parse<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        max: usize,
    ) -> Result<Self, AddressesError> {
        let mut merged = Merged::new();
        for text in texts {
            // std's parser is strict: four decimal octets, no leading zero, nothing else.
            let address: Ipv4Addr =
                text.parse().map_err(|_| AddressesError::Malformed(excerpt(text)))?;
            merged.add(address);
            if merged.list.len() > max {
                return Err(AddressesError::TooLong { max });
            }
        }
        Self::counted(merged.list, max)
    }

    /// Takes addresses that were read from a vNIC, with the rules of [`Self::parse`]. All of them are
    /// counted, because a caller who did not name them needs to know how many there are.
    ///
    /// # Errors
    /// When the list is empty or too long.
    pub fn from_list(list: &[Ipv4Addr], max: usize) -> Result<Self, AddressesError> {
        let mut merged = Merged::new();
        for address in list {
            merged.add(*address);
        }
        Self::counted(merged.list, max)
    }

    fn counted(list: Vec<Ipv4Addr>, max: usize) -> Result<Self, AddressesError> {
        match list.len() {
            0 => Err(AddressesError::Empty),
            count if count > max => Err(AddressesError::TooMany { count, max }),
            _ => Ok(Self(list)),
        }
    }

    /// The addresses in the caller's order.
    #[must_use]
    pub fn as_slice(&self) -> &[Ipv4Addr] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, hash::Hasher};

    use super::*;

    fn parse(texts: &[&str]) -> Result<Addresses, AddressesError> {
        Addresses::parse(texts.iter().copied(), 3)
    }

    #[test]
    fn duplicates_merge_and_order_stays() {
        let list = parse(&["10.0.0.3", "10.0.0.2", "10.0.0.3"]).unwrap();
        assert_eq!(list.as_slice(), [Ipv4Addr::new(10, 0, 0, 3), Ipv4Addr::new(10, 0, 0, 2)]);
    }

    #[test]
    fn an_empty_list_cannot_be_built() {
        assert_eq!(parse(&[]), Err(AddressesError::Empty));
    }

    #[test]
    fn only_strict_dotted_quads_are_addresses() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.256",
            "010.0.0.1",
            "10.0.0.1 ",
            " 10.0.0.1",
            "10.0.0.1/32",
            "0x0a.0.0.1",
            "167772161",
            "::1",
            "::ffff:10.0.0.1",
            "10.0.0.1,10.0.0.2",
            "１0.0.0.1",
        ] {
            assert!(matches!(parse(&[text]), Err(AddressesError::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn the_limit_counts_what_is_left_after_merging() {
        assert!(parse(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"]).is_ok());
        assert_eq!(
            parse(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]),
            Err(AddressesError::TooLong { max: 3 })
        );
        let read = [1, 2, 1, 3, 4, 5].map(|last| Ipv4Addr::new(10, 0, 0, last));
        let counted = Addresses::from_list(&read, 3);
        assert_eq!(counted, Err(AddressesError::TooMany { count: 5, max: 3 }));
    }

    #[test]
    fn nothing_is_read_past_the_first_address_too_many() {
        let texts: Vec<String> = (0..65_536).map(|n| Ipv4Addr::from(n).to_string()).collect();
        for max in [1, 50, 1000] {
            let mut read = 0;
            let counting = texts.iter().map(String::as_str).inspect(|_| read += 1);
            assert_eq!(Addresses::parse(counting, max), Err(AddressesError::TooLong { max }));
            assert_eq!(read, max + 1);
        }
    }

    /// An address that counts how often it is compared with another one.
    #[derive(Clone, Copy, Debug)]
    struct ComparedAddress<'a>(u32, &'a Cell<usize>);

    impl PartialEq for ComparedAddress<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.1.set(self.1.get() + 1);
            self.0 == other.0
        }
    }

    impl Eq for ComparedAddress<'_> {}

    impl Hash for ComparedAddress<'_> {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    #[test]
    fn merging_compares_each_item_with_a_few_others_at_most() {
        let compared = Cell::new(0);
        let mut merged = Merged::new();
        // A thousand different ones, then each of them nine more times.
        for n in 0..10_000 {
            merged.add(ComparedAddress(n % 1000, &compared));
        }
        assert_eq!(merged.list.len(), 1000);
        let order = merged.list.iter().map(|item| item.0);
        assert!(order.eq(0..1000));
        assert!(compared.get() <= 10_000 * FEW, "{} comparisons", compared.get());
    }
}
