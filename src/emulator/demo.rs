//! The four vNICs of the demo, and the resources around them.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{NicSeed, Subnet};

/// The four vNICs in the demo's policy and in the documentation.
pub(super) fn nics() -> [NicSeed; 4] {
    [lab_web(), prod_db(), edge_lb(), lab_spare()]
}

/// What the vNICs lie in and belong to, each as its type, its id and its members.
pub(super) fn resources() -> Vec<(&'static str, &'static str, Value)> {
    const VPC: &str = "1612345678901200001";
    const LAB: &str = "1612345678901210001";
    const PROD: &str = "1612345678901210002";
    let group = |number, name: &str| group(number, name).0;
    let instance = |name: &str, subnet: &str, number, of: &str| {
        json!({
            "instanceName": name, "subnetId": subnet, "resourceGroupId": group(number, of),
            "tags": { "tags": [{ "key": "env", "value": of }] },
        })
    };
    vec![
        ("vpc", VPC, json!({ "name": "main", "cidrBlock": "10.0.0.0/8" })),
        ("subnet", LAB, json!({ "name": "lab", "vpcId": VPC, "cidrBlock": "10.0.0.0/24" })),
        ("subnet", PROD, json!({ "name": "prod", "vpcId": VPC, "cidrBlock": "10.1.0.0/24" })),
        (
            "security-group",
            "1612345678901220001",
            json!({ "securityGroupName": "default", "vpcIds": [VPC] }),
        ),
        ("instance", "1612345678901230001", instance("lab-web-1", LAB, 1, "lab")),
        ("instance", "1612345678901230002", instance("prod-db-1", PROD, 2, "prod")),
        ("instance", "1612345678901230003", instance("edge-lb-1", LAB, 1, "lab")),
    ]
}

/// The vNIC for trying things out: bound, with addresses that the demo's token may unassign.
fn lab_web() -> NicSeed {
    NicSeed {
        id: "1612345678901234567".to_owned(),
        name: "lab-web-1".to_owned(),
        status: "USED".to_owned(),
        primary: Some(lab(11)),
        secondaries: vec![lab(21), lab(22), lab(23), lab(24)],
        instance: Some("1612345678901230001".to_owned()),
        resource_group: Some(group(1, "lab")),
        tags: tags(&[("env", "lab"), ("team", "netops")]),
        ..NicSeed::default()
    }
}

/// A vNIC that belongs to others.
fn prod_db() -> NicSeed {
    let subnet = Subnet {
        id: "1612345678901210002".to_owned(),
        network: Ipv4Addr::new(10, 1, 0, 0),
        ..Subnet::default()
    };
    NicSeed {
        id: "1612345678901234568".to_owned(),
        name: "prod-db-1".to_owned(),
        status: "USED".to_owned(),
        nic_type: "Primary".to_owned(),
        subnet,
        primary: Some(Ipv4Addr::new(10, 1, 0, 11)),
        secondaries: vec![Ipv4Addr::new(10, 1, 0, 21), Ipv4Addr::new(10, 1, 0, 22)],
        instance: Some("1612345678901230002".to_owned()),
        resource_group: Some(group(2, "prod")),
        tags: tags(&[("env", "prod")]),
        ..NicSeed::default()
    }
}

/// A vNIC with an elastic IP that blocks changes, and marked as protected.
fn edge_lb() -> NicSeed {
    NicSeed {
        id: "1612345678901234569".to_owned(),
        name: "edge-lb-1".to_owned(),
        status: "USED".to_owned(),
        primary: Some(lab(31)),
        secondaries: vec![lab(41), lab(42)],
        elastic_ips: vec![(Ipv4Addr::new(203, 0, 113, 10), lab(41))],
        instance: Some("1612345678901230003".to_owned()),
        resource_group: Some(group(1, "lab")),
        tags: tags(&[("env", "lab"), ("zec-gateway:protected", "true")]),
        ..NicSeed::default()
    }
}

/// An unbound vNIC without addresses to unassign.
fn lab_spare() -> NicSeed {
    NicSeed {
        id: "1612345678901234570".to_owned(),
        name: "lab-spare-1".to_owned(),
        primary: Some(lab(51)),
        resource_group: Some(group(1, "lab")),
        tags: tags(&[("env", "lab")]),
        ..NicSeed::default()
    }
}

fn lab(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn group(number: u8, name: &str) -> (String, String) {
    (format!("6f0d2c1e-0000-4000-8000-00000000000{number}"), name.to_owned())
}

fn tags(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
