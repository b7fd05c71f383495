//! A complete world for one test: a ZEC, an issuer, a gateway, and callers.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use zec_gateway::{
    app::{App, AppListeners, Reloader},
    config::Config,
    emulator::{self, Emulator, NicSeed},
    execute::Patience,
    issuer::{Grant, Signer, key_set},
    lanes::Lanes,
    reload::WatchPace,
};

use crate::client::{self, Answer};

pub const ISSUER: &str = "https://sso.example.com";
pub const KEY_ID: &str = "test-key-id";
pub const PASSWORD: &str = "test-key-password-that-must-never-show";

/// A vNIC that alice's policy allows, with addresses to unassign.
pub const NIC: &str = "1612345678901234567";

/// The rights of alice, in netops; no other caller has any.
const POLICY: &str = r#"
@id("netops-lab") @reason("netops owns the lab subnet")
permit (principal in Zec::Group::"corp/netops", action in Zec::Action::"addresses", resource)
when { context.address.isInRange(ip("10.0.0.0/24")) };
@id("netops-read")
permit (principal in Zec::Group::"corp/netops", action in Zec::Action::"read", resource);
"#;

/// The pace at which files are polled if a test waits for it.
pub const QUICK: WatchPace = WatchPace {
    every: Duration::from_millis(20),
    settle: Duration::from_millis(20),
    patience: client::PATIENCE,
};

/// Files are not polled; a test decides when they are loaded.
pub const NEVER: WatchPace = WatchPace {
    every: Duration::from_hours(1),
    settle: Duration::from_hours(1),
    patience: client::PATIENCE,
};

/// The differences of a world from the defaults of `config/gateway.toml`. A test that needs another setting says why.
pub struct Setup {
    pub policy: String,
    /// A shadow policy, tried out beside the policy in force.
    pub shadow: Option<String>,
    /// Lines for the configuration, by section.
    pub server: String,
    pub auth: String,
    pub limits: String,
    /// The limit of each caller's requests per second; `None` for the gateway's own default.
    pub requests_per_second: Option<u32>,
    pub zec: String,
    pub rest: String,
    /// Replaces the emulator's address.
    pub endpoint: Option<String>,
    /// Replaces the key file.
    pub keys: Option<String>,
    /// Replaces the issuer and its keys; the files that it names are beside the world's other files.
    pub issuers: Option<String>,
    pub emulator: emulator::Settings,
    /// The signer whose public key is in `jwks.json`.
    pub signer: Signer,
    /// Further files beside the configuration.
    pub files: Vec<(&'static str, String)>,
    /// How often and how long the gateway polls for unknown outcomes.
    pub patience: Patience,
    /// The pace at which files are polled; tests have no time for the real pace.
    pub pace: WatchPace,
    /// The time for an answer, if it is shorter than a configuration allows.
    pub hurry: Option<Duration>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: POLICY.to_owned(),
            shadow: None,
            server: String::new(),
            auth: String::new(),
            limits: String::new(),
            requests_per_second: None,
            // Most tests are about ZEC's own answers; the tests of the pre-flight switch it on.
            zec: String::new(),
            rest: String::new(),
            endpoint: None,
            keys: None,
            issuers: None,
            emulator: emulator::Settings::new(KEY_ID, SecretString::from(PASSWORD)),
            signer: Signer::es256().unwrap(),
            files: Vec::new(),
            patience: Patience::default(),
            pace: NEVER,
            hurry: None,
        }
    }
}

pub struct World {
    pub gateway: SocketAddr,
    pub admin: SocketAddr,
    pub zec: Emulator,
    pub zec_address: SocketAddr,
    pub signer: Signer,
    pub files: TempDir,
    pub reloader: Reloader,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<bool>>,
}

impl World {
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    /// A caller with these groups and a valid token.
    pub fn caller(&self, subject: &str, groups: &[&str]) -> Caller {
        let grant = Grant {
            issuer: ISSUER.to_owned(),
            audience: "zec-gateway".to_owned(),
            subject: subject.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            lifetime: Duration::from_mins(10),
        };
        self.bearer(&self.signer.token(&grant).unwrap())
    }

    /// A caller with this token.
    pub fn bearer(&self, token: &str) -> Caller {
        Caller { gateway: self.gateway, token: Some(token.to_owned()) }
    }

    /// alice of netops, who may write.
    pub fn alice(&self) -> Caller {
        self.caller("alice", &["netops", "staff"])
    }

    /// A caller without a token.
    pub fn stranger(&self) -> Caller {
        Caller { gateway: self.gateway, token: None }
    }

    /// The bodies of an action's requests that reached ZEC, oldest first.
    pub fn sent(&self, action: &str) -> Vec<String> {
        let requests = self.zec.requests().into_iter().filter(|request| request.action == action);
        requests.map(|request| String::from_utf8(request.body.to_vec()).unwrap()).collect()
    }

    /// Whether no request reached ZEC.
    pub fn nothing_was_sent(&self) -> bool {
        self.zec.requests().is_empty()
    }

    /// The secondary addresses of a vNIC, as ZEC has them.
    pub fn addresses(&self, nic: &str) -> Vec<String> {
        let nic = self.zec.nic(nic).expect("the vNIC");
        let list = nic["secondaryIpv4s"].as_array().unwrap();
        list.iter().map(|address| address.as_str().unwrap().to_owned()).collect()
    }

    pub async fn metrics(&self) -> String {
        let request = client::request("GET", "/metrics", &[("Connection", "close")], None);
        client::raw(self.admin, request.as_bytes()).await.unwrap().text().to_owned()
    }

    /// The value of a series in Prometheus' notation, without the prefix.
    pub async fn metric(&self, series: &str) -> f64 {
        let metrics = self.metrics().await;
        let value = metrics.lines().find_map(|line| {
            line.strip_prefix("zec_gateway_")?.strip_prefix(series)?.strip_prefix(' ')
        });
        value.unwrap_or_else(|| panic!("no series {series} in {metrics}")).parse().unwrap()
    }

    /// Waits until a series has reached a value.
    pub async fn until_metric(&self, series: &str, at_least: f64) {
        let wait = async {
            while self.metric(series).await < at_least {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(client::PATIENCE, wait).await.expect(series);
    }

    /// Waits until this many requests are in flight. A slot is free only when its answer has been sent, which its
    /// caller may see a moment earlier.
    pub async fn until_in_flight(&self, count: f64) {
        const SERIES: &str = "http_requests_in_flight";
        let there = async {
            while self.metric(SERIES).await != count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let there = tokio::time::timeout(client::PATIENCE, there).await;
        assert!(there.is_ok(), "{} run, not {count}", self.metric(SERIES).await);
    }

    /// Waits until ZEC has received this many requests.
    pub async fn until_sent(&self, count: usize) {
        let wait = async {
            while self.zec.requests().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(client::PATIENCE, wait).await.expect("requests at ZEC");
    }

    /// Waits until ZEC has received this many requests for an action.
    pub async fn until_sent_to(&self, action: &str, count: usize) {
        let wait = async {
            while self.sent(action).len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(client::PATIENCE, wait).await.expect("requests at ZEC");
    }

    /// Replaces a file's content.
    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.files.path().join(name), text).unwrap();
    }

    /// A file's content.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.files.path().join(name)).unwrap()
    }

    /// The answer of `/readyz?verbose`.
    pub async fn ready(&self) -> Answer {
        let request = client::request("GET", "/readyz?verbose", &[("Connection", "close")], None);
        client::raw(self.admin, request.as_bytes()).await.unwrap()
    }

    /// Waits until `/readyz` reports that the gateway is stopping.
    pub async fn until_not_ready(&self) {
        let off = async {
            while self.ready().await.status == 200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(client::PATIENCE, off).await.expect("readiness goes off");
    }

    /// The number of loads that have succeeded so far, and the number that have failed.
    pub async fn reloads(&self) -> (usize, usize) {
        let metrics = self.metrics().await;
        let count = |result: &str| {
            let series = format!("zec_gateway_reloads_total{{result=\"{result}\"}} ");
            let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
            value.expect("the series").parse().unwrap()
        };
        (count("ok"), count("failed"))
    }

    /// Reloads everything now, and returns how many loads succeeded and how many failed.
    pub async fn reload(&self) -> (usize, usize) {
        let units = self.ready().await.text().matches("reload of ").count();
        let before = self.reloads().await;
        self.reloader.reload();
        let loaded = async {
            loop {
                let now = self.reloads().await;
                let (ok, failed) = (now.0 - before.0, now.1 - before.1);
                if ok + failed == units {
                    return (ok, failed);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(client::PATIENCE, loaded).await.expect("a load of everything")
    }

    /// Asks the gateway to stop, without waiting.
    pub fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the gateway has stopped, and returns whether everything finished in time.
    pub async fn stopped(&mut self) -> bool {
        let running = self.running.take().expect("a gateway that runs");
        tokio::time::timeout(client::PATIENCE, running).await.expect("the drain").unwrap()
    }
}

impl Setup {
    /// Without the read of the vNIC before a write; `why` says why a test cannot have it.
    pub fn without_preflight(why: &str) -> Self {
        assert!(!why.is_empty());
        Self { zec: "preflight = false".to_owned(), ..Self::default() }
    }

    /// Without a limit of requests per second, because the test exceeds one caller's burst.
    pub fn without_rate() -> Self {
        Self { requests_per_second: Some(0), ..Self::default() }
    }

    pub async fn start(mut self) -> World {
        let files = tempfile::tempdir().unwrap();
        let zec = Emulator::new(std::mem::take(&mut self.emulator)).with_demo_nics();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let zec_address = listener.local_addr().unwrap();
        tokio::spawn(zec.clone().serve(listener, std::future::pending()));

        let file = self.write(files.path(), &zec_address);
        let mut config = Config::load(&file, std::iter::empty()).unwrap();
        config.server.request_timeout = self.hurry.unwrap_or(config.server.request_timeout);
        let mut app = App::load(&config).unwrap();
        app.pace = self.pace;
        app.lanes = Lanes::start().unwrap();
        app.patience = self.patience;
        let reloader = app.reloader();
        app.fetch_keys().await;
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (gateway, admin_address) = (public.local_addr().unwrap(), admin.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(app.run(
            AppListeners { public: public.into(), admin: admin.into() },
            || {},
            async {
                let _ = stopped.await;
            },
        ));
        World {
            gateway,
            admin: admin_address,
            zec,
            zec_address,
            signer: self.signer,
            files,
            reloader,
            stop: Some(stop),
            running: Some(running),
        }
    }

    /// Writes all files that a gateway reads, and returns the configuration's path.
    fn write(&self, directory: &Path, zec_address: &SocketAddr) -> PathBuf {
        fs::write(directory.join("jwks.json"), key_set(&[&self.signer])).unwrap();
        fs::write(directory.join("ak"), KEY_ID).unwrap();
        fs::write(directory.join("sk"), format!("{PASSWORD}\n")).unwrap();
        for (name, text) in &self.files {
            fs::write(directory.join(name), text).unwrap();
        }
        fs::create_dir(directory.join("policy")).unwrap();
        fs::write(directory.join("policy/test.cedar"), &self.policy).unwrap();
        let mut shadow = "";
        if let Some(text) = &self.shadow {
            fs::create_dir(directory.join("policy-next")).unwrap();
            fs::write(directory.join("policy-next/test.cedar"), text).unwrap();
            shadow = "shadow_directory = \"policy-next\"";
        }
        let endpoint = self.endpoint.clone().unwrap_or_else(|| format!("http://{zec_address}"));
        let keys = self.keys.clone().unwrap_or_else(|| "jwks_file = \"jwks.json\"".to_owned());
        let issuers = self.issuers.clone().unwrap_or_else(|| {
            format!(
                "[[auth.issuers]]\nname = \"corp\"\nissuer = \"{ISSUER}\"\n\
                 audiences = [\"zec-gateway\"]\n{keys}"
            )
        });
        let per_second = self
            .requests_per_second
            .map_or_else(String::new, |per_second| format!("requests_per_second = {per_second}"));
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n{}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [auth]\n{}\n{issuers}\n[policy]\ndirectory = \"policy\"\n{shadow}\n\
             [zec]\nendpoint = \"{endpoint}\"\naccess_key_id_file = \"ak\"\n\
             access_key_password_file = \"sk\"\n{}\n[limits]\n{per_second}\n{}\n{}\n",
            self.server, self.auth, self.zec, self.limits, self.rest
        );
        let file = directory.join("gateway.toml");
        fs::write(&file, &text).unwrap();
        file
    }
}

/// A caller of the gateway.
#[derive(Clone)]
pub struct Caller {
    gateway: SocketAddr,
    token: Option<String>,
}

impl Caller {
    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], None).await
    }

    pub async fn delete(&self, target: &str) -> Answer {
        self.send("DELETE", target, &[], None).await
    }

    pub async fn delete_with(&self, target: &str, body: &str) -> Answer {
        self.send("DELETE", target, &[("Content-Type", "application/json")], Some(body)).await
    }

    pub async fn post(&self, target: &str, body: &str) -> Answer {
        self.send("POST", target, &[("Content-Type", "application/json")], Some(body)).await
    }

    pub async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let text = self.text(method, target, headers, body);
        client::raw(self.gateway, text.as_bytes()).await.expect("an answer")
    }

    /// The value of the `Authorization` header.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token.as_deref().unwrap_or_default())
    }

    /// The request's text, for tests that send it in their own way.
    pub fn text(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> String {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut all: Vec<(&str, &str)> = headers.to_vec();
        all.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        client::request(method, target, &all, body)
    }
}

/// A vNIC of a test's own.
pub fn nic(id: &str) -> NicSeed {
    NicSeed { id: id.to_owned(), ..NicSeed::default() }
}
