//! One run of `check` or `serve` says every fault there is, in the configuration and in the files.

use std::{fs, path::Path};

use crate::program::{Files, run};

/// What both commands complain of, line by line; they must agree.
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

/// Writes the configuration anew, with texts put in place of others.
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
        "nowhere/journal.db: cannot be made",
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
