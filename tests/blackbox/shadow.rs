//! The shadow policy is decided beside the live one and compared with it, and never enforced.

use std::{fs, sync::Arc};

use crate::world::{NIC, Setup, World};

const READ: &str = "DescribeNetworkInterfaces";
const WRITE: &str = "UnassignNetworkInterfaceIpv4";

const ALL: &str = "@id(\"all\") permit (principal, action, resource);\n";
const NONE: &str = "@id(\"none\") forbid (principal, action, resource);\n";
const TAGGED: &str = "@id(\"tagged\") permit (principal, action, resource is Zec::Nic) when { resource.hasTag(\"nobody\") };\n";

async fn tried_out(shadow: &str) -> World {
    Setup { shadow: Some(shadow.to_owned()), ..Setup::default() }.start().await
}

async fn counted(world: &World, action: &str, change: &str) -> f64 {
    let series = "policy_shadow_differences_total";
    world.metric(&format!("{series}{{action=\"{action}\",change=\"{change}\"}}")).await
}

async fn until_counted(world: &World, action: &str, change: &str) {
    let series = "policy_shadow_differences_total";
    world.until_metric(&format!("{series}{{action=\"{action}\",change=\"{change}\"}}"), 1.0).await;
}

fn off(address: &str) -> String {
    format!("/nics/{NIC}/ipv4?ipAddresses={address}")
}

#[tokio::test]
async fn what_the_shadow_policy_would_deny_is_done_and_counted() {
    let world = tried_out(NONE).await;
    assert_eq!(world.alice().delete(&off("10.0.0.21")).await.status, 200);
    until_counted(&world, WRITE, "denies").await;
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
    until_counted(&world, READ, "denies").await;
    assert!(counted(&world, WRITE, "allows").await < 0.5);
}

#[tokio::test]
async fn what_the_shadow_policy_would_allow_is_denied_and_counted() {
    let world = tried_out(ALL).await;
    assert_eq!(world.alice().delete(&off("10.9.9.9")).await.status, 403);
    until_counted(&world, WRITE, "allows").await;
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn where_both_agree_nothing_is_counted() {
    let same =
        "@id(\"other-words\") permit (principal in Zec::Group::\"corp/staff\", action, resource);";
    let world = tried_out(same).await;
    assert_eq!(world.alice().delete(&off("10.0.0.21")).await.status, 200);
    // A request with a difference comes last, and by its count all earlier ones are counted.
    assert_eq!(world.caller("eve", &["staff"]).delete(&off("10.0.0.22")).await.status, 403);
    until_counted(&world, WRITE, "allows").await;
    assert!(counted(&world, WRITE, "denies").await < 0.5);
    assert!(counted(&world, WRITE, "skipped").await < 0.5);
}

#[tokio::test]
async fn a_shadow_policy_that_looks_never_has_a_vnic_read() {
    let blunt = Setup::without_preflight("it would be read for its state");
    let world = Setup { shadow: Some(TAGGED.to_owned()), ..blunt }.start().await;
    assert_eq!(world.alice().delete(&off("10.0.0.21")).await.status, 200);
    until_counted(&world, WRITE, "skipped").await;
    assert!(world.sent(READ).is_empty());

    // If the vNIC was read anyway, the shadow policy can decide too.
    let shadow = Some(TAGGED.to_owned());
    let world = Setup { shadow, ..Setup::default() }.start().await;
    assert_eq!(world.alice().delete(&off("10.0.0.21")).await.status, 200);
    until_counted(&world, WRITE, "denies").await;
    assert_eq!(world.sent(READ).len(), 1);
    assert!(counted(&world, WRITE, "skipped").await < 0.5);
}

#[tokio::test]
async fn where_the_look_fails_the_shadow_policy_is_asked_without_it() {
    use zec_gateway::emulator::{Fault, FaultKind};
    for (shadow, change) in [(TAGGED, "skipped"), (NONE, "denies")] {
        let shadow = Some(shadow.to_owned());
        let world = Setup { shadow, ..Setup::default() }.start().await;
        world.zec.inject(Fault::always(FaultKind::Status500));
        assert_eq!(world.alice().delete(&off("10.0.0.21")).await.status, 502);
        until_counted(&world, WRITE, change).await;
        assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 502);
        until_counted(&world, READ, change).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_logged_once_a_request_and_a_faulty_shadow_policy_is_a_fault() {
    use crate::program::{Files, Served, run};
    let zec = World::start().await;
    let files = Arc::new(Files::new(&format!("http://{}", zec.zec_address)));
    let at = |name: &str| files.directory.path().join(name);
    fs::create_dir(at("next")).unwrap();
    fs::write(at("next/p.cedar"), NONE).unwrap();
    let text = fs::read_to_string(files.config()).unwrap();
    let text = text.replacen("[policy]", "[policy]\nshadow_directory = \"next\"", 1);
    fs::write(files.config(), text).unwrap();

    let mut served = Served::start(&files, "info");
    let bearer = files.bearer(&["netops", "engineers"]);
    let target = format!("/nics/{NIC}/ipv4?all=true");
    let headers = [("Authorization", bearer.as_str()), ("X-Request-Id", "the-request")];
    let text = crate::client::request("DELETE", &target, &headers, None);
    let answer = crate::client::raw(served.gateway, text.as_bytes()).await.unwrap();
    assert!(answer.status == 200 || answer.status == 409, "{}", answer.text());
    tokio::task::block_in_place(|| {
        served.until("the shadow policy decides otherwise");
        assert_eq!(served.stop(), Some(0));
    });
    assert_eq!(served.said.matches("the shadow policy decides otherwise").count(), 1);
    let event = served.event("the shadow policy decides otherwise");
    assert_eq!((&event["change"], &event["policies"]), (&"denies".into(), &"none".into()));
    assert_eq!(event["request.id"], "the-request");
    assert_eq!(event["caller"], "corp/alice");

    fs::write(at("next/p.cedar"), "permit (principal, action, resource);").unwrap();
    let config = files.config();
    let checked = run(&["check", "--config", config.to_str().unwrap()], files.directory.path());
    assert_eq!(checked.0, 1, "{}", checked.2);
    assert!(checked.2.contains("next/p.cedar:1"), "{}", checked.2);
}
