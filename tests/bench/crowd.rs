//! How long a request waits while a thousand connections are silent: `cargo bench --locked --bench crowd`. The figures
//! are in `docs/performance.md`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run should say so and stop"
)]

use std::{future::pending, net::SocketAddr, path::PathBuf, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use zec_gateway::{
    app::{App, AppListeners},
    config::Config,
    issuer::{Grant, Signer, key_set},
    policy::{Engine, Source},
    zec::AccessKey,
};

const ISSUER: &str = "https://sso.example.com";
const CROWD: u64 = 1000;

/// A running gateway, and a request that it answers without ZEC.
async fn gateway() -> (SocketAddr, String) {
    let directory = tempfile::tempdir().unwrap();
    let signer = Signer::es256().unwrap();
    std::fs::write(directory.path().join("jwks.json"), key_set(&[&signer])).unwrap();
    let text = format!(
        "[server]\nheader_timeout = \"1h\"\nidle_timeout = \"1h\"\n\
         [[auth.issuers]]\nname = \"corp\"\nissuer = \"{ISSUER}\"\naudiences = [\"zec-gateway\"]\n\
         jwks_file = \"jwks.json\"\n[policy]\ndirectory = \"policy\"\n\
         [limits]\nrequests_per_second = 0\n[journal]\nenabled = false\n"
    );
    let file = directory.path().join("gateway.toml");
    let config = Config::parse(&file, &text, std::iter::empty()).unwrap();
    let grant = Grant {
        issuer: ISSUER.to_owned(),
        audience: "zec-gateway".to_owned(),
        subject: "alice".to_owned(),
        groups: vec!["staff".to_owned()],
        lifetime: Duration::from_secs(12 * 3600),
    };
    let token = signer.token(&grant).unwrap();
    let policy = Source { path: PathBuf::from("none.cedar"), text: String::new() };
    let engine = Engine::from_sources(&[policy]).unwrap().0;
    let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
    let app = App::assemble(&config, engine, key).unwrap();
    let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = public.local_addr().unwrap();
    tokio::spawn(app.run(
        AppListeners { public: public.into(), admin: admin.into() },
        || {},
        pending(),
    ));
    let request =
        format!("GET /whoami HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\r\n");
    (address, request)
}

/// One request on a new connection, up to the end of its answer.
async fn ask(address: SocketAddr, request: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).await.unwrap();
    assert!(buffer[..count].starts_with(b"HTTP/1.1 200 OK"));
}

fn crowd(c: &mut Criterion) {
    let wanted = 2 * CROWD + 1000;
    assert!(rlimit::increase_nofile_limit(wanted).unwrap() >= wanted, "raise `ulimit -Hn`");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (address, request) = runtime.block_on(gateway());
    c.bench_function("a request, nobody else there", |b| {
        b.iter(|| runtime.block_on(ask(address, &request)));
    });
    let mut held = Vec::new();
    runtime.block_on(async {
        for _ in 0..CROWD {
            held.push(TcpStream::connect(address).await.unwrap());
        }
    });
    c.bench_function("a request while 1,000 connections say nothing", |b| {
        b.iter(|| runtime.block_on(ask(address, &request)));
    });
    drop(held);
}

criterion_group!(benches, crowd);
criterion_main!(benches);
