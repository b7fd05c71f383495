//! Paths that lead to something other than a regular file: the gateway neither waits for it nor reads it without end.

use std::{fs, os::unix::fs::symlink, process::Command};

use crate::{
    program::{Files, run},
    world::{NIC, World},
};

/// Whatever is at a followed path, the gateway does not wait for it.
#[tokio::test]
async fn a_pipe_a_device_or_a_file_without_end_is_a_faulty_file_and_no_more() {
    let world = World::start().await;
    let at = |name: &str| world.files.path().join(name);
    let names = ["jwks.json", "sk", "gateway.toml", "policy/test.cedar"];
    let pipe = |name: &str| {
        assert!(Command::new("mkfifo").arg(at(name)).status().unwrap().success());
    };
    let device = |name: &str| symlink("/dev/zero", at(name)).unwrap();
    let endless = |name: &str| fs::File::create(at(name)).unwrap().set_len(1 << 40).unwrap();
    let directory = |name: &str| fs::create_dir(at(name)).unwrap();
    let kinds: [&dyn Fn(&str); 4] = [&pipe, &device, &endless, &directory];
    let good = names.map(|name| world.text(name));
    for (kind, put) in kinds.iter().enumerate() {
        for name in names {
            fs::remove_file(at(name)).unwrap();
            put(name);
        }
        assert_eq!(world.reload().await, (0, 4), "{kind}");
        assert_eq!(world.metric("last_reload_successful").await, 0.0);
        assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 200);
        for (name, text) in names.iter().zip(&good) {
            let gone = fs::remove_file(at(name)).or_else(|_| fs::remove_dir(at(name)));
            gone.unwrap();
            world.put(name, text);
        }
        assert_eq!(world.reload().await, (4, 0), "{kind}");
    }
}

/// This uses an empty device. An endless one, or a pipe, would hang the test itself if the gateway waited for it.
#[test]
fn what_is_no_file_is_a_fault_at_the_start_too() {
    let files = Files::new("https://console.zenlayer.com");
    let text = fs::read_to_string(files.config()).unwrap();
    let at = |name: &str| files.directory.path().join(name);
    let check = |config: &str| {
        let args = ["check", "--config", at(config).to_str().unwrap()].map(str::to_owned);
        run(&args.each_ref().map(String::as_str), files.directory.path())
    };
    symlink("/dev/null", at("null")).unwrap();
    let said = "a directory, a pipe or a device";
    let (code, _, complaints) = check("null");
    assert!(code == 1 && complaints.contains(said), "{complaints}");
    fs::write(files.config(), text.replace("[zec]", "[zec]\nca_file = \"null\"")).unwrap();
    let (code, _, complaints) = check("gateway.toml");
    assert!(code == 1 && complaints.contains("zec.ca_file: no PEM"), "{complaints}");
    assert!(complaints.contains(said), "{complaints}");
}
