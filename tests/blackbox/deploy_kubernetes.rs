//! `deploy/kubernetes`: validated with Kubernetes' own schemas, and its configuration by the gateway.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use zec_gateway::{config::Config, policy::Engine};

use crate::{
    program::REPOSITORY,
    real_parts::{left_out, need},
};

fn here() -> PathBuf {
    Path::new(REPOSITORY).join("deploy/kubernetes")
}

#[test]
fn the_manifests_are_what_kubernetes_takes_and_fit_together() {
    if left_out("kubernetes") {
        return;
    }
    let tests = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts");
    let python = tests.join("kubernetes/bin/python");
    let judge = Path::new(REPOSITORY).join("tests/kubernetes/judge.py");
    let done = Command::new(need(&python)).arg(judge).arg(here()).output().unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && said.contains(" checks passed, 0 failed"), "{said}");
}

#[test]
fn the_gateway_takes_the_configuration_and_warns_only_of_the_operators_port() {
    let config = Config::load(&here().join("gateway.toml"), std::iter::empty()).unwrap();
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("admin.listen"), "{warnings:?}");
    // The pod's grace period is longer than the gateway's drain.
    let set = fs::read_to_string(here().join("statefulset.yaml")).unwrap();
    let grace = set.split("terminationGracePeriodSeconds: ").nth(1).unwrap();
    let grace: u64 = grace.lines().next().unwrap().parse().unwrap();
    let drain = config.server.drain_delay + config.server.drain_timeout;
    assert!(grace >= drain.as_secs() + 15, "{grace}");
}

#[test]
fn a_policy_is_loaded_as_a_config_map_lays_it_out() {
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    fs::create_dir(at("..2026_01_01")).unwrap();
    let policy = here().join("policy/netops.cedar");
    fs::copy(policy, at("..2026_01_01/netops.cedar")).unwrap();
    symlink("..2026_01_01", at("..data")).unwrap();
    symlink("..data/netops.cedar", at("netops.cedar")).unwrap();
    let (engine, warnings) = Engine::load(mount.path()).unwrap();
    assert_eq!(engine.ids().collect::<Vec<_>>(), ["netops-read"]);
    assert!(warnings.is_empty(), "{warnings:?}");
}
