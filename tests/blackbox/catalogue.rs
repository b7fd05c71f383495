//! The catalogue's tables against the models of ZEC's official Python SDK.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use secrecy::SecretString;
use tokio::net::TcpListener;
use zec_gateway::emulator::{self, Emulator};

use crate::{
    client,
    program::{Files, Served, run},
    real_parts::{left_out, need, output},
    world::{KEY_ID, PASSWORD},
};

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
    assert!(
        ok && text.contains("247 actions and 7 of other services agree with the SDK"),
        "{text}"
    );
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
    let services = ["services-actions.tsv", "services-parameters.tsv"];
    for file in services {
        let text = fs::read_to_string(Path::new(TABLES).join(file)).unwrap();
        let changed = text.replace("DescribeKeyPairs\tkeyName", "DescribeKeyPairs\tname");
        fs::write(folder.path().join(file), changed).unwrap();
    }
    let (ok, text) = compare(folder.path()).await;
    assert!(!ok, "{text}");
    for said in [
        "only the SDK has ReleaseInstances.dependResource",
        "only the SDK has the action DeleteVpc",
        "only the tables have StopInstances.newField",
        "only the SDK has DescribeKeyPairs.keyName",
        "only the tables have DescribeKeyPairs.name",
    ] {
        assert!(text.lines().any(|line| line == said), "{said}: {text}");
    }
}

/// An operator adds an action that the catalogue lacks in one file, without a build.
#[test]
fn an_operator_adds_an_action_in_a_file() {
    const FILE: &str = r#"
        [[action]]
        name = "DeleteVpcFlowLogs"
        access = "destructive"
        resource_type = "vpc"
        [[action.parameter]]
        field = "vpcIds[]"
        type = "array of string"
        kind = "id:vpc"
        required = "yes"
    "#;
    const POLICY: &str = r#"@id("logs") permit (principal in Zec::Group::"corp/logs",
        action == Zec::Action::"DeleteVpcFlowLogs", resource == Zec::Vpc::"1");"#;
    const CASES: &str = r#"
        [[case]]
        name = "one VPC"
        caller = "corp/a"
        groups = ["logs"]
        action = "DeleteVpcFlowLogs"
        arguments = { vpcIds = ["1"] }
        expect = "allow"
        [[case]]
        name = "not another"
        caller = "corp/a"
        groups = ["logs"]
        action = "DeleteVpcFlowLogs"
        arguments = { vpcIds = ["1", "2"] }
        expect = "deny"
    "#;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(at("policy/cases")).unwrap();
    std::fs::write(at("policy/p.cedar"), POLICY).unwrap();
    std::fs::write(at("policy/cases/c.toml"), CASES).unwrap();
    std::fs::write(at("actions.toml"), FILE).unwrap();
    let (policy, file) = (at("policy"), at("actions.toml"));
    let (policy, file) = (policy.to_str().unwrap(), file.to_str().unwrap());
    let test = |more: &[&str]| {
        let args = [&["policy", "test", policy], more].concat();
        run(&args, directory.path())
    };
    let (code, said, _) = test(&["--catalogue", file]);
    assert!(code == 0 && said.contains("2 passed, 0 failed"), "{said}");
    let (code, _, said) = test(&[]);
    assert!(code == 1 && said.contains("DeleteVpcFlowLogs"), "{said}");
    let (code, schema, _) = run(&["policy", "schema", "--catalogue", file], directory.path());
    assert!(code == 0 && schema.contains("action DeleteVpcFlowLogs in [destructive, write]"));
}

#[test]
fn a_faulty_file_of_actions_is_a_fault_that_says_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("actions.toml");
    let file = path.to_str().unwrap();
    for (broken, words) in [
        ("[[action]]\nname = \"A\"", "missing field `access`"),
        ("[[action]]\nname = \"A\"\naccess = \"look\"", "`look` is no value of `access`"),
        ("[[action]]\nname = \"A\"\naccess = \"read\"\nversion = \"1\"", "of no version"),
        ("[[action]]\nname = \"A b\"\naccess = \"read\"", "letters and digits"),
        ("[[action]]\nname = \"A\"\naccess = \"read\"\nservice = \"a/b\"", "of no service"),
        ("[[action]]\nname = \"A\"\naccess = \"read\"\nservice = \"ccs\"", "needs the `version`"),
        (
            "[[action]]\nname = \"DescribeVpcs\"\naccess = \"read\"\nservice = \"ccs\"\nversion = \"2025-09-02\"",
            "the gateway knows it at the service `zec`",
        ),
        (
            "[[action]]\nname = \"A\"\naccess = \"write\"\n[[action.parameter]]\nfield = \"anyId\"\ntype = \"string\"\nkind = \"id:vpc|byoip\"",
            "no action reads a `byoip` by its id",
        ),
        (
            "[[action]]\nname = \"A\"\naccess = \"write\"\ncreates = \"id\"",
            "name its `resource_type`",
        ),
        (
            "[[action]]\nname = \"A\"\naccess = \"read\"\n[[action.parameter]]\nfield = \"x\"\ntype = \"text\"",
            "`text` is no value of `type`",
        ),
        (
            "[[action]]\nname = \"A\"\naccess = \"read\"\n[[action.parameter]]\nfield = \"xId\"\ntype = \"string\"\nkind = \"id:planet\"",
            "unknown type `planet`",
        ),
    ] {
        std::fs::write(&path, broken).unwrap();
        let (code, _, said) = run(&["policy", "schema", "--catalogue", file], directory.path());
        assert!(
            code == 1 && said.contains(words) && said.contains("actions.toml"),
            "{broken}: {said}"
        );
    }
}

/// The gateway decides and sends such an action as every other one.
#[tokio::test(flavor = "multi_thread")]
async fn an_added_action_is_decided_and_sent() {
    const FILE: &str = "[[action]]\nname = \"DescribeVpcFlowLogs\"\naccess = \"read\"\nresource_type = \"vpc\"\n\
        [[action.parameter]]\nfield = \"vpcIds[]\"\ntype = \"array of string\"\nkind = \"id:vpc\"\n";
    let zec = Emulator::new(emulator::Settings::new(KEY_ID, SecretString::from(PASSWORD)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(zec.clone().serve(listener, std::future::pending()));
    let files = Files::new(&endpoint);
    std::fs::write(files.directory.path().join("actions.toml"), FILE).unwrap();
    let config = std::fs::read_to_string(files.config()).unwrap();
    let config = config.replace("[zec]", "[zec]\ncatalogue_file = \"actions.toml\"");
    std::fs::write(files.config(), config).unwrap();
    let served = Served::start(&files, "info");
    let call = async |groups: &[&str], body: &str| {
        let headers = [
            ("Authorization", files.bearer(groups)),
            ("Content-Type", "application/json".to_owned()),
            ("Connection", "close".to_owned()),
        ];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let text = client::request("POST", "/actions/DescribeVpcFlowLogs", &headers, Some(body));
        client::raw(served.gateway, text.as_bytes()).await.unwrap()
    };
    let body = r#"{"vpcIds":["1"]}"#;
    assert_eq!(call(&["sales"], body).await.status, 403);
    assert_eq!(call(&["engineers"], r#"{"vpcs":["1"]}"#).await.status, 400);
    assert!(zec.requests().is_empty());
    // The emulator does not know the action, so it answers as ZEC does to an unknown one.
    let unknown = call(&["engineers"], body).await;
    assert_eq!(unknown.status, 502);
    assert!(unknown.text().contains("or has no such action"), "{}", unknown.text());
    let sent: Vec<_> = zec.requests().into_iter().map(|one| (one.action, one.body)).collect();
    assert_eq!(sent, [("DescribeVpcFlowLogs".to_owned(), body.as_bytes().to_vec().into())]);
}
