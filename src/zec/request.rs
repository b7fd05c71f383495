//! The bodies of requests to ZEC.

use bytes::Bytes;
use serde::Serialize;

use super::describe::NICS_OF_A_PAGE;

use crate::{
    catalogue::ReadBy,
    domain::{NicFilter, NicId},
};

/// The path of every action of ZEC's own API; the version is a header.
pub(super) const PATH: &str = "/api/v2/zec";

/// The path of a service, without the service's name.
pub(super) const PATHS: &str = "/api/v2/";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Describe<'a> {
    nic_ids: [&'a str; 1],
}

/// The body that asks for one vNIC.
pub(super) fn describe(nic: &NicId) -> Result<Bytes, serde_json::Error> {
    serialize(&Describe { nic_ids: [nic.as_str()] })
}

/// The body that asks for resources by their ids. Without a size ZEC shows a page of twenty.
pub(super) fn describe_all(read_by: &ReadBy, ids: &[&str]) -> Result<Bytes, serde_json::Error> {
    let mut members = serde_json::Map::new();
    members.insert(read_by.ids.clone(), ids.into());
    members.insert("pageNum".to_owned(), 1.into());
    members.insert("pageSize".to_owned(), ids.len().into());
    serialize(&members)
}

/// The body that asks for a page of vNICs.
pub(super) fn nics(filter: &NicFilter, page: u32) -> Result<Bytes, serde_json::Error> {
    // The gateway looks at the rest itself: `NicFilter::passes`.
    let NicFilter { region, vpc, subnet, instance, .. } = filter;
    let mut members = serde_json::Map::new();
    let ids =
        [("regionId", region), ("vpcId", vpc), ("subnetId", subnet), ("instanceId", instance)];
    for (member, value) in ids {
        members.extend(value.as_ref().map(|value| (member.to_owned(), value.as_str().into())));
    }
    members.insert("pageNum".to_owned(), page.into());
    members.insert("pageSize".to_owned(), NICS_OF_A_PAGE.into());
    serialize(&members)
}

fn serialize(body: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(body).map(Bytes::from)
}
