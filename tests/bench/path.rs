//! What a request costs, stage by stage: `cargo bench --locked`. Figures stand in `docs/performance.md`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run should say so and stop"
)]

use std::{
    hint::black_box,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{
    HeaderMap, HeaderValue, Request,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::{BodyExt, Full};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tower::ServiceExt;
use zec_gateway::{
    app::App,
    auth::{self, Authenticator},
    config::Config,
    domain::{Addresses, Caller, Change, ChangeIpv4, NicId},
    issuer::{Grant, Signer, key_set},
    metrics::Metrics,
    policy::{Engine, Source, Verdict},
    zec::{self, AccessKey},
};

const ISSUER: &str = "https://sso.example.com";

fn access_key() -> AccessKey {
    AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap()
}

fn sign(c: &mut Criterion) {
    let key = access_key();
    let body = br#"{"nicId":"1612345678901234567","ipAddresses":["10.0.0.21"]}"#;
    c.bench_function("sign a request", |b| {
        b.iter(|| {
            let host = "console.zenlayer.com";
            zec::authorization(&key, "1767225600", zec::CONTENT_TYPE, host, black_box(body))
        });
    });
}

/// An issuer with its configuration, and tokens of its.
struct Identity {
    config: Config,
    signer: Signer,
    grant: Grant,
}

impl Identity {
    fn new(directory: &std::path::Path) -> Self {
        let signer = Signer::es256().unwrap();
        std::fs::write(directory.join("jwks.json"), key_set(&[&signer])).unwrap();
        let text = format!(
            "[[auth.issuers]]\nname = \"corp\"\nissuer = \"{ISSUER}\"\naudiences = [\"zec-gateway\"]\n\
             jwks_file = \"jwks.json\"\n[policy]\ndirectory = \"policy\"\n[zec]\npreflight = false\n\
             [limits]\nrequests_per_second = 0\n[journal]\nenabled = false\n"
        );
        let file = directory.join("gateway.toml");
        let config = Config::parse(&file, &text, std::iter::empty()).unwrap();
        let grant = Grant {
            issuer: ISSUER.to_owned(),
            audience: "zec-gateway".to_owned(),
            subject: "alice".to_owned(),
            groups: vec!["team-5".to_owned(), "staff".to_owned()],
            lifetime: Duration::from_secs(12 * 3600),
        };
        Self { config, signer, grant }
    }

    /// A token that nobody has seen: an ES256 signature is another one each time.
    fn fresh(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", self.signer.token(&self.grant).unwrap());
        headers.insert(AUTHORIZATION, bearer.parse().unwrap());
        headers
    }
}

fn verify(c: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    let headers = identity.fresh();
    let settings: &auth::Settings = &identity.config.auth;
    let metrics = Arc::new(Metrics::new(&[], &["corp".to_owned()]).unwrap());
    let authenticator = Authenticator::load(settings, metrics).unwrap();
    let document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("jwks.json")).unwrap())
            .unwrap();
    let coordinate =
        |name: &str| URL_SAFE_NO_PAD.decode(document["keys"][0][name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point);
    // Both get a token that was never seen, still in the processor's cache as if it had just come off
    // the wire: a signature that comes again is verified faster, for its branches are known.
    let primitive = || {
        let headers = identity.fresh();
        let token = headers[AUTHORIZATION].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let started = Instant::now();
        key.verify(black_box(message.as_bytes()), &signature).unwrap();
        started.elapsed()
    };
    let ours = || {
        let headers = identity.fresh();
        let started = Instant::now();
        black_box(at_once(authenticator.authenticate(&headers, SystemTime::now())));
        started.elapsed()
    };
    c.bench_function("the ES256 primitive alone", |b| {
        b.iter_custom(|times| (0..times).map(|_| primitive()).sum());
    });
    c.bench_function("verify an ES256 token", |b| {
        b.iter_custom(|times| (0..times).map(|_| ours()).sum());
    });
    in_turns(primitive, ours);
    c.bench_function("know a token again", |b| {
        b.iter(|| at_once(authenticator.authenticate(black_box(&headers), SystemTime::now())));
    });
}

/// Medians of many calls in turns, so that a machine that is now faster, now slower is the same to
/// both.
fn in_turns(primitive: impl Fn() -> Duration, ours: impl Fn() -> Duration) {
    const CALLS: usize = 20_000;
    let (mut alone, mut whole): (Vec<_>, Vec<_>) =
        (0..CALLS).map(|_| (primitive(), ours())).unzip();
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[CALLS / 2].as_secs_f64() * 1e6
    };
    let (alone, whole) = (median(&mut alone), median(&mut whole));
    println!(
        "ES256 in turns, medians: the primitive {alone:.1} µs, a whole token {whole:.1} µs, {:+.1} µs",
        whole - alone
    );
}

/// What a future gives that waits for nobody: the keys are at hand.
fn at_once<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.unwrap(),
        Poll::Pending => panic!("it waits"),
    }
}

/// So many teams' policies, of which one concerns the caller.
fn policies(count: usize) -> Engine {
    let texts: Vec<String> = (0..count)
        .map(|team| {
            format!(
                "@id(\"team-{team}\") permit (principal in Zec::Group::\"corp/team-{team}\", \
                 action == Zec::Action::\"UnassignNetworkInterfaceIpv4\", resource) \
                 when {{ context.address.isInRange(ip(\"10.{}.{}.0/24\")) }};\n",
                team / 250,
                team % 250
            )
        })
        .collect();
    let text = texts.concat();
    Engine::from_sources(&[Source { path: PathBuf::from("teams.cedar"), text }]).unwrap().0
}

fn decide(c: &mut Criterion) {
    let caller = Caller::vouch("corp", "alice", ["team-5".to_owned(), "staff".to_owned()]).unwrap();
    let crowd = (0..100).map(|n| format!("crowd-{n}")).chain(["team-5".to_owned()]);
    let crowded = Caller::vouch("corp", "alice", crowd).unwrap();
    let change = ChangeIpv4 {
        change: Change::Unassign,
        nic: NicId::parse("1612345678901234567").unwrap(),
        addresses: Addresses::parse(["10.0.5.21"], 50).unwrap(),
    };
    for (count, caller, name) in [
        (10, &caller, "decide one address, 10 policies"),
        (1000, &caller, "decide one address, 1,000 policies"),
        (1000, &crowded, "decide one address, 1,000 policies, 101 groups"),
    ] {
        let engine = policies(count);
        c.bench_function(name, |b| {
            b.iter_batched(
                || change.clone(),
                |change| match engine.ask(black_box(caller), change) {
                    Verdict::Allowed(permit) => permit,
                    verdict => panic!("{verdict:?}"),
                },
                BatchSize::SmallInput,
            );
        });
    }
}

/// Answers every request at once with the same bytes.
async fn stub(listener: TcpListener) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const BODY: &str = r#"{"requestId":"T1","response":{"requestId":"T1"}}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    while let Ok((mut stream, _)) = listener.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            // The gateway writes a request at once and waits for its answer.
            while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

fn whole_path(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut identity = Identity::new(directory.path());
    let stack = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        identity.config.zec.scheme = http::uri::Scheme::HTTP;
        identity.config.zec.authority = listener.local_addr().unwrap().to_string().parse().unwrap();
        tokio::spawn(stub(listener));
        let app = App::assemble(&identity.config, policies(25), access_key()).unwrap();
        app.stack::<Full<Bytes>>()
    });
    let delete = |headers: HeaderMap| {
        let target = "/nics/1612345678901234567/ipv4?ipAddresses=10.0.5.21";
        let mut request = Request::delete(target).body(Full::new(Bytes::new())).unwrap();
        *request.headers_mut() = headers;
        request.headers_mut().insert(HOST, HeaderValue::from_static("gateway"));
        runtime.block_on(async {
            let answer = stack.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await.unwrap()
        })
    };
    c.bench_function("the whole path, stub upstream", |b| {
        b.iter_batched(|| identity.fresh(), delete, BatchSize::SmallInput);
    });
    let same = identity.fresh();
    c.bench_function("the whole path, stub upstream, a token sent again", |b| {
        b.iter_batched(|| same.clone(), delete, BatchSize::SmallInput);
    });
}

criterion_group!(benches, sign, verify, decide, whole_path);
criterion_main!(benches);
