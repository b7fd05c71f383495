//! `deploy/prometheus` and `deploy/grafana`: rules and dashboard use only existing metrics, and every alert has its
//! cases and its page in the runbook. `alerts.rs` tests that the alerts fire in a real Prometheus.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

use crate::{
    issued_keys,
    prometheus::RULES,
    real_parts::{left_out, need},
    secure::{self, Authority, secure},
};

const CASES: [(&str, &str); 2] = [
    ("rules.test.yml", include_str!("../../deploy/prometheus/rules.test.yml")),
    ("rules.days.test.yml", include_str!("../../deploy/prometheus/rules.days.test.yml")),
];
const DASHBOARD: &str = include_str!("../../deploy/grafana/zec-gateway.json");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// The alerts of the rules, each with its lines.
pub fn alerts() -> Vec<(String, String)> {
    let found: Vec<_> = RULES
        .split("- alert: ")
        .skip(1)
        .map(|rest| (rest.lines().next().unwrap().trim().to_owned(), rest.to_owned()))
        .collect();
    assert!(found.len() > 10);
    found
}

/// The queries of the dashboard's panels and annotations, with their titles.
pub fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let marks = dashboard["annotations"]["list"].as_array().unwrap();
    let mut found: Vec<_> =
        marks.iter().map(|mark| (text(&mark["name"]), text(&mark["expr"]))).collect();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
            found.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    assert!(found.len() > 20);
    found
}

/// The names of the gateway's metrics in a text, without the recording rules, whose names have colons.
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
    // Series of TLS and of access keys are there only with them.
    let mut setup = secure::setup("", &Authority::new().server(2100));
    setup.files.extend(issued_keys::files());
    setup.rest = issued_keys::CONFIGURED.to_owned();
    let world = setup.start().await;
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
