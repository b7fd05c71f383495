//! Certificates that are replaced while the gateway serves.

use std::fs;

use rustls::HandshakeKind;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::{
    secure::{Authority, Client, MUTUAL, Pair, connect, secure, setup, whoami},
    world::{QUICK, Setup, World},
};

const OK: &str = r#"reloads_total{result="ok"}"#;
const FAILED: &str = r#"reloads_total{result="failed"}"#;
const EXPIRY: &str = "tls_certificate_expiry_timestamp_seconds";
const Y2100: f64 = 4_102_444_800.0;
const Y2101: f64 = 4_133_980_800.0;

fn put(world: &World, pair: &Pair) {
    // The key first: what lies there for a moment fits nothing and must do no harm.
    fs::write(world.files.path().join("server.key"), &pair.key).unwrap();
    fs::write(world.files.path().join("server.pem"), &pair.cert).unwrap();
}

async fn served(stream: &mut TlsStream<TcpStream>, world: &World) -> bool {
    whoami(stream, &world.alice()).await.is_some_and(|answer| answer.status == 200)
}

/// Whether somebody who trusts this authority is served on a new connection.
async fn trusted(authority: &Authority, world: &World) -> bool {
    match Client::new(authority).connect(world.gateway).await {
        Ok(mut stream) => served(&mut stream, world).await,
        Err(_) => false,
    }
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_open_ones_go_on() {
    let (world, old) = secure("").await;
    let new = Authority::new();
    let mut http1 = Client::new(&old).connect(world.gateway).await.unwrap();
    let mut http2 = Client::new(&old).http2(&world).await;
    assert!(served(&mut http1, &world).await && http2.whoami(&world.alice()).await.is_ok());
    assert_eq!(world.metric(EXPIRY).await, Y2100);
    assert_eq!(world.metric("last_reload_successful").await, 1.0);
    put(&world, &new.server(2101));
    world.until_metric(EXPIRY, Y2101).await;
    assert!(trusted(&new, &world).await && !trusted(&old, &world).await);
    assert!(served(&mut http1, &world).await, "an open connection was dropped");
    assert_eq!(http2.whoami(&world.alice()).await.unwrap().status, 200);
    assert_eq!(world.metric("last_reload_successful").await, 1.0);
    assert!(world.metric(OK).await >= 1.0);
}

#[tokio::test]
async fn a_bad_pair_leaves_the_old_one_serving_until_it_is_mended() {
    let (world, old) = secure("").await;
    let new = Authority::new();
    let garbage = Pair { cert: "garbage".to_owned(), key: "garbage".to_owned() };
    let mismatched = Pair { cert: new.server(2101).cert, key: new.server(2101).key };
    let mut failures = 0.0;
    for bad in [garbage, mismatched, new.server(2021), new.server_from(2090, 2101)] {
        put(&world, &bad);
        // More than one where the two files were caught apart.
        world.until_metric(FAILED, failures + 1.0).await;
        failures = world.metric(FAILED).await;
        assert_eq!(world.metric("last_reload_successful").await, 0.0);
        assert_eq!(world.metric(EXPIRY).await, Y2100);
        assert!(trusted(&old, &world).await && !trusted(&new, &world).await);
    }
    put(&world, &new.server(2101));
    world.until_metric(EXPIRY, Y2101).await;
    world.until_metric("last_reload_successful", 1.0).await;
    assert!(trusted(&new, &world).await);
}

#[tokio::test]
async fn an_expired_certificate_is_served_from_the_start_and_gives_way_to_a_good_one() {
    let (old, new) = (Authority::new(), Authority::new());
    let world = setup("", &old.server(2021)).start().await;
    assert!(world.metric(EXPIRY).await < Y2100);
    put(&world, &new.server(2101));
    world.until_metric(EXPIRY, Y2101).await;
    assert!(trusted(&new, &world).await);
}

#[tokio::test]
async fn a_session_does_not_outlive_the_authority_that_vouched_for_it() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let mut files = setup("", &authority.server(2100)).files;
    files.push(("clients.pem", clients.pem()));
    let world =
        Setup { server: MUTUAL.to_owned(), files, pace: QUICK, ..Setup::default() }.start().await;
    let connector = Client::new(&authority).shows(clients.client()).connector();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&connector, world.gateway).await.unwrap();
        assert!(served(&mut stream, &world).await);
        kinds.push(stream.get_ref().1.handshake_kind());
    }
    assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
    fs::write(world.files.path().join("clients.pem"), Authority::new().pem()).unwrap();
    world.until_metric(OK, 1.0).await;
    let answered = match connect(&connector, world.gateway).await {
        Ok(mut stream) => served(&mut stream, &world).await,
        Err(_) => false,
    };
    assert!(!answered, "a session was resumed whose certificate nobody trusts any more");
}
