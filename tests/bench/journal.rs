//! The cost of the record of writes: `cargo bench --locked --bench journal -- [DIRECTORY]`. The figures are in
//! `docs/performance.md`.
//!
//! The first part measures how many writes a second a number of writers bring to disk. Each writer waits for its intent
//! and for its outcome before it goes on. The comparison is the rate of a lone writer that waits for the disk twice for
//! each write. The second part measures the processor time of whole requests with the journal on `/dev/shm`, compared
//! with the same requests without a journal.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark that cannot run should say so and stop"
)]

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use zec_gateway::{
    app::{App, AppListeners},
    config::Config,
    domain::{Addresses, Caller, Change, ChangeIpv4, NicId, Outcome, WriteCall},
    issuer::{Grant, Signer, key_set},
    journal::{Ending, Intent, Journal, Settings},
    metrics::Metrics,
    policy::{Engine, Permit, Source, Verdict},
    zec::AccessKey,
};

const WRITERS: [usize; 3] = [1, 32, 128];
const EACH_RUN: Duration = Duration::from_secs(3);
const MOST_WRITES: usize = 100_000;

/// How many 512-byte appends a second the disk completes, one after the other.
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
    Engine::from_sources(&[Source { path: "bench.cedar".into(), text }]).unwrap().0
}

fn permit(engine: &Engine, caller: &Caller) -> Permit<WriteCall> {
    let change = ChangeIpv4 {
        change: Change::Unassign,
        nic: NicId::parse("1612345678901234567").unwrap(),
        addresses: Addresses::parse(["10.0.0.21"], 9).unwrap(),
    };
    match engine.ask(caller, change) {
        Verdict::Allowed(permit) => permit.into_write().unwrap(),
        _ => panic!("the policy allows everything"),
    }
}

/// The processor time of the appending thread in microseconds, as the kernel counts it.
fn appending() -> f64 {
    let mut threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    let named = |path: &PathBuf| fs::read_to_string(path.join("comm")).unwrap() == "journal\n";
    let thread = threads.find(named).unwrap();
    let spent = fs::read_to_string(thread.join("schedstat")).unwrap();
    spent.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3
}

fn intent(caller: &Caller, count: u32) -> Intent {
    Intent {
        caller: caller.clone(),
        before: None,
        stale: false,
        zec: Arc::from("zec"),
        request_id: format!("request-{count}"),
        peer: None,
        software: None,
        key: None,
    }
}

/// The writes a second that this many writers record from intent to outcome, and the thread's microseconds for each
/// entry.
async fn recorded_a_second(directory: &Path, writers: usize) -> (f64, f64) {
    let path = directory.join(format!("journal-{writers}.db"));
    let settings = Settings { path, enabled: true, keep_months: 0 };
    let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
    let (journal, _) = Journal::open(&settings, metrics).unwrap();
    let engine = engine();
    // Another bench measures decisions, so the permits are made before the clock starts.
    let supplies: Vec<_> = (0..writers)
        .map(|writer| {
            let name = format!("writer-{writer}");
            let caller = Caller::vouch("corp", &name, Vec::<String>::new()).unwrap();
            let permits: Vec<_> =
                (0..MOST_WRITES / writers).map(|_| permit(&engine, &caller)).collect();
            (caller, permits)
        })
        .collect();
    let started = Instant::now();
    let until = started + EACH_RUN;
    let tasks: Vec<_> = supplies
        .into_iter()
        .map(|(caller, permits)| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let mut count = 0_u32;
                for permit in permits {
                    let intent = intent(&caller, count);
                    let ticket = journal.begin(permit, intent).await.unwrap();
                    let id = ticket.operation().unwrap();
                    ticket.spend().unwrap();
                    journal.end(id, Ending::new(Outcome::Done)).await.unwrap();
                    count += 1;
                    if Instant::now() >= until {
                        break;
                    }
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    let each = appending() / f64::from(count) / 2.0;
    journal.close().await;
    (rate, each)
}

async fn durable(directory: &Path) {
    let syncs = syncs_a_second(directory);
    let lone = syncs / 2.0;
    println!("one after the other: {syncs:.0} syncs a second, so {lone:.0} writes");
    for writers in WRITERS {
        let (rate, each) = recorded_a_second(directory, writers).await;
        println!(
            "{writers:4} writers: {rate:7.0} writes a second, {:5.1} x, {each:4.1} us an entry",
            rate / lone
        );
    }
    let after = syncs_a_second(directory);
    println!("one after the other, again: {after:.0} syncs a second");
}

const REQUESTS: usize = 20_000;
const AT_ONCE: usize = 32;
const ROUNDS: usize = 5;

/// Answers every request at once with the same bytes.
async fn stub(listener: TcpListener) {
    const BODY: &str = r#"{"requestId":"T1","response":{"requestId":"T1"}}"#;
    let length = BODY.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"
    );
    while let Ok((mut stream, _)) = listener.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

/// The other process: ZEC and all callers. It prints ZEC's address, and loads the gateway that each line of its input
/// names, with the tokens from a file.
async fn outside() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    tokio::spawn(stub(listener));
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (gateway, tokens) = line.split_once(' ').unwrap();
        let tokens: Arc<Vec<String>> =
            Arc::new(fs::read_to_string(tokens).unwrap().lines().map(str::to_owned).collect());
        let lanes: Vec<_> = (0..AT_ONCE)
            .map(|lane| tokio::spawn(call(gateway.to_owned(), lane, Arc::clone(&tokens))))
            .collect();
        for lane in lanes {
            lane.await.unwrap();
        }
        println!("done");
    }
}

/// One connection, with one request after the other.
async fn call(gateway: String, lane: usize, tokens: Arc<Vec<String>>) {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let mut buffer = [0; 4096];
    for token in tokens.iter().skip(lane).step_by(AT_ONCE) {
        let target = format!("/nics/nic-{lane}/ipv4?ipAddresses=10.0.5.21");
        let text = format!(
            "DELETE {target} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(buffer.get(..count).unwrap().starts_with(b"HTTP/1.1 200 "));
    }
}

/// The processor time of this process in seconds, with all its threads and the kernel's work for it.
fn processor_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    let ticks: u32 =
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u32>().unwrap()).sum();
    f64::from(ticks) / 100.0
}

/// A running gateway, with its callers in another process.
struct Gateway {
    child: std::process::Child,
    said: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
    address: std::net::SocketAddr,
    files: tempfile::TempDir,
}

/// A gateway with this bench's policy, and a fresh token for each request.
async fn gateway(journal: bool) -> Gateway {
    use std::io::BufRead;
    use std::process::{Command, Stdio};
    let files = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--outside")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint = said.next().unwrap().unwrap();
    let signer = Signer::es256().unwrap();
    fs::write(files.path().join("jwks.json"), key_set(&[&signer])).unwrap();
    let issuer = "https://sso.example.com";
    let text = format!(
        "[[auth.issuers]]\nname = \"corp\"\nissuer = \"{issuer}\"\naudiences = [\"zec-gateway\"]\n\
         jwks_file = \"jwks.json\"\n[policy]\ndirectory = \".\"\n[zec]\nendpoint = \"http://{endpoint}\"\n\
         preflight = false\n[limits]\nrequests_per_second = 0\naddresses_per_hour = 0\n\
         [journal]\nenabled = {journal}\n"
    );
    let file = files.path().join("gateway.toml");
    fs::write(&file, text).unwrap();
    let config = Config::load(&file, std::iter::empty()).unwrap();
    let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
    let app = App::assemble(&config, engine(), key).unwrap();
    app.fetch_keys().await;
    let grant = |number: usize| Grant {
        issuer: issuer.to_owned(),
        audience: "zec-gateway".to_owned(),
        subject: format!("caller-{number}"),
        groups: vec!["netops".to_owned()],
        lifetime: Duration::from_hours(1),
    };
    let tokens: Vec<String> =
        (0..REQUESTS).map(|number| signer.token(&grant(number)).unwrap()).collect();
    fs::write(files.path().join("tokens"), tokens.join("\n")).unwrap();
    let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = public.local_addr().unwrap();
    tokio::spawn(app.run(
        AppListeners { public: public.into(), admin: admin.into() },
        || {},
        std::future::pending(),
    ));
    Gateway { child, said, address, files }
}

/// The processor time of a request, in microseconds.
fn processor_time_a_request(gateway: &mut Gateway) -> f64 {
    let tokens = gateway.files.path().join("tokens");
    let before = processor_time();
    let line = format!("{} {}\n", gateway.address, tokens.display());
    gateway.child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    // Meanwhile the gateway runs on this runtime's threads.
    let done = tokio::task::block_in_place(|| gateway.said.next().unwrap().unwrap());
    assert_eq!(done, "done");
    (processor_time() - before) * 1e6 / f64::from(u32::try_from(REQUESTS).unwrap())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap()
}

/// In turns, so that other work on the machine affects both alike.
async fn beside_none() {
    let (mut with, mut without) = (gateway(true).await, gateway(false).await);
    let (mut costs, mut base) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        costs.push(processor_time_a_request(&mut with));
        base.push(processor_time_a_request(&mut without));
    }
    for gateway in [&mut with, &mut without] {
        drop(gateway.child.stdin.take());
        gateway.child.wait().unwrap();
    }
    let (with, without) = (median(costs), median(base));
    println!("processor time of a write, {AT_ONCE} connections, each token a second time at most:");
    println!("without a journal {without:.0} us, with one {with:.0} us, {:.2} x", with / without);
}

fn main() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    if std::env::args().any(|argument| argument == "--outside") {
        return runtime.block_on(outside());
    }
    // `cargo bench --locked` passes `--bench`.
    let directory = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let directory = directory.map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(directory).unwrap();
    runtime.block_on(durable(directory.path()));
    runtime.block_on(async { tokio::spawn(beside_none()).await.unwrap() });
}
