//! A vNIC in the emulator, and ZEC's object for it.

use std::{net::Ipv4Addr, time::SystemTime};

use serde::Serialize;

use super::{Subnet, Version};

/// A vNIC to add to the emulator. Its [`Default`] is an unbound vNIC of the demo's lab subnet with one address, so that
/// a test writes only the fields that it needs.
#[derive(Clone, Debug)]
pub struct NicSeed {
    /// `nicId`; a vNIC with the same id is replaced.
    pub id: String,
    /// `name`.
    pub name: String,
    /// `status`: `AVAILABLE`, `USED`, `PENDING`, ….
    pub status: String,
    /// `nicType`: `Primary` or `Secondary`.
    pub nic_type: String,
    /// `regionId`.
    pub region: String,
    /// `vpcId`.
    pub vpc: String,
    /// `subnetId`, its range and its stack.
    pub subnet: Subnet,
    /// `primaryIpv4`; `None` on an IPv6-only vNIC.
    pub primary: Option<Ipv4Addr>,
    /// `secondaryIpv4s`, in order.
    pub secondaries: Vec<Ipv4Addr>,
    /// The elastic IPs on the vNIC: each one's public address, and the private address that it is bound to.
    pub elastic_ips: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// The addresses to which a load balancer sends traffic.
    pub load_balanced: Vec<Ipv4Addr>,
    /// `instanceId`; `None` if unbound.
    pub instance: Option<String>,
    /// `resourceGroup`: id and name; `None` is an empty object.
    pub resource_group: Option<(String, String)>,
    /// `securityGroupId`.
    pub security_group: String,
    /// `tags`: keys and values.
    pub tags: Vec<(String, String)>,
}

impl Default for NicSeed {
    fn default() -> Self {
        Self {
            id: "1612345678901230000".to_owned(),
            name: "nic".to_owned(),
            status: "AVAILABLE".to_owned(),
            nic_type: "Secondary".to_owned(),
            region: "asia-east-1".to_owned(),
            vpc: "1612345678901200001".to_owned(),
            subnet: Subnet::default(),
            primary: Some(Ipv4Addr::new(10, 0, 0, 200)),
            secondaries: Vec::new(),
            elastic_ips: Vec::new(),
            load_balanced: Vec::new(),
            instance: None,
            resource_group: None,
            security_group: "1612345678901220001".to_owned(),
            tags: Vec::new(),
        }
    }
}

/// A vNIC in its current state.
#[derive(Clone, Debug)]
pub(super) struct Nic {
    pub(super) seed: NicSeed,
    pub(super) created: SystemTime,
    pub(super) updated: SystemTime,
}

impl Nic {
    /// Whether the vNIC has this private address.
    pub(super) fn has(&self, address: Ipv4Addr) -> bool {
        self.seed.primary == Some(address) || self.seed.secondaries.contains(&address)
    }

    /// Whether its state allows assigning and unassigning addresses. ZEC lists no states for unassigning; the states
    /// for assigning are assumed.
    pub(super) fn is_changeable(&self) -> bool {
        matches!(self.seed.status.as_str(), "AVAILABLE" | "USED")
    }

    /// ZEC's object, in that version of the API.
    pub(super) fn info(&self, version: Version) -> NicInfo {
        let seed = self.seed.clone();
        let newest = version == Version::V20250901;
        let tags = seed.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        let (group, group_name) = seed.resource_group.unzip();
        NicInfo {
            mac_address: mac_address(&seed.id),
            nic_id: seed.id,
            name: seed.name,
            status: seed.status,
            nic_type: seed.nic_type,
            region_id: seed.region,
            nic_subnet_type: seed.subnet.stack,
            public_ip_list: seed.elastic_ips.iter().map(|(public, _)| *public).collect(),
            private_ip_list: seed.primary.iter().chain(&seed.secondaries).copied().collect(),
            primary_ipv4: seed.primary,
            primary_ipv6: None,
            ipv6_cidr: None,
            secondary_ipv4s: seed.secondaries,
            instance_id: seed.instance,
            vpc_id: seed.vpc,
            subnet_id: seed.subnet.id,
            create_time: utc(self.created),
            update_time: utc(self.updated),
            resource_group: ResourceGroup {
                resource_group_id: group,
                resource_group_name: group_name,
            },
            security_group_id: newest.then_some(seed.security_group),
            tags: newest.then_some(Tags { tags }),
        }
    }
}

/// ZEC's `NicInfo`, its members in ZEC's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NicInfo {
    pub(super) nic_id: String,
    name: String,
    status: String,
    nic_type: String,
    region_id: String,
    nic_subnet_type: String,
    public_ip_list: Vec<Ipv4Addr>,
    private_ip_list: Vec<Ipv4Addr>,
    primary_ipv4: Option<Ipv4Addr>,
    primary_ipv6: Option<String>,
    ipv6_cidr: Option<String>,
    secondary_ipv4s: Vec<Ipv4Addr>,
    mac_address: String,
    instance_id: Option<String>,
    vpc_id: String,
    subnet_id: String,
    create_time: String,
    update_time: String,
    // An object even if empty, because ZEC's Terraform provider dereferences it unchecked.
    resource_group: ResourceGroup,
    // The version of 2024 has neither of these two.
    #[serde(skip_serializing_if = "Option::is_none")]
    security_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Tags>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceGroup {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_group_name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Tags {
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
struct Tag {
    key: String,
    value: String,
}

/// ZEC's form of a time: `2026-01-01T00:00:00Z`.
fn utc(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// A stable address of the locally administered range, derived from the id (FNV-1a).
fn mac_address(id: &str) -> String {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [.., a, b, c] = hash.to_be_bytes();
    format!("02:16:3e:{a:02x}:{b:02x}:{c:02x}")
}
