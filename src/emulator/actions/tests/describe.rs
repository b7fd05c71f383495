//! Tests of `DescribeNetworkInterfaces`: members, filters and pages.

use super::*;

#[test]
fn a_vnic_has_the_members_that_zec_documents() {
    let nic = Zec::new().nic(NIC);
    assert_eq!(
        nic,
        json!({
            "nicId": NIC, "name": "lab-web-1", "status": "USED", "nicType": "Secondary",
            "regionId": "asia-east-1", "nicSubnetType": "IPv4", "publicIpList": [],
            "privateIpList": ["10.0.0.11", "10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.24"],
            "primaryIpv4": "10.0.0.11", "primaryIpv6": null, "ipv6Cidr": null,
            "secondaryIpv4s": ["10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.24"],
            "macAddress": nic["macAddress"], "instanceId": "1612345678901230001",
            "vpcId": "1612345678901200001", "subnetId": "1612345678901210001",
            "createTime": "1970-01-01T00:00:00Z", "updateTime": "1970-01-01T00:00:00Z",
            "resourceGroup": {
                "resourceGroupId": "6f0d2c1e-0000-4000-8000-000000000001",
                "resourceGroupName": "lab"
            },
            "securityGroupId": "1612345678901220001",
            "tags": {"tags": [{"key": "env", "value": "lab"}, {"key": "team", "value": "netops"}]}
        })
    );
    assert_eq!(nic["macAddress"].as_str().unwrap().len(), 17);
}

#[test]
fn the_version_of_2024_shows_no_security_group_and_no_tags() {
    let mut zec = Zec::new();
    let body = json!({"nicIds": [NIC]});
    let answer = zec.call_in(Version::V20240401, "DescribeNetworkInterfaces", &body).unwrap();
    let members = answer["dataSet"][0].as_object().unwrap();
    assert_eq!(members.len(), 19);
    assert!(!members.contains_key("tags") && !members.contains_key("securityGroupId"));
}

#[test]
fn a_vnic_without_group_or_tags_shows_empty_objects() {
    let mut zec = Zec::new();
    zec.put(NicSeed { id: "1".to_owned(), ..NicSeed::default() });
    let nic = zec.nic("1");
    assert_eq!((&nic["resourceGroup"], &nic["tags"]), (&json!({}), &json!({"tags": []})));
    assert_eq!(nic["instanceId"], Value::Null);
}

#[test]
fn each_filter_shows_what_passes_it_and_all_must_pass() {
    let mut zec = Zec::new();
    for (filter, names) in [
        (json!({}), "lab-web-1 prod-db-1 edge-lb-1 lab-spare-1"),
        (
            json!({"nicIds": [], "tags": [], "tagKeys": [], "name": null}),
            "lab-web-1 prod-db-1 edge-lb-1 lab-spare-1",
        ),
        (json!({"nicIds": [EDGE, NIC, "9"]}), "lab-web-1 edge-lb-1"),
        (json!({"nicIds": ["9"]}), ""),
        (json!({"name": "LAB-"}), "lab-web-1 lab-spare-1"),
        (json!({"regionId": "asia-east-1", "name": "db"}), "prod-db-1"),
        (json!({"regionId": "europe-1"}), ""),
        (json!({"vpcId": "1612345678901200001", "nicType": "Primary"}), "prod-db-1"),
        (json!({"vpcId": "1"}), ""),
        (json!({"subnetId": "1612345678901210002"}), "prod-db-1"),
        (json!({"instanceId": "1612345678901230003"}), "edge-lb-1"),
        (json!({"status": "AVAILABLE"}), "lab-spare-1"),
        (json!({"status": "DELETING"}), ""),
        (json!({"nicType": "Secondary"}), "lab-web-1 edge-lb-1 lab-spare-1"),
        (json!({"resourceGroupId": "6f0d2c1e-0000-4000-8000-000000000002"}), "prod-db-1"),
        (json!({"securityGroupId": "1612345678901220001", "status": "AVAILABLE"}), "lab-spare-1"),
        (json!({"securityGroupId": "1"}), ""),
        (json!({"tagKeys": ["team"]}), "lab-web-1"),
        (json!({"tagKeys": ["env", "zec-gateway:protected"]}), "edge-lb-1"),
        (json!({"tags": [{"key": "env", "value": "prod"}]}), "prod-db-1"),
        (
            json!({"tags": [{"key": "env", "value": "lab"}, {"key": "team", "value": "netops"}]}),
            "lab-web-1",
        ),
        (json!({"nicSubnetType": "IPv4", "status": "AVAILABLE"}), "lab-spare-1"),
        (json!({"nicSubnetType": "IPv6"}), ""),
        (json!({"unknown": 1, "nicIds": [DB]}), "prod-db-1"),
    ] {
        assert_eq!(zec.describe(&filter).unwrap().join(" "), names, "{filter}");
    }
}

#[test]
fn pages_follow_one_another_and_count_everything() {
    let mut zec = Zec::new();
    for number in 0..30 {
        zec.put(NicSeed {
            id: format!("2{number:02}"),
            name: format!("n{number}"),
            ..NicSeed::default()
        });
    }
    let mut seen = Vec::new();
    for (page, length) in [(1, 10), (2, 10), (3, 10), (4, 4), (5, 0)] {
        let body = json!({"pageSize": 10, "pageNum": page});
        let answer = zec.call("DescribeNetworkInterfaces", &body).unwrap();
        assert_eq!(answer["totalCount"], 34);
        let nics = answer["dataSet"].as_array().unwrap().clone();
        assert_eq!(nics.len(), length);
        seen.extend(nics.iter().map(|nic| nic["nicId"].as_str().unwrap().to_owned()));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 34);
    assert_eq!(zec.describe(&json!({})).unwrap().len(), 20);
    assert_eq!(zec.describe(&json!({"pageSize": 1000})).unwrap().len(), 34);
    assert_eq!(zec.describe(&json!({"pageNum": u64::MAX, "pageSize": 1000})), Ok(vec![]));
}

#[test]
fn filters_that_zec_does_not_document_are_refused() {
    let mut zec = Zec::new();
    let ids: Vec<String> = (0..101).map(|id| id.to_string()).collect();
    let long = "x".repeat(65);
    for (filter, code) in [
        (json!({"nicIds": ids}), "INVALID_PARAMETER_EXCEED_LENGTH"),
        (json!({"nicIds": [NIC, 7]}), "INVALID_PARAMETER_TYPE"),
        (json!({"nicIds": NIC}), "INVALID_PARAMETER_TYPE"),
        (json!({"name": 7}), "INVALID_PARAMETER_TYPE"),
        (json!({"status": "Available"}), "INVALID_PARAMETER_VALUE"),
        (json!({"nicType": "Third"}), "INVALID_PARAMETER_VALUE"),
        (json!({"nicSubnetType": "ipv4"}), "INVALID_PARAMETER_VALUE"),
        (json!({"pageSize": 1001}), "INVALID_PARAMETER_EXCEED_MAXIMUM"),
        (json!({"pageSize": 0}), "INVALID_PARAMETER_LESS_MINIMUM"),
        (json!({"pageNum": -1}), "INVALID_PARAMETER_LESS_MINIMUM"),
        (json!({"pageNum": 1.5}), "INVALID_PARAMETER_TYPE"),
        (json!({"pageNum": "1"}), "INVALID_PARAMETER_TYPE"),
        (json!({"tagKeys": vec!["k"; 21]}), "INVALID_PARAMETER_EXCEED_LENGTH"),
        (
            json!({"tags": vec![json!({"key": "k", "value": "v"}); 21]}),
            "INVALID_PARAMETER_EXCEED_LENGTH",
        ),
        (json!({"tags": {"tags": []}}), "INVALID_PARAMETER_TYPE"),
        (json!({"tags": [{"key": "k"}]}), "MISSING_PARAMETER"),
        (json!({"tags": [{"key": "k", "value": 1}]}), "INVALID_PARAMETER_TYPE"),
        (json!({"tags": [{"key": "", "value": "v"}]}), "INVALID_PARAMETER_LESS_LENGTH"),
        (json!({"tags": [{"key": long, "value": "v"}]}), "INVALID_PARAMETER_EXCEED_LENGTH"),
    ] {
        assert_eq!(zec.describe(&filter), refused(code), "{filter}");
    }
}

#[test]
fn a_new_vnic_has_the_name_and_the_group_that_were_given() {
    let mut zec = Zec::new();
    zec.state.insert_resource("subnet", "s", &serde_json::Map::new());
    let wanted = json!({"subnetId": "s", "name": "probe", "resourceGroupId": "g"});
    let created = zec.call("CreateNetworkInterface", &wanted).unwrap();
    let nic = zec.nic(created["nicId"].as_str().unwrap());
    assert_eq!(nic["name"], "probe");
    assert_eq!(nic["resourceGroup"]["resourceGroupId"], "g");
}
