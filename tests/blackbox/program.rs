//! The program as a process: starting it, its output, stopping it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use zec_gateway::issuer::{Grant, Signer, key_set};

use crate::world::{ISSUER, KEY_ID, PASSWORD};

pub const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The program, in a clean environment.
pub fn program(args: &[&str], runtime: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zec-gateway"));
    command.args(args).env_clear().env("XDG_RUNTIME_DIR", runtime).current_dir(REPOSITORY);
    command
}

pub fn run(args: &[&str], runtime: &Path) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program(args, runtime).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A program that runs until it is dropped.
pub struct Running {
    pub child: Child,
    pub lines: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory with all files for `serve`.
pub struct Files {
    pub directory: TempDir,
    pub signer: Signer,
}

impl Files {
    pub fn new(endpoint: &str) -> Self {
        let (directory, signer) = (tempfile::tempdir().unwrap(), Signer::es256().unwrap());
        let at = |name: &str| directory.path().join(name);
        fs::write(at("jwks.json"), key_set(&[&signer])).unwrap();
        fs::write(at("ak"), KEY_ID).unwrap();
        fs::write(at("sk"), PASSWORD).unwrap();
        fs::create_dir(at("policy")).unwrap();
        for name in ["guards.cedar", "netops.cedar"] {
            fs::copy(
                Path::new(REPOSITORY).join("config/policy").join(name),
                at("policy").join(name),
            )
            .unwrap();
        }
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [[auth.issuers]]\nname = \"corp\"\nissuer = \"{ISSUER}\"\naudiences = [\"zec-gateway\"]\n\
             jwks_file = \"jwks.json\"\n[policy]\ndirectory = \"policy\"\n\
             [zec]\nendpoint = \"{endpoint}\"\naccess_key_id_file = \"ak\"\naccess_key_password_file = \"sk\"\n\
             [log]\nformat = \"json\"\n"
        );
        fs::write(at("gateway.toml"), text).unwrap();
        Self { directory, signer }
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("gateway.toml")
    }

    /// A valid token for alice, as the header's value.
    pub fn bearer(&self, groups: &[&str]) -> String {
        let grant = Grant {
            issuer: ISSUER.to_owned(),
            audience: "zec-gateway".to_owned(),
            subject: "alice".to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            lifetime: std::time::Duration::from_mins(5),
        };
        format!("Bearer {}", self.signer.token(&grant).unwrap())
    }

    pub fn serve(&self, level: &str) -> Command {
        let config = self.config();
        let mut command =
            program(&["serve", "--config", config.to_str().unwrap()], self.directory.path());
        command.env("RUST_LOG", level);
        command
    }
}

/// A `serve` process with its log.
pub struct Served {
    pub child: Child,
    pub log: BufReader<std::process::ChildStderr>,
    pub said: String,
    pub gateway: std::net::SocketAddr,
}

impl Served {
    pub fn start(files: &Files, level: &str) -> Self {
        Self::spawn(files.serve(level))
    }

    pub fn spawn(command: Command) -> Self {
        let mut served = Self::spawn_anywhere(command);
        served.gateway = served.event("\"serving\"")["listen"].as_str().unwrap().parse().unwrap();
        served
    }

    /// Starts the command and waits until it serves, on any kind of listener.
    pub fn spawn_anywhere(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let mut served = Self { child, log, said: String::new(), gateway: nowhere };
        served.until("\"serving\"");
        served
    }

    /// The address of the operators' port.
    pub fn admin(&self) -> std::net::SocketAddr {
        self.event("\"serving\"")["admin"].as_str().unwrap().parse().unwrap()
    }

    /// Reads the log until a line contains a text.
    pub fn until(&mut self, text: &str) {
        while !self.said.contains(text) {
            assert!(self.log.read_line(&mut self.said).unwrap() > 0, "{}", self.said);
        }
    }

    /// The first event that contains a text.
    pub fn event(&self, text: &str) -> Value {
        let line = self.said.lines().find(|line| line.contains(text)).expect(text);
        serde_json::from_str(line).unwrap()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Sends SIGTERM, reads the log to its end, and returns the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.terminate();
        while self.log.read_line(&mut self.said).unwrap() > 0 {}
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
