//! Tests of the tables and of how strictly they are read.

use std::collections::HashSet;

use super::*;

fn catalogue() -> &'static Catalogue {
    Catalogue::built_in().unwrap()
}

fn latest() -> impl Iterator<Item = &'static ActionRow> {
    catalogue().actions().iter().filter(|row| row.service == ZEC && row.version == LATEST)
}

fn count(effect: Effect) -> usize {
    latest().filter(|row| row.effect == effect).count()
}

#[test]
fn the_tables_have_every_action() {
    assert_eq!(latest().count(), 247);
    let counts = [Effect::Read, Effect::Inquiry, Effect::Write, Effect::Destructive].map(count);
    assert_eq!(counts, [73, 19, 118, 37]);
    let older = catalogue().actions().iter().filter(|row| row.version == OLDER).count();
    assert_eq!(older, 29, "those of Terraform's older version");
    assert_eq!(catalogue().actions().iter().filter(|row| row.service != ZEC).count(), 7);
    assert_eq!(catalogue().resources().len(), 29);
}

#[test]
fn the_older_version_has_fewer_parameters_of_the_same_action() {
    let names = |version| {
        let row = catalogue().action(version, "ReleaseInstances").unwrap();
        row.parameters.iter().map(|one| one.name.as_str()).collect::<Vec<_>>()
    };
    assert!(names(LATEST).contains(&"dependResource"));
    assert!(!names(OLDER).contains(&"dependResource"));
    assert!(catalogue().action(LATEST, "releaseInstances").is_none(), "no folding of case");
    assert!(catalogue().action("2023-01-01", "ReleaseInstances").is_none());
}

#[test]
fn parameters_are_a_tree() {
    let row = catalogue().action(LATEST, "CreateVpc").unwrap();
    let tags = row.parameters.iter().find(|one| one.name == "tags").unwrap();
    let [list] = tags.members() else { panic!("{tags:?}") };
    let [key, value] = list.members() else { panic!("{list:?}") };
    assert_eq!((&key.meaning, &value.meaning), (&Meaning::TagKey, &Meaning::TagValue));
    let row = catalogue().action(LATEST, "StopInstances").unwrap();
    let forced = row.parameters.iter().find(|one| one.name == "forceShutdown").unwrap();
    assert_eq!(forced.if_absent, IfAbsent::Value("true".to_owned()));
    let row = catalogue().action(LATEST, "RemoveQosPolicyGroupMembers").unwrap();
    let members = row.parameters.iter().find(|one| one.name == "resourceIds").unwrap();
    assert_eq!(
        members.if_absent,
        IfAbsent::Widens { effect: "all members".to_owned(), unless: None }
    );
    let Meaning::Id(types) = &members.meaning else { panic!("{members:?}") };
    assert_eq!(types.len(), 3, "an id may be of several types");
}

/// What a policy decides on is what the call names, so every changing action must name something, or create it.
#[test]
fn every_action_that_reads_by_id_is_there_with_its_filter() {
    for row in catalogue().resources() {
        let Some(read) = &row.read_by else { continue };
        let action = catalogue().action(LATEST, &read.action).unwrap();
        assert_eq!(action.effect, Effect::Read, "{}", action.name);
        let filter = action.parameters.iter().find(|one| one.name == read.ids).unwrap();
        assert_eq!(filter.meaning, Meaning::Id(vec![row.kind.clone()]), "{}", action.name);
    }
    let unread: Vec<_> =
        catalogue().resources().iter().filter(|row| row.read_by.is_none()).collect();
    let unread: HashSet<_> = unread.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(unread, HashSet::from(["byoip", "nat-dnat-entry", "nat-snat-entry"]));
}

#[test]
fn no_changing_action_is_without_parameters_and_secrets_are_marked() {
    let bare: Vec<_> = latest()
        .filter(|row| row.effect.is_change() && row.parameters.is_empty())
        .map(|row| row.name.as_str())
        .collect();
    assert_eq!(bare, [""; 0]);
    let secrets: HashSet<_> = latest()
        .flat_map(|row| &row.parameters)
        .filter(|one| one.meaning == Meaning::Secret)
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(secrets, HashSet::from(["password", "userData"]));
}

#[test]
fn a_table_that_breaks_a_rule_is_refused_with_its_line() {
    const PARAMETERS: &str = "action\tfield\ttype\trequired\tkind\tif_absent\tdeprecated";
    let fault = |rows: &str| {
        let text = format!("{PARAMETERS}\n{rows}");
        let read = Table::read("t", &text).and_then(|table| parameter::read(&table).map(drop));
        read.unwrap_err().to_string()
    };
    for (rows, said) in [
        ("A\ta\tstring\tyes\tplain\t-", "line 2: the row has another number of cells"),
        ("A\ta\tstring\tyes\tplain\t\tno", "line 2: a cell is empty"),
        ("A\ta\tstring\tyes\t plain\t-\tno", "line 2: a cell is empty or begins"),
        ("A\ta\ttext\tyes\tplain\t-\tno", "`text` is no value of `type`"),
        ("A\ta\tstring\tmaybe\tplain\t-\tno", "`maybe` is no value of `required`"),
        ("A\ta\tstring\tyes\tid:Nic\t-\tno", "`id:Nic` is no value of `kind`"),
        ("A\ta\tstring\tyes\tplain\t-\tperhaps", "`perhaps` is no value of `deprecated`"),
        ("A\ta[]\tstring\tyes\tplain\t-\tno", "only lists end with `[]`"),
        ("A\ta\tarray of string\tyes\tplain\t-\tno", "only lists end with `[]`"),
        ("A\ta[b[]\tarray of string\tyes\tplain\t-\tno", "1 to 64 letters and digits"),
        ("A\ta[][]\tarray of string\tyes\tplain\t-\tno", "1 to 64 letters and digits"),
        ("A\ta b\tstring\tyes\tplain\t-\tno", "1 to 64 letters and digits"),
        ("A\tvpc\tstring\tyes\tid:vpc\t-\tno", "its name does not end with `Id`"),
        ("A\tvpcId\tinteger\tyes\tid:vpc\t-\tno", "its type is not `string`"),
        ("A\ta.b\tstring\tyes\tplain\t-\tno", "no object `a` comes before `a.b`"),
        (
            "A\ta\tstring\tyes\tplain\t-\tno\nA\ta.b\tstring\tyes\tplain\t-\tno",
            "line 3: no object `a` comes before `a.b`",
        ),
        (
            "A\ta\tstring\tyes\tplain\t-\tno\nA\ta\tstring\tyes\tplain\t-\tno",
            "line 3: `a` appears twice",
        ),
        (
            "A\ta\tstring\tyes\tplain\t-\tno\nA\t-\t-\t-\t-\t-\t-",
            "line 3: an action with parameters has a row without one",
        ),
    ] {
        let found = fault(rows);
        assert!(found.contains(said), "{rows:?}: {found}");
    }
    assert!(Table::read("t", "").is_err());
    assert!(Table::read("t", "a\ta").is_err(), "a column twice");
    let lacks = Table::read("t", "action\nA").unwrap();
    let fault = parameter::read(&lacks).unwrap_err().to_string();
    assert!(fault.contains("there is no column `field`"), "{fault}");
}

/// The text of a table, and the tables with one of them replaced.
fn with(replace: impl FnOnce(&mut Tables<'_>)) -> Result<Catalogue, CatalogueError> {
    let mut tables = Tables {
        services_actions: "service\tversion\taction\taccess\tresource_type\tasync\tproof",
        services_parameters: "action\tfield\ttype\trequired\tkind\tif_absent\tdeprecated",
        actions: "action\taccess\tresource_type\tasync\tproof\nA\twrite\tnic\tno\t-",
        parameters: "action\tfield\ttype\trequired\tkind\tif_absent\tdeprecated\nA\tnicId\tstring\tyes\tid:nic\t-\tno",
        older_parameters: "action\tfield\ttype\trequired\tkind\tif_absent\tdeprecated",
        resources: "resource_type\tdescribe_action\tid_filter\tmax_ids\talso_required\tid_field\tname_field\tstatus_field\tregion_field\tzone_field\tresource_group_field\ttags\tparent_fields\nnic\t-\t-\t-\t-\tnicId\t-\t-\t-\t-\t-\t-\t-",
        answers: "action\tpath\tholds\tresource_type\teffect\nA\t-\tnone\t-\t-",
        alternatives: "action\tfields",
    };
    replace(&mut tables);
    Catalogue::read(&tables)
}

#[test]
fn tables_that_do_not_fit_together_are_refused() {
    with(|_| {}).unwrap();
    let fault = |replace: fn(&mut Tables<'_>)| with(replace).unwrap_err().to_string();
    let proof = fault(|t| {
        t.actions = "action\taccess\tresource_type\tasync\tproof\nA\tdestructive\tnic\tno\tgone";
    });
    assert!(
        proof.contains("the action `A`: has the proof `gone`, but"),
        "nothing reads a vNIC here: {proof}"
    );
    let twice = fault(|t| {
        t.actions = "action\taccess\tresource_type\tasync\tproof\nA\twrite\tnic\tno\t-\nA\tread\tnic\tno\t-";
    });
    assert!(twice.contains("`A` has no row of parameters"), "{twice}");
    let unknown =
        fault(|t| t.actions = "action\taccess\tresource_type\tasync\tproof\nA\twrite\tvpc\tno\t-");
    assert!(unknown.contains("the action `A`: names the unknown type `vpc`"), "{unknown}");
    let unnamed = fault(|t| {
        t.parameters = "action\tfield\ttype\trequired\tkind\tif_absent\tdeprecated\nA\txId\tstring\tyes\tid:vpc\t-\tno";
    });
    assert!(unnamed.contains("the action `A`: names the unknown type `vpc`"), "{unnamed}");
    let no_answer = fault(|t| t.answers = "action\tpath\tholds\tresource_type\teffect");
    assert!(no_answer.contains("`A` has no row of answers"), "{no_answer}");
    let stray = fault(|t| {
        t.older_parameters = "action\tfield\ttype\trequired\tkind\tif_absent\tdeprecated\nB\tx\tstring\tyes\tplain\t-\tno";
    });
    assert!(stray.contains("`B` has no row"), "{stray}");
    let unknown = fault(|t| t.alternatives = "action\tfields\nA\tnicId,vpcId");
    assert!(unknown.contains("no parameter `vpcId` to choose from"), "{unknown}");
}

fn extended(text: &str) -> Result<Catalogue, String> {
    let mut whole = catalogue().clone();
    let rows = extension::read(text).map_err(|error| error.to_string())?;
    whole.add(rows).map(|()| whole).map_err(|error| error.to_string())
}

fn written(name: &str, access: &str, more: &str) -> String {
    format!("[[action]]\nname = \"{name}\"\naccess = \"{access}\"\n{more}\n")
}

fn with_parameter(field: &str, more: &str) -> String {
    format!("[[action.parameter]]\nfield = \"{field}\"\ntype = \"string\"\n{more}\n")
}

#[test]
fn a_file_says_all_its_faults_by_the_names_of_actions() {
    let fault = |text: &str| extended(text).unwrap_err();
    let two = fault(&(written("A", "reads", "") + &written("B", "look", "")));
    assert!(two.contains("the action `A`: `reads` is no value of `access`"), "{two}");
    assert!(two.contains("the action `B`: `look` is no value"), "{two}");
    let twice = fault(&(written("A", "read", "") + &written("A", "read", "")));
    assert!(twice.contains("the action `A`: appears twice"), "{twice}");
    let known = fault(&(written("DeleteVpc", "read", "") + &written("DeleteSubnet", "write", "")));
    let said = "the action `DeleteVpc`: the gateway knows it with `access = \"destructive\"`";
    assert!(known.contains(said), "{known}");
    assert!(known.contains("the action `DeleteSubnet`: the gateway knows it"), "{known}");
    let elsewhere = "service = \"ccs\"\nversion = \"2025-09-02\"";
    let moved = fault(&written("DeleteVpc", "destructive", elsewhere));
    assert!(moved.contains("the gateway knows it at the service `zec`"), "{moved}");
    for field in ["vpcId", "vpcIds[]", "ipv4IdList[]"] {
        let unsaid = fault(&(written("A", "read", "") + &with_parameter(field, "")));
        assert!(unsaid.contains("without a `kind`"), "{unsaid}");
    }
    extended(&(written("A", "read", "") + &with_parameter("vpcId", "kind = \"plain\""))).unwrap();
}

#[test]
fn a_proof_fits_its_action_and_no_other_has_the_same() {
    let fault = |kind: &str, more: &str| {
        let of_type = format!("resource_type = \"{kind}\"\n{more}");
        let id = with_parameter(&format!("{kind}Id"), &format!("kind = \"id:{kind}\""));
        extended(&(written("A", "write", &of_type) + &id + &with_parameter("name", ""))).err()
    };
    for (proof, said) in [
        ("shows:name", "`shows:name` is no value of `proof`"),
        ("shows:na-me=name", "is no value of `proof`"),
        ("shows:name=title", "names `title`, which is no parameter"),
        ("gone", "has the proof `gone`, but is not destructive"),
    ] {
        let found = fault("vpc", &format!("proof = \"{proof}\"")).unwrap();
        assert!(found.contains(said), "{proof}: {found}");
    }
    let creates = fault("vpc", "proof = \"shows:name=name\"\ncreates = \"vpcId\"").unwrap();
    assert!(creates.contains("does not change one type"), "{creates}");
    let same = fault("disk", "proof = \"shows:diskName=name\"").unwrap();
    assert!(same.contains("has the same proof, so neither proves anything"), "{same}");
    assert_eq!(fault("vpc", "proof = \"shows:name=name\""), None);
}

/// Policies, guards and records rely on what the tables say of an action.
#[test]
fn a_file_only_adds_parameters_to_a_known_action() {
    let said = |name: &str, access: &str, field: &str| {
        extended(&(written(name, access, "") + &with_parameter(field, "kind = \"plain\""))).err()
    };
    for (name, access, field) in
        [("DeleteVpc", "destructive", "vpcId"), ("ResetInstancePassword", "write", "password")]
    {
        let said = said(name, access, field).unwrap();
        assert!(said.contains("with another type or kind"), "{name}: {said}");
    }
    let known = |whole: &Catalogue, name: &str| whole.action(LATEST, name).unwrap().clone();
    let whole =
        extended(&(written("AssociateEipAddress", "write", "") + &with_parameter("note", "")));
    let [before, after] =
        [catalogue(), &whole.unwrap()].map(|whole| known(whole, "AssociateEipAddress"));
    assert_eq!(after.parameters.len(), before.parameters.len() + 1);
    assert_eq!(after.alternatives, before.alternatives);
    assert_eq!((after.resource_types, after.proof), (before.resource_types, before.proof));
    assert_eq!(after.answer.len(), before.answer.len());
    // An operator can say that ZEC does not require a parameter.
    let optional = with_parameter("subnetId", "kind = \"id:subnet\"\nrequired = \"no\"");
    let whole = extended(&(written("CreateNetworkInterface", "write", "") + &optional)).unwrap();
    let row = known(&whole, "CreateNetworkInterface");
    let subnet = row.parameters.iter().find(|one| one.name == "subnetId").unwrap();
    assert_eq!(subnet.required, Certainty::No);
}

#[test]
fn another_version_of_a_known_action_is_the_known_one() {
    let older = "version = \"2024-04-01\"";
    let lowered = extended(&written("ModifyEipBandwidth", "read", older)).unwrap_err();
    assert!(lowered.contains("the gateway knows it with `access = \"write\"`"), "{lowered}");
    let whole = extended(&written("ModifyEipBandwidth", "write", older)).unwrap();
    let row = whole.action(OLDER, "ModifyEipBandwidth").unwrap();
    assert!(row.required_id().is_some_and(|id| id.name == "eipId"));
}
