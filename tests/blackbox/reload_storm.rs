//! A hundred reloads under load, half of them faulty, without a single failed request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use secrecy::SecretString;
use tokio::task::JoinSet;
use zec_gateway::issuer::{Signer, key_set};

use crate::{
    secure::{Authority, Client, Http2, setup},
    world::{Caller, KEY_ID, NEVER, NIC, PASSWORD, Setup, World},
};

const ROUNDS: usize = 100;
const OTHER_KEY: (&str, &str) = ("other-key-id", "other-key-password");
const UNITS: usize = 5;

/// The repeated work of a caller; every answer must be a success.
struct Load {
    over: AtomicBool,
    served: AtomicUsize,
}

/// Reads, over new connections and over one that stays open.
async fn read(load: Arc<Load>, client: Client, world: Arc<World>, caller: Caller) {
    let path = format!("/nics/{NIC}");
    let mut kept: Http2 = client.http2(&world).await;
    while !load.over.load(Ordering::Relaxed) {
        let answer = kept.get(&path, &caller).await.expect("a connection that stays");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut fresh = client.http2(&world).await;
        let answer = fresh.get("/whoami", &caller).await.expect("a connection");
        assert_eq!(answer.status, 200, "{}", answer.text());
        load.served.fetch_add(2, Ordering::Relaxed);
    }
}

/// Unassigns an address and assigns it again.
async fn write(load: Arc<Load>, client: Client, world: Arc<World>, caller: Caller, last: u8) {
    let mut kept: Http2 = client.http2(&world).await;
    let bearer = caller.bearer();
    let target = format!("https://localhost/nics/{NIC}/ipv4/10.0.0.{last}");
    let back = format!("https://localhost/nics/{NIC}/ipv4");
    let body = format!("{{\"ipAddresses\":[\"10.0.0.{last}\"]}}");
    let length = body.len().to_string();
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("content-length", &length),
    ];
    while !load.over.load(Ordering::Relaxed) {
        let none = http_body_util::Full::default();
        let taken = kept.ask("DELETE", &target, &headers[..1], none).await.unwrap();
        assert_eq!(taken.status, 200, "{}", taken.text());
        let body = http_body_util::Full::from(body.clone());
        let given = kept.ask("POST", &back, &headers, body).await.unwrap();
        assert_eq!(given.status, 200, "{}", given.text());
        load.served.fetch_add(2, Ordering::Relaxed);
    }
}

/// The source of all good versions of the files.
struct Original {
    policy: String,
    configuration: String,
    authority: Authority,
    further: Signer,
}

impl Original {
    /// Writes a good version of every file, each different from the previous one.
    fn change(&self, world: &World, round: usize) {
        let even = round.is_multiple_of(4);
        world.put("policy/test.cedar", &format!("{}// {round}\n", self.policy));
        let keys: &[&Signer] =
            if even { &[&world.signer, &self.further] } else { &[&world.signer] };
        world.put("jwks.json", &key_set(keys));
        let (id, password) = if even { OTHER_KEY } else { (KEY_ID, PASSWORD) };
        world.put("ak", id);
        world.put("sk", password);
        let pair = self.authority.server(2100);
        world.put("server.key", &pair.key);
        world.put("server.pem", &pair.cert);
        let limits = format!("[limits]\nmax_addresses = {}", 10 + round);
        world.put("gateway.toml", &self.configuration.replace("[limits]", &limits));
    }
}

/// Writes a faulty version of every file.
fn spoil(world: &World) {
    for file in ["policy/test.cedar", "jwks.json", "server.pem", "gateway.toml"] {
        world.put(file, "nonsense");
    }
    world.put("sk", "");
}

/// Three callers that read, and two that write.
fn callers(world: &Arc<World>, load: &Arc<Load>, authority: &Authority) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for _ in 0..3 {
        let (client, load) = (Client::new(authority), Arc::clone(load));
        callers.spawn(read(load, client, Arc::clone(world), world.alice()));
    }
    for last in [21, 22] {
        let (client, load) = (Client::new(authority), Arc::clone(load));
        callers.spawn(write(load, client, Arc::clone(world), world.alice(), last));
    }
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_half_of_them_faulty_fail_not_one_request() {
    let authority = Authority::new();
    let files = setup("", &authority.server(2100));
    let limits = "addresses_per_hour = 0".to_owned();
    // One caller sends many requests.
    let requests_per_second = Some(0);
    let world = Setup { pace: NEVER, limits, requests_per_second, ..files }.start().await;
    world.zec.accept_key(OTHER_KEY.0, &SecretString::from(OTHER_KEY.1));
    let world = Arc::new(world);
    let load = Arc::new(Load { over: AtomicBool::new(false), served: AtomicUsize::new(0) });
    let mut callers = callers(&world, &load, &authority);
    let original = Original {
        policy: world.text("policy/test.cedar"),
        configuration: world.text("gateway.toml"),
        authority,
        further: Signer::es256().unwrap(),
    };
    for round in 0..ROUNDS {
        let served = load.served.load(Ordering::Relaxed);
        let failed = if round % 2 == 0 {
            original.change(&world, round);
            0
        } else {
            spoil(&world);
            UNITS
        };
        assert_eq!(world.reload().await, (UNITS - failed, failed), "round {round}");
        assert_eq!(world.metric("last_reload_successful").await == 0.0, failed > 0);
        // Some request is served between any two reloads.
        while load.served.load(Ordering::Relaxed) == served && callers.try_join_next().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(callers.len(), 5, "a caller has given up");
    }
    load.over.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    let half = UNITS * ROUNDS / 2;
    assert_eq!(world.reloads().await, (half, half));
    assert!(load.served.load(Ordering::Relaxed) >= 2 * ROUNDS);
    assert_eq!(world.zec.requests().iter().filter(|request| !request.authenticated).count(), 0);
}
