//! The cost of a request, stage by stage: `cargo bench --locked`. The figures are in `docs/performance.md`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run should say so and stop"
)]

mod parts;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method, header::AUTHORIZATION};
use http_body_util::Full;
use parts::{Here, Identity, SignedBy, access_key, at_once, policies};
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tower::ServiceExt;
use zec_gateway::{
    app::App,
    auth::{self, Authenticator},
    domain::Nic,
    metrics::Metrics,
    policy::Verdict,
    zec,
};

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
    // Both get a new token that is in the processor's cache, as if it had just been received. A repeated signature
    // would be verified faster, because the processor has learnt its branches.
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

/// Medians of many calls in turns, so that changes in the machine's speed affect both alike.
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

fn decide(c: &mut Criterion) {
    let (caller, crowded, change) = (parts::caller(), parts::crowded(), parts::change());
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
            // The gateway writes each request in one piece and waits for its answer.
            while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

/// Parsing a vNIC from its bytes, compared with a reader that checks nothing.
fn look(c: &mut Criterion) {
    let described = parts::described(parts::NIC);
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    let text = described["dataSet"][0].to_string();
    c.bench_function("read a vNIC of 101 addresses", |b| {
        b.iter_batched(
            || RawValue::from_string(text.clone()).unwrap(),
            |raw| Nic::parse(raw).unwrap(),
            BatchSize::SmallInput,
        );
    });
    c.bench_function("the same by serde_json alone, to a Value", |b| {
        b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&text)).unwrap());
    });
}

/// Requests that never leave the gateway: the layers alone, then with a token, then with a decision too.
fn answered_here(c: &mut Criterion) {
    let runtime = parts::runtime();
    let _timers = runtime.enter();
    let Here { identity, stack, .. } = &Here::new();
    let headers = identity.fresh();
    for (name, request, status) in parts::answered_here(&headers) {
        c.bench_function(name, |b| {
            b.iter_batched(
                &request,
                |request| {
                    let answer = at_once(stack.clone().oneshot(request));
                    assert_eq!(answer.status(), status);
                    answer
                },
                BatchSize::SmallInput,
            );
        });
    }
}

/// A call that the policy refuses, by a token known again and by an access key, in turns; beside them the signature alone.
fn by_token_and_by_key(_: &mut Criterion) {
    const CALLS: usize = 20_000;
    let runtime = parts::runtime();
    let _timers = runtime.enter();
    let Here { identity, stack, .. } = &Here::new();
    let (token, key) = (identity.fresh(), parts::signed(SignedBy::Caller));
    let answered = |who: &HeaderMap, status: u16| {
        let request = parts::zec_call(who);
        let started = Instant::now();
        let answer = at_once(stack.clone().oneshot(request));
        let took = started.elapsed();
        assert_eq!(answer.status(), status);
        took
    };
    let zecs = access_key();
    let signs = || {
        let started = Instant::now();
        let body = parts::CALL.as_bytes();
        black_box(zec::authorization(&zecs, "1767225600", zec::CONTENT_TYPE, "gateway", body));
        started.elapsed()
    };
    let forged = parts::signed(SignedBy::WrongPassword);
    let stages: [&dyn Fn() -> Duration; 5] = [
        &|| answered(&token, 403),
        &|| answered(&key, 403),
        &signs,
        &|| answered(&parts::forged(identity), 401),
        &|| answered(&forged, 401),
    ];
    let mut times = stages.map(|_| Vec::with_capacity(CALLS));
    for turn in 0..CALLS {
        for offset in 0..stages.len() {
            // Each stage follows every other one as often.
            let step = if turn % 2 == 0 { offset } else { stages.len() - offset };
            let stage = (turn / 2 + step) % stages.len();
            times[stage].push(stages[stage]());
        }
    }
    let [token, key, signs, forged_token, forged_key] = times.map(|mut times| {
        times.sort_unstable();
        times[CALLS / 2].as_secs_f64() * 1e6
    });
    println!(
        "in turns, medians: a refused call by a token known again {token:.1} µs, by a key {key:.1} µs, to make a signature \
         {signs:.1} µs; a forged token {forged_token:.1} µs, a forged signature {forged_key:.1} µs"
    );
}

fn whole_path(c: &mut Criterion) {
    let runtime = parts::runtime();
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
        let request = parts::request(Method::DELETE, parts::TARGET, headers);
        runtime.block_on(async {
            let answer = stack.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.into_body().bytes
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

criterion_group!(
    benches,
    sign,
    verify,
    decide,
    look,
    answered_here,
    by_token_and_by_key,
    whole_path
);
criterion_main!(benches);
