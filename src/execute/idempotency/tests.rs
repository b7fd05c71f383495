//! Tests of request fingerprints and of claims in memory.

use super::*;

fn fingerprint(selection: &Selection) -> [u8; 32] {
    Keyed::Change(selection).fingerprint()
}
use crate::domain::{Addresses, Change, ChangeIpv4, UnassignAll};

fn listed(change: Change, nic: &str, addresses: &[&str]) -> Selection {
    Selection::Listed(ChangeIpv4 {
        change,
        nic: NicId::parse(nic).unwrap(),
        addresses: Addresses::parse(addresses.iter().copied(), 9).unwrap(),
    })
}

fn all(nic: &str, max: usize) -> Selection {
    Selection::All(UnassignAll { nic: NicId::parse(nic).unwrap(), max })
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text.as_bytes()).unwrap()
}

#[test]
fn two_requests_have_one_fingerprint_only_if_they_ask_for_the_same() {
    let requests = [
        listed(Change::Unassign, "n", &["10.0.0.1", "10.0.0.2"]),
        listed(Change::Unassign, "n", &["10.0.0.2", "10.0.0.1"]),
        listed(Change::Unassign, "n", &["10.0.0.1"]),
        listed(Change::Unassign, "m", &["10.0.0.1"]),
        listed(Change::Assign, "n", &["10.0.0.1"]),
        all("n", 9),
        all("m", 9),
    ];
    for (at, one) in requests.iter().enumerate() {
        for (other_at, other) in requests.iter().enumerate() {
            assert_eq!(fingerprint(one) == fingerprint(other), at == other_at, "{one:?} {other:?}");
        }
    }
    assert_eq!(fingerprint(&all("n", 9)), fingerprint(&all("n", 10)), "a limit is not asked for");
}

#[test]
fn a_key_is_held_by_one_request_of_its_caller_at_a_time() {
    let claims = Claims::default();
    let wanted = listed(Change::Unassign, "n", &["10.0.0.1"]);
    let claim = claims.claim("corp/a", &key("k"), fingerprint(&wanted)).unwrap();
    let refused = |selection: &Selection| {
        claims.claim("corp/a", &key("k"), fingerprint(selection)).unwrap_err().problem()
    };
    assert_eq!(refused(&wanted), Problem::IdempotencyInProgress);
    let other = listed(Change::Unassign, "n", &["10.0.0.2"]);
    assert_eq!(refused(&other), Problem::IdempotencyKeyReused, "checked before what runs");
    assert!(claims.claim("corp/b", &key("k"), fingerprint(&wanted)).is_ok());
    assert!(claims.claim("corp/a", &key("K"), fingerprint(&wanted)).is_ok());
    let id = OperationId::new();
    claim.name(Some(id));
    let error = claims.claim("corp/a", &key("k"), fingerprint(&wanted)).unwrap_err();
    assert_eq!(error.extra(), Some(&Extra::Operation(id)));
    assert_eq!(error.retry_after(), Some(RETRY_AFTER));
    drop(claim);
    assert!(claims.claim("corp/a", &key("k"), fingerprint(&other)).is_ok());
    assert!(claims.lock().is_empty(), "nothing is kept of what is over");
}
