use serde_json::{Value, json};

use super::*;
use crate::domain::{Addresses, NicId};

fn change(change: Change) -> ChangeIpv4 {
    ChangeIpv4 {
        change,
        nic: NicId::parse("nic-1").unwrap(),
        addresses: Addresses::parse(["10.0.0.21", "10.0.0.22"], 9).unwrap(),
    }
}

fn nic(primary: &str, secondary: &[&str]) -> Nic {
    let object: Value = json!({
        "nicId": "nic-1", "name": "", "status": "USED", "nicType": "Secondary", "regionId": "r",
        "vpcId": "v", "subnetId": "s", "publicIpList": [], "resourceGroup": {}, "tags": null,
        "primaryIpv4": primary, "secondaryIpv4s": secondary
    });
    Nic::parse(serde_json::value::to_raw_value(&object).unwrap()).unwrap()
}

#[test]
fn what_the_vnic_shows_is_said_and_no_more() {
    let (taking, giving) = (change(Change::Unassign), change(Change::Assign));
    let both = nic("10.0.0.1", &["10.0.0.21", "10.0.0.22"]);
    let one = nic("10.0.0.1", &["10.0.0.21"]);
    let none = nic("10.0.0.1", &["10.0.0.23"]);
    // An address that has become the primary one is still there.
    let primary = nic("10.0.0.21", &[]);
    let (done, undone) = (Some(Outcome::Done), Some(Outcome::NotDone));
    for (nic, proven, taken, given) in [
        (Some(&both), false, None, done),
        (Some(&both), true, undone, done),
        (Some(&one), false, None, None),
        (Some(&one), true, None, None),
        (Some(&none), false, done, None),
        (Some(&none), true, done, undone),
        (Some(&primary), true, None, None),
        (None, false, done, None),
        (None, true, done, undone),
    ] {
        assert_eq!(verdict(&taking, nic, proven), taken, "{nic:?} {proven}");
        assert_eq!(verdict(&giving, nic, proven), given, "{nic:?} {proven}");
    }
}

#[test]
fn nothing_is_proven_while_zec_may_still_take_the_signature() {
    let patience = Patience::default();
    assert!(patience.proof > SIGNATURE_LIFETIME);
    assert!(patience.give_up > patience.proof, "or it would give up before it can know");
}
