//! Access keys of the gateway's own: callers who sign each request.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};
use zec_gateway::{
    auth::MasterFile,
    zec::{AccessKey, authorization},
};

use crate::{
    client::{self, Answer, PATIENCE},
    real_parts::{left_out, need, output},
    secure::{Authority, Client, TLS},
    world::{NIC, Setup, World},
};

const MASTER: &str = "master-secret-of-the-tests-0123456789";
const OTHER_MASTER: &str = "another-master-secret-0123456789-abcdef";

/// Lines for the configuration.
pub const CONFIGURED: &str =
    "[auth.access_keys]\nfile = \"access-keys.toml\"\nmaster_file = \"master\"\n";

/// A key that may do everything with the lab's addresses, one that may do nothing, and one for another network.
const KEYS: &str = r#"
[[key]]
id = "zgkci"
name = "ci"
groups = ["deployers"]
ends = 2099-01-01T00:00:00Z

[[key]]
id = "zgkidle"
name = "idle"
ends = 2099-01-01T00:00:00Z

[[key]]
id = "zgkbound"
name = "bound"
groups = ["deployers"]
ends = 2099-01-01T00:00:00Z
from = ["192.0.2.0/24"]
"#;

const POLICY: &str = r#"
@id("deployers") permit (principal in Zec::Group::"keys/deployers", action, resource);
@id("admins") permit (principal in Zec::Group::"corp/admins", action, resource);
@id("not-prod") @reason("production is not for pipelines")
forbid (principal == Zec::Caller::"keys/ci", action, resource is Zec::Nic)
unless { resource == Zec::Nic::"1612345678901234567" };
"#;

const READ: &str = "DescribeNetworkInterfaces";
const WRITE: &str = "UnassignNetworkInterfaceIpv4";

/// A caller with an access key.
#[derive(Clone)]
pub struct Signer {
    key: Arc<AccessKey>,
}

impl Signer {
    pub fn new(id: &str, password: &SecretString) -> Self {
        Self { key: Arc::new(AccessKey::new(id.to_owned(), password).unwrap()) }
    }

    /// A caller with a key of the file above.
    pub fn of(id: &str) -> Self {
        Self::of_master(id, MASTER)
    }

    fn of_master(id: &str, master: &str) -> Self {
        let master = MasterFile::parse(Path::new("master"), master).unwrap();
        Self::new(id, &master.password(id))
    }

    /// The headers of a signed call but the action's.
    pub fn headers(&self, host: &str, body: &str) -> Vec<(&'static str, String)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
        let signature = authorization(&self.key, &now, "application/json", host, body.as_bytes());
        vec![
            ("authorization", signature),
            ("x-zc-timestamp", now),
            ("x-zc-signature-method", "ZC2-HMAC-SHA256".to_owned()),
            ("content-type", "application/json".to_owned()),
        ]
    }

    fn text(&self, action: &str, body: &str) -> String {
        let mut headers = self.headers("gateway", body);
        headers.push(("x-zc-action", action.to_owned()));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client::request("POST", "/api/v2/zec", &headers, Some(body))
    }

    pub async fn call(&self, gateway: SocketAddr, action: &str, body: &str) -> Answer {
        let text = self.text(action, body);
        client::raw(gateway, text.as_bytes()).await.expect("an answer")
    }
}

/// The files that they name.
pub fn files() -> [(&'static str, String); 2] {
    [("access-keys.toml", KEYS.to_owned()), ("master", MASTER.to_owned())]
}

fn setup() -> Setup {
    Setup {
        policy: POLICY.to_owned(),
        rest: CONFIGURED.to_owned(),
        files: files().to_vec(),
        ..Setup::default()
    }
}

fn of_nic(nic: &str) -> String {
    json!({ "nicIds": [nic], "pageSize": 20, "pageNum": 1 }).to_string()
}

fn unassign(nic: &str, address: &str) -> String {
    json!({ "nicId": nic, "ipAddresses": [address] }).to_string()
}

/// What a refusal says, without the ids of the one request.
fn said(answer: &Answer) -> (u16, Value) {
    let mut json = answer.json();
    json.as_object_mut().unwrap().retain(|name, _| name != "requestId");
    (answer.status, json)
}

#[tokio::test]
async fn a_key_is_a_caller_for_the_policy_the_record_and_the_metrics() {
    let world = setup().start().await;
    let (ci, idle) = (Signer::of("zgkci"), Signer::of("zgkidle"));
    let answer = ci.call(world.gateway, READ, &of_nic(NIC)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["response"]["dataSet"][0]["nicId"], NIC);
    let answer = ci.call(world.gateway, WRITE, &unassign(NIC, "10.0.0.21")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!world.addresses(NIC).contains(&"10.0.0.21".to_owned()));
    let denied = ci.call(world.gateway, WRITE, &unassign("1612345678901234568", "10.1.0.21")).await;
    assert_eq!(denied.status, 403, "{}", denied.text());
    assert_eq!(denied.json()["code"], "AUTHFAILURE_UNAUTHORIZED_OPERATION");
    assert!(denied.text().contains("production is not for pipelines"), "{}", denied.text());
    assert_eq!(idle.call(world.gateway, READ, &of_nic(NIC)).await.status, 403);
    let recorded = world.caller("root", &["admins"]).get("/operations").await.json();
    assert_eq!(recorded["operations"][0]["caller"], "keys/ci", "{recorded}");
    let taken = r#"auth_results_total{issuer="keys",result="ok"}"#;
    assert_eq!(world.metric(taken).await, 4.0);
    assert_eq!(world.metric(r#"access_keys{state="valid"}"#).await, 3.0);
    assert!(world.metric("access_key_next_end_timestamp_seconds").await > 4e9);
}

#[tokio::test]
async fn a_signature_is_refused_the_same_whether_the_key_exists_or_not() {
    let world = setup().start().await;
    let body = of_nic(NIC);
    let wrong = Signer::of_master("zgkci", OTHER_MASTER);
    let unknown = Signer::of_master("zgknobody", MASTER);
    let (wrong, unknown) = (
        wrong.call(world.gateway, READ, &body).await,
        unknown.call(world.gateway, READ, &body).await,
    );
    assert_eq!(said(&wrong), said(&unknown));
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.json()["code"], "AUTHFAILURE_SIGNATURE_FAILURE");
    let names =
        |answer: &Answer| answer.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&wrong), names(&unknown));
    let text = Signer::of("zgkci").text(READ, &body);
    let other = text.replace("gateway\r\n", "gateway:8080\r\n");
    assert_eq!(client::raw(world.gateway, other.as_bytes()).await.unwrap().status, 401);
    // A signature that was seen may come again: clients send the same request twice.
    for _ in 0..2 {
        assert_eq!(client::raw(world.gateway, text.as_bytes()).await.unwrap().status, 200);
    }
    let old = text.replacen("x-zc-timestamp: 1", "x-zc-timestamp: 0", 1);
    let answer = client::raw(world.gateway, old.as_bytes()).await.unwrap();
    assert_eq!(answer.json()["code"], "AUTHFAILURE_SIGNATURE_EXPIRED", "{}", answer.text());
    assert_eq!(world.sent(READ).len(), 2);
    for (result, count) in [("bad_signature", 3.0), ("wrong_time", 1.0)] {
        let series = format!("auth_results_total{{issuer=\"keys\",result=\"{result}\"}}");
        assert_eq!(world.metric(&series).await, count, "{result}");
    }
}

#[tokio::test]
async fn a_gateway_with_keys_is_ready_also_while_no_issuer_has_any() {
    let nobody = ("jwks.json", r#"{"keys":[]}"#.to_owned());
    for (access_keys, status) in [(KEYS, 200), ("", 503)] {
        let mut files = vec![nobody.clone(), ("master", MASTER.to_owned())];
        files.push(("access-keys.toml", access_keys.to_owned()));
        let world = Setup { files, ..setup() }.start().await;
        assert_eq!(world.ready().await.status, status, "{access_keys}");
    }
}

#[tokio::test]
async fn only_calls_in_zecs_own_form_may_be_signed() {
    let world = setup().start().await;
    let ci = Signer::of("zgkci");
    for (method, target) in [
        ("GET", "/whoami"),
        ("GET", "/operations"),
        ("GET", &format!("/nics/{NIC}")),
        ("POST", "/actions/DescribeNetworkInterfaces"),
    ] {
        let headers = ci.headers("gateway", "{}");
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let text = client::request(method, target, &headers, Some("{}"));
        let answer = client::raw(world.gateway, text.as_bytes()).await.unwrap();
        assert_eq!(answer.problem().1, "missing-token", "{target}");
        assert!(answer.text().contains("only calls of `/api/v2/...`"), "{}", answer.text());
    }
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn a_body_is_read_to_its_bound_before_its_signature_is_checked() {
    let world = setup().start().await;
    let wrong = Signer::of_master("zgkci", OTHER_MASTER);
    let most = 1024 * 1024;
    for (size, status) in [(most, 401), (most + 1, 413)] {
        let answer = wrong.call(world.gateway, READ, &" ".repeat(size)).await;
        assert_eq!(answer.status, status, "{size}: {}", answer.text());
    }
    // The time is looked at before a byte of the body is there.
    let text = wrong.text(READ, &of_nic(NIC)).replacen("x-zc-timestamp: 1", "x-zc-timestamp: 0", 1);
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let answer = client::raw(world.gateway, format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(answer.json()["code"], "AUTHFAILURE_SIGNATURE_EXPIRED");
    // A signature over chunks is one over the bytes in them.
    let body = of_nic(NIC);
    let text = Signer::of("zgkci").text(READ, &body);
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let head =
        head.replace(&format!("Content-Length: {}", body.len()), "Transfer-Encoding: chunked");
    let (first, rest) = body.split_at(7);
    let chunks = format!("7\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len());
    let answer = client::raw(world.gateway, format!("{head}\r\n\r\n{chunks}").as_bytes()).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Bodies that do not end take no places of others, whatever keys they name, and the answers do not tell which keys exist.
#[tokio::test]
async fn bodies_that_do_not_end_take_few_places() {
    let world =
        Setup { limits: "max_concurrent_requests = 64".to_owned(), ..setup() }.start().await;
    let body = of_nic(NIC);
    let wrong = |id: &str| Signer::of_master(id, OTHER_MASTER);
    let mut open = Vec::new();
    for id in ["zgkci", "zgkstranger"].iter().cycle().take(8) {
        let text = wrong(id).text(READ, &body);
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let mut stream = TcpStream::connect(world.gateway).await.unwrap();
        stream.write_all(format!("{head}\r\n\r\n{{").as_bytes()).await.unwrap();
        open.push(stream);
    }
    world.until_in_flight(8.0).await;
    // An eighth of all places is taken from here. Further ones are refused.
    for id in ["zgkci", "zgkstranger"] {
        let text = wrong(id).text(READ, &body);
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let mut stream = TcpStream::connect(world.gateway).await.unwrap();
        stream.write_all(format!("{head}\r\n\r\n{{").as_bytes()).await.unwrap();
        let refused = client::read(&mut stream).await.unwrap();
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert_eq!(refused.json()["code"], "SERVICE_TEMPORARY_UNAVAILABLE");
    }
    // Whoever sends a request whole needs no such place, and gets the usual answer.
    let (known, unknown) = (wrong("zgkci"), wrong("zgkstranger"));
    let known = known.call(world.gateway, READ, &body).await;
    assert_eq!(said(&known), said(&unknown.call(world.gateway, READ, &body).await));
    assert_eq!(known.status, 401);
    assert_eq!(Signer::of("zgkci").call(world.gateway, READ, &body).await.status, 200);
    assert_eq!(world.alice().get("/whoami").await.status, 200);
    drop(open);
    world.until_in_flight(0.0).await;
}

#[tokio::test]
async fn a_key_is_limited_as_a_caller() {
    let world =
        Setup { limits: "max_concurrent_per_caller = 1".to_owned(), ..setup() }.start().await;
    let ci = Signer::of("zgkci");
    let slow = zec_gateway::emulator::FaultKind::LateAfter(Duration::from_secs(2));
    world.zec.inject(zec_gateway::emulator::Fault::always(slow));
    let (gateway, first) = (world.gateway, ci.clone());
    let running = tokio::spawn(async move { first.call(gateway, READ, &of_nic(NIC)).await });
    world.until_sent(1).await;
    let refused = ci.call(world.gateway, READ, &of_nic(NIC)).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.text().contains("max_concurrent_per_caller"), "{}", refused.text());
    // Terraform gives up after 429, and repeats a call after 503.
    let text = ci.text(READ, &of_nic(NIC));
    let text =
        text.replacen("x-zc-action", "x-zc-request-client: Terraform-latest\r\nx-zc-action", 1);
    let shed = client::raw(world.gateway, text.as_bytes()).await.unwrap();
    assert_eq!(shed.status, 503, "{}", shed.text());
    assert_eq!(shed.json()["code"], "SERVICE_TEMPORARY_UNAVAILABLE");
    assert!(shed.header("retry-after").is_some());
    // Another key is another caller.
    assert_eq!(Signer::of("zgkidle").call(world.gateway, READ, &of_nic(NIC)).await.status, 403);
    assert_eq!(running.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_key_for_a_network_is_taken_from_there_alone() {
    let bound = Signer::of("zgkbound");
    let world = setup().start().await;
    let refused = bound.call(world.gateway, READ, &of_nic(NIC)).await;
    assert_eq!(refused.status, 401, "{}", refused.text());
    let said = "you call from 127.0.0.1, and this access key is for 192.0.2.0/24";
    assert!(refused.text().contains(said), "{}", refused.text());
    // A trusted proxy says from where its client came.
    let trusting = Setup { server: "trusted_proxies = [\"127.0.0.0/8\"]".to_owned(), ..setup() };
    let world = trusting.start().await;
    for (line, status) in [
        ("PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n", 200),
        ("PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\r\n", 401),
        ("PROXY UNKNOWN\r\n", 401),
    ] {
        let text = format!("{line}{}", bound.text(READ, &of_nic(NIC)));
        let answer = client::raw(world.gateway, text.as_bytes()).await.unwrap();
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
    }
    let series = r#"auth_results_total{issuer="keys",result="wrong_network"}"#;
    assert_eq!(world.metric(series).await, 2.0);
}

#[tokio::test]
async fn over_http2_the_signed_host_is_the_authority() {
    let authority = Authority::new();
    let pair = authority.server(2100);
    let mut files = setup().files;
    files.extend([("server.pem", pair.cert), ("server.key", pair.key)]);
    let world = Setup { server: TLS.to_owned(), files, ..setup() }.start().await;
    let mut connection = Client::new(&authority).http2(&world).await;
    for (host, signed, status) in [
        ("localhost:8443", "localhost:8443", 200),
        ("localhost", "localhost", 200),
        ("localhost:8443", "localhost", 401),
    ] {
        let body = of_nic(NIC);
        let mut headers = Signer::of("zgkci").headers(signed, &body);
        headers.push(("x-zc-action", READ.to_owned()));
        headers.push(("content-length", body.len().to_string()));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let target = format!("https://{host}/api/v2/zec");
        let body = Full::new(Bytes::from(body));
        let answer = connection.ask("POST", &target, &headers, body).await.unwrap();
        assert_eq!(answer.status, status, "{host} {signed}: {}", answer.text());
    }
}

/// Sends good requests of a caller on and on, until told to stop, and counts the answers by status.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    running: JoinSet<Vec<u16>>,
}

impl Load {
    fn start(world: &World, signers: &[Signer]) -> Self {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut running = JoinSet::new();
        for signer in signers {
            for _ in 0..4 {
                let (stop, good, gateway) = (Arc::clone(&stop), Arc::clone(&good), world.gateway);
                let signer = signer.clone();
                running.spawn(async move {
                    let mut statuses = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let status = signer.call(gateway, READ, &of_nic(NIC)).await.status;
                        good.fetch_add(usize::from(status == 200), Ordering::Relaxed);
                        statuses.push(status);
                    }
                    statuses
                });
            }
        }
        Self { stop, good, running }
    }

    /// Waits until so many more were answered well.
    async fn until_good(&self, more: usize) {
        let wanted = self.good.load(Ordering::Relaxed) + more;
        let wait = async {
            while self.good.load(Ordering::Relaxed) < wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("good answers");
    }

    /// Ends the load, and returns the statuses that each of its loops got.
    async fn stop(self) -> Vec<Vec<u16>> {
        self.stop.store(true, Ordering::Relaxed);
        self.running.join_all().await
    }
}

fn without_rate() -> Setup {
    Setup { requests_per_second: Some(0), ..setup() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_secret_is_replaced_under_load_without_a_refusal() {
    let world = without_rate().start().await;
    let load = Load::start(&world, &[Signer::of("zgkci")]);
    load.until_good(50).await;
    let until = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(3600));
    world.put("master", &format!("{OTHER_MASTER}\n{MASTER} until {until}\n"));
    assert_eq!(world.reload().await.1, 0);
    // From here on the new password is good too.
    let new = Load::start(&world, &[Signer::of_master("zgkci", OTHER_MASTER)]);
    new.until_good(50).await;
    load.until_good(50).await;
    for statuses in [load.stop().await, new.stop().await].concat() {
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }
    world.put("master", OTHER_MASTER);
    assert_eq!(world.reload().await.1, 0);
    assert_eq!(Signer::of("zgkci").call(world.gateway, READ, &of_nic(NIC)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_while_its_requests_run() {
    let world = without_rate().start().await;
    let load = Load::start(&world, &[Signer::of("zgkci")]);
    load.until_good(50).await;
    // A request that is at ZEC goes on, though its key ends meanwhile.
    let slow = zec_gateway::emulator::FaultKind::LateAfter(Duration::from_secs(2));
    world.zec.inject(zec_gateway::emulator::Fault::always(slow).on("DescribeVpcs"));
    let (gateway, ci) = (world.gateway, Signer::of("zgkci"));
    let late = tokio::spawn(async move { ci.call(gateway, "DescribeVpcs", "{}").await });
    world.until_sent_to("DescribeVpcs", 1).await;
    let ended = KEYS.replacen("2099-01-01", "2020-01-01", 1);
    world.put("access-keys.toml", &ended);
    assert_eq!(world.reload().await.1, 0);
    let answer = Signer::of("zgkci").call(world.gateway, READ, &of_nic(NIC)).await;
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("this access key ended at 2020-01-01"), "{}", answer.text());
    // Each connection of the load gets good answers, and from some moment on refusals alone.
    for statuses in load.stop().await {
        let good = statuses.iter().take_while(|status| **status == 200).count();
        assert!(statuses[good..].iter().all(|status| *status == 401), "{statuses:?}");
    }
    assert_eq!(late.await.unwrap().status, 200);
    let idle = Signer::of("zgkidle").call(world.gateway, READ, &of_nic(NIC)).await;
    assert_eq!(idle.status, 403, "another key goes on");
    assert_eq!(world.metric(r#"access_keys{state="ended"}"#).await, 1.0);
}

/// Everybody may read, and nobody may delete.
const BOTH: &str = r#"
@id("both") permit (principal, action, resource) when {
  (principal in Zec::Group::"keys/deployers" || principal in Zec::Group::"corp/admins") &&
  action in Zec::Action::"read"
};
@id("nobody") @reason("no deletions today") forbid (principal, action in Zec::Action::"destructive", resource);"#;

/// Calls of every kind, some of them refused: what the SDK gets is the same with a token as with a key.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_sdk_gets_the_same_with_a_key_as_with_a_token() {
    if left_out("sdk") {
        return;
    }
    let world = Setup { policy: BOTH.to_owned(), ..without_rate() }.start().await;
    let master = MasterFile::parse(Path::new("master"), MASTER).unwrap();
    let bearer = world.caller("root", &["admins"]).bearer();
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-parts/venv/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/key_and_token.py");
    let mut sdk = Command::new(need(&python));
    sdk.args([script, &world.gateway.to_string(), NIC]);
    sdk.env("TOKEN", bearer.strip_prefix("Bearer ").unwrap());
    sdk.env("ACCESS_KEY_ID", "zgkci");
    sdk.env("ACCESS_KEY_PASSWORD", master.password("zgkci").expose_secret());
    let (ok, said) = output(&mut sdk).await;
    assert!(ok && said.contains("50 calls, the same"), "{said}");
}

#[tokio::test]
async fn plain_http_beyond_loopback_takes_no_keys() {
    let world = setup().start().await;
    let config = fs::read_to_string(world.files.path().join("gateway.toml")).unwrap();
    let check = |listen: &str, tls: &str| {
        let text = config.replacen(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"{listen}\"\n{tls}"),
            1,
        );
        let file = world.files.path().join("open.toml");
        fs::write(&file, text).unwrap();
        crate::program::run(&["check", "--config", file.to_str().unwrap()], world.files.path())
    };
    for listen in ["0.0.0.0:8080", "[::]:8080", "10.0.0.5:8080"] {
        let (code, _, said) = check(listen, "");
        assert_eq!(code, 1, "{listen}: {said}");
        assert!(
            said.contains(
                "open.toml:2: server.listen: access keys need TLS, or a listener on loopback"
            ),
            "{said}"
        );
        assert!(said.contains("covers neither the action nor the path"), "{said}");
    }
    for listen in ["127.0.0.1:8080", "[::1]:8080", "unix:/run/zec-gateway.sock"] {
        let (code, _, said) = check(listen, "");
        assert_eq!(code, 0, "{listen}: {said}");
    }
    let pair = Authority::new().server(2100);
    world.put("server.pem", &pair.cert);
    world.put("server.key", &pair.key);
    let (code, _, said) = check("0.0.0.0:8443", TLS);
    assert_eq!(code, 0, "{said}");
}
