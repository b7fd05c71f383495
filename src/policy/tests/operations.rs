//! Which callers may see everyone's operations.

use super::*;

/// Whether alice, in the group `audit`, and bob, in no group, may see them.
fn may(text: &str) -> (bool, bool) {
    let engine = engine(text);
    let bob = Caller::vouch("corp", "bob", [""; 0]).unwrap();
    (engine.may_read_operations(&caller(&["audit"])), engine.may_read_operations(&bob))
}

const BY_GROUP: &str = r#"@id("audit") permit (principal in Zec::Group::"corp/audit",
    action == Zec::Action::"ReadOperations", resource == Zec::Journal::"operations");"#;

#[test]
fn a_caller_without_a_permitting_policy_may_do_nothing() {
    assert_eq!(may(""), (false, false));
    for scope in [
        r#"principal, action in Zec::Action::"read", resource"#,
        r#"principal, action == Zec::Action::"DescribeNetworkInterfaces", resource"#,
        r#"principal, action in [Zec::Action::"read", Zec::Action::"write"], resource"#,
        "principal, action, resource is Zec::Nic",
        r#"principal in Zec::Group::"other/audit", action == Zec::Action::"ReadOperations", resource"#,
        r#"principal == Zec::Caller::"other/alice", action == Zec::Action::"ReadOperations", resource"#,
        r#"principal, action == Zec::Action::"ReadOperations", resource == Zec::Journal::"other""#,
    ] {
        assert_eq!(may(&format!("@id(\"a\") permit ({scope});")), (false, false), "{scope}");
    }
}

#[test]
fn a_policy_lets_by_caller_by_group_by_condition_or_all() {
    assert_eq!(may(BY_GROUP), (true, false));
    let read = r#"action == Zec::Action::"ReadOperations""#;
    for (scope, condition, all) in [
        (format!(r#"principal == Zec::Caller::"corp/alice", {read}, resource"#), "", false),
        (format!("principal, {read}, resource"), r#"when { principal.subject == "alice" }"#, false),
        (
            format!("principal, {read}, resource"),
            r#"when { principal in Zec::Group::"corp/audit" }"#,
            false,
        ),
        (format!("principal, {read}, resource"), "", true),
        ("principal, action, resource".to_owned(), "", true),
        ("principal, action, resource is Zec::Journal".to_owned(), "", true),
        (
            "principal, action, resource".to_owned(),
            r#"when { action == Zec::Action::"ReadOperations" }"#,
            true,
        ),
        (
            r#"principal, action in [Zec::Action::"ReadOperations", Zec::Action::"read"], resource"#
                .to_owned(),
            "",
            true,
        ),
    ] {
        let text = format!("@id(\"a\") permit ({scope}) {condition};");
        assert_eq!(may(&text), (true, all), "{text}");
    }
}

#[test]
fn a_forbid_wins_and_so_does_what_cannot_be_evaluated() {
    let read = r#"principal, action == Zec::Action::"ReadOperations", resource"#;
    for more in [
        format!("forbid ({read});"),
        "forbid (principal, action, resource);".to_owned(),
        r#"forbid (principal in Zec::Group::"corp/audit", action, resource is Zec::Journal);"#
            .to_owned(),
        format!(r#"forbid ({read}) when {{ Zec::Caller::"corp/ghost".subject == "x" }};"#),
        format!(r#"permit ({read}) when {{ Zec::Caller::"corp/ghost".subject == "x" }};"#),
    ] {
        assert_eq!(may(&format!("{BY_GROUP} @id(\"b\") {more}")), (false, false), "{more}");
    }
    for more in [
        "forbid (principal, action, resource is Zec::Nic);".to_owned(),
        r#"forbid (principal == Zec::Caller::"corp/bob", action, resource);"#.to_owned(),
        r#"forbid (principal, action in Zec::Action::"read", resource);"#.to_owned(),
        format!(r#"forbid ({read}) when {{ principal.subject == "bob" }};"#),
    ] {
        assert_eq!(may(&format!("{BY_GROUP} @id(\"b\") {more}")), (true, false), "{more}");
    }
}

#[test]
fn what_lets_see_operations_lets_do_nothing_else() {
    let engine = engine(BY_GROUP);
    assert!(matches!(engine.ask(&caller(&["audit"]), read()), Verdict::Denied(_)));
    assert!(matches!(engine.ask(&caller(&["audit"]), unassign(&["10.0.0.2"])), Verdict::Denied(_)));
}
