//! The catalogue's tables against the models of ZEC's official Python SDK.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::real_parts::{left_out, need, output};

const TABLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/catalogue/tables");

async fn compare(tables: &Path) -> (bool, String) {
    let python = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts/venv/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/catalogue.py");
    output(Command::new(need(&python)).arg(script).arg(tables)).await
}

#[tokio::test]
async fn the_tables_have_every_action_and_parameter_of_the_sdk() {
    if left_out("sdk") {
        return;
    }
    let (ok, text) = compare(Path::new(TABLES)).await;
    assert!(ok && text.contains("247 actions agree with the SDK"), "{text}");
}

#[tokio::test]
async fn a_parameter_that_only_one_side_has_is_found() {
    if left_out("sdk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let table = fs::read_to_string(Path::new(TABLES).join("parameters.tsv")).unwrap();
    let lacks: Vec<&str> = table
        .lines()
        .filter(|line| !line.starts_with("ReleaseInstances\tdependResource"))
        .filter(|line| !line.starts_with("DeleteVpc\t"))
        .collect();
    let row = "StopInstances\tnewField\tstring\tno\tplain\t-\t-\tno\tpy\t-";
    fs::write(folder.path().join("parameters.tsv"), format!("{}\n{row}\n", lacks.join("\n")))
        .unwrap();
    let (ok, text) = compare(folder.path()).await;
    assert!(!ok, "{text}");
    for said in [
        "only the SDK has ReleaseInstances.dependResource",
        "only the SDK has the action DeleteVpc",
        "only the tables have StopInstances.newField",
    ] {
        assert!(text.lines().any(|line| line == said), "{said}: {text}");
    }
}
