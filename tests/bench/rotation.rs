//! Whether callers notice refreshes and rotations of keys: `cargo bench --locked --bench rotation`.
//!
//! Two gateways take turns under the same load. The keys of one stay the same; the keys of the other are fetched twenty
//! times a second and rotate twice a second. The bench prints the latencies of both, and no request may fail.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot run should say so and stop"
)]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use zec_gateway::{
    app::{App, AppListeners},
    config::Config,
    issuer::{Grant, Signer, key_set, serve_key_set},
    policy::Engine,
    zec::AccessKey,
};

const ISSUER: &str = "https://sso.example.com";
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);
const ROTATION: Duration = Duration::from_millis(500);
/// The number of callers that send their own tokens at a time.
const CALLERS: usize = 64;

/// The keys that the provider publishes and the tokens that the callers send.
struct Provider {
    /// The next signing key, the current one, and the previous one, as real providers publish them.
    signers: Mutex<[Signer; 3]>,
    tokens: Mutex<Arc<Vec<String>>>,
}

impl Provider {
    fn new() -> Self {
        let provider = Self {
            signers: Mutex::new([(); 3].map(|()| Signer::es256().unwrap())),
            tokens: Mutex::new(Arc::default()),
        };
        provider.sign();
        provider
    }

    /// Makes the next key the signing key, and publishes a new one.
    fn rotate(&self) {
        let mut signers = self.signers.lock().unwrap();
        signers.rotate_right(1);
        signers[0] = Signer::es256().unwrap();
    }

    /// Gives the callers new tokens.
    fn sign(&self) {
        let signers = self.signers.lock().unwrap();
        let token = |number| {
            let grant = Grant {
                issuer: ISSUER.to_owned(),
                audience: "zec-gateway".to_owned(),
                subject: format!("caller-{number}"),
                groups: vec!["staff".to_owned()],
                lifetime: Duration::from_secs(600),
            };
            signers[1].token(&grant).unwrap()
        };
        *self.tokens.lock().unwrap() = Arc::new((0..CALLERS).map(token).collect());
    }

    fn document(&self) -> String {
        let signers = self.signers.lock().unwrap();
        key_set(&signers.iter().collect::<Vec<_>>())
    }
}

/// A gateway that fetches the provider's keys at this interval.
async fn gateway(provider: &Arc<Provider>, refresh: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keys = listener.local_addr().unwrap();
    let published = Arc::clone(provider);
    let document = move || published.document();
    tokio::spawn(serve_key_set(listener, document, std::future::pending()));
    let text = format!(
        "[[auth.issuers]]\nname = \"corp\"\nissuer = \"{ISSUER}\"\naudiences = [\"zec-gateway\"]\n\
         jwks_url = \"http://{keys}/jwks.json\"\nrefresh_interval = \"{refresh}\"\n\
         [policy]\ndirectory = \"policy\"\n\
         [limits]\nrequests_per_second = 0\n[journal]\nenabled = false\n"
    );
    let config = Config::parse("gateway.toml".as_ref(), &text, std::iter::empty()).unwrap();
    let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
    let engine = Engine::from_sources(&[]).unwrap().0;
    let app = App::assemble(&config, engine, key).unwrap();
    app.fetch_keys().await;
    let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = public.local_addr().unwrap();
    tokio::spawn(app.run(
        AppListeners { public: public.into(), admin: admin.into() },
        || {},
        std::future::pending(),
    ));
    address
}

/// The duration of each request, in µs.
async fn load(gateway: SocketAddr, provider: &Arc<Provider>, until: Instant) -> Vec<u128> {
    let mut all = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let provider = Arc::clone(provider);
        all.spawn(async move {
            let stream = TcpStream::connect(gateway).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let io = TokioIo::new(stream);
            let (mut sender, serving) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(serving);
            let mut took = Vec::new();
            while Instant::now() < until {
                let tokens = Arc::clone(&provider.tokens.lock().unwrap());
                let token = &tokens[(connection + took.len()) % CALLERS];
                let request = Request::get("/whoami")
                    .header(header::HOST, "gateway")
                    .header(header::AUTHORIZATION, format!("Bearer {token}"))
                    .body(Empty::<Bytes>::new())
                    .unwrap();
                let started = Instant::now();
                let answer = sender.send_request(request).await.unwrap();
                assert_eq!(answer.status(), 200, "a good token was refused");
                answer.into_body().collect().await.unwrap();
                took.push(started.elapsed().as_micros());
            }
            took
        });
    }
    all.join_all().await.concat()
}

/// A round of load, during which tokens, and perhaps keys, are replaced.
async fn round(name: &str, gateway: SocketAddr, provider: &Arc<Provider>, rotates: bool) {
    let until = Instant::now() + ROUND;
    let changing = Arc::clone(provider);
    let changes = tokio::spawn(async move {
        loop {
            tokio::time::sleep(ROTATION).await;
            if rotates {
                changing.rotate();
            }
            changing.sign();
        }
    });
    let mut took = load(gateway, provider, until).await;
    changes.abort();
    took.sort_unstable();
    let at = |share: usize| took[took.len() * share / 1000];
    println!(
        "{name:32} {:>8} requests, p50 {:>6} µs, p99 {:>6} µs, p99.9 {:>6} µs",
        took.len(),
        at(500),
        at(990),
        at(999)
    );
}

#[tokio::main]
async fn main() {
    let (still, rotating) = (Arc::new(Provider::new()), Arc::new(Provider::new()));
    let quiet = gateway(&still, "10m").await;
    let busy = gateway(&rotating, "50ms").await;
    for _ in 0..ROUNDS {
        round("keys stay", quiet, &still, false).await;
        round("keys refresh and rotate", busy, &rotating, true).await;
    }
}
