//! The action `UnassignNetworkInterfaceIpv4`, with its checks in an inferred order.

use std::{net::Ipv4Addr, time::SystemTime};

use super::{
    super::{
        failure::{Code, Failure},
        nic::Nic,
        settings::EmptyUnassign,
    },
    Output, Parameters, State,
    parameters::missing,
};

impl State {
    /// `UnassignNetworkInterfaceIpv4`: unassigns either all named addresses or none.
    pub(super) fn unassign(
        &mut self,
        parameters: &Parameters,
        now: SystemTime,
    ) -> Result<Output, Failure> {
        let id = parameters.required_text("nicId")?;
        let mut named = parameters.addresses()?;
        if named.is_empty() {
            // Deprecated: used only if the list is absent.
            named.extend(parameters.address()?);
        }
        let (empty, per_address) = (self.empty_unassign, self.eip_check_per_address);
        if named.is_empty() && empty == EmptyUnassign::Refuse {
            return Err(missing("ipAddresses"));
        }
        let nic = self.changeable(id)?;
        if named.is_empty() && empty == EmptyUnassign::Everything {
            named.clone_from(&nic.seed.secondaries);
        }
        if named.is_empty() {
            return Ok(Output::default());
        }
        check(nic, &named, per_address)?;
        nic.seed.secondaries.retain(|address| !named.contains(address));
        nic.updated = now;
        Ok(Output::default())
    }
}

/// Checks for obstacles in an inferred order: each reason over all addresses before the next reason.
fn check(nic: &Nic, named: &[Ipv4Addr], per_address: bool) -> Result<(), Failure> {
    if let Some(address) = named.iter().find(|address| !nic.has(**address)) {
        let message = format!("the address `{address}` is not on the vNIC");
        return Err(Failure::new(Code::ResourceNotFound, message));
    }
    if let Some(address) = named.iter().find(|address| nic.seed.primary == Some(**address)) {
        let message = format!("the address `{address}` is the vNIC's default one");
        return Err(Failure::new(Code::PrimaryIp, message));
    }
    if let Some(address) = named.iter().find(|address| nic.seed.load_balanced.contains(address)) {
        let message = format!("a load balancer sends to the address `{address}`");
        return Err(Failure::new(Code::LbAssociated, message));
    }
    let in_the_way = |bound: &Ipv4Addr| !per_address || named.contains(bound);
    if nic.seed.elastic_ips.iter().any(|(_, bound)| in_the_way(bound)) {
        return Err(Failure::new(Code::HasPublicIp, "an elastic IP is on the vNIC"));
    }
    Ok(())
}
