//! The actions that assign private IPv4 addresses to a vNIC.

use std::{collections::HashSet, net::Ipv4Addr, time::SystemTime};

use super::{
    super::{
        Subnet,
        failure::{Code, Failure},
    },
    Output, Parameters, State,
    parameters::missing,
};

/// The addresses to assign.
enum Wanted {
    These(Vec<Ipv4Addr>),
    /// This many addresses, the lowest free ones (inferred from how ZEC picks a primary address).
    Any(usize),
}

impl State {
    /// `AssignNetworkInterfaceIpv4`: one address.
    pub(super) fn assign(
        &mut self,
        parameters: &Parameters,
        now: SystemTime,
    ) -> Result<Output, Failure> {
        let id = parameters.required_text("nicId")?;
        let address = parameters.address()?.ok_or_else(|| missing("ipAddress"))?;
        self.give(id, Wanted::These(vec![address]), now)?;
        Ok(Output::default())
    }

    /// `BatchAssignNetworkInterfaceIpv4`: the addresses of a list, or a number of addresses.
    pub(super) fn batch_assign(
        &mut self,
        parameters: &Parameters,
        now: SystemTime,
    ) -> Result<Output, Failure> {
        let id = parameters.required_text("nicId")?;
        let addresses = parameters.addresses()?;
        let count = parameters.count("ipAddressCount", u64::MAX)?;
        let wanted = match count {
            // The list has precedence if both are there.
            _ if !addresses.is_empty() => Wanted::These(addresses),
            Some(count) => Wanted::Any(usize::try_from(count).unwrap_or(usize::MAX)),
            None => return Err(missing("ipAddresses")),
        };
        let given = self.give(id, wanted, now)?;
        Ok(Output { ip_addresses: Some(given), ..Output::default() })
    }

    fn give(
        &mut self,
        id: &str,
        wanted: Wanted,
        now: SystemTime,
    ) -> Result<Vec<Ipv4Addr>, Failure> {
        let max = self.limits.addresses_per_nic;
        let nic = self.changeable(id)?;
        let subnet = nic.seed.subnet.clone();
        let held = nic.seed.secondaries.len() + usize::from(nic.seed.primary.is_some());
        if subnet.stack == "IPv6" {
            return Err(Failure::new(Code::SubnetNotIpv4, "the subnet has no IPv4"));
        }
        let full = || Failure::new(Code::IpExceedLimit, format!("a vNIC may hold {max} addresses"));
        let room = max.saturating_sub(held);
        let used = self.used(&subnet);
        let given = match wanted {
            Wanted::These(list) => {
                check_free(&subnet, &used, &list)?;
                list
            }
            Wanted::Any(count) if count > room => return Err(full()),
            Wanted::Any(count) => lowest_free(&subnet, &used, count)?,
        };
        if given.len() > room {
            return Err(full());
        }
        let nic = self.changeable(id)?;
        nic.seed.secondaries.extend(&given);
        nic.updated = now;
        Ok(given)
    }

    /// The addresses of a subnet that some vNIC holds.
    fn used(&self, subnet: &Subnet) -> HashSet<Ipv4Addr> {
        let there = self.all().map(|nic| &nic.seed).filter(|seed| seed.subnet.id == subnet.id);
        there.flat_map(|seed| seed.primary.iter().chain(&seed.secondaries).copied()).collect()
    }
}

/// Checks all addresses before assigning any: first their place in the subnet, then whether they are free.
fn check_free(
    subnet: &Subnet,
    used: &HashSet<Ipv4Addr>,
    wanted: &[Ipv4Addr],
) -> Result<(), Failure> {
    wanted.iter().try_for_each(|address| subnet.check(*address))?;
    match wanted.iter().find(|address| used.contains(address)) {
        Some(taken) => Err(Failure::new(Code::IpInUse, format!("the address `{taken}` is in use"))),
        None => Ok(()),
    }
}

fn lowest_free(
    subnet: &Subnet,
    used: &HashSet<Ipv4Addr>,
    count: usize,
) -> Result<Vec<Ipv4Addr>, Failure> {
    let free = subnet.hosts().filter(|address| !used.contains(address));
    let free: Vec<Ipv4Addr> = free.take(count).collect();
    if free.len() == count {
        return Ok(free);
    }
    // No code is documented for an exhausted subnet.
    Err(Failure::new(Code::IpInUse, "the subnet has not so many free addresses"))
}
