//! The pre-flight: the gateway reads the vNIC before a write, and a dry run does everything except the write.

use serde_json::{Value, json};
use zec_gateway::emulator::{Fault, FaultKind, NicSeed};

use crate::world::{NIC, Setup, World};

const PROTECTED: &str = "1612345678901234569";
const SPARE: &str = "1612345678901234570";
const UNASSIGN: &str = "UnassignNetworkInterfaceIpv4";

/// A world with the default configuration, which reads the vNIC before a write.
async fn world() -> World {
    with(|_| {}).await
}

async fn with(change: impl FnOnce(&mut Setup)) -> World {
    let mut setup = Setup { zec: String::new(), ..Setup::default() };
    change(&mut setup);
    setup.start().await
}

/// A policy that allows unassigning but not reading.
fn blind() -> String {
    r#"@id("off") permit (principal, action == Zec::Action::"UnassignNetworkInterfaceIpv4", resource);"#
        .to_owned()
}

fn actions(world: &World) -> Vec<String> {
    world.zec.requests().into_iter().map(|request| request.action).collect()
}

#[tokio::test]
async fn a_write_is_preceded_by_one_look_and_nothing_else() {
    let world = world().await;
    let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(actions(&world), ["DescribeNetworkInterfaces", UNASSIGN]);
}

#[tokio::test]
async fn what_zec_would_refuse_is_409_with_its_code_and_each_address() {
    let world = world().await;
    let target = format!(
        "/nics/{NIC}/ipv4?ipAddresses=10.0.0.11&ipAddresses=10.0.0.21&ipAddresses=10.0.0.99"
    );
    let answer = world.alice().delete(&target).await;
    let (status, slug, code) = answer.problem();
    assert_eq!((status, slug.as_str()), (409, "state-conflict"), "{}", answer.text());
    assert_eq!(code, "OPERATION_FAILED_RESOURCE_NOT_FOUND");
    let told = answer.json()["addresses"].clone();
    let told: Vec<_> = told.as_array().unwrap().iter().map(|entry| &entry["address"]).collect();
    assert_eq!(told, [&json!("10.0.0.11"), &json!("10.0.0.99")]);
    let given = format!("/nics/{NIC}/ipv4");
    let answer = world.alice().post(&given, r#"{"ipAddresses":["10.0.0.21"]}"#).await;
    assert_eq!(answer.problem().2, "INVALID_SUBNET_PRIVATE_IPV4_IN_USED");
    assert!(world.sent(UNASSIGN).is_empty());
    assert!(world.sent("BatchAssignNetworkInterfaceIpv4").is_empty());
}

#[tokio::test]
async fn a_protected_vnic_is_403_and_says_which_tag() {
    let world = world().await;
    for answer in [
        world.alice().delete(&format!("/nics/{PROTECTED}/ipv4?ipAddresses=10.0.0.42")).await,
        world.alice().delete(&format!("/nics/{PROTECTED}/ipv4/10.0.0.42?dryRun=true")).await,
        world.alice().delete(&format!("/nics/{PROTECTED}/ipv4?all=true")).await,
    ] {
        let (status, slug, code) = answer.problem();
        assert_eq!((status, slug.as_str(), code.as_str()), (403, "protected", "NIC_PROTECTED"));
        assert_eq!(answer.json()["tag"], "zec-gateway:protected");
    }
    assert!(world.sent(UNASSIGN).is_empty());
}

#[tokio::test]
async fn the_policy_comes_before_the_state() {
    let world = with(|setup| setup.policy = blind()).await;
    let bob = world.caller("bob", &[]);
    // bob may unassign any address but see no vNIC, so the answer does not say that the vNIC is unknown.
    let answer = bob.delete("/nics/unknown/ipv4?ipAddresses=10.0.0.21").await;
    assert_eq!(answer.problem().1, "policy-denied", "{}", answer.text());
    let answer = bob.delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.99")).await;
    assert_eq!(answer.problem().1, "state-conflict");
    assert!(!answer.text().contains("10.0.0.21"), "{}", answer.text());
    let answer = bob.delete(&format!("/nics/{NIC}/ipv4?all=true")).await;
    assert_eq!(answer.problem().1, "policy-denied");
    assert_eq!(answer.json()["denied"], json!([{"nicId": NIC, "policies": []}]));
    let denials = world
        .metric(r#"policy_decisions_total{action="UnassignNetworkInterfaceIpv4",decision="deny"}"#);
    assert!((denials.await - 1.0).abs() < 0.1, "one decision, counted once");
    let allowed = world.metric(
        r#"policy_decisions_total{action="UnassignNetworkInterfaceIpv4",decision="allow"}"#,
    );
    assert!((allowed.await - 1.0).abs() < 0.1);

    // If the gateway leaves this check to ZEC, only callers who may see the vNIC learn that it is unknown.
    let world = with(|setup| {
        setup.policy = blind();
        setup.zec = "preflight = false".to_owned();
    })
    .await;
    let bob = world.caller("bob", &[]);
    let answer = bob.delete("/nics/unknown/ipv4?ipAddresses=10.0.0.21").await;
    assert_eq!(world.sent(UNASSIGN).len(), 1);
    assert_eq!(answer.problem().1, "policy-denied", "{}", answer.text());

    // alice may see the vNIC, so she learns it.
    let world = self::world().await;
    let answer = world.alice().delete("/nics/unknown/ipv4?ipAddresses=10.0.0.21").await;
    assert_eq!(answer.problem(), (404, "zec-rejected".into(), "INVALID_NIC_NOT_FOUND".into()));
    let allowed = world.metric(
        r#"policy_decisions_total{action="UnassignNetworkInterfaceIpv4",decision="allow"}"#,
    );
    assert!((allowed.await - 1.0).abs() < 0.1, "the policy allowed it");
    // A caller without any permit learns nothing, and the gateway reads no vNIC for that caller.
    let before = world.zec.requests().len();
    let carol = world.caller("carol", &[]);
    let answer = carol.delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.99")).await;
    assert_eq!(answer.problem().1, "policy-denied");
    assert_eq!(world.zec.requests().len(), before);
}

#[tokio::test]
async fn without_a_look_nothing_is_written() {
    let world = world().await;
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    for (kind, problem) in [
        (FaultKind::Cut, (504, "zec-timeout")),
        (FaultKind::Status500, (502, "zec-bad-answer")),
        (FaultKind::NotJson200, (502, "zec-bad-answer")),
        (FaultKind::Unavailable, (503, "zec-unavailable")),
        (FaultKind::WrongNic, (502, "zec-bad-answer")),
    ] {
        world.zec.inject(Fault::always(kind.clone()));
        let answer = world.alice().delete(&target).await;
        world.zec.clear_faults();
        let (status, slug, _) = answer.problem();
        assert_eq!((status, slug.as_str()), problem, "{kind:?}: {}", answer.text());
        assert!(answer.json()["detail"].as_str().unwrap().contains("nothing was changed"));
    }
    assert!(world.sent(UNASSIGN).is_empty());
}

#[tokio::test]
async fn all_takes_every_secondary_address_off_as_if_it_were_named() {
    let world = world().await;
    let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4?all=true")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let all = ["10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.24"];
    assert_eq!(answer.json()["ipAddresses"], json!(all));
    assert_eq!(actions(&world), ["DescribeNetworkInterfaces", UNASSIGN], "read once");
    assert!(world.addresses(NIC).is_empty());

    let answer = world.alice().delete(&format!("/nics/{SPARE}/ipv4?all=true")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["ipAddresses"], json!([]));
    assert!(answer.json()["requestId"].is_string());
    assert_eq!(world.sent(UNASSIGN).len(), 1, "nothing to send");
}

#[tokio::test]
async fn all_is_refused_whole_where_one_address_is_or_there_are_too_many() {
    let world = with(|setup| {
        setup.policy.push_str(
            r#"@id("not-24") forbid (principal, action in Zec::Action::"addresses", resource)
               when { context.address == ip("10.0.0.24") };"#,
        );
    })
    .await;
    let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4?all=true")).await;
    assert_eq!(answer.problem().1, "policy-denied");
    assert_eq!(answer.json()["denied"][0]["address"], "10.0.0.24");
    assert!(world.sent(UNASSIGN).is_empty());

    let world = with(|setup| setup.limits = "max_addresses = 3".to_owned()).await;
    let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4?all=true")).await;
    assert_eq!((answer.problem().0, answer.problem().1.as_str()), (400, "invalid-request"));
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("has 4 secondary") && detail.contains("name at most 3"), "{detail}");
    assert!(world.sent(UNASSIGN).is_empty());
}

#[tokio::test]
async fn a_dry_run_does_everything_but_the_write() {
    let world = world().await;
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.22&dryRun=true");
    let answer = world.alice().delete(&target).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let before = ["10.0.0.11", "10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.24"];
    assert_eq!(
        answer.json(),
        json!({
            "dryRun": true, "action": UNASSIGN,
            "body": {"nicId": NIC, "ipAddresses": ["10.0.0.22"]},
            "nicId": NIC, "ipAddresses": ["10.0.0.22"],
            "before": before, "after": ["10.0.0.11", "10.0.0.21", "10.0.0.23", "10.0.0.24"],
            "budgetLeft": 499,
        })
    );
    let give = format!("/nics/{NIC}/ipv4?dryRun=true");
    let answer = world.alice().post(&give, r#"{"ipAddresses":["10.0.0.30"]}"#).await;
    assert_eq!(answer.json()["action"], "BatchAssignNetworkInterfaceIpv4");
    assert_eq!(answer.json()["after"][5], "10.0.0.30");
    let answer = world.alice().delete(&format!("/nics/{SPARE}/ipv4?all=true&dryRun=true")).await;
    assert_eq!((&answer.json()["body"], &answer.json()["ipAddresses"]), (&Value::Null, &json!([])));
    for (target, slug) in [
        (format!("/nics/{NIC}/ipv4/10.0.0.99?dryRun=true"), "state-conflict"),
        (format!("/nics/{NIC}/ipv4/10.9.0.1?dryRun=true"), "policy-denied"),
        ("/nics/unknown/ipv4/10.0.0.21?dryRun=true".to_owned(), "zec-rejected"),
    ] {
        assert_eq!(world.alice().delete(&target).await.problem().1, slug, "{target}");
    }
    // An explicit `dryRun=false` is a write.
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.22&dryRun=false");
    assert_eq!(world.alice().delete(&target).await.json()["dryRun"], Value::Null);
    assert!(
        actions(&world)
            .iter()
            .filter(|action| *action != "DescribeNetworkInterfaces")
            .eq([UNASSIGN])
    );
}

#[tokio::test]
async fn the_policy_knows_a_dry_run_and_shows_lists_only_to_those_who_may_see_the_vnic() {
    let world = with(|setup| {
        setup.policy =
            r#"@id("rehearse") permit (principal, action in Zec::Action::"addresses", resource)
            when { context.dryRun };"#
                .to_owned();
    })
    .await;
    let bob = world.caller("bob", &[]);
    let answer = bob.delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21&dryRun=true")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["ipAddresses"], json!(["10.0.0.21"]));
    assert!(!answer.text().contains("10.0.0.22"), "{}", answer.text());
    let answer = bob.delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")).await;
    assert_eq!(answer.problem().1, "policy-denied");
    assert!(world.sent(UNASSIGN).is_empty());
}

#[tokio::test]
async fn elastic_ips_and_busy_vnics_stand_in_the_way() {
    let world = world().await;
    let busy = |id: &str, status: &str, elastic: bool| NicSeed {
        id: id.to_owned(),
        status: status.to_owned(),
        secondaries: vec!["10.0.0.61".parse().unwrap()],
        elastic_ips: elastic
            .then(|| ("203.0.113.9".parse().unwrap(), "10.0.0.61".parse().unwrap()))
            .into_iter()
            .collect(),
        ..NicSeed::default()
    };
    world.zec.insert_nic(busy("nic-elastic", "USED", true));
    world.zec.insert_nic(busy("nic-busy", "DETACHING", false));
    for (nic, code) in [
        ("nic-elastic", "INVALID_NIC_HAS_PUBLIC_IP_CANT_DETACH"),
        ("nic-busy", "INVALID_NIC_STATUS"),
    ] {
        let answer = world.alice().delete(&format!("/nics/{nic}/ipv4/10.0.0.61")).await;
        assert_eq!(answer.problem(), (409, "state-conflict".to_owned(), code.to_owned()));
    }
    assert!(world.sent(UNASSIGN).is_empty());
}
