//! Tests of faults: their text form, their order, and the wrong clock.

use super::*;

const UNASSIGN: &str = "UnassignNetworkInterfaceIpv4";

#[test]
fn a_fault_is_read_from_its_text_and_written_back() {
    for (text, fault) in [
        ("delay:500ms", Fault::always(FaultKind::Delay(Duration::from_millis(500)))),
        ("delay:1m 30sx3", Fault::times(FaultKind::Delay(Duration::from_secs(90)), 3)),
        ("late-after:2sx1", Fault::once(FaultKind::LateAfter(Duration::from_secs(2)))),
        ("stale:5s", Fault::always(FaultKind::Stale(Duration::from_secs(5)))),
        ("hang@UnassignNetworkInterfaceIpv4", Fault::always(FaultKind::Hang).on(UNASSIGN)),
        ("cut-after@UnassignNetworkInterfaceIpv4x1", Fault::once(FaultKind::CutAfter).on(UNASSIGN)),
        ("cutx2", Fault::times(FaultKind::Cut, 2)),
        ("clock-skew:-10m", Fault::always(FaultKind::ClockSkew(-600))),
        ("clock-skew:6m", Fault::always(FaultKind::ClockSkew(360))),
        ("status:418,TEAPOT_2", Fault::always(FaultKind::UnknownStatus(418, "TEAPOT_2".into()))),
    ] {
        assert_eq!(text.parse(), Ok(fault.clone()), "{text}");
        assert_eq!(fault.to_string(), text);
    }
    for name in [
        "hang",
        "hang-after",
        "cut",
        "cut-after",
        "throttle",
        "unavailable",
        "status500",
        "refuse-credentials",
        "html",
        "challenge",
        "redirect",
        "not-json",
        "no-envelope",
        "truncated",
        "huge",
        "twice",
        "wrong-nic",
    ] {
        let text = format!("{name}x7");
        assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
    }
}

#[test]
fn a_text_that_is_no_fault_says_why() {
    for (text, why) in [
        ("", "where KIND is one of hang, hang-after, cut,"),
        ("explode", "delay:DURATION, late-after:DURATION, stale:DURATION, clock-skew:"),
        ("explode", "clock-skew:[-]DURATION, status:STATUS,CODE"),
        ("Cut", "`Cut` is not a fault"),
        ("delay", "the fault `delay` takes a duration, as `delay:500ms`, not ``"),
        ("delay:soon", "not `soon`"),
        ("late-after", "the fault `late-after` takes a duration, as `late-after:2s`, not ``"),
        ("stale:ever", "the fault `stale` takes a duration, as `stale:5s`, not `ever`"),
        ("clock-skew:1ms", "whole seconds"),
        ("hang:1s", "the fault `hang` takes no argument, not `1s`"),
        ("status:418", "a status and a code"),
        ("status:200,FINE", "a status and a code"),
        ("status:600,X", "a status and a code"),
        ("status:418,tea", "a status and a code"),
        ("cut@", "`` is not an action's name"),
        ("cut@A B", "`A B` is not an action's name"),
        ("cutx0", "`0` is not a number of times"),
        ("cutx99999999999", "is not a number of times"),
    ] {
        let error = text.parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn faults_wait_in_order_and_go_when_they_are_used_up() {
    let mut faults = Faults::default();
    faults.inject(Fault::times(FaultKind::Html, 2));
    faults.inject(Fault::once(FaultKind::Cut).on("A"));
    faults.inject(Fault::always(FaultKind::Unavailable));
    faults.inject(Fault::times(FaultKind::Hang, 0));
    let mut take = |action| faults.take(Stage::Front, action);
    assert_eq!(take("A"), Some(FaultKind::Html));
    assert_eq!(take("B"), Some(FaultKind::Html));
    assert_eq!(take("B"), Some(FaultKind::Unavailable));
    assert_eq!(take("A"), Some(FaultKind::Cut));
    assert_eq!(take("A"), Some(FaultKind::Unavailable));
    assert_eq!(faults.take(Stage::Answer, "A"), None);
    faults.clear();
    assert_eq!(faults.take(Stage::Front, "A"), None);
}

#[test]
fn the_clock_goes_wrong_at_once_and_until_cleared() {
    let mut faults = Faults::default();
    faults.inject(Fault::always(FaultKind::ClockSkew(-600)));
    assert_eq!(faults.skew(), -600);
    faults.clear();
    assert_eq!(faults.skew(), 0);
}

#[test]
fn another_vnic_is_only_shown_where_vnics_are_shown() {
    let mut faults = Faults::default();
    faults.inject(Fault::once(FaultKind::WrongNic));
    assert_eq!(faults.take(Stage::Answer, UNASSIGN), None);
    let shown = faults.take(Stage::Answer, "DescribeNetworkInterfaces");
    assert_eq!(shown, Some(FaultKind::WrongNic));
}
