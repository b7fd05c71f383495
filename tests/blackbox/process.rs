//! The program itself: its commands, its exit codes, its signals, and the secrets that it never prints.

use std::{fs, path::Path, process::Command};

use secrecy::SecretString;
use serde_json::Value;
use tokio::net::TcpListener;
use zec_gateway::{
    emulator::{Emulator, Fault, FaultKind, Settings},
    issuer::{Signer, key_set},
};

use crate::{
    client,
    program::{Files, Running, Served, program, run},
    world::{KEY_ID, NIC, PASSWORD},
};

/// The actions that these tests delay at ZEC.
const WRITE: &str = "UnassignNetworkInterfaceIpv4";
const READ: &str = "DescribeNetworkInterfaces";

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

    // `token` signs with the key of the running `dev`.
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

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_why_a_token_does_not_count() {
    let files = Files::new("http://127.0.0.1:1");
    let mut served = Served::start(&files, "info");
    let headers = [("Authorization", "Bearer a.b")];
    let text = client::request("GET", "/whoami", &headers, None);
    let answer = client::raw(served.gateway, text.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(served.stop(), Some(0));
    let event = served.event("\"invalid-token\"");
    assert_eq!(event["cause"], answer.json()["detail"], "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_exits_with_1_where_something_had_not_finished_in_time() {
    let zec = Emulator::new(Settings::new(KEY_ID, SecretString::from(PASSWORD))).with_demo_nics();
    zec.inject(Fault::always(FaultKind::Hang));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = Files::new(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    let text = fs::read_to_string(files.config()).unwrap();
    let text = text.replacen("[server]", "[server]\ndrain_timeout = \"100ms\"", 1);
    fs::write(files.config(), text).unwrap();

    let mut served = Served::start(&files, "info");
    let (gateway, bearer) = (served.gateway, files.bearer(&["netops"]));
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let text = client::request("DELETE", &target, &[("Authorization", &bearer)], None);
    let hanging = tokio::spawn(async move { client::raw(gateway, text.as_bytes()).await });
    until_asked(&zec, READ).await;
    assert_eq!(served.stop(), Some(1), "{}", served.said);
    assert!(served.said.contains("stopped before everything had finished"), "{}", served.said);
    assert!(served.said.contains("the caller hung up"), "what is cut off is told: {}", served.said);
    hanging.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_hurries_but_waits_for_the_write_that_runs() {
    let zec = Emulator::new(Settings::new(KEY_ID, SecretString::from(PASSWORD))).with_demo_nics();
    let late = FaultKind::LateAfter(std::time::Duration::from_secs(1));
    zec.inject(Fault::always(late).on(WRITE));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = Files::new(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    let text = fs::read_to_string(files.config()).unwrap();
    // Without a fast drain, this test would take hours.
    let patient = "[server]\ndrain_delay = \"1h\"\ndrain_timeout = \"1h\"\nheader_timeout = \"1h\"";
    fs::write(files.config(), text.replacen("[server]", patient, 1)).unwrap();

    let mut served = Served::start(&files, "info");
    let (gateway, bearer) = (served.gateway, files.bearer(&["netops"]));
    let _silent = tokio::net::TcpStream::connect(gateway).await.unwrap();
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let text = client::request("DELETE", &target, &[("Authorization", &bearer)], None);
    let writing = tokio::spawn(async move { client::raw(gateway, text.as_bytes()).await });
    until_asked(&zec, WRITE).await;
    served.terminate();
    served.until("draining");
    assert_eq!(served.stop(), Some(0), "{}", served.said);
    assert!(served.said.contains("waiting only for writes in flight"), "{}", served.said);
    assert_eq!(writing.await.unwrap().unwrap().status, 200);
    let journal = files.directory.path().join("journal.db");
    let listed = run(&["journal", "list", journal.to_str().unwrap()], files.directory.path()).1;
    assert!(listed.contains("  done  "), "{listed}");
}

/// Waits until a request for that action has reached ZEC.
async fn until_asked(zec: &Emulator, action: &str) {
    let asked = async {
        while !zec.requests().iter().any(|request| request.action == action) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(client::PATIENCE, asked).await.expect("a request at ZEC");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_from_the_first_moment_on() {
    let files = Files::new("https://console.zenlayer.com");
    for _ in 0..20 {
        assert_eq!(Served::start(&files, "info").stop(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_drains_on_sigterm_and_never_says_a_secret() {
    let settings = Settings::new(KEY_ID, SecretString::from(PASSWORD));
    let zec = Emulator::new(settings).with_demo_nics();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = Files::new(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));

    let mut served = Served::start(&files, "trace");
    let bearer = files.bearer(&["netops"]);
    let token = bearer.strip_prefix("Bearer ").unwrap();
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let parent = format!("00-{trace}-{span}-01");
    let headers = [("Authorization", bearer.as_str()), ("traceparent", parent.as_str())];
    let text = client::request("DELETE", &target, &headers, None);
    let answer = client::raw(served.gateway, text.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(served.stop(), Some(0));

    let signature = token.rsplit('.').next().unwrap();
    for secret in [PASSWORD, KEY_ID, token, signature, "Signature="] {
        assert!(!served.said.contains(secret), "the log holds {secret}");
    }
    let event = served.event("\"answered\"");
    assert_eq!(event["http.status"], 200);
    assert_eq!((&event["trace.id"], &event["trace.parent_id"]), (&trace.into(), &span.into()));
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
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[zec]", "[zec]\nca_file = \"none.pem\"")).unwrap();
    fs::write(at("policy/bad.cedar"), "@id(\"x\")\npermit (principal, action, resource) when { nonsense };\npermit (principal, action, resource);").unwrap();
    for command in ["check", "serve"] {
        let (code, _, said) =
            run(&[command, "--config", path.to_str().unwrap()], files.directory.path());
        assert_eq!(code, 1, "{command}");
        for word in ["jwks_file", "access_key_password_file", "bad.cedar:", "ca_file"] {
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

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_write_is_logged_although_its_caller_has_hung_up() {
    use tokio::io::AsyncWriteExt;

    let zec = Emulator::new(Settings::new(KEY_ID, SecretString::from(PASSWORD))).with_demo_nics();
    let late = FaultKind::Delay(std::time::Duration::from_millis(500));
    zec.inject(Fault::once(late).on(WRITE));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = Files::new(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    let mut served = Served::start(&files, "info");
    let bearer = files.bearer(&["netops"]);
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let headers = [("Authorization", bearer.as_str()), ("X-Request-Id", "hung-up")];
    let text = client::request("DELETE", &target, &headers, None);
    let mut stream = tokio::net::TcpStream::connect(served.gateway).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    until_asked(&zec, WRITE).await;
    drop(stream);
    served.until("after its caller had hung up");
    let event = served.event("after its caller had hung up");
    assert_eq!((&event["done"], &event["request.id"]), (&true.into(), &"hung-up".into()));
    assert_eq!(event["policies"], "netops-lab");
    assert!(event["zec.request_id"].as_str().unwrap().starts_with('T'));
}

#[test]
fn check_warns_of_what_is_dangerous() {
    let files = Files::new("http://zec.example.com");
    let path = files.config();
    let text = fs::read_to_string(&path).unwrap();
    let text =
        text.replacen("127.0.0.1:0", "0.0.0.0:8080", 1).replacen("127.0.0.1:0", "0.0.0.0:9464", 1);
    fs::write(&path, format!("{text}[journal]\nenabled = false\n")).unwrap();
    let everything = "@id(\"everything\")\npermit (principal, action, resource);";
    fs::write(files.directory.path().join("policy/wide.cedar"), everything).unwrap();
    let (code, _, said) =
        run(&["check", "--config", path.to_str().unwrap()], files.directory.path());
    assert_eq!(code, 0, "{said}");
    for word in ["server.listen", "admin.listen", "zec.endpoint", "wide.cedar:1", "journal.enabled"]
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
            "vpcId":"v","subnetId":"s","publicIpList":[],"secondaryIpv4s":[],"resourceGroup":{{}},"tags":null}}"#
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
    let (code, _, said) = run(&["--log-format", "xml", "check", "--config", "x"], runtime.path());
    assert!(code == 2 && said.contains("`json`"), "{said}");
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
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, said) = run(&["completions", shell], Path::new("."));
        assert_eq!(code, 0, "{said}");
        for command in ["serve", "dev", "check", "policy", "journal", "token", "completions"] {
            assert!(script.contains(command), "{shell} does not complete {command}");
        }
    }
    assert_eq!(run(&["completions", "no-shell"], Path::new(".")).0, 2);
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
        let args = ["token", "--key", path.to_str().unwrap(), "--key-set"];
        let (code, said, fault) = run(&args, runtime.path());
        assert_eq!((code, said.trim()), (0, key_set(&[&signer]).as_str()), "{fault}");
    }
    let both = ["token", "--key", path.to_str().unwrap(), "--key-set", "--group", "netops"];
    assert_eq!(run(&both, runtime.path()).0, 2, "a key set is in no group");
    fs::write(&path, "no key").unwrap();
    assert_eq!(
        run(&["token", "--key", path.to_str().unwrap(), "--issuer", "i"], runtime.path()).0,
        1
    );
}
