//! Clients that are generated from the description of the API, compiled, and used.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    program::REPOSITORY,
    real_parts::{left_out, need, output},
    world::{NIC, World},
};

fn part(name: &str) -> PathBuf {
    let part = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts").join(name);
    need(&part).canonicalize().unwrap()
}

fn token(world: &World) -> String {
    world.alice().bearer().strip_prefix("Bearer ").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_is_made_of_the_document_and_works() {
    if left_out("clients") {
        return;
    }
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let mut command = Command::new(part("generator").join("bin/python"));
    command
        .arg(Path::new(REPOSITORY).join("tests/clients/judge.py"))
        .args([&format!("http://{}", world.gateway), NIC])
        .arg(folder.path())
        .env("TOKEN", token(&world));
    let (ok, said) = output(&mut command).await;
    assert!(ok && said.ends_with("ok\n"), "{said}");
    assert_eq!(world.sent("UnassignNetworkInterfaceIpv4").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typescript_client_is_made_of_the_document_and_works() {
    if left_out("clients") {
        return;
    }
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    let tests = Path::new(REPOSITORY).join("tests/clients");
    for name in ["judge.ts", "tsconfig.json", "package.json"] {
        fs::copy(tests.join(name), at(name)).unwrap();
    }
    let modules = part("clients").join("node_modules");
    std::os::unix::fs::symlink(&modules, at("node_modules")).unwrap();
    fs::write(at("openapi.json"), world.stranger().get("/openapi.json").await.body).unwrap();
    let gateway = format!("http://{}", world.gateway);
    for (program, arguments) in [
        ("node_modules/openapi-typescript/bin/cli.js", vec!["openapi.json", "-o", "schema.d.ts"]),
        ("node_modules/typescript/bin/tsc", vec!["-p", "."]),
        ("judge.js", vec![gateway.as_str(), NIC]),
    ] {
        let mut command = Command::new("node");
        command.arg(program).args(arguments).current_dir(folder.path());
        let (ok, said) = output(command.env("TOKEN", token(&world))).await;
        assert!(ok, "{program}: {said}");
    }
    assert_eq!(world.sent("UnassignNetworkInterfaceIpv4").len(), 1);
}
