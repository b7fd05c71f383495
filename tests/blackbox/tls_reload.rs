//! Replacing certificates while the gateway serves.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use rustls::{
    HandshakeKind,
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

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
    // The key first: for a moment key and certificate do not match, which must do no harm.
    fs::write(world.files.path().join("server.key"), &pair.key).unwrap();
    fs::write(world.files.path().join("server.pem"), &pair.cert).unwrap();
}

async fn served(stream: &mut TlsStream<TcpStream>, world: &World) -> bool {
    whoami(stream, &world.alice()).await.is_some_and(|answer| answer.status == 200)
}

/// Whether a client that trusts this authority is served on a new connection.
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
        // More than one if the gateway read the two files at different moments.
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

/// The kind of handshake on a new connection with this connector, which is used once.
async fn kind(connector: &TlsConnector, world: &World) -> HandshakeKind {
    let mut stream = connect(connector, world.gateway).await.unwrap();
    assert!(served(&mut stream, world).await);
    stream.get_ref().1.handshake_kind().unwrap()
}

/// The Python SDK opens a new connection for each call and never resumes a session.
#[tokio::test]
async fn callers_who_never_resume_a_session_push_out_nobody() {
    let authority = Authority::new();
    let world = setup("", &authority.server(2100)).start().await;
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let keeps = Client::new(&authority).versions(versions).connector();
        assert_eq!(kind(&keeps, &world).await, HandshakeKind::Full);
        // More than the session cache that once existed.
        for _ in 0..1100 {
            let once = Client::new(&authority).versions(versions).connector();
            let stream = connect(&once, world.gateway).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        }
        assert_eq!(kind(&keeps, &world).await, HandshakeKind::Resumed);
    }
}

#[tokio::test]
async fn a_caller_gets_no_more_tickets_than_it_says_it_wants() {
    let authority = Authority::new();
    let world = setup("", &authority.server(2100)).start().await;
    for (wanted, sent) in [(0, 0), (1, 1), (200, 2)] {
        let connector = Client::new(&authority).wants_tickets(wanted);
        let mut stream = connect(&connector, world.gateway).await.unwrap();
        assert!(served(&mut stream, &world).await);
        assert_eq!(stream.get_ref().1.tls13_tickets_received(), sent, "{wanted} were wanted");
    }
}

#[tokio::test]
async fn a_reload_forgets_no_session_unless_the_authorities_change() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let pair = authority.server(2100);
    let mut files = setup("", &pair).files;
    files.push(("clients.pem", clients.pem()));
    let world = Setup { server: MUTUAL.to_owned(), files, ..Setup::default() }.start().await;
    let connector = Client::new(&authority).shows(clients.client()).connector();
    assert_eq!(kind(&connector, &world).await, HandshakeKind::Full);
    // Everything is loaded, and nothing has changed.
    world.reload().await;
    assert_eq!(kind(&connector, &world).await, HandshakeKind::Resumed);
    // A renewed certificate does not end sessions either.
    put(&world, &authority.server(2101));
    world.reload().await;
    assert_eq!(kind(&connector, &world).await, HandshakeKind::Resumed);
    // A different text with the same authorities is a different file: the gateway cannot know whether an authority was
    // removed.
    let more = clients.pem() + &Authority::new().pem();
    fs::write(world.files.path().join("clients.pem"), more).unwrap();
    world.reload().await;
    assert_eq!(kind(&connector, &world).await, HandshakeKind::Full);
}

/// Whether a caller with this certificate is served on a new connection.
async fn admitted(client: &TlsConnector, world: &World) -> bool {
    match connect(client, world.gateway).await {
        Ok(mut stream) => served(&mut stream, world).await,
        Err(_) => false,
    }
}

#[tokio::test]
async fn an_authority_that_is_no_longer_trusted_goes_whatever_the_certificate() {
    let (authority, first, second) = (Authority::new(), Authority::new(), Authority::new());
    let mut files = setup("", &authority.server(2100)).files;
    files.push(("clients.pem", first.pem()));
    let world = Setup { server: MUTUAL.to_owned(), files, ..Setup::default() }.start().await;
    let shows = |client: &Authority| Client::new(&authority).shows(client.client()).connector();
    let callers = [shows(&first), shows(&second)];
    let good = authority.server(2101);
    let garbage = Pair { cert: "garbage".to_owned(), key: "garbage".to_owned() };
    let bad = [authority.server(2021), authority.server_from(2090, 2101), garbage];
    // The trusted authority alternates while the certificate is bad.
    for (bad, only_first) in bad.iter().zip([false, true, false]) {
        put(&world, bad);
        world.put("clients.pem", &if only_first { first.pem() } else { second.pem() });
        assert_eq!(world.reload().await, (5, 1));
        let ready = world.ready().await;
        assert!(ready.text().contains("reload of certificate: failing since"), "{}", ready.text());
        assert!(ready.text().contains("reload of client authorities: ok"), "{}", ready.text());
        let admits = [admitted(&callers[0], &world).await, admitted(&callers[1], &world).await];
        assert_eq!(admits, [only_first, !only_first]);
        assert_eq!(world.metric(EXPIRY).await, Y2100, "the last good certificate is shown");
    }
    // The other way round: without the last good authorities, no caller is admitted.
    put(&world, &good);
    world.put("clients.pem", "garbage");
    assert_eq!(world.reload().await, (5, 1));
    assert_eq!(world.metric(EXPIRY).await, Y2101);
    let nobody = Client::new(&authority).connector();
    let admits = [admitted(&callers[0], &world).await, admitted(&callers[1], &world).await];
    assert!(admits == [false, true] && !admitted(&nobody, &world).await);
}

#[tokio::test]
async fn a_certificate_that_was_too_early_is_in_force_once_its_time_has_come() {
    let (world, _) = secure("").await;
    let new = Authority::new();
    // A minute is tolerated, so the certificate becomes valid in two seconds. Nothing changes from here on.
    let early = SystemTime::now() + Duration::from_secs(62);
    put(&world, &new.server_at(early, 2101));
    world.until_metric(EXPIRY, Y2101).await;
    world.until_metric("last_reload_successful", 1.0).await;
}
