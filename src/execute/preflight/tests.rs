//! Tests of the check of a vNIC's state before a write.

use serde_json::{Value, json};

use super::*;
use crate::domain::{Addresses, NicId};

const ON: Preflight = Preflight { on: true, eip_check: EipCheck::Nic };

fn nic(change: impl FnOnce(&mut Value)) -> Nic {
    let mut object = json!({
        "nicId": "nic-1", "name": "", "status": "USED", "nicType": "Secondary", "regionId": "r",
        "vpcId": "v", "subnetId": "s", "publicIpList": [], "resourceGroup": {}, "tags": null,
        "primaryIpv4": "10.0.0.11", "secondaryIpv4s": ["10.0.0.21", "10.0.0.22"]
    });
    change(&mut object);
    Nic::parse(serde_json::value::to_raw_value(&object).unwrap()).unwrap()
}

fn change(change: Change, addresses: &[&str]) -> ChangeIpv4 {
    let addresses = Addresses::parse(addresses.iter().copied(), 9).unwrap();
    ChangeIpv4 { change, nic: NicId::parse("nic-1").unwrap(), addresses }
}

fn unassign(addresses: &[&str]) -> ChangeIpv4 {
    change(Change::Unassign, addresses)
}

#[track_caller]
fn refused(preflight: Preflight, change: &ChangeIpv4, nic: &Nic) -> (Problem, String, String) {
    let error = preflight.check(change, nic).unwrap_err();
    (error.problem(), error.code().to_owned(), error.detail().to_owned())
}

#[test]
fn what_zec_would_do_passes() {
    let plain = nic(|_| {});
    for change in [
        unassign(&["10.0.0.21"]),
        unassign(&["10.0.0.22", "10.0.0.21"]),
        change(Change::Assign, &["10.0.0.23"]),
    ] {
        assert!(ON.check(&change, &plain).is_ok(), "{change:?}");
    }
    let unbound = nic(|nic| nic["status"] = json!("AVAILABLE"));
    assert!(ON.check(&unassign(&["10.0.0.21"]), &unbound).is_ok());
}

#[test]
fn every_address_in_the_way_is_told_with_zecs_code() {
    let change = unassign(&["10.0.0.11", "10.0.0.21", "10.0.0.99"]);
    let error = ON.check(&change, &nic(|_| {})).unwrap_err();
    assert_eq!((error.problem(), error.status()), (Problem::StateConflict, 409));
    assert_eq!(error.code(), ABSENT, "ZEC looks for it first");
    let Some(Extra::Conflicts(conflicts)) = error.extra() else { panic!("no list") };
    let told: Vec<_> = conflicts.iter().map(|told| (told.address.to_string(), told.code)).collect();
    assert_eq!(told, [("10.0.0.11".to_owned(), PRIMARY), ("10.0.0.99".to_owned(), ABSENT)]);
    assert!(!error.detail().contains("10.0.0.21"), "{}", error.detail());
    let (_, code, _) = refused(ON, &unassign(&["10.0.0.21", "10.0.0.11"]), &nic(|_| {}));
    assert_eq!(code, PRIMARY);
}

#[test]
fn an_address_that_is_there_already_is_not_given_again() {
    for address in ["10.0.0.11", "10.0.0.22"] {
        let wanted = change(Change::Assign, &[address, "10.0.0.23"]);
        let (problem, code, detail) = refused(ON, &wanted, &nic(|_| {}));
        assert_eq!((problem, code.as_str()), (Problem::StateConflict, TAKEN));
        assert!(detail.contains(address) && !detail.contains("10.0.0.23"), "{detail}");
    }
}

#[test]
fn elastic_ips_stand_in_the_way_of_taking_off_unless_that_is_left_to_zec() {
    let elastic = nic(|nic| nic["publicIpList"] = json!(["192.0.2.1"]));
    let off = unassign(&["10.0.0.21"]);
    assert_eq!(refused(ON, &off, &elastic).1, ELASTIC);
    assert!(ON.check(&change(Change::Assign, &["10.0.0.23"]), &elastic).is_ok());
    for eip_check in [EipCheck::Address, EipCheck::Off] {
        assert!(Preflight { eip_check, ..ON }.check(&off, &elastic).is_ok());
    }
}

#[test]
fn a_vnic_in_change_is_left_alone() {
    for status in ["PENDING", "ATTACHING", "DETACHING", "DELETING", "", "used"] {
        let busy = nic(|nic| nic["status"] = json!(status));
        for change in [unassign(&["10.0.0.21"]), change(Change::Assign, &["10.0.0.23"])] {
            assert_eq!(refused(ON, &change, &busy).1, STATUS, "{status}");
        }
    }
}

#[test]
fn a_protected_vnic_is_never_touched_whatever_else_is_off() {
    let off = Preflight { on: false, eip_check: EipCheck::Off };
    for value in ["", "false", "yes"] {
        let tags = json!({"tags": [{"key": "zec-gateway:protected", "value": value}]});
        let protected = nic(|nic| nic["tags"] = tags);
        for preflight in [ON, off] {
            for change in [unassign(&["10.0.0.21"]), change(Change::Assign, &["10.0.0.23"])] {
                let (problem, code, detail) = refused(preflight, &change, &protected);
                assert_eq!((problem, code.as_str()), (Problem::Protected, "NIC_PROTECTED"));
                assert!(detail.contains("zec-gateway:protected"), "{detail}");
            }
        }
    }
    assert!(off.check(&unassign(&["10.0.0.99"]), &nic(|_| {})).is_ok(), "left to ZEC");
}
