//! The networks from which a key may be used.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Bits are set beyond the mask; the network without them.
    #[error("has bits set beyond its mask: write `{0}`, or the address alone")]
    BitsBeyondMask(IpNet),
    /// Neither an address nor a network.
    #[error("is neither an address, as `10.0.0.5`, nor a network, as `10.0.0.0/24`")]
    Other,
}

/// Reads a network, or an address alone.
///
/// # Errors
/// Why it is none.
pub fn network(text: &str) -> Result<IpNet, NetworkError> {
    let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let canonical = |network: IpNet| match network {
        IpNet::V6(six) => mapped(six).unwrap_or(network),
        IpNet::V4(_) => network,
    };
    match text.parse::<IpNet>().ok().or_else(alone).map(canonical) {
        Some(network) if network.trunc() == network => Ok(network),
        Some(network) => Err(NetworkError::BitsBeyondMask(network.trunc())),
        None => Err(NetworkError::Other),
    }
}

/// The IPv4 network that an IPv6 one maps (RFC 4291, 2.5.5.2): clients of both kinds have IPv4 addresses here.
fn mapped(network: Ipv6Net) -> Option<IpNet> {
    let length = network.prefix_len().checked_sub(96)?;
    let address = network.addr().to_ipv4_mapped()?;
    Ipv4Net::new(address, length).ok().map(IpNet::V4)
}

/// Whether a client may use a key with these networks. Without networks, from everywhere; with some, a client without an
/// address, as on a Unix socket, may not.
pub(super) fn admit(networks: &[IpNet], client: Option<IpAddr>) -> bool {
    let inside = |client: IpAddr| {
        let client = client.to_canonical();
        networks.iter().any(|network| network.contains(&client))
    };
    networks.is_empty() || client.is_some_and(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_inside_by_its_own_address_and_without_one_nowhere() {
        let networks =
            ["10.20.0.0/16", "192.0.2.7", "2001:db8::/32"].map(|text| network(text).unwrap());
        for (client, inside) in [
            ("10.20.255.1", true),
            ("10.21.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.20.0.1", true),
            ("2001:db8::1", true),
            ("::1", false),
        ] {
            assert_eq!(admit(&networks, Some(client.parse().unwrap())), inside, "{client}");
            assert!(admit(&[], Some(client.parse().unwrap())));
        }
        assert!(!admit(&networks, None) && admit(&[], None));
    }

    #[test]
    fn a_text_that_is_no_network_is_refused() {
        for text in ["10.20.0.0/33", "example.com", "", "10.20", "10.20.0.0/"] {
            assert_eq!(network(text), Err(NetworkError::Other), "{text}");
        }
        let whole = network("10.20.0.0/16").unwrap();
        assert_eq!(network("::ffff:10.20.0.0/112"), Ok(whole));
        assert_eq!(network("10.20.0.1/16"), Err(NetworkError::BitsBeyondMask(whole)));
    }
}
