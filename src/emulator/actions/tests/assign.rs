//! Tests of the actions that assign addresses.

use super::*;

#[test]
fn addresses_that_are_given_are_there_at_once_and_last() {
    let mut zec = Zec::new();
    let given = zec.assign(NIC, &["10.0.0.99", "10.0.0.5"]).unwrap();
    assert_eq!(given, json!({"ipAddresses": ["10.0.0.99", "10.0.0.5"]}));
    let body = json!({"nicId": NIC, "ipAddress": "10.0.0.6"});
    assert_eq!(zec.call("AssignNetworkInterfaceIpv4", &body), Ok(json!({})));
    let nic = zec.nic(NIC);
    let all =
        ["10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.24", "10.0.0.99", "10.0.0.5", "10.0.0.6"];
    assert_eq!(nic["secondaryIpv4s"], json!(all));
    assert_eq!(nic["privateIpList"].as_array().unwrap().len(), 8);
    assert_eq!(nic["updateTime"], "1970-01-01T00:02:00Z");
}

#[test]
fn so_many_are_the_lowest_free_ones() {
    let mut zec = Zec::new();
    let mut call = |body: Value| zec.call("BatchAssignNetworkInterfaceIpv4", &body);
    assert!(call(json!({"nicId": SPARE, "ipAddresses": ["10.0.0.3"]})).is_ok());
    let given = call(json!({"nicId": SPARE, "ipAddressCount": 2, "ipAddresses": []})).unwrap();
    assert_eq!(given["ipAddresses"], json!(["10.0.0.2", "10.0.0.4"]));
    let both = json!({"nicId": SPARE, "ipAddressCount": 2, "ipAddresses": ["10.0.0.9"]});
    assert_eq!(call(both).unwrap()["ipAddresses"], json!(["10.0.0.9"]));
    for (count, code) in [
        (json!(0), "INVALID_PARAMETER_LESS_MINIMUM"),
        (json!("2"), "INVALID_PARAMETER_TYPE"),
        (json!(u64::MAX), "INVALID_NIC_PRIVATE_IP_EXCEED_LIMIT"),
    ] {
        assert_eq!(call(json!({"nicId": SPARE, "ipAddressCount": count})), refused(code));
    }
}

#[test]
fn giving_is_refused_as_a_whole() {
    let mut zec = Zec::new();
    let ipv6 = Subnet { id: "6".to_owned(), stack: "IPv6".to_owned(), ..Subnet::default() };
    zec.put(NicSeed { id: "1".to_owned(), subnet: ipv6, primary: None, ..NicSeed::default() });
    for (nic, address, code) in [
        ("1", "10.0.0.9", "OPERATION_DENIED_SUBNET_TYPE_NOT_SUPPORT_IPV4"),
        (NIC, "10.1.0.9", "INVALID_IP_OUT_OF_RANGE"),
        (NIC, "10.0.0.0", "INVALID_IP_NETWORK_ADDRESS"),
        (NIC, "10.0.0.255", "INVALID_IP_BROADCAST_ADDRESS"),
        (NIC, "10.0.0.1", "INVALID_IP_FIRST_ADDRESS"),
        (NIC, "10.0.0.31", "INVALID_SUBNET_PRIVATE_IPV4_IN_USED"),
        (NIC, "10.0.0.21", "INVALID_SUBNET_PRIVATE_IPV4_IN_USED"),
    ] {
        assert_eq!(zec.assign(nic, &["10.0.0.9", address]), refused(code), "{address}");
        let one = json!({"nicId": nic, "ipAddress": address});
        assert_eq!(zec.call("AssignNetworkInterfaceIpv4", &one), refused(code), "{address}");
    }
}

#[test]
fn a_vnic_holds_so_many_and_a_subnet_too() {
    let limits = Limits { addresses_per_nic: 6, ..Limits::default() };
    let mut zec = Zec::with(limits, false, EmptyUnassign::Refuse);
    let code = "INVALID_NIC_PRIVATE_IP_EXCEED_LIMIT";
    assert_eq!(zec.assign(NIC, &["10.0.0.5", "10.0.0.6"]), refused(code));
    assert!(zec.assign(NIC, &["10.0.0.5"]).is_ok());
    assert_eq!(zec.assign(NIC, &["10.0.0.6"]), refused(code));
    let small = Subnet { id: "s".to_owned(), prefix: 29, ..Subnet::default() };
    let primary = Some(Ipv4Addr::new(10, 0, 0, 2));
    zec.put(NicSeed { id: "1".to_owned(), subnet: small, primary, ..NicSeed::default() });
    let mut count = |count: u64| {
        let body = json!({"nicId": "1", "ipAddressCount": count});
        zec.call("BatchAssignNetworkInterfaceIpv4", &body)
    };
    assert_eq!(count(5), refused("INVALID_SUBNET_PRIVATE_IPV4_IN_USED"));
    assert!(count(4).is_ok());
}
