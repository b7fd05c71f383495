//! `deploy/prometheus` and `deploy/grafana`: rules and dashboard ask for what there is, every alert
//! has its cases and its page in the runbook, and a real Prometheus fires it.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Child};
use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client::{self, PATIENCE},
    real_parts::{left_out, need},
    secure::secure,
    world::{NIC, World},
};

const CONFIG: &str = include_str!("../../deploy/prometheus/prometheus.yml");
const RULES: &str = include_str!("../../deploy/prometheus/rules.yml");
const CASES: [(&str, &str); 2] = [
    ("rules.test.yml", include_str!("../../deploy/prometheus/rules.test.yml")),
    ("rules.days.test.yml", include_str!("../../deploy/prometheus/rules.days.test.yml")),
];
const DASHBOARD: &str = include_str!("../../deploy/grafana/zec-gateway.json");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// The alerts of the rules, each with its lines.
fn alerts() -> Vec<(String, String)> {
    let found: Vec<_> = RULES
        .split("- alert: ")
        .skip(1)
        .map(|rest| (rest.lines().next().unwrap().trim().to_owned(), rest.to_owned()))
        .collect();
    assert!(found.len() > 10);
    found
}

/// The queries of the dashboard's panels, with their titles.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            found.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    assert!(found.len() > 20);
    found
}

/// Names of the gateway's metrics in a text; those of recording rules have colons and are not.
fn names(text: &str) -> BTreeSet<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !word(c));
    words
        .filter(|word| word.starts_with("zec_gateway_") || word.starts_with("process_"))
        .filter(|word| !word.contains(':'))
        .collect()
}

#[tokio::test]
async fn rules_and_dashboard_ask_only_for_series_that_there_are() {
    let (world, _) = secure("").await;
    let metrics = world.metrics().await;
    let there: BTreeSet<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let queries: String = queries().into_iter().map(|(_, query)| query + "\n").collect();
    for text in [RULES, CASES[0].1, CASES[1].1, queries.as_str()] {
        let asked = names(text);
        assert!(!asked.is_empty());
        let invented: Vec<_> = asked.difference(&there).collect();
        assert!(invented.is_empty(), "no such series: {invented:?}");
    }
}

#[tokio::test]
async fn rules_and_dashboard_name_only_values_that_labels_can_have() {
    let (world, _) = secure("").await;
    let metrics = world.metrics().await;
    let queries: String = queries().into_iter().map(|(_, query)| query + "\n").collect();
    for text in [RULES, queries.as_str()] {
        for label in ["reason", "outcome", "result", "decision"] {
            for value in text.split(&format!("{label}=")).skip(1) {
                let value = value.trim_start_matches('~').strip_prefix('"').unwrap();
                for value in value.split('"').next().unwrap().split('|') {
                    let series = format!("{label}=\"{value}\"");
                    assert!(metrics.contains(&series), "no series has {series}");
                }
            }
        }
    }
}

#[test]
fn every_alert_has_a_page_in_the_runbook_and_a_case_in_which_it_fires_and_one_in_which_not() {
    let cases: String = CASES.iter().map(|(_, text)| *text).collect();
    let mut pages: BTreeSet<&str> = RUNBOOK
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|title| title.starts_with("ZecGateway"))
        .collect();
    for (alert, text) in alerts() {
        let url = format!("runbook_url: docs/runbook.md#{}\n", alert.to_ascii_lowercase());
        assert!(text.contains(&url), "{alert} does not lead to its page");
        assert!(pages.remove(alert.as_str()), "{alert} has no page in docs/runbook.md");
        assert!(cases.contains(&format!("- name: {alert} fires ")), "no case fires {alert}");
        assert!(cases.contains(&format!("- name: {alert} does not fire ")), "{alert} always fires");
        assert!(cases.contains(&format!("alertname=\"{alert}\"")), "no case expects {alert}");
        for one in ["summary: ", "description: ", "severity: "] {
            assert!(text.contains(one), "{alert} has no {one}");
        }
    }
    assert!(pages.is_empty(), "pages of no alert: {pages:?}");
}

#[test]
fn promtool_finds_no_fault_with_the_rules_and_every_case_holds() {
    if left_out("prometheus") {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let [few, days] = CASES.map(|(name, _)| name);
    for args in [
        ["check", "config", "prometheus.yml"].as_slice(),
        &["check", "rules", "rules.yml"],
        &["test", "rules", few, days],
    ] {
        let promtool = need(Path::new("/usr/bin/promtool"));
        let done = Command::new(promtool).args(args).current_dir(&here).output().unwrap();
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(done.status.success(), "{args:?}: {said}");
    }
}

/// A Prometheus that scrapes a world each second and judges it by the rules.
struct Prometheus {
    address: SocketAddr,
    _child: Child,
    _files: TempDir,
}

impl Prometheus {
    async fn start(world: &World) -> Self {
        let files = tempfile::tempdir().unwrap();
        let config = CONFIG
            .replace("127.0.0.1:9464", &world.admin.to_string())
            .replace("interval: 15s", "interval: 1s");
        fs::write(files.path().join("prometheus.yml"), config).unwrap();
        fs::write(files.path().join("rules.yml"), RULES).unwrap();
        // Let the kernel choose a port, then hand it over.
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let child = tokio::process::Command::new(need(Path::new("/usr/bin/prometheus")))
            .arg(format!("--config.file={}", files.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", files.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { address, _child: child, _files: files }
    }

    /// How many series a query gives; nothing where it gives none, or Prometheus is not there.
    async fn ask(&self, query: &str) -> Vec<Value> {
        // A count, for long answers come in chunks, which this client does not read.
        let query = format!("count({query})");
        let plain = |byte: &u8| byte.is_ascii_alphanumeric();
        let encode = |byte: u8| match byte {
            byte if plain(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        let query: String = query.bytes().map(encode).collect();
        let text = client::request("GET", &format!("/api/v1/query?query={query}"), &[], None);
        if tokio::net::TcpStream::connect(self.address).await.is_err() {
            return Vec::new();
        }
        let Some(answer) = client::raw(self.address, text.as_bytes()).await else {
            return Vec::new();
        };
        // It says 503 while it starts.
        assert_ne!(answer.status, 400, "{}", answer.text());
        if answer.status != 200 {
            return Vec::new();
        }
        answer.json()["data"]["result"].as_array().unwrap().clone()
    }

    /// Asks until there is an answer.
    async fn until(&self, query: &str) -> Vec<Value> {
        let asked = async {
            loop {
                let answer = self.ask(query).await;
                if !answer.is_empty() {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(PATIENCE * 3, asked).await.unwrap_or_else(|_| panic!("{query}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_has_an_answer() {
    if left_out("prometheus") {
        return;
    }
    let (world, _) = secure("").await;
    let prometheus = Prometheus::start(&world).await;
    // Two samples, so that there are rates.
    prometheus.until("count_over_time(zec_gateway_build_info[1m]) >= 2").await;
    for (panel, query) in queries() {
        let query = query.replace("$instance", ".*").replace("$__rate_interval", "1m");
        assert!(!query.contains('$'), "{panel}: {query}");
        prometheus.until(&query).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_fires_when_zec_refuses_the_key_and_when_an_outcome_is_unknown() {
    if left_out("prometheus") {
        return;
    }
    let world = World::start().await;
    let prometheus = Prometheus::start(&world).await;
    // What happens before the first sample is nothing new to Prometheus.
    prometheus.until("count_over_time(zec_gateway_build_info[1m]) >= 2").await;
    assert_eq!(prometheus.ask("ALERTS").await, Vec::<Value>::new());
    world.zec.inject(Fault::once(FaultKind::RefuseCredentials));
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.problem().0, 502);
    world.zec.inject(Fault::once(FaultKind::CutAfter));
    let write = world.alice().delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")).await;
    assert_eq!(write.problem().0, 504);
    for alert in ["ZecGatewayZecRefusesCredentials", "ZecGatewayOutcomeUnknown"] {
        let query = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
        prometheus.until(&query).await;
    }
}
