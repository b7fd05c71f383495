//! What the record of writes costs: `cargo bench --bench journal -- [DIRECTORY]`. Figures stand in
//! `docs/performance.md`.
//!
//! First how many writes a second so many writers bring to disk, intent and outcome each before they
//! go on, against the rate of a lone writer who would wait for the disk twice a write. Then the
//! processor time of whole requests with the journal on `/dev/shm`, against the same without one.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark that cannot run should say so and stop"
)]

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    Request,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::{BodyExt, Full};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tower::ServiceExt;
use zec_gateway::{
    app::App,
    config::Config,
    domain::{Addresses, Caller, Change, ChangeIpv4, NicId, Outcome},
    emulator::{Emulator, NicSeed, Settings as EmulatorSettings},
    issuer::{Grant, Signer, key_set},
    journal::{Ending, Intent, Journal, Settings},
    metrics::Metrics,
    policy::{Engine, Permit, Source, Verdict},
    zec::AccessKey,
};

const WRITERS: [usize; 3] = [1, 32, 128];
const EACH_RUN: Duration = Duration::from_secs(3);

/// How many 512-byte appends a second the disk brings home, one after the other.
fn syncs_a_second(directory: &Path) -> f64 {
    let path = directory.join("syncs");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let (started, mut count) = (Instant::now(), 0_u32);
    while started.elapsed() < EACH_RUN {
        file.write_all(&[7; 512]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    std::fs::remove_file(path).unwrap();
    f64::from(count) / started.elapsed().as_secs_f64()
}

fn engine() -> Engine {
    let text = "@id(\"any\") permit (principal, action, resource);".to_owned();
    Engine::from_sources(vec![Source { path: "bench.cedar".into(), text }]).unwrap().0
}

fn permit(engine: &Engine, caller: &Caller) -> Permit<ChangeIpv4> {
    let change = ChangeIpv4 {
        change: Change::Unassign,
        nic: NicId::parse("1612345678901234567").unwrap(),
        addresses: Addresses::parse(["10.0.0.21"], 9).unwrap(),
    };
    match engine.ask(caller, change) {
        Verdict::Allowed(permit) => permit,
        _ => panic!("the policy allows everything"),
    }
}

/// Writes a second that so many writers record from intent to outcome.
async fn recorded_a_second(directory: &Path, writers: usize) -> f64 {
    let path = directory.join(format!("journal-{writers}.db"));
    let settings = Settings { path, enabled: true, keep_months: 0 };
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let (journal, _) = Journal::open(&settings, metrics).unwrap();
    let engine = Arc::new(engine());
    let until = Instant::now() + EACH_RUN;
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (journal, engine) = (journal.clone(), Arc::clone(&engine));
            tokio::spawn(async move {
                let caller = Caller::for_benches("corp", &format!("writer-{writer}"));
                let mut count = 0_u32;
                while Instant::now() < until {
                    let request_id = format!("request-{writer}-{count}");
                    let intent =
                        Intent { caller: caller.clone(), before: None, request_id, key: None };
                    let ticket = journal.begin(permit(&engine, &caller), intent).await.unwrap();
                    let id = ticket.operation().unwrap();
                    ticket.spend().unwrap();
                    journal.end(id, Ending::new(Outcome::Done)).await.unwrap();
                    count += 1;
                }
                count
            })
        })
        .collect();
    let started = Instant::now();
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    journal.close().await;
    rate
}

async fn durable(directory: &Path) {
    let syncs = syncs_a_second(directory);
    let lone = syncs / 2.0;
    println!("one after the other: {syncs:.0} syncs a second, so {lone:.0} writes");
    for writers in WRITERS {
        let rate = recorded_a_second(directory, writers).await;
        println!("{writers:4} writers: {rate:7.0} writes a second, {:5.1} x", rate / lone);
    }
    let after = syncs_a_second(directory);
    println!("one after the other, again: {after:.0} syncs a second");
}
