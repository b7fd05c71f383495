//! Every file of a policy's directory is accounted for.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use tempfile::TempDir;

use super::LAB;
use crate::policy::Engine;

/// A directory with one good policy and these files.
fn with(files: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lab.cedar"), LAB).unwrap();
    for file in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, LAB.replace("@id(\"", "@id(\"other-")).unwrap();
    }
    directory
}

/// The warnings of a directory from which the one good policy is loaded.
fn warnings(directory: &TempDir) -> Vec<String> {
    let (engine, warnings) = Engine::load(directory.path()).unwrap();
    assert_eq!(engine.len(), 1);
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn hidden_files_and_backups_are_not_loaded_and_warned_of() {
    for name in [
        ".x.cedar",
        ".#x.cedar",
        ".x.cedar.swp",
        "x.cedar~",
        "x.cedar.bak",
        "#x.cedar#",
        "x.cedar.txt",
        "x.cedar.md",
    ] {
        let directory = with(&[name]);
        let said = warnings(&directory);
        assert_eq!(said.len(), 1, "{name}: {said:?}");
        assert!(said[0].starts_with(directory.path().join(name).to_str().unwrap()), "{said:?}");
        assert!(said[0].contains(": is not loaded: "), "{said:?}");
    }
}

#[test]
fn policies_in_a_subfolder_are_a_fault_because_they_would_not_apply() {
    for name in ["more/x.cedar", "cases/x.cedar", "a/b/x.CEDAR"] {
        let directory = with(&[name]);
        let said = Engine::load(directory.path()).unwrap_err();
        assert_eq!(said.len(), 1, "{name}: {said:?}");
        let place = directory.path().join(name).display().to_string();
        assert!(said[0].to_string().starts_with(&place), "{said:?}");
        assert!(said[0].to_string().contains("in a folder of its own is not loaded"), "{said:?}");
    }
}

#[test]
fn an_ending_in_large_letters_is_a_fault() {
    let said = Engine::load(with(&["x.Cedar"]).path()).unwrap_err();
    assert_eq!(said.len(), 1);
    assert!(said[0].to_string().contains("x.Cedar: is not loaded"), "{said:?}");
}

#[test]
fn other_files_are_warned_of_together() {
    let names = ["a.cdr", "b.policy", "c.json", "d", "e.txt", "f.toml", "g.off"];
    let said = warnings(&with(&names));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("`a.cdr`, `b.policy`, `c.json`, `d`, `e.txt`, 2 more"), "{said:?}");
}

#[test]
fn what_is_told_by_its_name_to_be_no_policy_is_passed_over() {
    let names = [
        "README",
        "README.txt",
        "LICENSE",
        "freeze",
        "notes.md",
        "zec.cedarschema",
        ".gitignore",
        ".git/x.cedar",
        "cases/x.toml",
        "docs/x.txt",
    ];
    assert_eq!(warnings(&with(&names)), [""; 0]);
}

#[test]
fn a_mounted_config_map_is_loaded_without_a_word() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("..2026_11_28_12_00_00.123/cases")).unwrap();
    fs::write(at("..2026_11_28_12_00_00.123/lab.cedar"), LAB).unwrap();
    fs::write(at("..2026_11_28_12_00_00.123/cases/lab.toml"), "").unwrap();
    symlink("..2026_11_28_12_00_00.123", at("..data")).unwrap();
    symlink("..data/lab.cedar", at("lab.cedar")).unwrap();
    symlink("..data/cases", at("cases")).unwrap();
    assert_eq!(warnings(&directory), [""; 0]);
}

#[test]
fn a_folder_that_cannot_be_looked_into_is_warned_of() {
    let directory = with(&["closed/x.cedar"]);
    let closed = directory.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&closed).is_err() {
        let said = warnings(&directory);
        assert!(said[0].contains("`closed`"), "{said:?}");
    } // Otherwise the test runs as root, who can read everything.
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}
