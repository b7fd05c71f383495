//! The program itself: its commands, its exit codes, its signals, and what it never says.

use std::{
    fs,
    io::{BufRead, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use zec_gateway::{
    emulator::{Emulator, Fault, FaultKind, Settings},
    issuer::{Grant, Signer, key_set},
};

use crate::{
    client,
    world::{ISSUER, KEY_ID, NIC, PASSWORD},
};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The program, in an environment of its own.
fn program(args: &[&str], runtime: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zec-gateway"));
    command.args(args).env_clear().env("XDG_RUNTIME_DIR", runtime).current_dir(REPOSITORY);
    command
}

fn run(args: &[&str], runtime: &Path) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program(args, runtime).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A program that runs until it is dropped.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_runs_the_main_job_with_what_it_prints() {
    let runtime = tempfile::tempdir().unwrap();
    let args = ["dev", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut dev = Running::start(program(&args, runtime.path()));
    let json: Value = serde_json::from_str(&dev.line()).unwrap();
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name}: {json}"));
    let address = |name: &str| text(name).strip_prefix("http://").unwrap().parse().unwrap();
    for name in ["emulator", "accessKeyId", "accessKeyPassword"] {
        assert!(!text(name).is_empty());
    }
    let nic = json["nics"][0].as_str().unwrap();
    let bearer = format!("Bearer {}", text("token"));
    let send = async |method: &str, target: String| {
        let text = client::request(method, &target, &[("Authorization", &bearer)], None);
        client::raw(address("gateway"), text.as_bytes()).await.expect("an answer")
    };
    let before = send("GET", format!("/nics/{nic}")).await.json();
    let victim = before["secondaryIpv4s"][0].as_str().unwrap().to_owned();
    let answer = send("DELETE", format!("/nics/{nic}/ipv4?ipAddresses={victim}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let after = send("GET", format!("/nics/{nic}")).await.json();
    assert!(!after["secondaryIpv4s"].as_array().unwrap().contains(&victim.into()));
    assert_eq!(send("GET", "/nics/nobody".to_owned()).await.problem().0, 404);
    let metrics = client::request("GET", "/metrics", &[], None);
    assert_eq!(client::raw(address("admin"), metrics.as_bytes()).await.unwrap().status, 200);

    // `token` signs with the key of the dev that runs.
    let (code, token, _) = run(&["token", "--subject", "bob", "--group", "oncall"], runtime.path());
    assert_eq!(code, 0);
    let bearer = format!("Bearer {}", token.trim());
    let whoami = client::request("GET", "/whoami", &[("Authorization", &bearer)], None);
    let answer = client::raw(address("gateway"), whoami.as_bytes()).await.unwrap().json();
    assert_eq!((&answer["subject"], &answer["groups"][0]), (&"bob".into(), &"oncall".into()));

    dev.signal("-INT");
    assert!(dev.child.wait().unwrap().success());
}

#[test]
fn dev_is_for_this_machine_only() {
    let runtime = tempfile::tempdir().unwrap();
    for flag in ["--listen", "--admin-listen"] {
        let (code, _, said) = run(&["dev", flag, "0.0.0.0:0"], runtime.path());
        assert_eq!(code, 2);
        assert!(said.contains("not on loopback"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devs_curl_lines_work_as_they_stand() {
    let runtime = tempfile::tempdir().unwrap();
    let args = ["dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut dev = Running::start(program(&args, runtime.path()));
    let mut lines = Vec::new();
    loop {
        let line = dev.line();
        assert!(!line.is_empty(), "dev ended early");
        if line.contains("Ctrl-C") {
            break;
        }
        lines.push(line);
    }
    let curls: Vec<&str> =
        lines.iter().map(|line| line.trim()).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(curls.len(), 4);
    let answers: Vec<String> = curls
        .iter()
        .map(|line| {
            let line = line.replacen("curl", "curl -sS -w '%{http_code}'", 1);
            let done = Command::new("bash").args(["-c", &line]).output().unwrap();
            String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
        })
        .collect();
    for (answer, status) in answers.iter().zip(["200", "200", "200", "403"]) {
        assert!(answer.ends_with(status), "{answer}");
    }
}

/// A directory with everything that `serve` wants.
struct Files {
    directory: TempDir,
    signer: Signer,
}

impl Files {
    fn new(endpoint: &str) -> Self {
        let (directory, signer) = (tempfile::tempdir().unwrap(), Signer::es256().unwrap());
        let at = |name: &str| directory.path().join(name);
        fs::write(at("jwks.json"), key_set(&[&signer])).unwrap();
        fs::write(at("ak"), KEY_ID).unwrap();
        fs::write(at("sk"), PASSWORD).unwrap();
        fs::create_dir(at("policy")).unwrap();
        for name in ["guards.cedar", "netops.cedar"] {
            fs::copy(
                Path::new(REPOSITORY).join("config/policy").join(name),
                at("policy").join(name),
            )
            .unwrap();
        }
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [[auth.issuers]]\nname = \"corp\"\nissuer = \"{ISSUER}\"\naudiences = [\"zec-gateway\"]\n\
             jwks_file = \"jwks.json\"\n[policy]\ndirectory = \"policy\"\n\
             [zec]\nendpoint = \"{endpoint}\"\naccess_key_id_file = \"ak\"\naccess_key_password_file = \"sk\"\n\
             [log]\nformat = \"json\"\n"
        );
        fs::write(at("gateway.toml"), text).unwrap();
        Self { directory, signer }
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("gateway.toml")
    }

    /// A token of alice's, who is of netops.
    fn token(&self) -> String {
        let grant = Grant {
            issuer: ISSUER.to_owned(),
            audience: "zec-gateway".to_owned(),
            subject: "alice".to_owned(),
            groups: vec!["netops".to_owned()],
            lifetime: std::time::Duration::from_mins(5),
        };
        self.signer.token(&grant).unwrap()
    }

    fn serve(&self, level: &str) -> Command {
        let config = self.config();
        let mut command =
            program(&["serve", "--config", config.to_str().unwrap()], self.directory.path());
        command.env("RUST_LOG", level);
        command
    }
}

/// Reads the log until the gateway says where it serves.
fn serving(log: &mut impl BufRead, said: &mut String) -> SocketAddr {
    loop {
        let start = said.len();
        assert!(log.read_line(said).unwrap() > 0, "{said}");
        let event: Value = serde_json::from_str(&said[start..]).unwrap();
        if event["message"] == "serving" {
            return event["listen"].as_str().unwrap().parse().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_exits_with_1_where_something_had_not_finished_in_time() {
    let settings = Settings::new(KEY_ID, SecretString::from(PASSWORD));
    let zec = Emulator::new(settings).with_demo_nics();
    zec.inject(Fault::always(FaultKind::Hang));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = Files::new(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    let text = fs::read_to_string(files.config()).unwrap();
    let text = text.replacen("[server]", "[server]\ndrain_timeout = \"100ms\"", 1);
    fs::write(files.config(), text).unwrap();

    let mut child = files.serve("info").stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    let gateway = serving(&mut log, &mut said);
    let bearer = format!("Bearer {}", files.token());
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let text = client::request("DELETE", &target, &[("Authorization", &bearer)], None);
    let hanging = tokio::spawn(async move { client::raw(gateway, text.as_bytes()).await });
    let sent = async {
        while zec.requests().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(client::PATIENCE, sent).await.expect("a request at ZEC");

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    log.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("stopped before everything had finished"), "{said}");
    hanging.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_drains_on_sigterm_and_never_says_a_secret() {
    let settings = Settings::new(KEY_ID, SecretString::from(PASSWORD));
    let zec = Emulator::new(settings).with_demo_nics();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = Files::new(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));

    let mut child = files.serve("trace").stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    let gateway = serving(&mut log, &mut said);
    let token = files.token();
    let bearer = format!("Bearer {token}");
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let text = client::request("DELETE", &target, &[("Authorization", &bearer)], None);
    let answer = client::raw(gateway, text.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    loop {
        if log.read_line(&mut said).unwrap() == 0 {
            break;
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let signature = token.rsplit('.').next().unwrap();
    for secret in [PASSWORD, KEY_ID, token.as_str(), signature, "Signature="] {
        assert!(!said.contains(secret), "the log holds {secret}");
    }
    let event =
        said.lines().find(|line| line.contains("\"answered\"")).expect("the request's event");
    let event: Value = serde_json::from_str(event).unwrap();
    assert_eq!(event["http.status"], 200);
    assert_eq!(event["caller"], "corp/alice");
    assert_eq!(event["policies"], "netops-lab");
    assert_eq!(event["action"], "UnassignNetworkInterfaceIpv4");
    assert!(event["zec.request_id"].as_str().unwrap().starts_with('T'));
    assert_eq!(event["request.id"].as_str(), answer.header("x-request-id"));
}

#[test]
fn check_says_every_fault_of_every_file_at_once_and_serve_refuses_the_same() {
    let files = Files::new("https://console.zenlayer.com");
    let path = files.config();
    let check = ["check", "--config", path.to_str().unwrap()];
    let (code, said, warned) = run(&check, files.directory.path());
    assert_eq!((code, said.contains("no faults")), (0, true), "{said}{warned}");

    let at = |name: &str| files.directory.path().join(name);
    fs::write(at("jwks.json"), "{}").unwrap();
    fs::remove_file(at("sk")).unwrap();
    fs::write(at("policy/bad.cedar"), "@id(\"x\")\npermit (principal, action, resource) when { nonsense };\npermit (principal, action, resource);").unwrap();
    for command in ["check", "serve"] {
        let (code, _, said) =
            run(&[command, "--config", path.to_str().unwrap()], files.directory.path());
        assert_eq!(code, 1, "{command}");
        for word in ["jwks_file", "access_key_password_file", "bad.cedar:"] {
            assert!(said.contains(word), "{command} does not say {word}: {said}");
        }
    }
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("[zec]", "[zec]\nnonsense = 1").replace("127.0.0.1:0", "nowhere"),
    )
    .unwrap();
    for command in ["check", "serve"] {
        let (code, _, said) =
            run(&[command, "--config", path.to_str().unwrap()], files.directory.path());
        assert_eq!(code, 1);
        for place in [
            "gateway.toml:2: server.listen",
            "gateway.toml:4: admin.listen",
            "gateway.toml:13: zec.nonsense",
        ] {
            assert!(said.contains(place), "{command} does not say {place}: {said}");
        }
    }
}

#[test]
fn check_warns_of_what_is_dangerous() {
    let files = Files::new("http://zec.example.com");
    let path = files.config();
    let text = fs::read_to_string(&path).unwrap();
    let text =
        text.replacen("127.0.0.1:0", "0.0.0.0:8080", 1).replacen("127.0.0.1:0", "0.0.0.0:9464", 1);
    fs::write(&path, format!("{text}[limits]\nrequests_per_second = 5\n")).unwrap();
    let everything = "@id(\"everything\")\npermit (principal, action, resource);";
    fs::write(files.directory.path().join("policy/wide.cedar"), everything).unwrap();
    let (code, _, said) =
        run(&["check", "--config", path.to_str().unwrap()], files.directory.path());
    assert_eq!(code, 0, "{said}");
    for word in
        ["server.listen", "admin.listen", "zec.endpoint", "wide.cedar:1", "requests_per_second"]
    {
        assert!(said.contains(&word.to_owned()), "no warning of {word}: {said}");
    }
}

#[test]
fn the_examples_policy_passes_its_own_cases() {
    let runtime = tempfile::tempdir().unwrap();
    let (code, said, warned) = run(&["policy", "test", "config/policy"], runtime.path());
    assert_eq!(code, 0, "{said}{warned}");
    assert!(said.contains(" passed, 0 failed") && warned.is_empty(), "{said}{warned}");
}

#[test]
fn a_policy_that_fails_a_case_of_its_own_exits_with_1() {
    let runtime = tempfile::tempdir().unwrap();
    let at = |name: &str| runtime.path().join(name);
    fs::create_dir(at("cases")).unwrap();
    fs::write(at("none.cedar"), "@id(\"none\") forbid (principal, action, resource);").unwrap();
    let case = |expect: &str| {
        let text = format!(
            "[[case]]\nname = \"n\"\ncaller = \"corp/a\"\nnic = \"x\"\n\
             action = \"DescribeNetworkInterfaces\"\nexpect = \"{expect}\"\n"
        );
        fs::write(at("cases/c.toml"), text).unwrap();
        run(&["policy", "test", runtime.path().to_str().unwrap()], runtime.path())
    };
    let (code, said, _) = case("deny");
    assert!(code == 0 && said.contains("1 passed, 0 failed"), "{said}");
    let (code, said, _) = case("allow");
    assert!(code == 1 && said.contains("0 passed, 1 failed"), "{said}");
}

#[test]
fn explain_refuses_a_file_with_another_vnic() {
    let runtime = tempfile::tempdir().unwrap();
    let file = runtime.path().join("nic.json");
    let explain = |id: &str| {
        let nic = format!(
            r#"{{"nicId":"{id}","name":"","status":"USED","nicType":"Secondary","regionId":"r",
            "vpcId":"v","subnetId":"s","publicIpList":[],"resourceGroup":{{}},"tags":null}}"#
        );
        fs::write(&file, nic).unwrap();
        let (file, action) = (file.to_str().unwrap(), "DescribeNetworkInterfaces");
        let args = ["policy", "explain", "config/policy", "--caller", "corp/alice", "--group"];
        let more = ["netops", "--action", action, "--nic", NIC, "--nic-file", file];
        run(&[&args[..], &more[..]].concat(), runtime.path())
    };
    let (code, said, warned) = explain(NIC);
    assert!(code != 2, "{said}{warned}");
    let (code, _, said) = explain("another-1");
    assert!(code == 2 && said.contains("another vNIC"), "{said}");
}

#[test]
fn explain_says_who_may_do_what_and_why() {
    let runtime = tempfile::tempdir().unwrap();
    let explain = |group: &str, address: &str| {
        let args = [
            "policy",
            "explain",
            "config/policy",
            "--caller",
            "corp/alice",
            "--group",
            group,
            "--action",
            "UnassignNetworkInterfaceIpv4",
            "--nic",
            NIC,
            "--address",
            address,
        ];
        run(&args, runtime.path())
    };
    let (code, said, _) = explain("netops", "10.0.0.21");
    assert!(code == 0 && said.contains("allowed by netops-lab"), "{said}");
    let (code, said, _) = explain("netops", "10.0.0.1");
    assert!(code == 1 && said.contains("forbidden by never-the-gateways (10.0.0.1"), "{said}");
    let (code, said, _) = explain("oncall", "10.1.0.21");
    assert!(code == 1 && said.contains("depends on the vNIC"), "{said}");
    let (code, said, _) = explain("netops", "x");
    assert_eq!(code, 2, "{said}");
}

#[test]
fn the_schema_is_printed_and_usage_faults_exit_with_2() {
    let runtime = tempfile::tempdir().unwrap();
    let (code, said, _) = run(&["policy", "schema"], runtime.path());
    assert!(code == 0 && said.contains("entity Caller"));
    assert_eq!(run(&["serve"], runtime.path()).0, 2);
    assert_eq!(run(&["nonsense"], runtime.path()).0, 2);
    assert_eq!(run(&["token"], runtime.path()).0, 1);
    assert_eq!(
        run(&["emulator", "--access-key-password", "x", "--fault", "nonsense"], runtime.path()).0,
        2
    );
}

#[test]
fn token_signs_with_a_key_of_a_file() {
    let runtime = tempfile::tempdir().unwrap();
    let path = runtime.path().join("key.pem");
    for signer in [Signer::es256().unwrap(), Signer::eddsa().unwrap(), Signer::rs256().unwrap()] {
        fs::write(&path, signer.pem()).unwrap();
        let args = [
            "token",
            "--key",
            path.to_str().unwrap(),
            "--issuer",
            "i",
            "--audience",
            "a",
            "--subject",
            "s",
        ];
        let (code, said, fault) = run(&args, runtime.path());
        assert_eq!((code, said.trim().split('.').count()), (0, 3), "{fault}");
    }
    fs::write(&path, "no key").unwrap();
    assert_eq!(
        run(&["token", "--key", path.to_str().unwrap(), "--issuer", "i"], runtime.path()).0,
        1
    );
}
