use std::net::Ipv4Addr;

/// The addresses that a request names: at least one, none twice, in the caller's order.
///
/// Not empty by construction: ZEC's Go SDK drops an empty list on the wire, and what ZEC does
/// with a bare `nicId` is not documented (threats, row 14).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Addresses(Vec<Ipv4Addr>);

/// Why a list of texts is no [`Addresses`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// There is no address in the list.
    #[error("name at least one address")]
    Empty,
    /// One of them is not a dotted quad.
    #[error("`{}` is not an IPv4 address: four numbers from 0 to 255 without leading zeros, as in `10.0.0.2`", .0.escape_debug())]
    Malformed(String),
    /// There are more than one request may name.
    #[error("{count} addresses in one request: {max} at most, send several requests")]
    TooMany {
        /// How many the caller named, duplicates merged.
        count: usize,
        /// The configured limit (`limits.max_addresses`).
        max: usize,
    },
}

impl Addresses {
    /// Takes the addresses of a request as texts; duplicates are merged, the order is kept.
    ///
    /// `max` is the most that one request may name, counted after merging.
    ///
    /// # Errors
    /// When the list is empty, too long, or holds anything but strict dotted quads.
    pub fn parse<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        max: usize,
    ) -> Result<Self, AddressesError> {
        let mut list: Vec<Ipv4Addr> = Vec::new();
        for text in texts {
            // std's parser is strict: four decimal octets, no leading zero, nothing else.
            let address: Ipv4Addr = text
                .parse()
                .map_err(|_| AddressesError::Malformed(text.chars().take(64).collect()))?;
            // Merged at once: what is kept stays small however often one is repeated.
            if !list.contains(&address) {
                list.push(address);
            }
        }
        Self::from_list(&list, max)
    }

    /// Takes addresses that were read already, as [`Self::parse`] does those of a request.
    ///
    /// # Errors
    /// When the list is empty or too long.
    pub fn from_list(list: &[Ipv4Addr], max: usize) -> Result<Self, AddressesError> {
        let mut merged: Vec<Ipv4Addr> = Vec::with_capacity(list.len());
        for address in list {
            if !merged.contains(address) {
                merged.push(*address);
            }
        }
        match merged.len() {
            0 => Err(AddressesError::Empty),
            count if count > max => Err(AddressesError::TooMany { count, max }),
            _ => Ok(Self(merged)),
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
            Err(AddressesError::TooMany { count: 4, max: 3 })
        );
    }
}
