//! Who may do what, as a table.

use super::*;

const POLICIES: &str = r#"
@id("reads") @reason("everybody may look at the catalogues")
permit (principal, action in Zec::Action::"catalogue", resource);
@id("all") permit (principal in Zec::Group::"corp/admins", action, resource);
@id("team") @reason("the team's own VPCs") permit (
  principal in Zec::Group::"corp/team", action in Zec::Action::"write", resource in Zec::ResourceGroup::"team"
);
@id("one") permit (
  principal == Zec::Caller::"corp/ci", action == Zec::Action::"DeleteVpc", resource
) when { context.dryRun };
@id("frozen") forbid (principal in Zec::Group::"corp/team", action in Zec::Action::"reclassify", resource);
@id("prod") forbid (
  principal, action in Zec::Action::"destructive", resource is Zec::Vpc
) when { resource.hasTag("prod") };
"#;

#[test]
fn a_cell_is_always_or_never_or_names_the_policies_that_decide() {
    let engine = engine(POLICIES);
    let actions = ["DescribeZones", "DeleteVpc", "ModifyVpcAttribute", "ModifyResourceTags"];
    let table = engine.matrix(&actions.map(str::to_owned)).unwrap();
    let wanted = [
        "| who | DescribeZones | DeleteVpc | ModifyVpcAttribute | ModifyResourceTags |",
        "| --- | --- | --- | --- | --- |",
        "| anybody | always | never | never | never |",
        "| group corp/admins | always | always, unless prod | always | always |",
        "| group corp/team | always | if team, unless prod | if team | never |",
        "| caller corp/ci | always | if one, unless prod | never | never |",
        "",
        "- team: for `resource in Zec::ResourceGroup::\"team\"`; the team's own VPCs",
        "- one: when `context.dryRun`",
        "- prod: for `resource is Zec::Vpc` when `resource.hasTag(\"prod\")`",
    ];
    assert_eq!(table.lines().collect::<Vec<_>>(), wanted, "{table}");
    let error = engine.matrix(&["DeleteEverything".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("no action `DeleteEverything`"), "{error}");
}

#[test]
fn a_group_of_actions_is_what_all_of_them_are() {
    let table = engine(POLICIES).matrix(&[]).unwrap();
    let row = |who: &str| {
        let line = table.lines().find(|line| line.starts_with(&format!("| {who} |"))).unwrap();
        line.split(" | ").skip(1).map(|cell| cell.trim_end_matches(" |").to_owned()).collect()
    };
    let columns: Vec<String> = row("who");
    assert_eq!(columns.join(" "), "read inquiry catalogue addresses write destructive reclassify");
    let team: Vec<String> = row("group corp/team");
    assert_eq!(team[0], "in part: always", "only the catalogues");
    assert_eq!((team[1].as_str(), team[2].as_str()), ("never", "always"));
    assert_eq!(team[4], "in part: if team, unless prod");
    // `prod` concerns VPCs alone, and other actions of the group are about other resources.
    assert_eq!((team[5].as_str(), team[6].as_str()), ("in part: if team, unless prod", "never"));
    // Two actions of a group under different conditions.
    let table = engine(
        r#"@id("a|b") permit (principal, action == Zec::Action::"DeleteVpc", resource) when { context.dryRun };
        @id("c") permit (principal, action in Zec::Action::"destructive", resource);
        @id("d") forbid (principal, action == Zec::Action::"DeleteSubnet", resource) when { context.dryRun };"#,
    );
    let table = table.matrix(&[]).unwrap();
    assert!(table.contains("| in part: always, unless d |"), "{table}");
    // A scope of a type that an action never has is no condition of it.
    let typed = engine(
        r#"@id("a") permit (principal, action, resource is Zec::Vpc);
        @id("b") permit (principal, action == Zec::Action::"DeleteSubnet", resource);
        @id("c") forbid (principal, action, resource is Zec::Vpc) when { resource.hasTag("prod") };"#,
    );
    let actions = ["DeleteVpc", "DeleteSubnet", "DeletePolicy"].map(str::to_owned);
    let table = typed.matrix(&actions).unwrap();
    assert!(table.contains("| if a, unless c | always | never |"), "{table}");
    let only = engine(
        r#"@id("a|b") permit (principal, action in Zec::Action::"destructive", resource) when { context.dryRun };"#,
    );
    assert!(only.matrix(&[]).unwrap().contains("| if a\\|b |"));
}
