//! Two overlapping access keys: the gateway uses the new one, and only reads may fall back on the previous one.

use secrecy::SecretString;

use crate::world::{KEY_ID, NIC, PASSWORD, World};

const NEW_ID: &str = "new-key-id";
const NEW_PASSWORD: &str = "new-key-password-that-must-never-show";

/// Whether each request that reached ZEC had a valid signature, oldest first, starting with number `from`.
fn signatures(world: &World, from: usize) -> Vec<bool> {
    world.zec.requests().iter().skip(from).map(|request| request.authenticated).collect()
}

fn target() -> String {
    format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")
}

/// A world whose gateway has just received a new key that ZEC does not know yet.
async fn rotated() -> World {
    let world = World::start().await;
    world.put("ak", NEW_ID);
    world.put("sk", NEW_PASSWORD);
    assert_eq!(world.reload().await.1, 0);
    world
}

#[tokio::test]
async fn a_read_is_tried_once_with_the_key_before_and_a_write_never() {
    let world = rotated().await;
    let answer = world.alice().get(&format!("/nics/{NIC}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(signatures(&world, 0), [false, true], "the new one first");

    let answer = world.alice().delete(&target()).await;
    let (status, slug, _) = answer.problem();
    assert_eq!((status, slug.as_str()), (502, "zec-credentials-refused"));
    assert_eq!(
        signatures(&world, 2),
        [false, true, false],
        "the vNIC is read, the write sent once"
    );
    assert_eq!(world.sent("UnassignNetworkInterfaceIpv4").len(), 1);
    assert!(world.addresses(NIC).contains(&"10.0.0.21".to_owned()));
    let refused =
        r#"zec_requests_total{action="DescribeNetworkInterfaces",outcome="credentials_refused"}"#;
    assert_eq!(world.metric(refused).await, 2.0);
}

#[tokio::test]
async fn the_new_key_is_used_from_the_reload_on_and_the_old_one_can_go() {
    let world = rotated().await;
    world.zec.accept_key(NEW_ID, &SecretString::from(NEW_PASSWORD));
    world.zec.refuse_key(KEY_ID);
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
    assert_eq!(world.alice().delete(&target()).await.status, 200);
    assert_eq!(signatures(&world, 0), [true, true, true]);
    // The same key again does not count as a new one, so the previous key stays the same.
    assert_eq!(world.reload().await.1, 0);
    world.zec.refuse_key(NEW_ID);
    world.zec.accept_key(KEY_ID, &SecretString::from(PASSWORD));
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
    assert_eq!(signatures(&world, 3), [false, true]);
    world.zec.refuse_key(KEY_ID);
    let answer = world.alice().get(&format!("/nics/{NIC}")).await;
    assert_eq!(answer.problem().1, "zec-credentials-refused");
    assert_eq!(signatures(&world, 5), [false, false], "each is tried once");
    let shown = [answer.text(), world.ready().await.text(), &world.metrics().await].concat();
    for secret in [NEW_ID, NEW_PASSWORD, KEY_ID] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn with_one_key_only_a_read_is_not_tried_again() {
    let world = World::start().await;
    world.zec.refuse_key(KEY_ID);
    let answer = world.alice().get(&format!("/nics/{NIC}")).await;
    assert_eq!(answer.problem().1, "zec-credentials-refused");
    assert_eq!(signatures(&world, 0), [false]);
}
