//! Whole requests through the program itself, with sockets and log. The cost of its start is subtracted: the program
//! runs twice, with few requests and with many.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use http::header::AUTHORIZATION;
use zec_gateway::issuer::{Signer, key_set};

use crate::parts::{
    self, Identity,
    program::{PROGRAM, callgrind, collected, listening, message, write_files},
};

const FEW: u64 = 50;
const MANY: u64 = 550;

/// The requests of a scenario, and the settings for them.
struct Scenario {
    name: &'static str,
    fresh_tokens: bool,
    address: &'static str,
    status: &'static str,
    /// Whether the vNIC is read and the write is recorded.
    careful: bool,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "a whole write, a token known again",
        fresh_tokens: false,
        address: "10.0.5.21",
        status: "200",
        careful: false,
    },
    Scenario {
        name: "a whole write, an ES256 token not seen before",
        fresh_tokens: true,
        address: "10.0.5.21",
        status: "200",
        careful: false,
    },
    Scenario {
        name: "a whole refusal, a token known again",
        fresh_tokens: false,
        address: "10.9.9.9",
        status: "403",
        careful: false,
    },
    Scenario {
        name: "a whole write, looked at before and recorded",
        fresh_tokens: false,
        address: "10.0.5.21",
        status: "200",
        careful: true,
    },
];

/// Counts each scenario.
pub(crate) fn count() -> impl Iterator<Item = (&'static str, u64)> {
    let zec = stub();
    SCENARIOS.iter().map(move |scenario| {
        let [few, many] = [FEW, MANY].map(|requests| collected(&run(scenario, zec, requests, &[])));
        (scenario.name, (many - few) / (MANY - FEW))
    })
}

/// The symbols of the functions that run in each scenario and before it, and finally of those that load other keys and
/// policies.
pub(crate) fn ran() -> impl Iterator<Item = BTreeSet<String>> {
    let (zec, profile) = (stub(), tempfile::NamedTempFile::new().unwrap());
    let to = format!("--callgrind-out-file={}", profile.path().display());
    SCENARIOS.iter().map(Some).chain([None]).map(move |scenario| {
        let options = [to.as_str(), "--demangle=no", "--compress-strings=no"];
        match scenario {
            Some(scenario) => drop(run(scenario, zec, FEW, &options)),
            None => load(zec, &options),
        }
        let text = fs::read_to_string(profile.path()).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("fn=")).map(str::to_owned).collect()
    })
}

/// Cedar expressions that the cookbook's policies do not use.
const OTHER_WORDS: &str = r#"@id("other-words") permit (principal, action in [Zec::Action::"addresses"], resource is Zec::Nic in Zec::Subnet::"s")
when { resource.id like "16*" && (if context.dryRun then true else context.addressCount <= 2 * 3) }
unless { [4, 5].contains(context.addressCount) || context.addressCount == 9 - 1 };
"#;

/// Loads the policies of the cookbook, and keys of every kind.
fn load(zec: SocketAddr, options: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path(), &parts::policy_text(25), true, zec);
    let signers = [Signer::es256(), Signer::rs256(), Signer::eddsa()].map(Result::unwrap);
    fs::write(directory.path().join("jwks.json"), key_set(&signers.each_ref())).unwrap();
    let cookbook = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policy-cookbook.md");
    let text = fs::read_to_string(cookbook).unwrap();
    let recipes = text.split("```cedar\n").skip(1).filter_map(|rest| rest.split("```").next());
    let policies = recipes.chain([OTHER_WORDS]).collect::<String>();
    // The configuration has one issuer.
    let others = ["\"partner/", "\"github/", "\"keys/"];
    let policies = others.iter().fold(policies, |text, other| text.replace(other, "\"corp/"));
    fs::write(directory.path().join("policy/teams.cedar"), policies).unwrap();
    let mut check = callgrind(options, Path::new(PROGRAM));
    check.args(["check", "--config"]).arg(directory.path().join("gateway.toml"));
    let output = check.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// callgrind's report about a program that serves this many requests, one after the other.
fn run(scenario: &Scenario, zec: SocketAddr, requests: u64, options: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::new(directory.path());
    write_files(directory.path(), &parts::policy_text(25), scenario.careful, zec);
    let mut serve = callgrind(options, Path::new(PROGRAM));
    serve.args(["serve", "--config"]).arg(directory.path().join("gateway.toml"));
    let mut child = serve.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let [gateway, _] = listening(&mut log);
    let rest = thread::spawn(move || {
        let mut said = String::new();
        log.read_to_string(&mut said).unwrap();
        said
    });
    let mut caller = BufReader::new(TcpStream::connect(gateway).unwrap());
    let mut headers = identity.fresh();
    for _ in 0..requests {
        if scenario.fresh_tokens {
            headers = identity.fresh();
        }
        ask(&mut caller, scenario, headers[AUTHORIZATION].to_str().unwrap());
    }
    drop(caller);
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(child.wait().unwrap().success());
    rest.join().unwrap()
}

fn ask(caller: &mut BufReader<TcpStream>, scenario: &Scenario, bearer: &str) {
    let target = format!("/nics/{}/ipv4?ipAddresses={}", parts::NIC, scenario.address);
    let head =
        format!("DELETE {target} HTTP/1.1\r\nhost: gateway\r\nauthorization: {bearer}\r\n\r\n");
    caller.get_mut().write_all(head.as_bytes()).unwrap();
    let (status, _) = message(caller).unwrap();
    assert!(status.starts_with(&format!("HTTP/1.1 {}", scenario.status)), "{status}");
}

fn stub() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || serve(&listener));
    address
}

/// Answers as ZEC does: a change succeeds, and the vNIC always has the address.
pub(crate) fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        thread::spawn(move || answer(BufReader::new(stream.unwrap())));
    }
}

fn answer(mut stream: BufReader<TcpStream>) {
    stream.get_ref().set_nodelay(true).unwrap();
    while let Some((head, body)) = message(&mut stream) {
        let response = if head.contains("DescribeNetworkInterfaces") {
            let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
            parts::described(asked["nicIds"][0].as_str().unwrap())
        } else {
            r#"{"requestId":"T1"}"#.to_owned()
        };
        let body = format!("{{\"requestId\":\"T1\",\"response\":{response}}}");
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
