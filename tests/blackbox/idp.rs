//! A real OIDC provider as a child process that takes commands on its stdin (`tests/oidc/provider.mjs`).

use std::{net::SocketAddr, path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpSocket,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

use crate::{
    client::{self, PATIENCE},
    real_parts::need,
    world::{Setup, World},
};

/// The provider's signature algorithms, each with its own key.
pub const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// The algorithms of the newest provider, which names Ed25519 as RFC 9864 does.
pub const NEWEST_ALGORITHMS: [&str; 3] = ["RS256", "ES256", "Ed25519"];

/// The issuer's series, in the form for `World::metric`.
pub const FETCHED: &str = r#"jwks_refreshes_total{issuer="corp",result="ok"}"#;
pub const FAILED: &str = r#"jwks_refreshes_total{issuer="corp",result="failed"}"#;

/// A provider with its address; it can stop and start again there.
pub struct Provider {
    pub issuer: String,
    address: SocketAddr,
    package: &'static str,
    process: Mutex<Option<Process>>,
    /// Bound and never listening. While the provider is stopped, no other test can get the port, and no connecting
    /// client can get it as its local port and so connect to itself.
    _held: TcpSocket,
}

struct Process {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Process {
    async fn start(address: SocketAddr, package: &str) -> Self {
        let part = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts/oidc");
        need(&part.join("installed.json"));
        let mut child = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc/provider.mjs"))
            .arg(part.canonicalize().unwrap())
            .arg(address.port().to_string())
            .arg(package)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { child, commands, answers };
        assert_eq!(process.answer().await["issuer"], format!("http://{address}"));
        process
    }

    async fn answer(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
        let line = line.expect("the provider says nothing").unwrap();
        serde_json::from_str(&line.expect("the provider has ended")).unwrap()
    }
}

impl Provider {
    pub async fn start() -> Self {
        Self::start_package("oidc-provider").await
    }

    /// The newest major version, whose tokens and keys say `Ed25519`.
    pub async fn start_newest() -> Self {
        Self::start_package("oidc-provider-9").await
    }

    async fn start_package(package: &'static str) -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = held.local_addr().unwrap();
        let process = Mutex::new(Some(Process::start(address, package).await));
        Self { issuer: format!("http://{address}"), address, package, process, _held: held }
    }

    /// Stops the process: nothing listens, and its keys are lost.
    pub async fn stop(&self) {
        let mut process = self.process.lock().await.take().expect("a provider that runs");
        process.child.kill().await.unwrap();
    }

    /// Starts it again at its address, with new keys.
    pub async fn start_again(&self) {
        *self.process.lock().await = Some(Process::start(self.address, self.package).await);
    }

    /// Sends it a command and waits until the command is done.
    pub async fn tell(&self, command: Value) -> Value {
        let mut process = self.process.lock().await;
        let process = process.as_mut().expect("a provider that runs");
        process.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        process.answer().await
    }

    pub async fn change(&self, what: &str) {
        self.tell(json!({ "do": what })).await;
    }

    /// How often its documents have been requested so far.
    pub async fn asked(&self) -> Asked {
        let asked = self.tell(json!({ "do": "asked" })).await;
        let count = |name: &str| asked[name].as_u64().unwrap();
        Asked { discovery: count("discovery"), keys: count("keys") }
    }

    /// A token from its token endpoint, as a program gets one.
    pub async fn token(&self, algorithm: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id=billing&client_secret=not-a-secret\
             &resource=urn:zec-gateway:{algorithm}"
        );
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        let text = client::request("POST", "/token", &kind, Some(&form));
        let answer = client::raw(self.address, text.as_bytes()).await.expect("a token");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A world whose only issuer is this provider, found through discovery.
    pub fn setup(&self, refresh: &str) -> Setup {
        let issuers = format!(
            "[[auth.issuers]]\nname = \"corp\"\nissuer = \"{}\"\naudiences = [\"zec-gateway\"]\n\
             discovery = true\nrefresh_interval = \"{refresh}\"\n",
            self.issuer
        );
        Setup { issuers: Some(issuers), ..Setup::without_rate() }
    }
}

/// How often each of the provider's documents was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub discovery: u64,
    pub keys: u64,
}

/// The `kid` of a token.
pub fn key_id(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// Waits until a fetch that began after this call has succeeded.
pub async fn until_fresh(world: &World) {
    // The next fetch may have begun before.
    let fetched = world.metric(FETCHED).await;
    world.until_metric(FETCHED, fetched + 2.0).await;
}

/// Whether the gateway reports that it is ready.
pub async fn is_ready(world: &World) -> bool {
    let request = client::request("GET", "/readyz", &[], None);
    client::raw(world.admin, request.as_bytes()).await.unwrap().status == 200
}
