//! Target and body in, operation out. A decoded operation is within its grammar, means the same in each of its
//! spellings, and is what goes to ZEC.
//!
//! An input is a line `METHOD TARGET` or `METHOD TARGET ACTION`, and the body after its line feed. The action is the header
//! `X-ZC-Action`.

#![no_main]

use std::{collections::BTreeSet, net::Ipv4Addr};

use http::{HeaderMap, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use zec_gateway::{
    domain::{ActionCall, Change, ChangeIpv4, NicId, Operation, Selection, UnassignAll},
    fuzz,
};

const MAX: usize = 5;
const ACTION: http::HeaderName = http::HeaderName::from_static("x-zc-action");

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (line, body) = (parts.next().unwrap_or_default(), parts.next());
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let method = words.next().and_then(|method| Method::from_bytes(method).ok());
    let target = words.next().and_then(|target| Uri::try_from(target).ok());
    let (Some(method), Some(target)) = (method, target) else { return };
    let action = words.next().and_then(|action| HeaderValue::from_bytes(action).ok());
    let headers = action.map(|action| (ACTION, action)).into_iter().collect::<HeaderMap>();
    let Ok(operation) = fuzz::operation(&method, &target, &headers, body, MAX) else { return };

    let path = target.path();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    assert!(path.bytes().all(plain), "{path} was routed");
    // A search is decoded as browsers escape it, and names no vNIC.
    if let Operation::Find(find) = &operation {
        assert!(method == Method::GET && path == "/nics" && (1..=100).contains(&find.limit));
        return;
    }
    if path.starts_with("/actions/") || path.starts_with("/api/") {
        let named = headers.get(ACTION).and_then(|action| action.to_str().ok());
        let name = path.strip_prefix("/actions/").or(named).expect("an action");
        return call(&method, path, name, &operation, body.expect("a body"));
    }
    let nic = match &operation {
        Operation::Read(read) => &read.nic,
        Operation::Change(selection, _) | Operation::DryRun(selection) => selection.nic(),
        Operation::Find(_) | Operation::Call(..) | Operation::DryRunCall(_) => {
            unreachable!("no other route of these")
        }
    };
    id(nic);
    assert_eq!(path.split('/').nth(2), Some(nic.as_str()), "not what the path says");
    if let Some(query) = target.query() {
        // Nothing that two readers could unescape, split or fold differently.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"=&.".contains(&byte);
        assert!(query.bytes().all(plain), "{query} was taken");
    }
    // A request is a write exactly if it does not ask for a dry run.
    assert_eq!(matches!(operation, Operation::DryRun(_)), says(&target, "dryRun=true"));
    match operation {
        Operation::Read(_) => assert!(method == Method::GET),
        Operation::Change(Selection::Listed(change), _)
        | Operation::DryRun(Selection::Listed(change)) => {
            let wanted = if method == Method::POST { Change::Assign } else { Change::Unassign };
            assert_eq!(change.change, wanted);
            assert!(!says(&target, "all=true"));
            addresses(&change, &target, body.filter(|body| !body.is_empty()));
            again(&change);
        }
        Operation::Change(Selection::All(UnassignAll { max, .. }), _)
        | Operation::DryRun(Selection::All(UnassignAll { max, .. })) => {
            assert!(method == Method::DELETE && max == MAX);
            assert!(says(&target, "all=true") && body.is_none_or(<[u8]>::is_empty));
            assert!(!target.query().is_some_and(|query| query.contains("ipAddress")));
        }
        Operation::Find(_) | Operation::Call(..) | Operation::DryRunCall(_) => {
            unreachable!("no other route of these")
        }
    }
});

/// A call is of the action that was named, at its service, and holds what was sent and nothing else.
fn call(method: &Method, path: &str, name: &str, operation: &Operation, body: &[u8]) {
    assert!(method == Method::POST);
    let sent = oracle::strict(body).expect("strict JSON");
    let of = |call: &ActionCall| {
        assert_eq!(call.action(), name);
        let service = path.strip_prefix("/api/v2/");
        assert!(service.is_none_or(|service| service == call.row().service));
        assert_eq!(call.arguments().canonical(), oracle::canonical(&sent));
    };
    match operation {
        Operation::Call(call, _) => of(call),
        Operation::DryRunCall(call) => of(&call.0),
        Operation::Change(selection, _) | Operation::DryRun(selection) => {
            assert_eq!(sent["nicId"], selection.nic().as_str());
            if let Selection::Listed(change) = selection {
                let texts = sent.to_string();
                let said = |one: &Ipv4Addr| texts.contains(&format!("\"{one}\""));
                assert!(change.addresses.as_slice().iter().all(said));
            }
        }
        Operation::Read(_) | Operation::Find(_) => unreachable!("no action becomes one of these"),
    }
}

/// Whether the query has exactly this pair.
fn says(target: &Uri, pair: &str) -> bool {
    target.query().is_some_and(|query| query.split('&').any(|one| one == pair))
}

fn id(nic: &NicId) {
    let id = nic.as_str().as_bytes();
    assert!((1..=64).contains(&id.len()) && id[0].is_ascii_alphanumeric());
    assert!(id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)));
}

/// Each address appears somewhere in the request, and only once.
fn addresses(change: &ChangeIpv4, target: &Uri, body: Option<&[u8]>) {
    let list = change.addresses.as_slice();
    assert!((1..=MAX).contains(&list.len()));
    assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len(), "one of them twice");
    let said: Vec<String> = match (target.path().split('/').nth(4), target.query(), body) {
        (Some(address), _, _) => vec![address.to_owned()],
        (None, Some(query), None) => {
            let pairs = query.split('&').map(|pair| pair.split_once('=').expect("a pair"));
            let named = pairs.filter(|(key, _)| key.starts_with("ipAddress"));
            named.map(|(_, value)| value.to_owned()).collect()
        }
        (None, _, body) => {
            let value = oracle::strict(body.expect("a body")).expect("strict JSON");
            let members = value.as_object().expect("an object");
            let known = |name: &String| ["ipAddresses", "ipAddress"].contains(&name.as_str());
            assert!(members.keys().all(known), "an unknown field was ignored");
            let texts = members.values().flat_map(|value| match value.as_array() {
                Some(list) => list.clone(),
                None => vec![value.clone()],
            });
            texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
        }
    };
    for address in list {
        assert!(said.contains(&address.to_string()), "{address} was not named as it is written");
    }
}

/// The body for ZEC means the same to any reader, and the gateway decodes it to the same change.
fn again(change: &ChangeIpv4) {
    let value = oracle::strict(change.body().as_bytes()).expect("strict JSON");
    let (nic, list) = (change.nic.as_str(), change.addresses.as_slice());
    assert_eq!(value, json!({ "nicId": nic, "ipAddresses": list }));

    let none = HeaderMap::new();
    let method = if change.change == Change::Assign { Method::POST } else { Method::DELETE };
    let target = format!("/nics/{nic}/ipv4");
    let uri = target.parse().expect("a target");
    let body = json!({ "ipAddresses": list }).to_string();
    let same = |again: Result<Operation, _>| match again {
        Ok(Operation::Change(Selection::Listed(again), _)) => again == *change,
        _ => false,
    };
    assert!(same(fuzz::operation(&method, &uri, &none, Some(body.as_bytes()), MAX)));
    if change.change == Change::Unassign {
        let pairs: Vec<String> =
            list.iter().map(|one: &Ipv4Addr| format!("ipAddresses={one}")).collect();
        let uri = format!("{target}?{}", pairs.join("&")).parse().expect("a target");
        assert!(same(fuzz::operation(&method, &uri, &none, None, MAX)));
    }
}
