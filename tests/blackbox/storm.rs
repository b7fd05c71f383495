//! The gateway is killed again and again in the midst of writes: whatever a caller was told holds,
//! nothing is sent twice, and the journal tells what became of every address.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use secrecy::SecretString;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use zec_gateway::emulator::{Emulator, NicSeed, Settings, Subnet};

use crate::{
    client::{self, Answer, PATIENCE},
    program::{Files, Served, run},
    world::{KEY_ID, PASSWORD},
};

const WRITE: &str = "UnassignNetworkInterfaceIpv4";
const WRITERS: u8 = 16;

/// How often it is killed; `scripts/test --full` kills it 200 times.
fn kills() -> usize {
    let wanted = std::env::var("ZEC_GATEWAY_TEST_KILLS").ok();
    wanted.map_or(20, |kills| kills.parse().expect("a number of kills"))
}

/// The addresses of a writer's own vNIC: none is written twice.
fn addresses(writer: u8) -> Vec<Ipv4Addr> {
    (1..=9)
        .flat_map(|high| (1..=250).map(move |low| Ipv4Addr::new(10, writer, high, low)))
        .collect()
}

fn nic(writer: u8) -> NicSeed {
    let network = Ipv4Addr::new(10, writer, 0, 0);
    NicSeed {
        id: format!("storm-{writer}"),
        status: "USED".to_owned(),
        subnet: Subnet { id: format!("subnet-{writer}"), network, prefix: 16, ..Subnet::default() },
        primary: Some(Ipv4Addr::new(10, writer, 0, 9)),
        secondaries: addresses(writer),
        ..NicSeed::default()
    }
}

/// What all writers share.
struct Shared {
    gateway: Mutex<Option<SocketAddr>>,
    told: Mutex<HashMap<Ipv4Addr, Answer>>,
    heard: AtomicUsize,
    over: AtomicBool,
    bearer: String,
}

impl Shared {
    /// Asks for one address after the other, each once, whoever answers or not.
    async fn write(self: Arc<Self>, writer: u8) {
        for address in addresses(writer) {
            let gateway = loop {
                if self.over.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(gateway) = *self.gateway.lock().unwrap() {
                    break gateway;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            };
            let target = format!("/nics/storm-{writer}/ipv4/{address}");
            let headers = [("Authorization", self.bearer.as_str()), ("Connection", "close")];
            let text = client::request("DELETE", &target, &headers, None);
            let Ok(mut stream) = TcpStream::connect(gateway).await else { continue };
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes()).await;
            if let Some(answer) = client::read(&mut stream).await {
                self.told.lock().unwrap().insert(address, answer);
                self.heard.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    async fn until_heard(&self, count: usize) {
        let wait = async {
            while self.heard.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("answers");
    }
}

fn files(zec: SocketAddr) -> Files {
    let files = Files::new(&format!("http://{zec}"));
    let at = |name: &str| files.directory.path().join(name);
    let policy = "@id(\"storm\") permit (principal, action in Zec::Action::\"write\", resource);\n";
    fs::write(at("policy/storm.cedar"), policy).unwrap();
    let limits = "[limits]\nrequests_per_second = 0\naddresses_per_hour = 0\n";
    let text = fs::read_to_string(files.config()).unwrap();
    fs::write(files.config(), format!("{text}{limits}")).unwrap();
    files
}

/// What the journal says of each address: its operation's last outcome, `pending` if it has none.
fn journal(directory: &Path) -> BTreeMap<Ipv4Addr, String> {
    let file = directory.join("journal.db");
    let file = file.to_str().unwrap();
    let (code, _, said) = run(&["journal", "verify", file], directory);
    assert_eq!(code, 0, "{said}");
    let (code, lines, said) = run(&["journal", "export", file], directory);
    assert_eq!(code, 0, "{said}");
    let (mut asked, mut fates) = (HashMap::new(), BTreeMap::new());
    for line in lines.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let operation = entry["operation"].as_str().unwrap().to_owned();
        if entry["kind"] == "intent" {
            let body: Value = serde_json::from_str(entry["body"].as_str().unwrap()).unwrap();
            let list = body["ipAddresses"].as_array().unwrap();
            let [address] = list.as_slice() else { panic!("several addresses: {body}") };
            let address: Ipv4Addr = address.as_str().unwrap().parse().unwrap();
            asked.insert(operation, address);
            assert!(fates.insert(address, "pending".to_owned()).is_none(), "{address} twice");
        } else {
            fates.insert(asked[&operation], entry["outcome"].as_str().unwrap().to_owned());
        }
    }
    fates
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_told_something_was_told_the_truth_however_often_the_gateway_is_killed() {
    let zec = Emulator::new(Settings::new(KEY_ID, SecretString::from(PASSWORD)));
    (0..WRITERS).for_each(|writer| zec.insert_nic(nic(writer)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = files(listener.local_addr().unwrap());
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    let shared = Arc::new(Shared {
        gateway: Mutex::default(),
        told: Mutex::default(),
        heard: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        bearer: files.bearer(&["netops"]),
    });
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(Arc::clone(&shared).write(writer))).collect();
    for _ in 0..kills() {
        let mut served =
            tokio::task::block_in_place(|| Served::start(&files, "error,zec_gateway::cli=info"));
        *shared.gateway.lock().unwrap() = Some(served.gateway);
        shared.until_heard(shared.heard.load(Ordering::SeqCst) + 1).await;
        // At a random moment: between any two steps of some write.
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..60_000))).await;
        served.child.kill().unwrap();
        *shared.gateway.lock().unwrap() = None;
        served.child.wait().unwrap();
    }
    shared.over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    // The last start takes up what the others left, and ends in order.
    let mut served = tokio::task::block_in_place(|| Served::start(&files, "info"));
    assert_eq!(tokio::task::block_in_place(|| served.stop()), Some(0), "{}", served.said);
    check(&zec, &shared.told.lock().unwrap(), &journal(files.directory.path()));
}

/// Holds what callers were told, what ZEC was sent and has, and the journal against each other.
fn check(zec: &Emulator, told: &HashMap<Ipv4Addr, Answer>, journal: &BTreeMap<Ipv4Addr, String>) {
    let mut sent: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
    for request in zec.requests().iter().filter(|request| request.action == WRITE) {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for address in body["ipAddresses"].as_array().unwrap() {
            *sent.entry(address.as_str().unwrap().parse().unwrap()).or_default() += 1;
        }
    }
    assert!(sent.values().all(|times| *times == 1), "something was sent twice: {sent:?}");
    let gone = |address: &Ipv4Addr| {
        let nic = zec.nic(&format!("storm-{}", address.octets()[1])).unwrap();
        let left = nic["secondaryIpv4s"].as_array().unwrap().clone();
        !left.contains(&Value::from(address.to_string()))
    };
    for address in sent.keys() {
        assert!(journal.contains_key(address), "{address} was sent and not recorded");
    }
    for (address, fate) in journal {
        match fate.as_str() {
            "done" => assert!(gone(address), "{address} is done and still there"),
            "not-sent" => assert!(!sent.contains_key(address), "{address} was sent after all"),
            "rejected" | "not-done" => assert!(!gone(address), "{address} is {fate} and gone"),
            "pending" | "unknown" => {}
            other => panic!("{address} is {other}"),
        }
    }
    for (address, answer) in told {
        let fate = journal.get(address).map(String::as_str);
        match answer.status {
            200 => assert_eq!(fate, Some("done"), "{address} was said to be done"),
            502 | 504 => assert!(matches!(fate, Some("unknown" | "done" | "not-done")), "{fate:?}"),
            503 => assert!(matches!(fate, None | Some("not-sent")), "{address}: {fate:?}"),
            status => panic!("{status}: {}", answer.text()),
        }
    }
    let done = told.values().filter(|answer| answer.status == 200).count();
    assert!(done >= kills(), "only {done} writes were done: the storm was none");
}
