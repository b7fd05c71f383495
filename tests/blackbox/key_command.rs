//! `zec-gateway key`: keys as an operator gives them out, lists and ends them, with a gateway that runs.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    time::{Duration, SystemTime},
};

use secrecy::SecretString;
use serde_json::json;
use tokio::net::TcpListener;
use zec_gateway::emulator::{Emulator, Settings};

use crate::{
    client::PATIENCE,
    issued_keys::{CONFIGURED, Signer},
    program::{Files, Running, Served, program, run},
    world::{KEY_ID, NIC, PASSWORD},
};

const READ: &str = "DescribeNetworkInterfaces";
const WRITE: &str = "UnassignNetworkInterfaceIpv4";

const POLICY: &str = r#"
@id("deployers") @reason("pipelines work in the lab")
permit (principal in Zec::Group::"keys/deployers", action, resource);
"#;

/// The files of a gateway that takes keys, with no key yet.
fn files(endpoint: &str) -> Files {
    let files = Files::new(endpoint);
    fs::write(files.directory.path().join("policy/keys.cedar"), POLICY).unwrap();
    let text = fs::read_to_string(files.config()).unwrap();
    fs::write(files.config(), format!("{text}{CONFIGURED}")).unwrap();
    files
}

fn key(files: &Files, args: &[&str]) -> (i32, String, String) {
    let config = files.config();
    let args = [&["key"], args, &["--config", config.to_str().unwrap()]].concat();
    run(&args, files.directory.path())
}

/// A command that succeeds.
#[track_caller]
fn done(files: &Files, args: &[&str]) -> String {
    let (code, out, said) = key(files, args);
    assert_eq!(code, 0, "{args:?}: {out}{said}");
    out
}

/// A new key: its id, and a caller with it.
#[track_caller]
fn new(files: &Files, args: &[&str]) -> (String, Signer) {
    let out = done(files, &[&["new"], args].concat());
    let lines: Vec<_> = out.lines().collect();
    let [id, password] = lines.as_slice() else { panic!("{out}") };
    let id = id.strip_prefix("id        ").unwrap();
    let password = password.strip_prefix("password  ").unwrap();
    (id.to_owned(), Signer::new(id, &SecretString::from(password)))
}

fn of_nic() -> String {
    json!({ "nicIds": [NIC], "pageSize": 20, "pageNum": 1 }).to_string()
}

async fn zec() -> (Emulator, String) {
    let zec = Emulator::new(Settings::new(KEY_ID, SecretString::from(PASSWORD))).with_demo_nics();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    (zec, endpoint)
}

/// Has the gateway load its files, as `zec-gateway reload` does.
fn reload(files: &Files, served: &Served) {
    // The ports are any free ones, so the command must be told which.
    let (config, pid) = (files.config(), served.child.id().to_string());
    let args = ["reload", "--config", config.to_str().unwrap(), "--pid", &pid];
    let mut command = program(&args, files.directory.path());
    command.env("ZEC_GATEWAY__ADMIN__LISTEN", served.admin().to_string());
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The life of a key: it is made, used, listed and ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_given_out_used_listed_and_ended() {
    let (_zec, endpoint) = zec().await;
    let (files, started) = (files(&endpoint), SystemTime::now());
    let at = |name: &str| files.directory.path().join(name);
    // First the master secret, which only its owner may read.
    let (code, _, said) = key(&files, &["new", "--name", "ci", "--ends", "90d"]);
    assert_eq!(code, 1);
    assert!(said.contains("key rotate-master` makes the file"), "{said}");
    assert_eq!(done(&files, &["rotate-master"]), "");
    assert_eq!(fs::metadata(at("master")).unwrap().mode() & 0o777, 0o600);
    let (id, ci) = new(&files, &["--name", "ci", "--group", "deployers", "--ends", "90d"]);
    let (other_id, other) =
        new(&files, &["--name", "other", "--ends", "3d", "--from", "10.0.0.0/8"]);
    assert!(!fs::read_to_string(at("access-keys.toml")).unwrap().contains("zgs"));

    let mut served = Served::start(&files, "info");
    assert!(served.said.contains("the last access key of `other` ends at"), "{}", served.said);
    assert_eq!(ci.call(served.gateway, READ, &of_nic()).await.status, 200);
    let write = json!({ "nicId": NIC, "ipAddresses": ["10.0.0.21"] }).to_string();
    assert_eq!(ci.call(served.gateway, WRITE, &write).await.status, 200);
    assert_eq!(other.call(served.gateway, READ, &of_nic()).await.status, 401);

    done(&files, &["end", "ci"]);
    reload(&files, &served);
    let refused = ci.call(served.gateway, READ, &of_nic()).await;
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("this access key ended at"), "{}", refused.text());
    assert_eq!(served.stop(), Some(0), "{}", served.said);

    // The last uses are kept when the gateway stops, and the last write is in the record.
    let listed = done(&files, &["list"]);
    let [first, second] = listed.lines().collect::<Vec<_>>()[..] else { panic!("{listed}") };
    assert!(first.starts_with(&format!("{id}  keys/ci  ended  ends 20")), "{listed}");
    for word in ["ends", "used", "caller wrote"] {
        let time = first.split(&format!("  {word} ")).nth(1).unwrap().split(' ').next().unwrap();
        let ago = started.elapsed().unwrap().as_secs() + 1;
        let time = humantime::parse_rfc3339(time).unwrap();
        assert!(
            started.duration_since(time).map_or(true, |before| before.as_secs() < 2),
            "{listed}"
        );
        assert!(SystemTime::now().duration_since(time).unwrap().as_secs() <= ago, "{listed}");
    }
    assert!(second.starts_with(&format!("{other_id}  keys/other  ends soon")), "{listed}");
    assert!(
        second.ends_with("groups -  from 10.0.0.0/8  used never  caller wrote never"),
        "{listed}"
    );
    let (code, out, said) = key(&files, &["check"]);
    assert_eq!(code, 0, "{said}");
    assert!(out.ends_with("2 keys, 1 of them end within 14 days, 1 have ended\n"), "{out}");
    assert!(said.contains("warning: ") && said.contains("of `other` ends at"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_gives_every_good_key_a_new_password() {
    let (_zec, endpoint) = zec().await;
    let files = files(&endpoint);
    done(&files, &["rotate-master"]);
    let (id, before) = new(&files, &["--name", "ci", "--group", "deployers", "--ends", "90d"]);
    let (ended, _) = new(&files, &["--name", "old", "--ends", "90d"]);
    done(&files, &["end", &ended]);
    let served = Served::start(&files, "info");
    // A second key of the caller that is in other groups was probably made in haste.
    let (code, _, said) = key(&files, &["new", "--name", "ci", "--ends", "1h"]);
    assert_eq!(code, 0);
    assert!(
        said.contains(&format!("the key {id} of the same caller is in other groups: deployers")),
        "{said}"
    );
    let second = fs::read_to_string(files.directory.path().join("access-keys.toml")).unwrap();
    let second = second.rsplit("id = \"").next().unwrap().split('"').next().unwrap().to_owned();
    done(&files, &["end", &second]);
    let rotated = done(&files, &["rotate-master", "--keep", "1h"]);
    let (_, _, said) = key(&files, &["check"]);
    assert!(said.contains("passwords of an older master secret are valid until 20"), "{said}");
    let words: Vec<_> = rotated.split_whitespace().collect();
    let [found, "keys/ci", password] = words[..] else { panic!("{rotated}") };
    assert_eq!(found, id);
    let after = Signer::new(&id, &SecretString::from(password));
    reload(&files, &served);
    for signer in [&before, &after] {
        assert_eq!(signer.call(served.gateway, READ, &of_nic()).await.status, 200);
    }
    let last = done(&files, &["rotate-master", "--keep", "0s"]);
    reload(&files, &served);
    for signer in [&before, &after] {
        assert_eq!(signer.call(served.gateway, READ, &of_nic()).await.status, 401);
    }
    let last = Signer::new(&id, &SecretString::from(last.split_whitespace().last().unwrap()));
    assert_eq!(last.call(served.gateway, READ, &of_nic()).await.status, 200);
}

#[test]
fn a_master_secret_that_everybody_can_read_is_warned_of() {
    let files = files("http://127.0.0.1:1");
    done(&files, &["rotate-master"]);
    new(&files, &["--name", "ci", "--ends", "90d"]);
    let config = files.config();
    let check = || run(&["check", "--config", config.to_str().unwrap()], files.directory.path());
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        let master = files.directory.path().join("master");
        fs::set_permissions(&master, fs::Permissions::from_mode(mode)).unwrap();
        let (code, _, said) = check();
        let warning = said.contains("everybody on this machine can read the master secret");
        assert_eq!((code, warning), (0, warned), "{mode:o}: {said}");
    }
}

/// Where systemd passes the secret, the commands are given the original.
#[test]
fn the_master_secret_may_be_elsewhere_than_the_configuration_says() {
    let files = files("http://127.0.0.1:1");
    let original = files.directory.path().join("original");
    let there = ["--master-file", original.to_str().unwrap()];
    done(&files, &[&["rotate-master"][..], &there].concat());
    assert!(original.exists() && !files.directory.path().join("master").exists());
    new(&files, &[&["--name", "ci", "--ends", "90d"][..], &there].concat());
    let (code, _, said) = key(&files, &["new", "--name", "ci", "--ends", "90d"]);
    assert!(code == 1 && said.contains("makes the file if there is none"), "{said}");
}

#[test]
fn a_policy_that_names_keys_without_the_table_is_told_of_the_table() {
    let plain = Files::new("http://127.0.0.1:1");
    fs::write(plain.directory.path().join("policy/keys.cedar"), POLICY).unwrap();
    let config = plain.config();
    let args = ["check", "--config", config.to_str().unwrap()];
    let (code, _, said) = run(&args, plain.directory.path());
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("add `[auth.access_keys]` to the configuration"), "{said}");
}

#[test]
fn wrong_usage_is_told_and_changes_nothing() {
    let files = files("http://127.0.0.1:1");
    done(&files, &["rotate-master"]);
    let (id, _) = new(&files, &["--name", "ci", "--ends", "90d"]);
    let path = files.directory.path().join("access-keys.toml");
    let before = fs::read_to_string(&path).unwrap();
    for (args, code, why) in [
        (&["new", "--name", "ci"][..], 2, "--ends"),
        (&["new", "--name", "ci", "--ends", "soon"], 2, "write a duration, as 90d"),
        (&["new", "--name", "ci", "--ends", "2020-01-01T00:00:00Z"], 2, "must be in the future"),
        (&["new", "--name", "ci", "--ends", "3y"], 2, "at most two years"),
        (&["new", "--name", "ci", "--ends", "9d", "--from", "office"], 2, "neither an address"),
        (&["new", "--name", "", "--ends", "9d"], 1, "the subject is empty"),
        (&["new", "--name", "ci", "--group", "a\tb", "--ends", "9d"], 1, "control character"),
        (&["end", "nobody"], 1, "neither the id nor the name of a key"),
        (&["rotate-master", "--keep", "3y"], 2, "two years at most"),
    ] {
        let (found, _, said) = key(&files, args);
        assert_eq!(found, code, "{args:?}: {said}");
        assert!(said.contains(why), "{args:?}: {said}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    // An id names one key, even if it is another key's name.
    let (other, _) = new(&files, &["--name", &id, "--ends", "90d"]);
    assert!(done(&files, &["end", &id]).starts_with(&format!("{id}  keys/ci  ended\n")));
    assert!(done(&files, &["list"]).contains(&format!("{other}  keys/{id}  good")));
    let (code, _, said) = key(&files, &["end", "ci"]);
    assert!(code == 1 && said.contains("has ended already"), "{said}");
    // Without a configuration the files are those of `dev`, which has never run here.
    let (code, _, said) = run(&["key", "list"], files.directory.path());
    assert!(code == 1 && said.contains("no `dev` has run here"), "{said}");
    // A gateway without the table, and files that are faulty.
    let plain = Files::new("http://127.0.0.1:1");
    let (code, _, said) = key(&plain, &["list"]);
    assert!(code == 1 && said.contains("auth.access_keys: there is no such table"), "{said}");
    fs::write(&path, "[[key]]\nid = \"-\"\nname = \"\"\nends = 2099-01-01T00:00:00Z\n").unwrap();
    fs::write(files.directory.path().join("master"), "short").unwrap();
    let (code, _, said) = key(&files, &["check"]);
    assert_eq!((code, said.lines().count()), (1, 3), "{said}");
}

/// `dev` takes keys as well, so that everybody can try them.
#[tokio::test(flavor = "multi_thread")]
async fn dev_takes_keys() {
    let runtime = tempfile::tempdir().unwrap();
    let args = ["dev", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut dev = Running::start(program(&args, runtime.path()));
    let json: serde_json::Value = serde_json::from_str(&dev.line()).unwrap();
    let gateway = json["gateway"].as_str().unwrap().strip_prefix("http://").unwrap();
    let args = ["key", "new", "--name", "trial", "--group", "deployers", "--ends", "1h"];
    let (code, out, said) = run(&args, runtime.path());
    assert_eq!(code, 0, "{said}");
    let words: Vec<_> = out.split_whitespace().collect();
    let trial = Signer::new(words[1], &SecretString::from(words[3]));
    let gateway = gateway.parse().unwrap();
    // The gateway looks at its files by itself; a signal makes it look at once.
    dev.signal("-HUP");
    let taken = async {
        while trial.call(gateway, READ, &of_nic()).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken)
        .await
        .expect("the key is loaded, and its caller may read");
    let listed = run(&["key", "list"], runtime.path()).1;
    assert!(listed.contains("keys/trial  ends soon"), "{listed}");
}
