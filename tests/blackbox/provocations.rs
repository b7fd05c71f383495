//! Provokes each alert of `deploy/prometheus`: each kind of trouble has a separate gateway, which is busy from the
//! start and then gets the trouble.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsConnector;
use zec_gateway::{
    emulator::{Fault, FaultKind},
    issuer::{Signer, key_set},
};

use crate::{
    client, issued_keys,
    program::{Files, Served},
    secure::{self, Authority, Client},
    stalled_log::fill_the_log,
    world::{Caller, ISSUER, NEVER, NIC, Setup, World, nic},
};

const WRITE: &str = "UnassignNetworkInterfaceIpv4";
/// A vNIC without addresses to unassign.
const EMPTY: &str = "empty-nic";
/// The number of files that a gateway may open if it is to run out of them.
const FEW_FILES: usize = 200;
/// The directory of a journal with little space.
const DISK: &str = "disk";
/// A policy that cannot be evaluated, for any caller and any write.
const BROKEN_POLICY: &str = "@id(\"odd\") forbid (principal, action in Zec::Action::\"addresses\", resource)\n\
                             when { context.addressCount + 9223372036854775807 < 0 };";

/// What can go wrong in a gateway or around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Killed,
    ZecFails,
    KeyRefused,
    AnswerLost,
    ClockAhead,
    ProviderGoneForHours,
    ProviderNeverThere,
    FaultyFile,
    JournalGone,
    CertificateForAWeek,
    CertificateForADay,
    /// A caller's last access key ends within a day.
    AccessKeyForADay,
    PolicyOverflows,
    UnreadableAnswer,
    Frozen,
    FewFilesLeft,
    LittleRoomLeft,
    LogUnread,
}

impl Trouble {
    pub const ALL: [Self; 18] = [
        Self::Killed,
        Self::ZecFails,
        Self::KeyRefused,
        Self::AnswerLost,
        Self::ClockAhead,
        Self::ProviderGoneForHours,
        Self::ProviderNeverThere,
        Self::FaultyFile,
        Self::JournalGone,
        Self::CertificateForAWeek,
        Self::CertificateForADay,
        Self::AccessKeyForADay,
        Self::PolicyOverflows,
        Self::UnreadableAnswer,
        Self::Frozen,
        Self::FewFilesLeft,
        Self::LittleRoomLeft,
        Self::LogUnread,
    ];

    /// The alerts that the trouble fires; no others fire.
    pub fn fires(self) -> &'static [&'static str] {
        match self {
            Self::Killed => &["ZecGatewayDown"],
            // The outcome of a write that ended in a 500 is unknown. Here there is no write of unknown outcome, because
            // even the read of the vNIC before it fails.
            Self::ZecFails => &["ZecGatewayZecLeftAlone"],
            Self::KeyRefused => &["ZecGatewayZecRefusesCredentials"],
            Self::AnswerLost => &["ZecGatewayOutcomeUnknown"],
            Self::ClockAhead => &["ZecGatewayClockSkew"],
            Self::ProviderGoneForHours => &["ZecGatewayKeysStale"],
            // A key set that was never fetched is stale too.
            Self::ProviderNeverThere => &["ZecGatewayKeysMissing", "ZecGatewayKeysStale"],
            Self::FaultyFile => &["ZecGatewayReloadFailed"],
            Self::JournalGone => &["ZecGatewayJournalFailing"],
            Self::CertificateForAWeek => &["ZecGatewayCertificateExpiresSoon"],
            Self::CertificateForADay => {
                &["ZecGatewayCertificateExpiresSoon", "ZecGatewayCertificateExpires"]
            }
            Self::AccessKeyForADay => &["ZecGatewayAccessKeyEndsSoon"],
            Self::PolicyOverflows => &["ZecGatewayPolicyError"],
            Self::UnreadableAnswer => &["ZecGatewayInternalError"],
            Self::Frozen => &["ZecGatewayFrozen"],
            Self::FewFilesLeft => &["ZecGatewayFileDescriptors"],
            Self::LittleRoomLeft => &["ZecGatewayJournalDiskFills"],
            Self::LogUnread => &["ZecGatewayLogLinesDropped"],
        }
    }

    /// Whether the gateway must have the trouble from its start: fetched keys do not vanish, and a test cannot wait an
    /// hour until they are too old.
    pub fn is_from_the_start(self) -> bool {
        matches!(self, Self::ProviderGoneForHours | Self::ProviderNeverThere)
    }
}

/// The alerts of all gateways together, which no single gateway fires.
pub const TOGETHER: [&str; 2] =
    ["ZecGatewayErrorBudgetBurnsFast", "ZecGatewayErrorBudgetBurnsSlowly"];

/// A gateway and its trouble.
pub struct Provocation {
    pub trouble: Trouble,
    pub admin: SocketAddr,
    gateway: Gateway,
    _work: JoinSet<()>,
}

enum Gateway {
    Here(Box<World>, Authority),
    Process { served: Served, connections: Vec<TcpStream>, files: Files },
}

impl Provocation {
    /// A busy gateway. It is healthy, unless it has its trouble from the start.
    pub async fn new(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Killed
            | Trouble::FewFilesLeft
            | Trouble::LittleRoomLeft
            | Trouble::LogUnread => Self::process(trouble),
            _ => Self::here(trouble).await,
        }
    }

    fn process(trouble: Trouble) -> Self {
        let files = Files::new("https://console.zenlayer.com");
        // Silent connections stay open and write no log lines, because nothing reads the log.
        let text = fs::read_to_string(files.config()).unwrap();
        let text = text.replacen("[server]", "[server]\nheader_timeout = \"1h\"", 1);
        fs::write(files.config(), text).unwrap();
        let serve = files.serve("info");
        let mut command = if trouble == Trouble::LittleRoomLeft {
            on_a_small_disk(&files)
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("ulimit -n {FEW_FILES} && exec \"$0\" \"$@\"")]);
            command
        };
        command.arg(serve.get_program()).args(serve.get_args()).env("RUST_LOG", "info");
        let served = Served::spawn(command);
        let admin = served.admin();
        let gateway = Gateway::Process { served, connections: Vec::new(), files };
        Self { trouble, admin, gateway, _work: JoinSet::new() }
    }

    async fn here(trouble: Trouble) -> Self {
        let authority = Authority::new();
        let world = setup(trouble, &authority).start().await;
        world.zec.insert_nic(nic(EMPTY));
        let secure = matches!(trouble, Trouble::CertificateForAWeek | Trouble::CertificateForADay);
        let mut work = JoinSet::new();
        if secure {
            let connector = Client::new(&authority).speaks(&["http/1.1"]).connector();
            work.spawn(work_in_secret(world.alice(), connector, world.gateway));
        } else {
            work.spawn(work_in_the_open(world.alice()));
        }
        let admin = world.admin;
        Self { trouble, admin, gateway: Gateway::Here(Box::new(world), authority), _work: work }
    }

    /// Causes the trouble.
    pub async fn provoke(&mut self) {
        match &mut self.gateway {
            Gateway::Here(world, authority) => trouble(self.trouble, world, authority).await,
            Gateway::Process { served, .. } if self.trouble == Trouble::Killed => {
                served.child.kill().unwrap();
                served.child.wait().unwrap();
            }
            Gateway::Process { served, files, .. } if self.trouble == Trouble::LittleRoomLeft => {
                // The path from the gateway's point of view.
                let disk = files.directory.path().join(DISK);
                let disk = disk.strip_prefix("/").unwrap();
                let root = format!("/proc/{}/root", served.child.id());
                let filler = Path::new(&root).join(disk).join("filler");
                fs::write(filler, vec![0; 64 << 20]).unwrap();
            }
            Gateway::Process { served, .. } if self.trouble == Trouble::LogUnread => {
                fill_the_log(served.gateway).await;
            }
            Gateway::Process { served, connections, .. } => {
                let open = fs::read_dir(format!("/proc/{}/fd", served.child.id())).unwrap().count();
                // Nine tenths, so that some files remain for health checks and scrapes.
                for _ in open..FEW_FILES * 9 / 10 {
                    connections.push(TcpStream::connect(served.gateway).await.unwrap());
                }
            }
        }
    }

    /// Whether its process metrics are those of the tests' own process, in which other tests open files too.
    pub fn is_here(&self) -> bool {
        matches!(self.gateway, Gateway::Here(..))
    }
}

/// Runs the following command with a separate disk of 300 MiB for the journal: in a mount namespace, for which users
/// other than root also need a user namespace.
fn on_a_small_disk(files: &Files) -> Command {
    let disk = files.directory.path().join(DISK);
    fs::create_dir(&disk).unwrap();
    let text = fs::read_to_string(files.config()).unwrap();
    fs::write(files.config(), format!("{text}[journal]\npath = \"{DISK}/journal.db\"\n")).unwrap();
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let script = "mount -t tmpfs -o size=300m tmpfs \"$0\" && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script]).arg(disk);
    command
}

fn setup(trouble: Trouble, authority: &Authority) -> Setup {
    // Nothing listens there.
    let url = "http://127.0.0.1:1/jwks.json";
    match trouble {
        Trouble::CertificateForAWeek | Trouble::CertificateForADay => {
            Setup { pace: NEVER, ..secure::setup("", &authority.server(2100)) }
        }
        Trouble::AccessKeyForADay => Setup {
            rest: issued_keys::CONFIGURED.to_owned(),
            files: issued_keys::files().to_vec(),
            ..Setup::default()
        },
        Trouble::Frozen => {
            Setup { limits: "freeze_file = \"freeze\"".to_owned(), ..Setup::default() }
        }
        Trouble::ProviderNeverThere => {
            Setup { keys: Some(format!("jwks_url = \"{url}\"")), ..Setup::default() }
        }
        Trouble::ProviderGoneForHours => {
            let signer = Signer::es256().unwrap();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let keys: Value = serde_json::from_str(&key_set(&[&signer])).unwrap();
            // The key set that an earlier gateway fetched two hours ago.
            let kept =
                json!({"issuer": ISSUER, "source": url, "fetchedAt": now - 7200, "keySet": keys});
            Setup {
                auth: "keys_cache_directory = \".\"".to_owned(),
                keys: Some(format!("jwks_url = \"{url}\"")),
                files: vec![("corp.json", kept.to_string())],
                signer,
                ..Setup::default()
            }
        }
        _ => Setup::default(),
    }
}

async fn trouble(trouble: Trouble, world: &World, authority: &Authority) {
    let day = Duration::from_hours(24);
    match trouble {
        Trouble::ZecFails => world.zec.inject(Fault::always(FaultKind::Status500)),
        Trouble::KeyRefused => world.zec.inject(Fault::always(FaultKind::RefuseCredentials)),
        Trouble::AnswerLost => world.zec.inject(Fault::always(FaultKind::CutAfter).on(WRITE)),
        Trouble::ClockAhead => world.zec.inject(Fault::always(FaultKind::ClockSkew(90))),
        Trouble::FaultyFile => {
            world.put("policy/test.cedar", "permit (");
            assert_eq!(world.reload().await.1, 1);
        }
        Trouble::PolicyOverflows => {
            world.put("policy/odd.cedar", BROKEN_POLICY);
            assert_eq!(world.reload().await.1, 0);
        }
        Trouble::JournalGone => {
            let journal = world.files.path().join("journal.db");
            fs::rename(&journal, journal.with_extension("aside")).unwrap();
        }
        Trouble::CertificateForAWeek => replace_certificate(world, authority, day * 7).await,
        Trouble::CertificateForADay => replace_certificate(world, authority, day).await,
        Trouble::AccessKeyForADay => {
            let ends = humantime::format_rfc3339_seconds(SystemTime::now() + day).to_string();
            let keys = world.text("access-keys.toml").replacen("2099-01-01T00:00:00Z", &ends, 1);
            world.put("access-keys.toml", &keys);
            assert_eq!(world.reload().await.1, 0);
        }
        // No request triggers a known bug. A journal that another program has written into is the only condition
        // outside the program for which it has no other problem.
        Trouble::UnreadableAnswer => {
            let journal = Connection::open(world.files.path().join("journal.db")).unwrap();
            journal.busy_timeout(client::PATIENCE).unwrap();
            let sql = "UPDATE idempotency_keys SET answer = 'nonsense' WHERE answer IS NOT NULL";
            assert_eq!(journal.execute(sql, []).unwrap(), 1);
        }
        Trouble::Frozen => world.put("freeze", "hands off"),
        Trouble::ProviderGoneForHours | Trouble::ProviderNeverThere => {}
        Trouble::Killed | Trouble::FewFilesLeft | Trouble::LittleRoomLeft | Trouble::LogUnread => {
            unreachable!("a process of its own")
        }
    }
}

async fn replace_certificate(world: &World, authority: &Authority, left: Duration) {
    let pair = authority.server_for(left);
    world.put("server.key", &pair.key);
    world.put("server.pem", &pair.cert);
    assert_eq!(world.reload().await.1, 0);
}

/// Reads several vNICs, writes, and repeats a request under a key whose answer the journal keeps.
async fn work_in_the_open(alice: Caller) {
    let empty = format!("/nics/{EMPTY}/ipv4?all=true");
    loop {
        alice.get("/whoami").await;
        for id in [NIC, "1612345678901234568", "1612345678901234569", "1612345678901234570"] {
            alice.get(&format!("/nics/{id}")).await;
        }
        alice.post(&format!("/nics/{NIC}/ipv4"), r#"{"ipAddresses":["10.0.0.60"]}"#).await;
        alice.delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.60")).await;
        alice.send("DELETE", &empty, &[("Idempotency-Key", "asked-again")], None).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn work_in_secret(alice: Caller, connector: TlsConnector, gateway: SocketAddr) {
    loop {
        let mut stream = secure::connect(&connector, gateway).await.unwrap();
        assert_eq!(secure::whoami(&mut stream, &alice).await.unwrap().status, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
