//! The pre-flight: finds what ZEC would refuse because of the vNIC's state, before anything is sent.

use std::{collections::BTreeMap, net::Ipv4Addr};

use crate::{
    domain::{Change, ChangeIpv4, Nic, Resource, text::excerpt},
    error::{Conflict, Error, Extra, Problem},
};

/// The tag with which a vNIC's owner keeps the gateway from changing it. Its value does not matter.
const PROTECTED: &str = "zec-gateway:protected";

/// The states in which ZEC changes addresses (docs/zec-api.md, section 5).
const CHANGEABLE: [&str; 2] = ["AVAILABLE", "USED"];

/// ZEC's codes, in the order in which ZEC checks: a caller would get the first that applies.
const ABSENT: &str = "OPERATION_FAILED_RESOURCE_NOT_FOUND";
const PRIMARY: &str = "INVALID_NIC_PRIMARY_IP_CANT_DETACH";
const ELASTIC: &str = "INVALID_NIC_HAS_PUBLIC_IP_CANT_DETACH";
const TAKEN: &str = "INVALID_SUBNET_PRIVATE_IPV4_IN_USED";
const STATUS: &str = "INVALID_NIC_STATUS";

/// Which elastic IPs prevent removing an address; ZEC's pages contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EipCheck {
    /// Any elastic IP on the vNIC.
    Nic,
    /// Only an elastic IP on that address.
    Address,
    /// No elastic IP.
    Off,
}

/// What is checked before a write (`zec.preflight`, `zec.eip_check`).
#[derive(Clone, Copy, Debug)]
pub struct Preflight {
    /// Whether the gateway reads and checks the vNIC before a write.
    pub on: bool,
    /// Which elastic IPs prevent removing an address. The vNIC that ZEC shows does not say which address an
    /// elastic IP belongs to. So under [`EipCheck::Address`] the check is left to ZEC.
    pub eip_check: EipCheck,
}

impl Preflight {
    /// Checks a vNIC that was read.
    ///
    /// # Errors
    /// 403 if the vNIC is protected; 409 with ZEC's code if ZEC would refuse the change.
    pub(super) fn check(self, change: &ChangeIpv4, nic: &Nic) -> Result<(), Error> {
        unprotected(&Resource::nic(&nic.id), &nic.tags)?;
        if !self.on {
            return Ok(());
        }
        if !CHANGEABLE.contains(&nic.status.as_str()) {
            let status = excerpt(&nic.status);
            return Err(conflict(
                &format!(
                    "the vNIC is `{status}`; it can be changed while it is `AVAILABLE` or `USED`: wait and try again"
                ),
                STATUS,
            ));
        }
        let addresses = change.addresses.as_slice();
        match change.change {
            Change::Assign => {
                let there = sorted(nic.ipv4s());
                let taken = |address: &Ipv4Addr| {
                    there
                        .binary_search(address)
                        .is_ok()
                        .then_some((TAKEN, "the vNIC has it already"))
                };
                each(addresses, taken)
            }
            Change::Unassign => {
                let there = sorted(nic.secondary_ipv4s.clone());
                each(addresses, |address| in_the_way(*address, nic.primary_ipv4, &there))?;
                if self.eip_check == EipCheck::Nic && nic.has_public_ip {
                    return Err(conflict(
                        "the vNIC has elastic IPs, and ZEC takes no address off as long as it has \
                         any: unbind them first",
                        ELASTIC,
                    ));
                }
                Ok(())
            }
        }
    }
}

/// Checks that a resource with these tags is not protected.
///
/// # Errors
/// 403 if it is.
pub(super) fn unprotected(
    resource: &Resource,
    tags: &BTreeMap<String, String>,
) -> Result<(), Error> {
    if tags.contains_key(PROTECTED) {
        let what = if resource.nic_id().is_some() {
            "the vNIC".to_owned()
        } else {
            format!("`{resource}`")
        };
        return Err(Error::new(
            Problem::Protected,
            format!(
                "{what} carries the tag `{PROTECTED}`, so the gateway never changes it; nothing \
                 was sent: ask its owner"
            ),
        )
        .with_extra(Extra::Tag(PROTECTED)));
    }
    Ok(())
}

/// Sorted for binary search: a caller may name many addresses, and a vNIC may have many.
fn sorted(mut addresses: Vec<Ipv4Addr>) -> Vec<Ipv4Addr> {
    addresses.sort_unstable();
    addresses
}

/// Why an address cannot be removed, with ZEC's code. `secondary` is sorted.
fn in_the_way(
    address: Ipv4Addr,
    primary: Option<Ipv4Addr>,
    secondary: &[Ipv4Addr],
) -> Option<(&'static str, &'static str)> {
    if primary == Some(address) {
        Some((PRIMARY, "it is the vNIC's primary address, which cannot be taken off"))
    } else if secondary.binary_search(&address).is_ok() {
        None
    } else {
        Some((ABSENT, "it is not on the vNIC"))
    }
}

/// Lists every address that cannot be changed, with the reason.
fn each(
    addresses: &[Ipv4Addr],
    find: impl Fn(&Ipv4Addr) -> Option<(&'static str, &'static str)>,
) -> Result<(), Error> {
    let found = |address: &Ipv4Addr| {
        find(address).map(|(code, reason)| Conflict { address: *address, code, reason })
    };
    let conflicts: Vec<Conflict> = addresses.iter().filter_map(found).collect();
    let has = |wanted| conflicts.iter().any(|conflict| conflict.code == wanted);
    let Some(code) = [ABSENT, PRIMARY, TAKEN].into_iter().find(|code| has(*code)) else {
        return Ok(());
    };
    let said: Vec<String> = conflicts
        .iter()
        .map(|Conflict { address, reason, .. }| format!("{address}: {reason}"))
        .collect();
    Err(conflict(&said.join("; "), code).with_extra(Extra::Conflicts(conflicts)))
}

fn conflict(what: &str, code: &'static str) -> Error {
    Error::new(Problem::StateConflict, format!("{what}; nothing was sent")).with_code(code)
}

#[cfg(test)]
mod tests;
