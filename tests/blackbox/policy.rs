//! Authorisation seen from outside: when the vNIC is read, and what unauthorised callers learn.

use crate::world::{NIC, Setup, World, nic};

/// Reads the vNIC's tags; only `see` lets a caller see vNICs.
const TAGGED: &str = r#"
@id("tagged") permit (principal in Zec::Group::"corp/netops", action in Zec::Action::"addresses", resource is Zec::Nic)
when { resource.hasTag("env") && resource.getTag("env") == "lab" };
@id("see") permit (principal in Zec::Group::"corp/see", action in Zec::Action::"read", resource);
@id("see-tagged") permit (principal in Zec::Group::"corp/netops", action in Zec::Action::"read", resource is Zec::Nic)
when { resource.hasTag("env") && resource.getTag("env") == "lab" };
"#;

async fn tagged() -> World {
    Setup { policy: TAGGED.to_owned(), ..Setup::default() }.start().await
}

fn reads(world: &World) -> usize {
    world.sent("DescribeNetworkInterfaces").len()
}

#[tokio::test]
async fn the_vnic_is_read_once_and_only_where_a_policy_looks_at_it() {
    let world = tagged().await;
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21&ipAddresses=10.0.0.22");
    assert_eq!(world.alice().delete(&target).await.status, 200);
    assert_eq!((reads(&world), world.sent("UnassignNetworkInterfaceIpv4").len()), (1, 1));

    let blunt = Setup::without_preflight("it would be read for its state");
    let world = blunt.start().await;
    assert_eq!(world.alice().delete(&target).await.status, 200);
    assert_eq!(reads(&world), 0);
}

#[tokio::test]
async fn the_vnic_is_not_read_for_a_caller_whom_no_policy_could_allow() {
    let world = tagged().await;
    let mallory = world.caller("mallory", &["sales"]);
    assert_eq!(
        mallory.delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")).await.status,
        403
    );
    assert_eq!(mallory.get(&format!("/nics/{NIC}")).await.status, 403);
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn what_the_tags_say_decides() {
    let world = tagged().await;
    let mut prod = nic("prod-1");
    prod.tags = vec![("env".to_owned(), "prod".to_owned())];
    world.zec.insert_nic(prod);
    world.zec.insert_nic(nic("bare-1"));
    for id in ["prod-1", "bare-1"] {
        let answer = world.alice().delete(&format!("/nics/{id}/ipv4?ipAddresses=10.0.0.2")).await;
        assert_eq!(answer.problem().1, "policy-denied", "{id}");
        assert_eq!(world.alice().get(&format!("/nics/{id}")).await.status, 403);
    }
    assert!(world.sent("UnassignNetworkInterfaceIpv4").is_empty());
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
}

#[tokio::test]
async fn only_those_who_may_see_vnics_learn_that_there_is_none() {
    let world = tagged().await;
    let target = "/nics/nobody-1/ipv4?ipAddresses=10.0.0.21";
    // The policy must read the vNIC, the vNIC does not exist, and she may not see unknown ones.
    assert_eq!(world.alice().delete(target).await.problem().0, 403);
    assert_eq!(world.alice().get("/nics/nobody-1").await.problem().0, 403);
    let seer = world.caller("sue", &["netops", "see"]);
    let unknown = (404, "zec-rejected".to_owned(), "INVALID_NIC_NOT_FOUND".to_owned());
    assert_eq!(seer.delete(target).await.problem(), unknown);
    assert_eq!(seer.get("/nics/nobody-1").await.problem(), unknown);
    let absent =
        r#"policy_decisions_total{action="UnassignNetworkInterfaceIpv4",decision="absent"}"#;
    assert_eq!(world.metric(absent).await, 1.0);
    let denied = absent.replace("absent", "deny");
    assert_eq!(world.metric(&denied).await, 1.0, "who may not know is denied");
    assert!(world.sent("UnassignNetworkInterfaceIpv4").is_empty());
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_denies_and_is_counted() {
    let policy = r#"
    @id("all") permit (principal, action, resource);
    @id("odd") forbid (principal, action in Zec::Action::"addresses", resource)
    when { context.addressCount + 9223372036854775807 < 0 };"#;
    let world = Setup { policy: policy.to_owned(), ..Setup::default() }.start().await;
    let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")).await;
    assert_eq!(answer.problem().0, 403);
    assert_eq!(answer.json()["denied"][0]["failedPolicies"][0]["id"], "odd");
    assert!(answer.text().contains("could not be evaluated") && world.nothing_was_sent());
    let series =
        r#"policy_decisions_total{action="UnassignNetworkInterfaceIpv4",decision="error"}"#;
    assert!(world.metric(series).await >= 1.0);
}
