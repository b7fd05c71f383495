//! Tests of the action that unassigns addresses.

use super::*;

#[test]
fn addresses_that_are_taken_off_are_gone_at_once() {
    let mut zec = Zec::new();
    assert_eq!(zec.unassign(NIC, &["10.0.0.23", "10.0.0.21", "10.0.0.23"]), Ok(json!({})));
    let nic = zec.nic(NIC);
    assert_eq!(nic["secondaryIpv4s"], json!(["10.0.0.22", "10.0.0.24"]));
    assert_eq!(nic["privateIpList"], json!(["10.0.0.11", "10.0.0.22", "10.0.0.24"]));
    assert_eq!(nic["createTime"], "1970-01-01T00:00:00Z");
    assert_eq!(nic["updateTime"], "1970-01-01T00:01:00Z");
    // The address is free again.
    assert!(zec.assign(SPARE, &["10.0.0.23"]).is_ok());
}

#[test]
fn the_deprecated_field_counts_where_the_list_does_not() {
    let mut zec = Zec::new();
    let mut call = |body: Value| zec.call("UnassignNetworkInterfaceIpv4", &body);
    assert!(call(json!({"nicId": NIC, "ipAddress": "10.0.0.21"})).is_ok());
    assert!(call(json!({"nicId": NIC, "ipAddress": "10.0.0.22", "ipAddresses": []})).is_ok());
    let both = json!({"nicId": NIC, "ipAddress": "10.0.0.11", "ipAddresses": ["10.0.0.23"]});
    assert!(call(both).is_ok());
    assert_eq!(zec.secondaries(NIC), json!(["10.0.0.24"]));
}

#[test]
fn taking_off_is_refused_as_a_whole() {
    let mut zec = Zec::new();
    zec.put(NicSeed {
        id: "1".to_owned(),
        secondaries: vec![Ipv4Addr::new(10, 0, 0, 201), Ipv4Addr::new(10, 0, 0, 202)],
        load_balanced: vec![Ipv4Addr::new(10, 0, 0, 202)],
        ..NicSeed::default()
    });
    for (nic, addresses, code) in [
        ("9", vec!["10.0.0.21"], "INVALID_NIC_NOT_FOUND"),
        (NIC, vec![], "MISSING_PARAMETER"),
        (NIC, vec!["10.0.0.21", "10.0.0.99"], "OPERATION_FAILED_RESOURCE_NOT_FOUND"),
        (NIC, vec!["10.0.0.21", "10.0.0.11"], "INVALID_NIC_PRIMARY_IP_CANT_DETACH"),
        (NIC, vec!["10.0.0.21", "10.0.0.022"], "INVALID_PARAMETER_PATTERN_ERROR"),
        (NIC, vec!["10.0.0.21", "fd00::1"], "INVALID_PARAMETER_PATTERN_ERROR"),
        ("1", vec!["10.0.0.201", "10.0.0.202"], "INVALID_NIC_LB_ASSOCIATED"),
        (EDGE, vec!["10.0.0.42"], "INVALID_NIC_HAS_PUBLIC_IP_CANT_DETACH"),
        // The order is that of the reasons, not of the addresses.
        (EDGE, vec!["10.0.0.42", "10.0.0.31"], "INVALID_NIC_PRIMARY_IP_CANT_DETACH"),
        (EDGE, vec!["10.0.0.31", "10.0.0.99"], "OPERATION_FAILED_RESOURCE_NOT_FOUND"),
    ] {
        assert_eq!(zec.unassign(nic, &addresses), refused(code), "{nic} {addresses:?}");
    }
    assert!(zec.unassign("1", &["10.0.0.201"]).is_ok());
}

#[test]
fn an_elastic_ip_may_be_told_to_hold_its_own_address_only() {
    let mut zec = Zec::with(Limits::default(), true, EmptyUnassign::Refuse);
    let code = "INVALID_NIC_HAS_PUBLIC_IP_CANT_DETACH";
    assert_eq!(zec.unassign(EDGE, &["10.0.0.42", "10.0.0.41"]), refused(code));
    assert!(zec.unassign(EDGE, &["10.0.0.42"]).is_ok());
}

#[test]
fn what_no_address_means_can_be_told() {
    for (empty, left) in [
        (EmptyUnassign::Nothing, json!(["10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.24"])),
        (EmptyUnassign::Everything, json!([])),
    ] {
        let mut zec = Zec::with(Limits::default(), false, empty);
        assert_eq!(zec.unassign(NIC, &[]), Ok(json!({})));
        assert_eq!(zec.secondaries(NIC), left);
        assert_eq!(zec.unassign(SPARE, &[]), Ok(json!({})));
    }
}
