//! The actions of the emulator: those on the private IPv4 addresses of vNICs with ZEC's own rules, and every other one.

mod any;
mod assign;
mod describe;
mod parameters;
mod reclassify;
#[cfg(test)]
mod tests;
mod unassign;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use any::Resources;

use super::{
    Limits,
    failure::{Code, Failure},
    nic::{Nic, NicInfo, NicSeed},
    settings::EmptyUnassign,
    version::Version,
};
use crate::catalogue::{ActionRow, Catalogue, ZEC};
pub(super) use parameters::Parameters;

/// The known actions; all others are refused, as ZEC refuses unknown actions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Describe,
    Assign,
    BatchAssign,
    Unassign,
    /// An action that only its row is known of.
    Any(&'static ActionRow),
}

impl Action {
    /// The action with that name in that version; `None` is ZEC's "no permission".
    pub(super) fn from_name(name: &str, version: Version) -> Option<Self> {
        match name {
            "DescribeNetworkInterfaces" => Some(Self::Describe),
            "AssignNetworkInterfaceIpv4" => Some(Self::Assign),
            "BatchAssignNetworkInterfaceIpv4" => Some(Self::BatchAssign),
            "UnassignNetworkInterfaceIpv4" => Some(Self::Unassign),
            // The Python SDK's client of 2024 spells it like this.
            "UnAssignNetworkInterfaceIpv4" if version == Version::V20240401 => Some(Self::Unassign),
            _ => Self::of_service(ZEC, version.name(), name),
        }
    }

    /// The action of a service that only its row is known of.
    pub(super) fn of_service(service: &str, version: &str, name: &str) -> Option<Self> {
        let row = Catalogue::in_use().ok()?.action(version, name)?;
        (row.service == service).then_some(Self::Any(row))
    }

    /// Whether there are actions of this service.
    pub(super) fn has_service(service: &str) -> bool {
        Catalogue::in_use().is_ok_and(|catalogue| catalogue.has_service(service))
    }

    /// Whether the action changes a vNIC's addresses.
    pub(super) fn is_change(self) -> bool {
        matches!(self, Self::Assign | Self::BatchAssign | Self::Unassign)
    }
}

/// The answer of an action except the request id; absent members are omitted.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data_set: Option<Vec<NicInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip_addresses: Option<Vec<Ipv4Addr>>,
    /// The members of an answer that only the action's row describes.
    #[serde(flatten)]
    pub(super) members: Map<String, Value>,
}

/// The vNICs, and the settings for cases that ZEC does not document.
#[derive(Debug)]
pub(super) struct State {
    nics: BTreeMap<String, Nic>,
    /// The vNICs that reads still show as before a change, and until when.
    stale: BTreeMap<String, (Nic, Instant)>,
    resources: Resources,
    limits: Limits,
    eip_check_per_address: bool,
    empty_unassign: EmptyUnassign,
}

impl State {
    pub(super) fn new(
        limits: Limits,
        eip_check_per_address: bool,
        empty_unassign: EmptyUnassign,
    ) -> Self {
        let (nics, stale) = (BTreeMap::new(), BTreeMap::new());
        let resources = Resources::default();
        Self { nics, stale, resources, limits, eip_check_per_address, empty_unassign }
    }

    pub(super) fn insert(&mut self, seed: NicSeed, now: SystemTime) {
        self.stale.remove(&seed.id);
        self.nics.insert(seed.id.clone(), Nic { seed, created: now, updated: now });
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.nics.remove(id);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Nic> {
        self.nics.get(id)
    }

    /// Every vNIC, by id.
    pub(super) fn all(&self) -> impl Iterator<Item = &Nic> {
        self.nics.values()
    }

    /// Every vNIC by id, as reads show it; for a while after a change, this may be its previous state.
    fn shown(&self) -> impl Iterator<Item = &Nic> {
        let now = Instant::now();
        self.all().map(move |nic| match self.stale.get(&nic.seed.id) {
            Some((before, until)) if now < *until => before,
            _ => nic,
        })
    }

    /// The vNIC that the parameters name, as reads show it now; used for stale reads after a change.
    pub(super) fn before(&self, parameters: &Parameters) -> Option<Nic> {
        let id = parameters.required_text("nicId").ok()?;
        self.shown().find(|nic| nic.seed.id == id).cloned()
    }

    /// Shows a vNIC in its previous state for this long.
    pub(super) fn show_stale(&mut self, before: Nic, time: Duration) {
        if let Some(until) = Instant::now().checked_add(time) {
            self.stale.insert(before.seed.id.clone(), (before, until));
        }
    }

    /// Ends all stale reads.
    pub(super) fn show_fresh(&mut self) {
        self.stale.clear();
    }

    /// Carries out an action, completely or not at all.
    pub(super) fn run(
        &mut self,
        action: Action,
        version: Version,
        parameters: &Parameters,
        now: SystemTime,
    ) -> Result<Output, Failure> {
        match action {
            Action::Describe => self.describe(parameters, version),
            Action::Assign => self.assign(parameters, now),
            Action::BatchAssign => self.batch_assign(parameters, now),
            Action::Unassign => self.unassign(parameters, now),
            Action::Any(row) => self.any(row, parameters, version),
        }
    }

    /// The page of a `DescribeNetworkInterfaces` with a vNIC that does not belong there.
    pub(super) fn mistake(&self, mut output: Output, version: Version) -> Output {
        let Some(shown) = output.data_set.take() else { return output };
        let is_new = |nic: &&Nic| shown.iter().all(|info| info.nic_id != nic.seed.id);
        let wrong = match self.all().find(is_new) {
            Some(other) => Some(other.info(version)),
            None => shown.into_iter().next().map(|mut info| {
                "1".clone_into(&mut info.nic_id);
                info
            }),
        };
        let data_set: Vec<NicInfo> = wrong.into_iter().collect();
        Output { total_count: Some(data_set.len()), data_set: Some(data_set), ..output }
    }

    /// The vNIC to change, if its state allows changes.
    fn changeable(&mut self, id: &str) -> Result<&mut Nic, Failure> {
        let Some(nic) = self.nics.get_mut(id) else {
            return Err(Failure::new(Code::NicNotFound, format!("there is no vNIC `{id}`")));
        };
        if nic.is_changeable() {
            return Ok(nic);
        }
        let message = format!("the vNIC `{id}` is {}", nic.seed.status);
        Err(Failure::new(Code::NicStatus, message))
    }
}
