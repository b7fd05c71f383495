//! Tests of the emulator's actions, and the helpers that they share.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::{super::Subnet, *};

mod assign;
mod describe;
mod unassign;

const NIC: &str = "1612345678901234567";
const DB: &str = "1612345678901234568";
const EDGE: &str = "1612345678901234569";
const SPARE: &str = "1612345678901234570";

/// The demo's vNICs, and a clock that advances by a minute with every action.
struct Zec {
    state: State,
    now: SystemTime,
}

impl Zec {
    fn new() -> Self {
        Self::with(Limits::default(), false, EmptyUnassign::Refuse)
    }

    fn with(limits: Limits, per_address: bool, empty: EmptyUnassign) -> Self {
        let mut zec = Self { state: State::new(limits, per_address, empty), now: UNIX_EPOCH };
        for seed in super::super::demo::nics() {
            zec.state.insert(seed, UNIX_EPOCH);
        }
        zec
    }

    fn put(&mut self, seed: NicSeed) {
        self.state.insert(seed, self.now);
    }

    /// The action's answer, or the code of its refusal; a refusal must change nothing.
    fn call(&mut self, action: &str, body: &Value) -> Result<Value, String> {
        self.call_in(Version::V20250901, action, body)
    }

    fn call_in(&mut self, version: Version, name: &str, body: &Value) -> Result<Value, String> {
        let before = format!("{:?}", self.state);
        self.now += Duration::from_secs(60);
        let action = Action::from_name(name, version).unwrap();
        let parameters = Parameters::parse(body.to_string().as_bytes()).unwrap();
        match self.state.run(action, version, &parameters, self.now) {
            Ok(output) => Ok(serde_json::to_value(output).unwrap()),
            Err(failure) => {
                assert_eq!(format!("{:?}", self.state), before, "a refusal changed something");
                Err(failure.code)
            }
        }
    }

    fn describe(&mut self, filter: &Value) -> Result<Vec<String>, String> {
        let answer = self.call("DescribeNetworkInterfaces", filter)?;
        let names = answer["dataSet"].as_array().unwrap().iter();
        Ok(names.map(|nic| nic["name"].as_str().unwrap().to_owned()).collect())
    }

    fn nic(&mut self, id: &str) -> Value {
        self.call("DescribeNetworkInterfaces", &json!({"nicIds": [id]})).unwrap()["dataSet"][0]
            .take()
    }

    fn secondaries(&mut self, id: &str) -> Value {
        self.nic(id)["secondaryIpv4s"].take()
    }

    fn unassign(&mut self, id: &str, addresses: &[&str]) -> Result<Value, String> {
        let body = json!({"nicId": id, "ipAddresses": addresses});
        self.call("UnassignNetworkInterfaceIpv4", &body)
    }

    fn assign(&mut self, id: &str, addresses: &[&str]) -> Result<Value, String> {
        let body = json!({"nicId": id, "ipAddresses": addresses});
        self.call("BatchAssignNetworkInterfaceIpv4", &body)
    }
}

fn refused<T>(code: &str) -> Result<T, String> {
    Err(code.to_owned())
}

#[test]
fn only_the_version_of_2024_knows_its_other_spelling() {
    let name = "UnAssignNetworkInterfaceIpv4";
    assert!(matches!(Action::from_name(name, Version::V20240401), Some(Action::Unassign)));
    assert!(Action::from_name(name, Version::V20250901).is_none());
}

#[test]
fn parameters_come_before_the_vnic_and_its_state_before_its_addresses() {
    let mut zec = Zec::new();
    zec.put(NicSeed { id: "1".to_owned(), status: "DETACHING".to_owned(), ..NicSeed::default() });
    for action in ["UnassignNetworkInterfaceIpv4", "BatchAssignNetworkInterfaceIpv4"] {
        for (body, code) in [
            (json!({}), "MISSING_PARAMETER"),
            (json!({"nicId": null, "ipAddresses": ["10.0.0.9"]}), "MISSING_PARAMETER"),
            (json!({"nicId": 1, "ipAddresses": ["10.0.0.9"]}), "INVALID_PARAMETER_TYPE"),
            (json!({"nicId": "9"}), "MISSING_PARAMETER"),
            (json!({"nicId": "9", "ipAddresses": []}), "MISSING_PARAMETER"),
            (json!({"nicId": "9", "ipAddresses": "10.0.0.9"}), "INVALID_PARAMETER_TYPE"),
            (json!({"nicId": "9", "ipAddresses": ["x"]}), "INVALID_PARAMETER_PATTERN_ERROR"),
            (json!({"nicId": "9", "ipAddresses": ["10.0.0.99"]}), "INVALID_NIC_NOT_FOUND"),
            (json!({"nicId": "1", "ipAddresses": ["99.0.0.99"]}), "INVALID_NIC_STATUS"),
        ] {
            assert_eq!(zec.call(action, &body), refused(code), "{action} {body}");
        }
    }
    let mut one = |body: Value| zec.call("AssignNetworkInterfaceIpv4", &body);
    assert_eq!(one(json!({"nicId": "9"})), refused("MISSING_PARAMETER"));
    let body = json!({"nicId": "9", "ipAddress": ""});
    assert_eq!(one(body), refused("INVALID_PARAMETER_PATTERN_ERROR"));
    let body = json!({"nicId": "1", "ipAddress": "99.0.0.1"});
    assert_eq!(one(body), refused("INVALID_NIC_STATUS"));
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for (body, code) in [
        ("", Code::MissingParameter),
        ("[]", Code::ParameterType),
        ("{", Code::ParameterType),
        ("{} {}", Code::ParameterType),
    ] {
        let failure = Parameters::parse(body.as_bytes()).err().unwrap();
        assert_eq!(failure.code, code.entry().1, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_as_before_a_change_is_so_for_its_time_only() {
    let mut zec = Zec::new();
    let named = Parameters::parse(json!({"nicId": NIC}).to_string().as_bytes()).unwrap();
    let (before, other) = (zec.nic(NIC), zec.nic(DB));
    let change = |zec: &mut Zec, address: &str| {
        let before = zec.state.before(&named).unwrap();
        zec.unassign(NIC, &[address]).unwrap();
        zec.state.show_stale(before, Duration::from_secs(5));
    };
    change(&mut zec, "10.0.0.21");
    assert_eq!((zec.nic(NIC), zec.nic(DB)), (before.clone(), other));
    tokio::time::advance(Duration::from_secs(4)).await;
    // A second change does not reveal the first one.
    change(&mut zec, "10.0.0.22");
    tokio::time::advance(Duration::from_millis(4999)).await;
    assert_eq!(zec.nic(NIC), before);
    tokio::time::advance(Duration::from_millis(1)).await;
    let after = zec.secondaries(NIC).to_string();
    assert!(!after.contains("10.0.0.21") && !after.contains("10.0.0.22"), "{after}");
    assert!(zec.unassign(NIC, &["10.0.0.21"]).is_err(), "the change was made at once");
}
