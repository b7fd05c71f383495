//! The search for vNICs: `GET /nics`.

use std::collections::BTreeSet;

use serde_json::Value;
use zec_gateway::emulator::{Fault, FaultKind, NicSeed};

use crate::world::{Caller, Setup, World};

const READ: &str = "DescribeNetworkInterfaces";

/// The team sees its own vNICs. Nobody sees the secret one.
const POLICY: &str = r#"
@id("team") permit (principal in Zec::Group::"corp/team", action == Zec::Action::"DescribeNetworkInterfaces",
  resource in Zec::ResourceGroup::"team");
@id("all") permit (principal in Zec::Group::"corp/admins", action in Zec::Action::"read", resource);
@id("secret") forbid (principal, action, resource) when { resource is Zec::Nic && resource.hasTag("secret") };
@id("lists") permit (principal in Zec::Group::"corp/lists", action in Zec::Action::"read", resource == Zec::Account::"zec");
"#;

/// A world with this many vNICs more, every third of them the team's.
async fn world(count: usize) -> World {
    filled(Setup { policy: POLICY.to_owned(), ..Setup::default() }.start().await, count)
}

fn filled(world: World, count: usize) -> World {
    for number in 0..count {
        let group = if number % 3 == 0 { "team" } else { "other" };
        world.zec.insert_nic(NicSeed {
            id: format!("17{number:017}"),
            name: format!("Box-{number}"),
            resource_group: Some((group.to_owned(), group.to_owned())),
            secondaries: vec![[10, 9, 0, u8::try_from(number % 200).unwrap()].into()],
            tags: vec![("env".to_owned(), if number == 3 { "lab 1" } else { "prod" }.to_owned())],
            ..NicSeed::default()
        });
    }
    world
}

async fn find(caller: &Caller, query: &str) -> Value {
    let answer = caller.get(&format!("/nics{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()
}

fn names(found: &Value) -> Vec<&str> {
    found["nics"].as_array().unwrap().iter().map(|nic| nic["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_caller_finds_the_vnics_that_they_may_see_and_no_trace_of_others() {
    let world = world(9).await;
    let (team, admin) = (world.caller("t", &["team"]), world.caller("root", &["admins"]));
    let secret = vec![("secret".to_owned(), String::new())];
    world.zec.insert_nic(NicSeed {
        id: "1".to_owned(),
        name: "Box-1-b".to_owned(),
        secondaries: vec![[10, 9, 0, 9].into()],
        resource_group: Some(("team".to_owned(), "team".to_owned())),
        tags: secret,
        ..NicSeed::default()
    });
    for (query, team_sees, admin_sees) in [
        ("?ipAddress=10.9.0.3", &["Box-3"][..], &["Box-3"][..]),
        ("?ipAddress=10.9.0.4", &[], &["Box-4"]),
        ("?ipAddress=10.9.0.9", &[], &[]),
        ("?name=box-1", &[], &["Box-1"]),
        ("?name=BOX-3&ipAddress=10.9.0.4", &[], &[]),
        ("?tag=env=lab%201", &["Box-3"], &["Box-3"]),
        ("?tag=env=lab+1&name=box", &["Box-3"], &["Box-3"]),
        ("?tag=secret", &[], &[]),
        ("?vpcId=none", &[], &[]),
        ("?instanceId=none", &[], &[]),
        ("?regionId=none", &[], &[]),
        ("?subnetId=none", &[], &[]),
    ] {
        let (by_team, by_admin) = (find(&team, query).await, find(&admin, query).await);
        assert_eq!((names(&by_team), names(&by_admin)), (team_sees.to_vec(), admin_sees.to_vec()));
        assert_eq!((&by_team["complete"], &by_team["cursor"]), (&true.into(), &Value::Null));
    }
    // What is counted are the vNICs that the caller may see, whatever else there is.
    assert_eq!(find(&team, "?ipAddress=10.9.0.4").await["examined"], 3);
    assert_eq!(find(&team, "?name=box-1").await["examined"], 3);
    // ZEC is not asked for names, tags and addresses, so that no place in its list tells of hidden ones.
    let asked = world.sent(READ);
    let plain = |body: &String| {
        !["box", "BOX", "secret", "lab", "10.9"].iter().any(|text| body.contains(text))
    };
    assert!(asked.iter().all(plain), "{asked:?}");
    // ZEC's objects are shown as they are.
    let id = "1700000000000000003";
    let one = team.get(&format!("/nics/{id}")).await.json();
    assert_eq!(find(&team, "?ipAddress=10.9.0.3").await["nics"][0], one);
}

#[tokio::test]
async fn a_long_list_is_read_in_steps() {
    let world = world(1_150).await;
    let (team, admin) = (world.caller("t", &["team"]), world.caller("root", &["admins"]));
    // The last vNIC is on a page that one request does not reach.
    let query = "?name=box-1149";
    let first = find(&admin, query).await;
    assert_eq!((names(&first), &first["complete"]), (vec![], &false.into()));
    let query = format!("{query}&cursor={}", first["cursor"].as_str().unwrap());
    assert_eq!(names(&find(&admin, &query).await), ["Box-1149"]);
    let sent = world.sent(READ).len();
    let first = find(&team, "?ipAddress=10.1.1.1").await;
    assert_eq!((names(&first).len(), &first["complete"]), (0, &false.into()));
    assert_eq!(world.sent(READ).len() - sent, 10);
    let cursor = first["cursor"].as_str().unwrap();
    let rest = find(&team, &format!("?ipAddress=10.1.1.1&cursor={cursor}")).await;
    assert_eq!((&rest["complete"], &rest["cursor"]), (&true.into(), &Value::Null));
    // Page by page, each vNIC comes once.
    let (mut all, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = find(&team, &format!("?limit=99{cursor}")).await;
        for name in names(&page) {
            assert!(all.insert(name.to_owned()), "{name} came twice");
        }
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(all.len(), 384);
}

#[tokio::test]
async fn who_may_see_no_vnic_is_refused_without_a_request_to_zec() {
    let world = world(1).await;
    for group in ["sales", "lists"] {
        let answer = world.caller("s", &[group]).get("/nics?ipAddress=10.0.0.21").await;
        assert_eq!(answer.problem().1, "policy-denied", "{group}");
    }
    let admin = world.caller("root", &["admins"]);
    for (query, said) in [
        ("?ipAddress=10.0.0", "not an IPv4 address"),
        ("?vpcId=a/b", "`vpcId` is `a/b`"),
        ("?name=", "1 to 129 characters"),
        ("?name=%ff", "1 to 129 characters"),
        ("?tag=a%0a", "1 to 129 characters"),
        ("?limit=101", "use 1 to 100"),
        ("?cursor=0-0", "`cursor` of an answer"),
        ("?cursor=4294967295-0", "`cursor` of an answer"),
        ("?nic=1", "unknown query key `nic`"),
    ] {
        let answer = admin.get(&format!("/nics{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(said), "{query}: {}", answer.text());
    }
    assert!(world.nothing_was_sent());
    world.zec.inject(Fault::always(FaultKind::NotJson200));
    assert_eq!(admin.get("/nics").await.problem().1, "zec-bad-answer");
}

/// One vNIC of ZEC's that the gateway cannot read hides no other.
#[tokio::test]
async fn a_vnic_that_cannot_be_read_is_left_out() {
    let world = world(2).await;
    world.zec.insert_nic(NicSeed { id: "no id".to_owned(), ..NicSeed::default() });
    let found = find(&world.caller("root", &["admins"]), "?name=box").await;
    assert_eq!((names(&found), &found["complete"]), (vec!["Box-0", "Box-1"], &false.into()));
}

/// A search that needs more pages than its caller may read in time goes on where it was.
#[tokio::test]
async fn a_caller_pays_for_each_further_page_with_the_rate() {
    let (policy, server) = (POLICY.to_owned(), "read_timeout = \"1s\"".to_owned());
    let setup = Setup { policy, server, requests_per_second: Some(1), ..Setup::default() };
    let world = filled(setup.start().await, 250);
    let found = find(&world.caller("root", &["admins"]), "?name=box-249").await;
    assert_eq!((&found["complete"], &found["cursor"]), (&false.into(), &"2-0".into()));
    assert_eq!(world.sent(READ).len(), 1);
}

/// A search that is cut short by ZEC goes on where it was.
#[tokio::test]
async fn what_was_found_before_zec_failed_is_shown() {
    let world = world(250).await;
    let admin = world.caller("root", &["admins"]);
    // The first page comes as usual, and every later one not at all.
    let usual = FaultKind::LateAfter(std::time::Duration::ZERO);
    world.zec.inject(Fault::once(usual).on(READ));
    world.zec.inject(Fault::always(FaultKind::NotJson200).on(READ));
    let first = find(&admin, "?tag=env=lab+1").await;
    assert_eq!((names(&first), &first["complete"]), (vec!["Box-3"], &false.into()));
    let cursor = first["cursor"].as_str().unwrap().to_owned();
    assert_eq!(cursor, "2-0");
    let next = format!("?tag=env=lab+1&cursor={cursor}");
    assert_eq!(admin.get(&format!("/nics{next}")).await.problem().1, "zec-bad-answer");
    world.zec.clear_faults();
    assert_eq!(find(&admin, &next).await["complete"], true);
}
