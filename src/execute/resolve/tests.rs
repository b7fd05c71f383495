//! Tests of what a vNIC proves about a write of unknown outcome.

use serde_json::{Value, json};

use super::*;
use crate::domain::{Addresses, NicId, WriteCall};

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
    // An address that has become the primary one is still on the vNIC.
    let primary = nic("10.0.0.21", &[]);
    let (done, undone) = (Some(Outcome::Done), Some(Outcome::NotDone));
    for (nic, proven, taken, given) in [
        (&both, false, None, done),
        (&both, true, undone, done),
        (&one, false, None, None),
        (&one, true, None, None),
        (&none, false, done, None),
        (&none, true, done, undone),
        (&primary, true, None, None),
    ] {
        assert_eq!(verdict(&taking, nic, proven), taken, "{nic:?} {proven}");
        assert_eq!(verdict(&giving, nic, proven), given, "{nic:?} {proven}");
    }
}

#[test]
fn nothing_is_proven_while_zec_may_still_take_the_signature() {
    let patience = Patience::default();
    assert!(patience.proof >= SIGNED_WITHIN + SIGNATURE_LIFETIME + LAG);
    assert!(patience.give_up > patience.proof, "or it would give up before it can know");
}

fn open(change: Change, evidence: Evidence) -> Open {
    let change = self::change(change);
    let guard = super::super::guard::Guards::default().hold(&change, "corp/a", OperationId::new());
    let zec = Some(Arc::from("here"));
    let (asked_at, zec_time) = (SystemTime::UNIX_EPOCH, None);
    Open { operation: None, change, asked_at, zec_time, zec, evidence, guard, reservation: None }
}

#[test]
fn what_cannot_be_seen_proves_nothing() {
    let here = Arc::from("here");
    let (both, none) =
        (nic("10.0.0.1", &["10.0.0.21", "10.0.0.22"]), nic("10.0.0.1", &["10.0.0.23"]));
    let (done, undone) = (Some(Outcome::Done), Some(Outcome::NotDone));
    let full = open(Change::Unassign, Evidence::Full);
    assert_eq!(full.verdict(&here, Some(&none), false), done);
    assert_eq!(full.verdict(&here, Some(&both), true), undone);
    // The vNIC is not shown, or it was read from another ZEC, or with another team's key.
    assert_eq!(full.verdict(&here, None, true), None);
    for nic in [&both, &none] {
        assert_eq!(full.verdict(&Arc::from("elsewhere"), Some(nic), true), None);
    }
    let unknown = Open { zec: None, ..open(Change::Unassign, Evidence::Full) };
    assert_eq!(unknown.verdict(&here, Some(&none), true), None);
    // If the state before is unknown, an absent address may have been absent all along.
    let part = open(Change::Unassign, Evidence::OnlyNotDone);
    assert_eq!(part.verdict(&here, Some(&none), true), None);
    assert_eq!(part.verdict(&here, Some(&both), true), undone);
    let given = open(Change::Assign, Evidence::OnlyNotDone);
    assert_eq!(given.verdict(&here, Some(&both), true), None);
    assert_eq!(given.verdict(&here, Some(&none), true), undone);
    // Another write followed.
    let contested = open(Change::Unassign, Evidence::None);
    for nic in [&both, &none] {
        assert_eq!(contested.verdict(&here, Some(nic), true), None);
    }
}

/// If the gateway's clock was ahead, a write must not seem younger than it is.
#[test]
fn how_old_a_write_is_goes_by_the_earlier_clock() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for (ours, zecs, first) in [(9000, Some(5), 5), (5, Some(9000), 5), (7, None, 7)] {
        let open = Open {
            asked_at: at(ours),
            zec_time: zecs.map(at),
            ..open(Change::Unassign, Evidence::Full)
        };
        assert_eq!(open.asked_first(), at(first));
    }
    // If ZEC's clock was not known in an earlier run, the age of its writes is unknown.
    let before = || nic("10.0.0.1", &["10.0.0.21", "10.0.0.22"]).raw().to_owned();
    for (zec_time, evidence) in [(Some(at(5)), Evidence::Full), (None, Evidence::OnlyNotDone)] {
        let view = View {
            before: Some(before()),
            zec_time,
            ..view(&["10.0.0.21", "10.0.0.22"], Outcome::Pending)
        };
        let guard = open(Change::Unassign, evidence).guard;
        assert_eq!(
            Open::of_earlier(view, change(Change::Unassign), false, guard, None).evidence,
            evidence
        );
    }
}

#[test]
fn only_a_fresh_look_before_is_evidence_that_something_was_done() {
    let (taking, giving) = (change(Change::Unassign), change(Change::Assign));
    let both = nic("10.0.0.1", &["10.0.0.21", "10.0.0.22"]);
    let one = nic("10.0.0.1", &["10.0.0.21"]);
    let none = nic("10.0.0.1", &["10.0.0.23"]);
    let (full, part) = (Evidence::Full, Evidence::OnlyNotDone);
    for (change, before, stale, evidence) in [
        (&taking, Some(&both), false, full),
        (&taking, Some(&both), true, part),
        (&taking, Some(&one), false, part),
        (&taking, None, false, part),
        (&giving, Some(&none), false, full),
        (&giving, Some(&none), true, part),
        (&giving, Some(&one), false, part),
    ] {
        let found = |contested| Evidence::from(change, before, stale, contested);
        assert_eq!(found(false), evidence, "{before:?} {stale}");
        assert_eq!(found(true), Evidence::None, "{before:?} {stale}");
    }
}

fn view(addresses: &[&str], outcome: Outcome) -> View {
    let addresses = Addresses::parse(addresses.iter().copied(), 9).unwrap();
    let change = ChangeIpv4 { addresses, ..change(Change::Unassign) };
    View {
        id: OperationId::new(),
        outcome,
        call: WriteCall::of_change(change.clone()).unwrap().recorded(&|_| String::new()),
        change: Some(change),
        caller: "corp/a".to_owned(),
        policies: Vec::new(),
        policy_version: String::new(),
        before: None,
        stale: false,
        zec: None,
        zec_time: None,
        given_up: false,
        request_id: String::new(),
        software: None,
        zec_request_id: None,
        code: None,
        status: None,
        detail: None,
        told: None,
        failed: None,
        accepted: false,
        response: None,
        started_at: SystemTime::UNIX_EPOCH,
        finished_at: None,
    }
}

#[test]
fn a_later_write_on_the_same_address_takes_the_evidence_away() {
    let open = view(&["10.0.0.1", "10.0.0.2"], Outcome::Unknown);
    for (later, outcome, is_contested) in [
        ("10.0.0.2", Outcome::Done, true),
        ("10.0.0.2", Outcome::Unknown, true),
        ("10.0.0.2", Outcome::Rejected, false),
        ("10.0.0.2", Outcome::NotSent, false),
        ("10.0.0.2", Outcome::NotDone, false),
        ("10.0.0.3", Outcome::Done, false),
    ] {
        let newest = [view(&[later], outcome), open.clone(), view(&["10.0.0.1"], Outcome::Done)];
        let open = [open.clone()];
        let found = contested(&Contests::among(&newest, &open), &open[0]);
        assert_eq!(found, is_contested, "{later} {outcome:?}");
    }
    // If two are open, neither proves anything; nor does one that is too old to be among the newest.
    let two = [view(&["10.0.0.1"], Outcome::Pending), open.clone()];
    let contests = Contests::among(&two, &two);
    assert!(contested(&contests, &two[0]) && contested(&contests, &two[1]));
    assert!(contested(&Contests::among(&[], std::slice::from_ref(&open)), &open));
}

#[test]
fn a_call_of_an_action_that_is_not_known_takes_the_evidence_away_on_its_resources() {
    let open = view(&["10.0.0.1"], Outcome::Unknown);
    let stranger = |outcome, resources: &[&str]| {
        let mut other = view(&["10.0.0.9"], outcome);
        other.call.action = "MoveEverything".to_owned();
        other.call.resources = resources.iter().map(|one| Resource::parse(one).unwrap()).collect();
        other.change = None;
        other
    };
    let alone = std::slice::from_ref(&open);
    for (outcome, resources, is_contested) in [
        (Outcome::Done, &["nic/nic-1"] as &[&str], true),
        (Outcome::Unknown, &["nic/nic-9", "nic/nic-1"], true),
        (Outcome::Done, &["nic/nic-9"], false),
        (Outcome::Done, &["subnet/nic-9"], true),
        (Outcome::Done, &[], true),
        (Outcome::Rejected, &["nic/nic-1"], false),
        (Outcome::NotSent, &["nic/nic-1"], false),
        (Outcome::NotDone, &[], false),
    ] {
        let later = [stranger(outcome, resources), open.clone()];
        let contests = Contests::among(&later, alone);
        assert_eq!(contested(&contests, &open), is_contested, "{outcome:?} {resources:?}");
        let earlier = [open.clone(), stranger(outcome, resources)];
        assert!(!contested(&Contests::among(&earlier, alone), &open), "{outcome:?} was before");
    }
    // As long as it has no outcome, it may act later than it was asked for.
    let pending = stranger(Outcome::Pending, &["nic/nic-1"]);
    let (newest, both) = ([open.clone(), pending.clone()], [pending, open.clone()]);
    assert!(contested(&Contests::among(&newest, &both), &open));
}

fn contested(contests: &Contests<'_>, view: &View) -> bool {
    contests.contested(view.id, view.change.as_ref().unwrap())
}
