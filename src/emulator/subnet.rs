//! A subnet in the emulator, and the addresses that a vNIC may have in it.

use std::net::Ipv4Addr;

use super::failure::{Code, Failure};

/// A subnet: its id, its IPv4 range and its stack. Its [`Default`] is the demo's lab subnet,
/// 10.0.0.0/24.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// `subnetId`.
    pub id: String,
    /// Any address of the range.
    pub network: Ipv4Addr,
    /// The length of the network part in bits, 0 to 32.
    pub prefix: u8,
    /// `nicSubnetType`: `IPv4`, `IPv4_IPv6` or `IPv6`.
    pub stack: String,
}

impl Default for Subnet {
    fn default() -> Self {
        Self {
            id: "1612345678901210001".to_owned(),
            network: Ipv4Addr::new(10, 0, 0, 0),
            prefix: 24,
            stack: "IPv4".to_owned(),
        }
    }
}

impl Subnet {
    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32_u32.saturating_sub(self.prefix.into())).unwrap_or(0)
    }

    fn first(&self) -> u32 {
        self.network.to_bits() & self.mask()
    }

    fn last(&self) -> u32 {
        self.network.to_bits() | !self.mask()
    }

    /// Whether the subnet allows a vNIC to have the address.
    ///
    /// # Errors
    /// ZEC's own code for each kind of address that no vNIC can have.
    pub(super) fn check(&self, address: Ipv4Addr) -> Result<(), Failure> {
        let bits = address.to_bits();
        let (code, what) = if !(self.first()..=self.last()).contains(&bits) {
            (Code::IpOutOfRange, "is outside the subnet's range")
        } else if bits == self.first() {
            (Code::IpNetwork, "is the subnet's network address")
        } else if bits == self.last() {
            (Code::IpBroadcast, "is the subnet's broadcast address")
        } else if bits == self.first().saturating_add(1) {
            (Code::IpFirst, "is the subnet's gateway address")
        } else {
            return Ok(());
        };
        Err(Failure::new(code, format!("the address `{address}` {what}")))
    }

    /// The addresses that a vNIC can have, lowest first.
    pub(super) fn hosts(&self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first().saturating_add(2)..self.last()).map(Ipv4Addr::from_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_are_free_to_have() {
        let subnet =
            Subnet { network: Ipv4Addr::new(10, 0, 0, 9), prefix: 29, ..Subnet::default() };
        let hosts: Vec<String> = subnet.hosts().map(|a| a.to_string()).collect();
        assert_eq!(hosts, ["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"]);
        for host in subnet.hosts() {
            assert_eq!(subnet.check(host), Ok(()));
        }
        for (last, code) in [
            (7, Code::IpOutOfRange),
            (8, Code::IpNetwork),
            (9, Code::IpFirst),
            (15, Code::IpBroadcast),
            (16, Code::IpOutOfRange),
        ] {
            let failure = subnet.check(Ipv4Addr::new(10, 0, 0, last)).unwrap_err();
            assert_eq!(failure.code, code.entry().1);
        }
    }

    #[test]
    fn the_widest_and_narrowest_ranges_do_not_overflow() {
        let all = Subnet { prefix: 0, ..Subnet::default() };
        assert_eq!(all.check(Ipv4Addr::new(200, 1, 1, 1)), Ok(()));
        let one = Subnet { prefix: 32, ..Subnet::default() };
        assert_eq!(one.hosts().count(), 0);
    }
}
