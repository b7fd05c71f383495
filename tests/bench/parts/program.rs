//! The program itself: its files, its log, and its instructions.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use http::header::AUTHORIZATION;
use tempfile::TempDir;

use super::{ISSUER, Identity, process::Process};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_zec-gateway");

/// A program under callgrind, with an environment in which nothing can change the count.
pub(crate) fn callgrind(options: &[&str], program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(options).arg(program);
    command
}

/// The number of instructions in callgrind's report.
pub(crate) fn collected(said: &str) -> u64 {
    let line = said.lines().find_map(|line| line.split_once("Collected : "));
    let count = line.map_or(0, |(_, count)| count.trim().parse().unwrap());
    assert!(count > 0, "callgrind counted nothing: {said}");
    count
}

/// Writes the configuration, the access key and the policy. A careful gateway reads the vNIC before a write, and records
/// the write.
pub(crate) fn write_files(directory: &Path, policy: &str, careful: bool, zec: SocketAddr) {
    let put = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    put("ak", "id");
    put("sk", "password");
    fs::create_dir(directory.join("policy")).unwrap();
    put("policy/teams.cedar", policy);
    let issuer = ISSUER;
    put(
        "gateway.toml",
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndrain_delay = \"0s\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [[auth.issuers]]\nname = \"corp\"\nissuer = \"{issuer}\"\naudiences = [\"zec-gateway\"]\n\
             jwks_file = \"jwks.json\"\n[policy]\ndirectory = \"policy\"\n\
             [zec]\nendpoint = \"http://{zec}\"\naccess_key_id_file = \"ak\"\naccess_key_password_file = \"sk\"\n\
             preflight = {careful}\n[limits]\nrequests_per_second = 0\naddresses_per_hour = 0\n\
             [journal]\nenabled = {careful}\npath = \"journal.db\"\n"
        ),
    );
}

/// Reads the log until it contains the listening addresses: the callers' and the operators'.
pub(crate) fn listening(log: &mut impl BufRead) -> [SocketAddr; 2] {
    let mut said = String::new();
    while log.read_line(&mut said).unwrap() > 0 {
        let line = said.lines().last().unwrap();
        if line.contains("\"serving\"") {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            return ["listen", "admin"].map(|key| event[key].as_str().unwrap().parse().unwrap());
        }
    }
    panic!("the gateway does not serve: {said}");
}

/// Reads a message: its head, then its body by its length.
pub(crate) fn message(stream: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head[start..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A gateway that runs. It is killed when it is dropped.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) public: SocketAddr,
    admin: SocketAddr,
    pub(crate) bearer: String,
    /// The lines of its log that the bench waits for.
    pub(crate) log: Receiver<String>,
    _files: TempDir,
}

impl Gateway {
    /// Starts it by a command that ends with the program, with a file for each of these texts of policies.
    pub(crate) fn start(mut command: Command, policies: &[String], zec: SocketAddr) -> Self {
        let files = tempfile::tempdir().unwrap();
        let identity = Identity::new(files.path());
        write_files(files.path(), &policies[0], false, zec);
        for (number, text) in policies.iter().enumerate().skip(1) {
            fs::write(files.path().join(format!("policy/{number}.cedar")), text).unwrap();
        }
        command.args(["serve", "--config"]).arg(files.path().join("gateway.toml"));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let [public, admin] = listening(&mut said);
        let (lines, log) = channel();
        // Every line is read, so that the gateway never keeps or drops one.
        thread::spawn(move || {
            let wanted = |line: &String| line.contains("reloaded: ") || line.contains("Collected");
            for line in said.lines().map(Result::unwrap).filter(wanted) {
                let _ = lines.send(line);
            }
        });
        let bearer = identity.fresh()[AUTHORIZATION].to_str().unwrap().to_owned();
        Self { process: Process(child), public, admin, bearer, log, _files: files }
    }

    pub(crate) fn is_ready(&self) -> bool {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    }

    pub(crate) fn signal(&self, name: &str) {
        Command::new("kill").args([name, &self.process.0.id().to_string()]).status().unwrap();
    }
}
