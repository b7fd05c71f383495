//! Reloads while the gateway serves: each part separately, and completely or not at all.

use std::{fs, process::Command, time::Duration};

use zec_gateway::issuer::{Signer, key_set};

use crate::{
    client,
    program::{Files, Served, program},
    world::{Caller, KEY_ID, NIC, PASSWORD, QUICK, Setup, World},
};

const NOBODY: &str = "@id(\"nobody\")\nforbid (principal, action, resource);\n";

/// The status of alice's read of a vNIC.
async fn status(world: &World) -> u16 {
    world.alice().get(&format!("/nics/{NIC}")).await.status
}

/// Whether the unit is reported as failing, and the whole reload with it.
async fn failing(world: &World, unit: &str) -> bool {
    let ready = world.ready().await;
    assert_eq!(ready.status, 200, "the last good serves: {}", ready.text());
    let line = ready.text().lines().find(|line| line.starts_with(&format!("reload of {unit}: ")));
    let line = line.unwrap_or_else(|| panic!("{unit} is not in {}", ready.text()));
    let failing = line.contains("failing since 20") && line.contains("the last good");
    assert!(failing || line.ends_with(": ok"), "{line}");
    failing
}

async fn all_is_well(world: &World) -> bool {
    world.metric("last_reload_successful").await == 1.0
}

#[tokio::test]
async fn a_changed_policy_is_in_force_and_a_faulty_one_leaves_the_last_good() {
    let world = World::start().await;
    let good = world.text("policy/test.cedar");
    assert_eq!(status(&world).await, 200);
    world.put("policy/nobody.cedar", NOBODY);
    assert_eq!(world.reload().await, (4, 0));
    assert_eq!(status(&world).await, 403);
    let again = format!("{good}{NOBODY}");
    let unknown = "@id(\"x\")\npermit (principal in Zec::Nonsense::\"x\", action, resource);";
    for bad in ["nonsense", "permit (principal, action, resource);", &again, unknown] {
        world.put("policy/test.cedar", bad);
        assert_eq!(world.reload().await, (3, 1), "{bad}");
        assert_eq!(status(&world).await, 403);
        assert!(failing(&world, "policy").await && !all_is_well(&world).await);
    }
    world.put("policy/test.cedar", &good);
    fs::remove_file(world.files.path().join("policy/nobody.cedar")).unwrap();
    assert_eq!(world.reload().await, (4, 0));
    assert_eq!(status(&world).await, 200);
    assert!(!failing(&world, "policy").await && all_is_well(&world).await);
    fs::remove_dir_all(world.files.path().join("policy")).unwrap();
    assert_eq!(world.reload().await, (3, 1));
    assert_eq!(status(&world).await, 200);
    let version = world.metrics().await.lines().filter(|l| l.contains("policy_info{")).count();
    assert_eq!(version, 1);
}

#[tokio::test]
async fn a_brake_that_is_not_connected_leaves_the_last_good_policy() {
    let world = World::start().await;
    let brake = |group: &str| {
        format!("@id(\"brake\") forbid (principal in Zec::Group::\"{group}\", action, resource);")
    };
    let file = world.files.path().join("policy/brake.cedar");
    for group in ["netops", "crop/netops"] {
        fs::write(&file, brake(group)).unwrap();
        assert_eq!(world.reload().await, (3, 1), "{group}");
        assert!(failing(&world, "policy").await && status(&world).await == 200);
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(world.files.path().join("policy/more")).unwrap();
    world.put("policy/more/brake.cedar", &brake("corp/netops"));
    assert_eq!(world.reload().await, (3, 1));
    assert!(failing(&world, "policy").await);
    fs::remove_dir_all(world.files.path().join("policy/more")).unwrap();
    fs::write(&file, brake("corp/netops")).unwrap();
    assert_eq!(world.reload().await, (4, 0));
    assert_eq!(status(&world).await, 403);
}

#[tokio::test]
async fn the_policy_that_is_tried_out_is_loaded_again_by_itself() {
    let allows = "@id(\"all\")\npermit (principal, action, resource);\n".to_owned();
    let world = Setup { shadow: Some(allows), ..Setup::default() }.start().await;
    let differences =
        r#"policy_shadow_differences_total{action="DescribeNetworkInterfaces",change="denies"}"#;
    assert_eq!(status(&world).await, 200);
    world.put("policy-next/test.cedar", "nonsense");
    assert_eq!(world.reload().await, (4, 1));
    assert!(failing(&world, "shadow policy").await && !failing(&world, "policy").await);
    world.put("policy-next/test.cedar", NOBODY);
    assert_eq!(world.reload().await, (5, 0));
    let version =
        |text: String| text.lines().find(|l| l.contains("policy_info{")).map(str::to_owned);
    let before = version(world.metrics().await);
    assert_eq!(status(&world).await, 200);
    world.until_metric(differences, 1.0).await;
    assert_eq!(before, version(world.metrics().await), "it is the version of the one in force");
}

/// Cedar's parser recurses: endless nesting must be a fault, and must not crash the gateway.
#[tokio::test]
async fn a_policy_that_is_nested_without_end_is_faulty_and_no_more() {
    let world = World::start().await;
    let rows = |count: usize| {
        let brackets = ["()", "[]", "{}"].map(|pair| {
            let (open, close) = pair.split_at(1);
            format!("{}true{}", open.repeat(count), close.repeat(count))
        });
        let operators = ["true || ", "1 + ", "if true then true else ", "context.a && "]
            .map(|piece| format!("{}true", piece.repeat(count)));
        [brackets.to_vec(), operators.to_vec()].concat()
    };
    for condition in rows(100_000) {
        let text =
            format!("@id(\"deep\")\npermit (principal, action, resource) when {{ {condition} }};");
        world.put("policy/deep.cedar", &text);
        assert_eq!(world.reload().await, (3, 1));
        assert_eq!(status(&world).await, 200);
    }
    // The greatest accepted depth, whatever Cedar makes of it. The policy is for a group without members here, so no
    // caller depends on it.
    let for_nobody = "@id(\"deep\")\npermit (principal in Zec::Group::\"corp/x\", action in Zec::Action::\"read\", resource)";
    for condition in rows(70) {
        world.put("policy/deep.cedar", &format!("{for_nobody} when {{ {condition} }};"));
        world.reload().await;
        assert_eq!(status(&world).await, 200);
    }
    let row = "context.dryRun || ".repeat(290);
    world.put("policy/deep.cedar", &format!("{for_nobody} when {{ {row}true }};"));
    assert_eq!(world.reload().await, (4, 0));
    assert_eq!(status(&world).await, 200);
}

#[tokio::test]
async fn an_issuers_changed_keys_count_and_a_faulty_file_leaves_the_last_good() {
    let mut world = World::start().await;
    let (old, new) = (world.alice(), Signer::es256().unwrap());
    assert_eq!(old.get("/whoami").await.status, 200);
    for bad in ["{}", "nonsense", r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#] {
        world.put("jwks.json", bad);
        assert_eq!(world.reload().await, (3, 1), "{bad}");
        assert_eq!(old.get("/whoami").await.status, 200);
        assert!(failing(&world, "keys of corp").await && !all_is_well(&world).await);
    }
    world.put("jwks.json", &key_set(&[&new]));
    assert_eq!(world.reload().await, (4, 0));
    assert_eq!(old.get("/whoami").await.status, 401, "a key that was taken out signs for nobody");
    world.signer = new;
    assert_eq!(world.alice().get("/whoami").await.status, 200);
    assert!(all_is_well(&world).await);
}

#[tokio::test]
async fn a_faulty_access_key_leaves_the_last_good() {
    let world = World::start().await;
    let id = world.text("ak");
    for bad in ["", "a b", "a,b\n"] {
        world.put("ak", bad);
        assert_eq!(world.reload().await, (3, 1), "{bad:?}");
        assert_eq!(status(&world).await, 200);
        assert!(failing(&world, "access key").await && !all_is_well(&world).await);
    }
    world.put("ak", &id);
    fs::remove_file(world.files.path().join("sk")).unwrap();
    assert_eq!(world.reload().await, (3, 1));
    assert_eq!(status(&world).await, 200);
    assert_eq!(world.zec.requests().iter().filter(|request| !request.authenticated).count(), 0);
}

/// The configuration with these lines in `[limits]`.
fn limited(text: &str, lines: &str) -> String {
    text.replace("[limits]\n", &format!("[limits]\n{lines}\n"))
}

#[tokio::test]
async fn changed_limits_hold_at_once_and_a_faulty_configuration_leaves_the_last_good() {
    let world = World::start().await;
    let alice = world.alice();
    let text = world.text("gateway.toml");
    let two = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21&ipAddresses=10.0.0.22&dryRun=true");
    assert_eq!(alice.delete(&two).await.status, 200);
    world.put("gateway.toml", &limited(&text, "max_addresses = 1"));
    assert_eq!(world.reload().await, (4, 0));
    assert_eq!(alice.delete(&two).await.status, 400);
    for bad in ["max_addresses = 0", "max_addresses = ", "nonsense = 1"] {
        world.put("gateway.toml", &limited(&text, bad));
        assert_eq!(world.reload().await, (3, 1), "{bad}");
        assert_eq!(alice.delete(&two).await.status, 400);
        assert!(failing(&world, "limits and log level").await && !all_is_well(&world).await);
    }
    world.put("gateway.toml", &text);
    assert_eq!(world.reload().await, (4, 0));
    assert_eq!(alice.delete(&two).await.status, 200);
    assert!(all_is_well(&world).await);
}

#[tokio::test]
async fn every_limit_can_be_changed_while_the_gateway_serves() {
    let world = World::start().await;
    let alice = world.alice();
    let text = world.text("gateway.toml");
    let delete = |last: u8| format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.{last}");
    assert_eq!(alice.delete(&delete(21)).await.status, 200);
    world.put("gateway.toml", &limited(&text, "addresses_per_hour = 2"));
    world.reload().await;
    assert_eq!(alice.delete(&delete(22)).await.status, 200);
    assert_eq!(alice.delete(&delete(23)).await.problem().1, "budget-exceeded");

    world.put("freeze", "hands off");
    world.put("gateway.toml", &limited(&text, "freeze_file = \"freeze\""));
    world.reload().await;
    assert_eq!(alice.delete(&delete(23)).await.problem().1, "frozen");
    world.put("gateway.toml", &text);
    world.reload().await;
    assert_eq!(alice.delete(&delete(23)).await.status, 200);

    world.put("gateway.toml", &limited(&text, "requests_per_second = 1"));
    world.reload().await;
    let mut slugs = Vec::new();
    for _ in 0..10 {
        let answer = alice.get("/whoami").await;
        slugs.extend((answer.status != 200).then(|| answer.problem().1));
    }
    assert!(slugs.contains(&"rate-limited".to_owned()), "{slugs:?}");
}

#[tokio::test]
async fn how_many_may_run_at_once_can_be_changed_while_they_run() {
    use zec_gateway::emulator::{Fault, FaultKind};

    let world = World::start().await;
    world.zec.inject(Fault::always(FaultKind::Hang));
    let text = world.text("gateway.toml");
    let reading =
        |caller: Caller| tokio::spawn(async move { caller.get(&format!("/nics/{NIC}")).await });
    let hanging = reading(world.alice());
    world.until_sent(1).await;
    for (limit, slug) in
        [("max_concurrent_per_caller", "rate-limited"), ("max_concurrent_requests", "overloaded")]
    {
        world.put("gateway.toml", &limited(&text, &format!("{limit} = 1")));
        world.reload().await;
        assert_eq!(world.alice().get("/whoami").await.problem().1, slug);
        world.put("gateway.toml", &limited(&text, &format!("{limit} = 2")));
        world.reload().await;
        assert_eq!(world.alice().get("/whoami").await.status, 200);
    }
    hanging.abort();
}

#[tokio::test]
async fn what_fails_holds_nothing_else_back() {
    let world = World::start().await;
    let text = world.text("gateway.toml");
    world.put("jwks.json", "nonsense");
    world.put("sk", "");
    world.put("gateway.toml", "nonsense");
    world.put("policy/nobody.cedar", NOBODY);
    assert_eq!(world.reload().await, (1, 3));
    assert_eq!(status(&world).await, 403, "the policy that revokes somebody is in force");
    assert!(!failing(&world, "policy").await && failing(&world, "access key").await);
    world.put("gateway.toml", &limited(&text, "max_addresses = 1"));
    world.put("policy/nobody.cedar", "nonsense");
    assert_eq!(world.reload().await, (1, 3));
    let two = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21&ipAddresses=10.0.0.22");
    assert_eq!(world.alice().delete(&two).await.status, 400);
    assert_eq!(status(&world).await, 403);
    assert!(!all_is_well(&world).await);
}

#[tokio::test]
async fn changes_are_found_without_a_word_from_anybody() {
    let world = Setup { pace: QUICK, ..Setup::default() }.start().await;
    world.put("policy/nobody.cedar", NOBODY);
    world.until_metric("reloads_total{result=\"ok\"}", 1.0).await;
    assert_eq!(status(&world).await, 403);
    world.put("policy/nobody.cedar", "nonsense");
    world.until_metric("reloads_total{result=\"failed\"}", 1.0).await;
    assert_eq!(status(&world).await, 403);
    let text = world.text("gateway.toml");
    world.put("gateway.toml", &limited(&text, "max_addresses = 1"));
    world.until_metric("reloads_total{result=\"ok\"}", 2.0).await;
    let two = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21&ipAddresses=10.0.0.22");
    assert_eq!(world.alice().delete(&two).await.status, 400);
    // The policy is still faulty.
    assert!(!all_is_well(&world).await && failing(&world, "policy").await);
}

/// Reloads everything by the signal, and waits until this many loads have succeeded and this many have failed since the
/// start.
async fn hang_up(served: &Served, ok: usize, failed: usize) {
    let pid = served.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let request = client::request("GET", "/metrics", &[("Connection", "close")], None);
    let wanted = [("ok", ok), ("failed", failed)]
        .map(|(result, count)| format!("reloads_total{{result=\"{result}\"}} {count}\n"));
    let loaded = async {
        loop {
            let answer = client::raw(served.admin(), request.as_bytes()).await.unwrap();
            if wanted.iter().all(|line| answer.text().contains(line)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(client::PATIENCE, loaded).await.expect("a load of everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_loads_everything_and_the_log_says_what_is_wrong_and_what_needs_a_restart() {
    let files = Files::new("https://console.zenlayer.com");
    let mut command = files.serve("info");
    // The level comes from the configuration.
    command.env_remove("RUST_LOG");
    let mut served = Served::spawn(command);
    let bad = files.directory.path().join("policy/bad.cedar");
    fs::write(bad, "@id(\"x\")\n\nnonsense").unwrap();
    let text = fs::read_to_string(files.config()).unwrap();
    let text = text.replace("[zec]\n", "[zec]\npreflight = false\n");
    let text = text.replace("format = \"json\"", "format = \"text\"");
    let put = |more: &str| fs::write(files.config(), format!("{text}{more}")).unwrap();

    put("level = \"debug\"\n[limits]\nmax_addresses = 3\n");
    hang_up(&served, 3, 1).await;
    served.until("reloaded: log level debug");
    served.until("bad.cedar:3");
    assert_eq!(served.event("need a restart")["keys"], "log.format, zec.preflight");

    put("level = \"zec_gateway=loud\"\n[limits]\nmax_addresses = 0\n");
    hang_up(&served, 5, 3).await;
    let line = text.lines().count() + 1;
    served.until(&format!("gateway.toml:{line}: log.level"));
    served.until(&format!("gateway.toml:{}: limits.max_addresses", line + 2));

    put("level = \"error\"\n");
    hang_up(&served, 8, 4).await;
    let request = client::request("GET", "/whoami", &[], None);
    let answer = client::raw(served.gateway, request.as_bytes()).await.unwrap();
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert_eq!(served.stop(), Some(0));
    assert!(!served.said.contains(&id), "an answer was logged at the level `error`");
    for secret in [KEY_ID, PASSWORD] {
        assert!(!served.said.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_soft_limit_of_files_is_raised_and_a_low_hard_one_is_warned_of() {
    let files = Files::new("https://console.zenlayer.com");
    let limited = |hard: u32, soft: u32, command: &Command| {
        let mut limited = Command::new("sh");
        let program = command.get_program().to_str().unwrap();
        let args: Vec<_> = command.get_args().map(|arg| arg.to_str().unwrap()).collect();
        let line = format!(
            "ulimit -S -n {soft} && ulimit -H -n {hard} && exec {program} {}",
            args.join(" ")
        );
        limited.args(["-c", &line]).env("RUST_LOG", "info");
        limited
    };
    let mut served = Served::spawn(limited(3000, 1000, &files.serve("info")));
    let path = format!("/proc/{}/limits", served.child.id());
    let limits = fs::read_to_string(path).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers, ["3000", "3000"]);
    assert!(served.said.contains("LimitNOFILE"), "{}", served.said);
    assert_eq!(served.stop(), Some(0));

    let text = fs::read_to_string(files.config()).unwrap();
    for (most, warned) in [(1501, true), (1500, false)] {
        let text = text.replacen("[server]", &format!("[server]\nmax_connections = {most}"), 1);
        fs::write(files.config(), text).unwrap();
        let config = files.config();
        let check =
            program(&["check", "--config", config.to_str().unwrap()], files.directory.path());
        let done = limited(3000, 3000, &check).output().unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert!(done.status.success(), "{said}");
        assert_eq!(said.contains("server.max_connections"), warned, "{said}");
    }
}
