//! Every write is recorded before it is sent, and people can read the record.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use zec_gateway::{
    app::App,
    config::Config,
    emulator::{Fault, FaultKind},
};

use crate::{
    client,
    program::{Files, run},
    world::{NIC, Setup, World},
};

const WRITE: &str = "UnassignNetworkInterfaceIpv4";

fn target() -> String {
    format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")
}

/// Runs `zec-gateway journal ...` on the world's journal.
fn journal(world: &World, command: &str, rest: &[&str]) -> (i32, String, String) {
    let path = world.files.path().join("journal.db");
    let args = [&["journal", command, path.to_str().unwrap()], rest].concat();
    run(&args, world.files.path())
}

async fn readiness(world: &World) -> u16 {
    let ready = client::request("GET", "/readyz", &[("Connection", "close")], None);
    client::raw(world.admin, ready.as_bytes()).await.unwrap().status
}

#[tokio::test]
async fn a_write_can_be_looked_up_while_the_gateway_runs_and_after_it_has_stopped() {
    let mut world = World::start().await;
    let headers = [("X-Request-Id", "mine")];
    let answer = world.alice().send("DELETE", &target(), &headers, None).await;
    let id = answer.json()["operationId"].as_str().unwrap().to_owned();
    let zec_id = answer.json()["requestId"].as_str().unwrap().to_owned();
    let mut heads = Vec::new();
    for running in [true, false] {
        if !running {
            world.ask_to_stop();
            assert!(world.stopped().await);
        }
        let (code, shown, _) = journal(&world, "show", &[&id]);
        assert_eq!(code, 0);
        let facts =
            ["It happened", "corp/alice", "netops-lab", "10.0.0.21", NIC, "mine", zec_id.as_str()];
        for fact in facts {
            assert!(shown.contains(fact), "{fact} is missing: {shown}");
        }
        let (code, listed, _) = journal(&world, "list", &["--nic", NIC, "--outcome", "done"]);
        assert!(code == 0 && listed.lines().count() == 1 && listed.contains(&id), "{listed}");
        let (code, verified, _) = journal(&world, "verify", &["--length", "2"]);
        assert_eq!(code, 0, "{verified}");
        assert!(verified.starts_with("2 entries, every link holds\nhead "), "{verified}");
        heads.push(verified.split_whitespace().last().unwrap().to_owned());
        let (_, exported, _) = journal(&world, "export", &[]);
        let last: Value = serde_json::from_str(exported.lines().last().unwrap()).unwrap();
        assert_eq!((&last["seq"], &last["hash"]), (&json!(2), &json!(heads[0])));
    }
    assert_eq!(heads[0], heads[1]);
    assert_eq!(journal(&world, "verify", &["--head", &heads[0], "--length", "2"]).0, 0);
    let (code, _, said) = journal(&world, "verify", &["--head", &heads[0], "--length", "3"]);
    assert!(code == 1 && said.contains("entry 3: it is missing"), "{code} {said}");
    assert_eq!(journal(&world, "verify", &["--head", "abc"]).0, 2);
    assert_eq!(journal(&world, "show", &["abc"]).0, 2);
    assert_eq!(journal(&world, "list", &["--outcome", "maybe"]).0, 2);
    let other = "0190163d-8694-739b-aea5-966c26f8ad91";
    assert_eq!(journal(&world, "show", &[other]).0, 1);
}

#[tokio::test]
async fn a_write_that_cannot_be_recorded_is_not_sent_and_reads_go_on() {
    let world = World::start().await;
    let path = world.files.path().join("journal.db");
    let aside = world.files.path().join("aside");
    assert_eq!(readiness(&world).await, 200);
    fs::rename(&path, &aside).unwrap();
    let answer = world.alice().delete(&target()).await;
    assert_eq!(answer.problem().0, 503);
    assert_eq!(answer.problem().1, "journal-unavailable");
    assert!(answer.header("retry-after").is_some());
    assert!(!answer.text().contains("journal.db"), "no answer shows a path");
    assert!(world.sent(WRITE).is_empty());
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
    assert_eq!(readiness(&world).await, 503);
    fs::rename(&aside, &path).unwrap();
    assert_eq!(world.alice().delete(&target()).await.status, 200);
    assert_eq!(readiness(&world).await, 200);
}

#[tokio::test]
async fn an_unknown_outcome_says_where_to_look_and_is_recorded_as_unknown() {
    for (kind, outcome) in [
        (FaultKind::Cut, "unknown"),
        (FaultKind::Html, "unknown"),
        (FaultKind::Throttle, "rejected"),
        (FaultKind::RefuseCredentials, "rejected"),
    ] {
        let world = World::start().await;
        world.zec.inject(Fault::always(kind).on(WRITE));
        let answer = world.alice().delete(&target()).await.json();
        let (_, listed, _) = journal(&world, "list", &["--outcome", outcome]);
        assert_eq!(listed.lines().count(), 1, "{outcome}: {listed}");
        match answer.get("operationId") {
            Some(id) => assert!(listed.contains(id.as_str().unwrap())),
            None => assert_eq!(outcome, "rejected"),
        }
        let series = format!("operations_total{{outcome=\"{outcome}\"}}");
        assert_eq!(world.metric(&series).await, 1.0);
    }
}

#[tokio::test]
async fn the_outcome_is_recorded_although_the_caller_has_hung_up() {
    use tokio::io::AsyncWriteExt;

    let world = World::start().await;
    let late = FaultKind::Delay(std::time::Duration::from_millis(300));
    world.zec.inject(Fault::once(late).on(WRITE));
    let text = world.alice().text("DELETE", &target(), &[], None);
    let mut stream = tokio::net::TcpStream::connect(world.gateway).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    world.until_sent_to(WRITE, 1).await;
    drop(stream);
    world.until_metric("operations_total{outcome=\"done\"}", 1.0).await;
    let (_, listed, _) = journal(&world, "list", &["--outcome", "done"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert_eq!(world.sent(WRITE).len(), 1);
}

#[tokio::test]
async fn what_is_denied_leaves_no_entry_and_neither_does_a_read() {
    let world = World::start().await;
    assert_eq!(world.caller("bob", &[]).delete(&target()).await.status, 403);
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
    assert_eq!(world.metric("journal_entries").await, 0.0);
}

#[tokio::test]
async fn a_check_keeps_out_of_the_way_and_a_second_gateway_is_kept_out() {
    let mut world = World::start().await;
    let config = world.files.path().join("gateway.toml");
    let config = config.to_str().unwrap();
    let (code, out, said) = run(&["check", "--config", config], world.files.path());
    assert_eq!(code, 0, "{out}{said}");
    let (code, _, said) = run(&["serve", "--config", config], world.files.path());
    assert_eq!(code, 1);
    assert!(said.contains("another gateway has this journal open: process "), "{said}");
    world.ask_to_stop();
    assert!(world.stopped().await);
    for file in ["journal.db", "journal.db.lock"] {
        fs::remove_file(world.files.path().join(file)).unwrap();
    }
    assert_eq!(run(&["check", "--config", config], world.files.path()).0, 0);
    assert!(!world.files.path().join("journal.db.lock").exists());
    assert!(!world.files.path().join("journal.db").exists());
}

#[tokio::test]
async fn without_a_journal_an_answer_names_no_operation() {
    let setup = Setup { rest: "[journal]\nenabled = false".to_owned(), ..Setup::default() };
    let world = setup.start().await;
    let answer = world.alice().delete(&target()).await;
    assert_eq!((answer.status, answer.json().get("operationId")), (200, None));
    assert!(!world.files.path().join("journal.db").exists());
}

/// The journal deletes old entries, so it must not depend on its own clock alone. The journal's tests cover the effect
/// of the second clock.
#[test]
fn a_gateway_has_its_journal_ask_zecs_clock() {
    let files = Files::new("https://console.zenlayer.com");
    let config = Config::load(&files.config(), std::iter::empty()).unwrap();
    let shown = format!("{:?}", App::load(&config).unwrap());
    assert!(shown.contains("SecondClock(true)"), "{shown}");
}

/// Runs a command of the program with only `/tmp` writable.
fn read_only(folder: &Path, args: &[&str]) -> (i32, String) {
    let script =
        "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    // As root in a separate namespace, whatever the user.
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(folder).arg(env!("CARGO_BIN_EXE_zec-gateway")).args(args);
    let done = command.output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_read_where_nothing_can_be_written_and_a_missing_log_is_named() {
    let mut world = World::start().await;
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    assert_eq!(world.alice().delete(&target).await.status, 200);
    let copies = tempfile::tempdir().unwrap();
    let (both, alone, stopped) =
        (copies.path().join("both"), copies.path().join("alone"), copies.path().join("stopped"));
    for folder in [&both, &alone, &stopped] {
        std::fs::create_dir(folder).unwrap();
    }
    let copy = |name: &str, into: &Path| {
        std::fs::copy(world.files.path().join(name), into.join(name)).unwrap();
    };
    copy("journal.db", &both);
    copy("journal.db-wal", &both);
    copy("journal.db", &alone);
    let verify = |folder: &Path| {
        let file = folder.join("journal.db");
        read_only(folder, &["journal", "verify", file.to_str().unwrap()])
    };
    let (code, said) = verify(&both);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("2 entries, every link holds"), "{said}");
    assert!(said.contains("a private copy of it and of its `-wal` file was read"), "{said}");
    let listed = read_only(&both, &["journal", "list", both.join("journal.db").to_str().unwrap()]);
    assert!(listed.0 == 0 && listed.1.contains("  done  "), "{listed:?}");
    assert_eq!(std::fs::read_dir(&both).unwrap().count(), 2, "nothing was left there");

    let (code, said) = verify(&alone);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("there is no `-wal` file beside it"), "{said}");
    assert!(!said.contains("is not a journal"), "{said}");

    // After the gateway has closed the journal, the file alone is complete.
    world.ask_to_stop();
    assert!(world.stopped().await);
    std::fs::copy(world.files.path().join("journal.db"), stopped.join("journal.db")).unwrap();
    let (code, said) = verify(&stopped);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("2 entries") && !said.contains("note:"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_nobody_takes_keeps_the_log_from_nothing() {
    let world = Setup::without_rate().start().await;
    let write = async |times: usize| {
        for _ in 0..times {
            let target = format!("/nics/{NIC}/ipv4");
            let body = r#"{"ipAddresses":["10.0.0.21"]}"#;
            assert_eq!(world.alice().delete_with(&target, body).await.status, 200);
            assert_eq!(world.alice().post(&target, body).await.status, 200);
        }
    };
    // More than a pipe can buffer, so that the export stops in the middle.
    write(60).await;
    let file = world.files.path().join("journal.db");
    let mut export = Command::new(env!("CARGO_BIN_EXE_zec-gateway"))
        .args(["journal", "export", file.to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    std::io::Read::read_exact(export.stdout.as_mut().unwrap(), &mut first).unwrap();
    let checkpointed = || {
        let connection = rusqlite::Connection::open(&file).unwrap();
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() == 0
    };
    assert!(checkpointed(), "somebody who takes nothing holds a read transaction");
    export.kill().unwrap();
    export.wait().unwrap();
    write(1).await;
    assert!(world.metric("journal_wal_bytes").await > 0.0);
}

/// Another program, written from the description alone.
#[tokio::test]
async fn another_program_verifies_the_chain_from_the_description_alone() {
    let (world, vectors) = (World::start().await, include_str!("../../docs/journal-format.md"));
    for address in ["10.0.0.21", "10.0.0.1", "10.0.0.22"] {
        world.alice().delete(&format!("/nics/{NIC}/ipv4?ipAddresses={address}")).await;
    }
    let (_, verified, _) = journal(&world, "verify", &[]);
    let head = verified.split_whitespace().last().unwrap();
    let (_, exported, _) = journal(&world, "export", &[]);
    let verify = |lines: &str| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journal/verify.py");
        let mut python = Command::new("python3");
        let python = python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = python.stderr(Stdio::piped()).spawn().unwrap();
        python.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let done = python.wait_with_output().unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        (done.status.success(), said)
    };
    let length = exported.lines().count();
    assert_eq!(verify(&exported), (true, format!("{length} {head}\n")));
    let (good, said) = verify(&exported.replacen("10.0.0.22", "10.0.0.23", 1));
    assert!(!good && said.contains("was changed"), "{said}");
    let without: Vec<&str> = exported.lines().skip(1).collect();
    let (good, said) = verify(&without.join("\n"));
    assert!(!good && said.contains("entry 1 is missing"), "{said}");
    // The page's first vector is an entry of a chain.
    let vector = vectors.lines().find(|line| line.starts_with("| 1 |")).unwrap();
    let hash = vector.split('`').nth(3).unwrap();
    let line = json!({"seq": 1, "content": "{\"a\":1}", "previous": "0".repeat(64), "hash": hash});
    let (good, said) = verify(&line.to_string());
    assert!(
        !good && said.contains("KeyError: 'form'"),
        "the hash is right, the content is none: {said}"
    );
}
