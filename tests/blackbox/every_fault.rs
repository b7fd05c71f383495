//! One run of `check` or `serve` reports every fault, in the configuration and in the files.

use std::{fs, path::Path};

use crate::program::{Files, Served, run};

/// The complaints of both commands, line by line; the two must agree.
fn complaints(files: &Files) -> Vec<String> {
    let config = files.config();
    let of = |command: &str| {
        let (code, out, said) =
            run(&[command, "--config", config.to_str().unwrap()], files.directory.path());
        assert_eq!((code, out.as_str()), (1, ""), "{command}: {said}");
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let said = of("check");
    assert_eq!(said, of("serve"));
    said
}

/// Rewrites the configuration with some texts replaced.
fn change(path: &Path, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    fs::write(path, text).unwrap();
}

#[test]
fn a_fault_of_the_configuration_hides_no_fault_of_a_file() {
    let files = Files::new("https://console.zenlayer.com");
    let at = |name: &str| files.directory.path().join(name);
    fs::write(at("bad.json"), "{}").unwrap();
    fs::remove_file(at("sk")).unwrap();
    fs::write(at("policy/bad.cedar"), "permit (principal, action, resource);").unwrap();
    let issuer = "[[auth.issuers]]\nname = \"lab\"\nissuer = \"https://lab.example\"\n\
                  audiences = [\"a\"]\njwks_file = \"bad.json\"\n[policy]\nshadow_directory = \"next\"";
    change(
        &files.config(),
        &[
            ("[server]\n", "[server]\nmax_conections = 5\n"),
            ("audiences", "audience"),
            ("[policy]", issuer),
            ("[zec]", "[server.tls]\ncert_file = \"no.pem\"\nkey_file = \"no.key\"\n[zec]"),
            ("[zec]", "[journal]\npath = \"nowhere/journal.db\"\n[zec]\nca_file = \"no-ca.pem\""),
        ],
    );
    let said = complaints(&files);
    for words in [
        "gateway.toml:2: server.max_conections: unknown key",
        "auth.issuers[0].audience: unknown key",
        "auth.issuers[0].audiences: is missing",
        "policy/bad.cedar:1: ",
        "next: cannot be read",
        "zec.access_key_password_file",
        "bad.json: auth.issuers[1].jwks_file",
        "no-ca.pem",
        "no.pem",
        "nowhere/journal.db: cannot be created",
    ] {
        let times = said.iter().filter(|line| line.contains(words)).count();
        assert_eq!(times, 1, "`{words}`: {said:#?}");
    }
    assert!(said[0].starts_with("error: ") && said[0].contains("max_conections"), "{said:#?}");
}

#[test]
fn a_file_whose_own_key_is_faulty_is_not_looked_at() {
    let files = Files::new("https://console.zenlayer.com");
    change(
        &files.config(),
        &[
            ("directory", "directry"),
            ("access_key_password_file = \"sk\"\n", ""),
            ("jwks_file", "jwks_fil"),
            ("[log]", "[journal]\npath = 5\n[log]"),
        ],
    );
    let said = complaints(&files);
    let keys = [
        "auth.issuers[0]",
        "auth.issuers[0].jwks_fil",
        "journal.path",
        "policy.directory",
        "policy.directry",
        "zec.access_key_id_file",
    ];
    let mut found: Vec<_> = said.iter().filter_map(|line| line.split(": ").nth(2)).collect();
    found.sort_unstable();
    assert_eq!(found, keys, "{said:#?}");
}

#[test]
fn a_shadow_policy_is_looked_at_although_nobody_knows_where_the_policy_is() {
    let files = Files::new("https://console.zenlayer.com");
    change(&files.config(), &[("directory = \"policy\"", "shadow_directory = \"next\"")]);
    let said = complaints(&files);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("policy.directory: is missing"), "{said:#?}");
    assert!(said[1].contains("next: cannot be read"), "{said:#?}");
}

/// A `forbid` of all writes of a group, with `issuer` before the group's name; the group is on line 3.
fn fence(issuer: &str) -> String {
    format!(
        "@id(\"fence\")\nforbid (\n  principal in Zec::Group::\"{issuer}netops\",\n  action in \
         Zec::Action::\"write\",\n  resource\n);\n"
    )
}

#[test]
fn a_brake_that_is_not_connected_is_a_fault_with_file_and_line() {
    let files = Files::new("https://console.zenlayer.com");
    let at = |name: &str| files.directory.path().join(name);
    fs::create_dir(at("next")).unwrap();
    fs::write(at("next/fence.cedar"), fence("crop/")).unwrap();
    fs::write(at("policy/fence.cedar"), fence("")).unwrap();
    fs::create_dir(at("policy/more")).unwrap();
    fs::write(at("policy/more/fence.cedar"), fence("corp/")).unwrap();
    change(&files.config(), &[("[policy]", "[policy]\nshadow_directory = \"next\"")]);
    let said = complaints(&files);
    assert_eq!(said.len(), 3, "{said:#?}");
    for words in [
        "policy/more/fence.cedar: a policy in a folder of its own is not loaded",
        "policy/fence.cedar:3: `Zec::Group::\"netops\"` can never match",
        "next/fence.cedar:3: `Zec::Group::\"crop/netops\"` can never match: the configuration has \
         no issuer `crop`, only `corp`",
    ] {
        assert!(said.iter().any(|line| line.contains(words)), "`{words}`: {said:#?}");
    }
}

#[test]
fn an_issuer_whose_name_cannot_be_read_is_not_held_against_the_policies() {
    let files = Files::new("https://console.zenlayer.com");
    change(&files.config(), &[("name = \"corp\"", "name = \"Corp\"")]);
    fs::write(files.directory.path().join("policy/fence.cedar"), fence("")).unwrap();
    let said = complaints(&files);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("auth.issuers[0].name"), "{said:#?}");
    assert!(said[1].contains("fence.cedar:3: "), "{said:#?}");
}

#[test]
fn check_and_serve_warn_of_an_editors_backup_and_do_not_load_it() {
    let files = Files::new("https://console.zenlayer.com");
    fs::write(files.directory.path().join("policy/.fence.cedar"), "no policy").unwrap();
    let config = files.config();
    let (code, _, said) =
        run(&["check", "--config", config.to_str().unwrap()], files.directory.path());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("warning: ") && said.contains("policy/.fence.cedar: is not loaded"));
    let mut served = Served::start(&files, "info");
    served.until("policy/.fence.cedar: is not loaded");
}

#[test]
fn offline_only_the_form_of_an_issuers_name_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fence.cedar");
    let args = ["policy", "test", directory.path().to_str().unwrap()];
    fs::create_dir(directory.path().join("cases")).unwrap();
    fs::write(directory.path().join("cases/none.toml"), "").unwrap();
    fs::write(&file, fence("crop/")).unwrap();
    let (_, _, said) = run(&args, directory.path());
    assert!(!said.contains("can never match"), "{said}");
    fs::write(&file, fence("")).unwrap();
    let (code, _, said) = run(&args, directory.path());
    assert_eq!(code, 1);
    assert!(said.contains("fence.cedar:3: ") && said.contains("can never match"), "{said}");
}
