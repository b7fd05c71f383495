//! Kills the gateway again and again in the middle of writes, while callers retry, with keys and without. Every answer
//! to a caller stays true, nothing is sent twice, and the journal has the outcome for every address.

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

/// How many attempts a writer makes for one address.
const TRIES: usize = 4;

/// The number of kills; `scripts/test --full` kills the gateway 200 times.
fn kills() -> usize {
    let wanted = std::env::var("ZEC_GATEWAY_TEST_KILLS").ok();
    wanted.map_or(20, |kills| kills.parse().expect("a number of kills"))
}

/// The addresses of a writer's own vNIC.
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

/// The state that all writers share.
struct Shared {
    gateway: Mutex<Option<SocketAddr>>,
    told: Mutex<HashMap<Ipv4Addr, Vec<Answer>>>,
    /// The number of writes that were answered as done.
    heard: AtomicUsize,
    over: AtomicBool,
    bearer: String,
}

impl Shared {
    /// Unassigns one address after the other. A writer retries if it gets no answer, or an answer that asks for a
    /// retry. Every second writer uses keys.
    async fn write(self: Arc<Self>, writer: u8) {
        for address in addresses(writer) {
            for _ in 0..TRIES {
                let Some(gateway) = self.gateway().await else { return };
                let Some(answer) = self.ask(gateway, writer, address).await else { continue };
                let again = matches!(answer.status, 409 | 502 | 503 | 504);
                let done = answer.status == 200;
                self.told.lock().unwrap().entry(address).or_default().push(answer);
                self.heard.fetch_add(usize::from(done), Ordering::SeqCst);
                if !again {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// The address of a gateway that serves; `None` after the end of the storm.
    async fn gateway(&self) -> Option<SocketAddr> {
        loop {
            if self.over.load(Ordering::SeqCst) {
                return None;
            }
            if let Some(gateway) = *self.gateway.lock().unwrap() {
                return Some(gateway);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn ask(&self, gateway: SocketAddr, writer: u8, address: Ipv4Addr) -> Option<Answer> {
        let target = format!("/nics/storm-{writer}/ipv4/{address}");
        let key = format!("key-of-{address}");
        let mut headers = vec![("Authorization", self.bearer.as_str()), ("Connection", "close")];
        headers.extend(writer.is_multiple_of(2).then_some(("Idempotency-Key", key.as_str())));
        let text = client::request("DELETE", &target, &headers, None);
        let mut stream = TcpStream::connect(gateway).await.ok()?;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes()).await;
        client::read(&mut stream).await
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

/// The journal's record for each address: the last outcome of each of its operations, or `pending` if there is no
/// outcome.
fn journal(directory: &Path) -> BTreeMap<Ipv4Addr, Vec<String>> {
    let file = directory.join("journal.db");
    let file = file.to_str().unwrap();
    let (code, _, said) = run(&["journal", "verify", file], directory);
    assert_eq!(code, 0, "{said}");
    let (code, lines, said) = run(&["journal", "export", file], directory);
    assert_eq!(code, 0, "{said}");
    let mut asked = HashMap::new();
    let mut fates: BTreeMap<Ipv4Addr, Vec<String>> = BTreeMap::new();
    for line in lines.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let entry: Value = serde_json::from_str(entry["content"].as_str().unwrap()).unwrap();
        let operation = entry["operation"].as_str().unwrap().to_owned();
        if entry["kind"] == "intent" {
            let list = entry["arguments"]["ipAddresses"].as_array().unwrap();
            let [address] = list.as_slice() else { panic!("several addresses: {entry}") };
            let address: Ipv4Addr = address.as_str().unwrap().parse().unwrap();
            let of_address = fates.entry(address).or_default();
            asked.insert(operation, (address, of_address.len()));
            of_address.push("pending".to_owned());
        } else {
            let (address, number) = asked[&operation];
            let outcome = entry["outcome"].as_str().unwrap();
            outcome.clone_into(&mut fates.get_mut(&address).unwrap()[number]);
        }
    }
    fates
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_was_true_however_often_the_gateway_is_killed() {
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
        // At a random moment, so between any two steps of some write.
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..60_000))).await;
        served.child.kill().unwrap();
        *shared.gateway.lock().unwrap() = None;
        served.child.wait().unwrap();
    }
    shared.over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    // The last start resolves the unfinished operations of the others, and ends in order.
    let mut served = tokio::task::block_in_place(|| Served::start(&files, "info"));
    assert_eq!(tokio::task::block_in_place(|| served.stop()), Some(0), "{}", served.said);
    check(&zec, &shared.told.lock().unwrap(), &journal(files.directory.path()));
}

/// Compares the callers' answers, the requests that ZEC received, ZEC's vNICs, and the journal.
fn check(
    zec: &Emulator,
    told: &HashMap<Ipv4Addr, Vec<Answer>>,
    journal: &BTreeMap<Ipv4Addr, Vec<String>>,
) {
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
    for (address, fates) in journal {
        let count = |outcomes: &[&str]| {
            fates.iter().filter(|fate| outcomes.contains(&fate.as_str())).count()
        };
        let known = ["done", "not-sent", "rejected", "not-done", "pending", "unknown"];
        assert_eq!(count(&known), fates.len(), "{fates:?}");
        assert!(count(&["done", "pending", "unknown"]) <= 1, "{address} twice: {fates:?}");
        if count(&["done"]) == 1 {
            assert!(gone(address), "{address} is done and still there");
        } else if count(&["pending", "unknown"]) == 0 {
            assert!(!gone(address), "{address} is gone by nobody: {fates:?}");
        }
        if count(&["not-sent"]) == fates.len() {
            assert!(!sent.contains_key(address), "{address} was sent after all");
        }
    }
    let told = told.iter().flat_map(|(address, all)| all.iter().map(move |one| (address, one)));
    let mut done = 0;
    for (address, answer) in told {
        let fates = journal.get(address).map(Vec::as_slice).unwrap_or_default();
        is_true(*address, answer, fates, gone(address));
        done += usize::from(answer.status == 200);
    }
    assert!(done >= kills(), "only {done} writes were done: the storm was none");
}

/// Compares one caller's answer for an address with the journal and with ZEC.
fn is_true(address: Ipv4Addr, answer: &Answer, fates: &[String], gone: bool) {
    let says = |outcomes: &[&str]| fates.iter().any(|fate| outcomes.contains(&fate.as_str()));
    match answer.status {
        200 => assert!(says(&["done"]), "{address} was said to be done: {fates:?}"),
        409 if answer.problem().1 == "state-conflict" => assert!(gone, "{address}"),
        409 => assert!(!fates.is_empty(), "{address} is held by nobody: {}", answer.text()),
        502 | 504 => assert!(says(&["unknown", "done", "not-done"]), "{address}: {fates:?}"),
        // This answer says that nothing was sent; an earlier attempt may have been.
        503 => {}
        status => panic!("{status}: {}", answer.text()),
    }
}
