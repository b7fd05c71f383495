//! A real Prometheus with the configuration and the rules of `deploy/prometheus`.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Child,
};

use crate::{
    client::PATIENCE,
    real_parts::{free_address, need},
};

pub const CONFIG: &str = include_str!("../../deploy/prometheus/prometheus.yml");
pub const RULES: &str = include_str!("../../deploy/prometheus/rules.yml");

/// The factor by which the times in the rules are shortened: an hour becomes half a minute.
const FASTER: u32 = 120;

/// A Prometheus that scrapes and evaluates twice a second. It runs until it is dropped.
pub struct Prometheus {
    address: SocketAddr,
    child: Child,
    files: TempDir,
}

impl Prometheus {
    /// Starts scraping these admin listeners.
    pub fn start(targets: &[SocketAddr]) -> Self {
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("rules.yml"), faster(RULES)).unwrap();
        fs::write(files.path().join("prometheus.yml"), config(targets)).unwrap();
        let address = free_address();
        let child = tokio::process::Command::new(need(Path::new("/usr/bin/prometheus")))
            .arg(format!("--config.file={}", files.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", files.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { address, child, files }
    }

    /// Scrapes these targets from now on.
    pub fn scrape(&self, targets: &[SocketAddr]) {
        fs::write(self.files.path().join("prometheus.yml"), config(targets)).unwrap();
        let pid = self.child.id().expect("a Prometheus that runs").to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    /// The `data` of an answer from its API; `None` while it starts.
    pub async fn api(&self, target: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        // HTTP/1.0, whose answers end with the connection; in 1.1, long answers are chunked.
        let request = format!("GET /api/v1/{target} HTTP/1.0\r\nHost: prometheus\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut said = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut said)).await;
        read.expect("Prometheus does not answer").ok()?;
        let (head, body) = said.split_once("\r\n\r\n")?;
        if head.starts_with("HTTP/1.0 503 ") {
            return None;
        }
        let mut answer: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{said}"));
        assert_eq!(answer["status"], "success", "{target}: {answer}");
        Some(answer["data"].take())
    }

    /// The current series of a query; empty if there are none, or Prometheus does not answer yet.
    pub async fn ask(&self, query: &str) -> Vec<Value> {
        let data = self.api(&format!("query?query={}", encoded(query))).await;
        data.map(|data| data["result"].as_array().unwrap().clone()).unwrap_or_default()
    }

    /// The current number of series of a query.
    pub async fn count(&self, query: &str) -> usize {
        self.ask(query).await.len()
    }

    /// The values of a query, once one of them is a number. A division of zero by zero is not a number, and the age of
    /// something that never happened is `+Inf`.
    pub async fn numbers(&self, query: &str) -> Vec<f64> {
        let asked = async {
            loop {
                let values = self.ask(query).await;
                let values = values.iter().map(|one| one["value"][1].as_str().unwrap());
                let numbers = values.map(|text| text.parse().unwrap_or(f64::NAN));
                let numbers: Vec<f64> = numbers.filter(|number| !number.is_nan()).collect();
                if !numbers.is_empty() {
                    return numbers;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("no data: {query}"))
    }

    /// The alerts that are pending or firing now.
    pub async fn alerts(&self) -> Vec<Value> {
        let data = self.api("alerts").await;
        data.map(|data| data["alerts"].as_array().unwrap().clone()).unwrap_or_default()
    }
}

/// The deployed configuration, except for its targets and its intervals. It scrapes twice a second instead of `FASTER`
/// times as often, which would leave a gateway an eighth of a second to answer.
fn config(targets: &[SocketAddr]) -> String {
    let targets: Vec<_> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    let text = CONFIG.replace("\"127.0.0.1:9464\"", &targets.join(", "));
    let text = text.replace("interval: 15s", "interval: 500ms");
    assert_eq!(text.matches("interval: 500ms").count(), 2);
    text
}

/// The deployed rules with shorter windows (`[5m]`) and durations (`for: 2m`): each is `FASTER` times as short, because
/// a test cannot wait for three days. Expressions and thresholds are unchanged.
fn faster(rules: &str) -> String {
    let mut text = String::new();
    for line in rules.lines() {
        if let Some((indent, time)) = line.split_once("for: ")
            && indent.trim().is_empty()
        {
            writeln!(text, "{indent}for: {}", shorter(time)).unwrap();
            continue;
        }
        for (number, part) in line.split('[').enumerate() {
            match part.split_once(']') {
                Some((time, rest)) if number > 0 => {
                    write!(text, "[{}]{rest}", shorter(time)).unwrap();
                }
                _ => text.push_str(part),
            }
        }
        text.push('\n');
    }
    text
}

fn shorter(time: &str) -> String {
    let time = humantime::parse_duration(time).unwrap_or_else(|_| panic!("no time: {time}"));
    format!("{}ms", (time / FASTER).as_millis())
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[test]
fn the_rules_that_are_provoked_are_those_that_are_deployed_but_for_their_times() {
    let text = "expr: sum(x[1h]) > 14 * 86400 or y[5m]\n  for: 2m\n";
    let want = "expr: sum(x[30000ms]) > 14 * 86400 or y[2500ms]\n  for: 1000ms\n";
    assert_eq!(faster(text), want);
    let rules = faster(RULES);
    assert_eq!(rules.lines().count(), RULES.lines().count());
    for (line, original) in rules.lines().zip(RULES.lines()) {
        let timed = original.contains('[') || original.trim().starts_with("for: ");
        assert_eq!(line != original, timed, "{original}");
    }
}
