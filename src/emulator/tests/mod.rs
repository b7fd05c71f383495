//! The emulator over a real socket: one request per connection, every byte of it written here.

use std::{
    cell::Cell,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use aws_lc_rs::{digest, hmac};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

use super::*;

mod faults;

const NIC: &str = "1612345678901234567";
const DESCRIBE: &str = "DescribeNetworkInterfaces";
/// Long enough for a request that is carried out to have had its effect.
const SHORT: Duration = Duration::from_millis(500);
const UNASSIGN: &str = "UnassignNetworkInterfaceIpv4";

/// A running emulator; it stops with the runtime.
struct Running {
    emulator: Emulator,
    address: SocketAddr,
    /// How long to wait for an answer.
    patience: Cell<Duration>,
    _runtime: Runtime,
}

struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> (u16, String) {
        let body = self.json();
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert_request_id(&body["requestId"]);
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

fn assert_request_id(id: &Value) {
    let id = id.as_str().unwrap();
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F' | b'-');
    assert!(id.len() == 37 && id.starts_with('T') && id.bytes().skip(1).all(hex), "{id}");
}

impl Running {
    fn start() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new("key", "password".into());
        settings.bearer_tokens = vec!["pat_1".into()];
        change(&mut settings);
        let emulator = Emulator::new(settings).with_demo_nics();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(emulator.clone().serve(listener, std::future::pending()));
        Self { emulator, address, patience: Cell::new(Duration::from_secs(20)), _runtime: runtime }
    }

    /// Sends these bytes and returns the bytes up to the end of the connection; `None` if that takes too long.
    fn raw(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(self.patience.get())).unwrap();
        stream.write_all(request).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).ok().map(|_| got)
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<Got> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        );
        let got = self.raw(request.as_bytes())?;
        let end = got.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let head = String::from_utf8(got[..end].to_vec()).unwrap();
        Some(Got { status: head[9..12].parse().unwrap(), head, body: got[end + 4..].to_vec() })
    }

    fn bearer(&self, action: &str, body: &Value) -> Option<Got> {
        let headers = format!(
            "content-type: application/json\r\nauthorization: Bearer pat_1\r\nx-zc-action: {action}\r\n"
        );
        self.send("POST", "/api/v2/zec", &headers, &body.to_string())
    }

    fn describe(&self) -> Option<Got> {
        self.bearer(DESCRIBE, &json!({"nicIds": [NIC]}))
    }

    fn unassign(&self) -> Option<Got> {
        self.bearer(UNASSIGN, &json!({"nicId": NIC, "ipAddresses": ["10.0.0.21"]}))
    }

    /// Whether 10.0.0.21 has been unassigned from the vNIC.
    fn is_done(&self) -> bool {
        !self.emulator.nic(NIC).unwrap().to_string().contains("10.0.0.21")
    }

    /// A request signed here by the text of ZEC's page, `ahead` seconds in the future.
    fn signed(&self, action: &str, version: &str, body: &str, ahead: i64) -> Got {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let time = now.checked_add_signed(ahead).unwrap();
        let hash = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let canonical = format!(
            "POST\n/\n\ncontent-type:application/json\nhost:{}\n\ncontent-type;host\n{}",
            self.address,
            hash(body)
        );
        let text = format!("ZC2-HMAC-SHA256\n{time}\n{}", hash(&canonical));
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"password");
        let signature = hex(hmac::sign(&key, text.as_bytes()).as_ref());
        let headers = format!(
            "Content-Type: application/json\r\nX-ZC-Action: {action}\r\nX-ZC-Version: {version}\r\n\
             X-ZC-Timestamp: {time}\r\nX-ZC-Signature-Method: ZC2-HMAC-SHA256\r\nAuthorization: \
             ZC2-HMAC-SHA256 Credential=key, SignedHeaders=content-type;host, Signature={signature}\r\n"
        );
        self.send("POST", "/api/v2/zec", &headers, body).unwrap()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn success_comes_in_zecs_envelope() {
    let zec = Running::start();
    let got = zec.signed(
        UNASSIGN,
        "2025-09-01",
        &json!({"nicId": NIC, "ipAddresses": ["10.0.0.21"]}).to_string(),
        0,
    );
    assert_eq!(got.status, 200, "{:?}", String::from_utf8_lossy(&got.body));
    assert!(got.head.contains("content-type: application/json"));
    let body = got.json();
    assert_request_id(&body["requestId"]);
    assert_eq!(
        body,
        json!({"requestId": body["requestId"], "response": {"requestId": body["requestId"]}})
    );
    let shown = zec.describe().unwrap().json();
    assert_eq!(shown["response"]["totalCount"], 1);
    assert_eq!(shown["response"]["requestId"], shown["requestId"]);
    assert_eq!(shown["response"]["dataSet"][0], zec.emulator.nic(NIC).unwrap());
    assert!(zec.is_done());
}

#[test]
fn the_members_of_a_vnic_come_in_zecs_order() {
    let body = Running::start().describe().unwrap().body;
    let text = String::from_utf8(body).unwrap();
    let at = |name: &str| text.find(&format!("\"{name}\":")).unwrap();
    assert!(at("nicId") < at("name") && at("secondaryIpv4s") < at("macAddress"));
    assert!(at("resourceGroup") < at("securityGroupId") && at("securityGroupId") < at("tags"));
}

#[test]
fn every_refusal_is_zecs_error_object() {
    let zec = Running::start();
    let json = "content-type: application/json\r\n";
    let at =
        |method, path, headers: &str, body| zec.send(method, path, headers, body).unwrap().code();
    let path = "/api/v2/zec";
    assert_eq!(at("POST", "/api/v2/bmc", json, "{}"), refused(404, "ROUTE_NOT_FOUND"));
    assert_eq!(at("POST", "/api/v2/zec?a=b", json, "{}"), refused(404, "ROUTE_NOT_FOUND"));
    assert_eq!(at("POST", "/api/v2/zec/", json, "{}"), refused(404, "ROUTE_NOT_FOUND"));
    assert_eq!(at("GET", "/control/requests", "", ""), refused(404, "ROUTE_NOT_FOUND"));
    assert_eq!(at("GET", path, json, ""), refused(405, "METHOD_NOT_ALLOWED"));
    assert_eq!(at("PUT", path, json, "{}"), refused(405, "METHOD_NOT_ALLOWED"));
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(at("POST", path, json, &large), refused(413, "REQUEST_TOO_LARGE"));
    // The order: checks of form come before authentication.
    for (headers, body, code) in [
        ("", "{}", "INVALID_PARAMETER_TYPE"),
        ("content-type: text/plain\r\n", "{}", "INVALID_PARAMETER_TYPE"),
        ("content-type: application/json; charset=latin1\r\n", "{}", "INVALID_PARAMETER_TYPE"),
        (json, "[]", "INVALID_PARAMETER_TYPE"),
        (json, "", "MISSING_PARAMETER"),
    ] {
        assert_eq!(at("POST", path, headers, body), refused(400, code), "{headers}{body}");
    }
    let form = refused(401, "AUTHFAILURE_INVALID_AUTHORIZATION");
    assert_eq!(at("POST", path, json, r#"{"a": 1}"#), form);
    assert_eq!(at("POST", path, "content-type: Application/JSON;charset=UTF-8\r\n", "{}"), form);
}

#[test]
fn who_asks_comes_before_what_and_what_before_its_parameters() {
    let zec = Running::start();
    let expired = refused(401, "AUTHFAILURE_SIGNATURE_EXPIRED");
    let unknown = refused(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION");
    assert_eq!(zec.signed("Nothing", "2025-09-01", "{}", 310).code(), expired);
    assert_eq!(zec.signed("Nothing", "2025-09-01", "{}", -310).code(), expired);
    for (action, version) in [
        ("Nothing", "2025-09-01"),
        ("", "2025-09-01"),
        ("unassignnetworkinterfaceipv4", "2025-09-01"),
        (UNASSIGN, "2023-01-01"),
        (UNASSIGN, ""),
    ] {
        assert_eq!(zec.signed(action, version, "{}", 0).code(), unknown, "{action} {version}");
    }
    zec.emulator.inject(Fault::once(FaultKind::Throttle));
    let throttled = refused(429, "REQUEST_LIMIT_EXCEEDED");
    assert_eq!(zec.signed("Nothing", "2025-09-01", "{}", 0).code(), unknown);
    assert_eq!(zec.signed(UNASSIGN, "2024-04-01", "{}", 0).code(), throttled);
    let missing = refused(400, "MISSING_PARAMETER");
    assert_eq!(zec.signed(UNASSIGN, "2024-04-01", "{}", 0).code(), missing);
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let zec = Running::start();
    let request = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n";
    let last = request.replace("host: h", "host: h\r\nconnection: close");
    let got = zec.raw(format!("{request}{request}{last}").as_bytes()).unwrap();
    assert_eq!(String::from_utf8(got).unwrap().matches("HTTP/1.1 404").count(), 3);
}

#[test]
fn the_log_shows_every_request_without_its_credentials() {
    let zec = Running::start();
    zec.unassign().unwrap();
    zec.send("GET", "/x?y", "x-zc-action: A\r\n", "").unwrap();
    zec.emulator.inject(Fault::once(FaultKind::Cut));
    assert!(zec.unassign().is_none());
    let [first, second, third] = &zec.emulator.requests()[..] else { panic!("three requests") };
    assert_eq!((first.action.as_str(), first.status), (UNASSIGN, Some(200)));
    assert!(first.authenticated && first.body.starts_with(b"{"));
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert!(!format!("{first:?}").contains("pat_1"));
    assert_eq!((second.method.as_str(), second.path.as_str()), ("GET", "/x?y"));
    assert_eq!((second.authenticated, second.status), (false, Some(404)));
    assert_eq!((third.fault.as_deref(), third.status), (Some("cut"), None));
}

#[test]
fn the_control_path_steers_when_it_is_on() {
    let zec = Running::with(|settings| settings.control = true);
    let control = |method, path, body| zec.send(method, path, "", body).unwrap();
    assert_eq!(control("POST", "/control/faults", "htmlx1").json(), json!({"fault": "htmlx1"}));
    assert_eq!(zec.describe().unwrap().status, 502);
    let wrong = control("POST", "/control/faults", "explode").code();
    assert_eq!(wrong, refused(400, "INVALID_PARAMETER_VALUE"));
    control("POST", "/control/faults", "cut");
    assert_eq!(control("DELETE", "/control/faults", "").status, 200);
    assert_eq!(zec.describe().unwrap().status, 200);
    let log = control("GET", "/control/requests", "").json();
    assert_eq!((&log[0]["fault"], &log[0]["status"]), (&json!("html"), &json!(502)));
    assert_eq!((&log[1]["action"], log.as_array().unwrap().len()), (&json!(DESCRIBE), 2));
    assert_eq!(control("GET", "/control/nics", "").json().as_array().unwrap().len(), 4);
    assert_eq!(control("GET", "/control/x", "").code(), refused(404, "ROUTE_NOT_FOUND"));
}

#[test]
fn serving_ends_with_its_signal_whatever_hangs() {
    let runtime = Runtime::new().unwrap();
    let emulator = Emulator::new(Settings::new("key", "password".into()));
    emulator.inject(Fault::always(FaultKind::Hang));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = runtime.spawn(emulator.clone().serve(listener, async {
        let _ = stopped.await;
    }));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    while emulator.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.send(()).unwrap();
    runtime.block_on(server).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
}
