//! Provokes every alert of `deploy/prometheus` in a real Prometheus. Afterwards every panel of the dashboard has data.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    deploy_prometheus::{alerts, queries},
    prometheus::{Prometheus, RULES},
    provocations::{Provocation, TOGETHER, Trouble},
    real_parts::left_out,
};

/// An active alert and its instance; the instance is empty if the alert has none.
type Active = (String, String);

/// Far longer than anything takes: the longest `for` here is half a minute.
const DEADLINE: Duration = Duration::from_mins(3);

fn text(alert: &Value, label: &str) -> String {
    alert["labels"][label].as_str().unwrap_or_default().to_owned()
}

/// The alerts that `Trouble::ALL` must fire at these gateways.
fn expected(provocations: &[Provocation]) -> BTreeSet<Active> {
    let at = |one: &Provocation| {
        let instance = one.admin.to_string();
        one.trouble.fires().iter().map(move |alert| ((*alert).to_owned(), instance.clone()))
    };
    let together = TOGETHER.map(|alert| (alert.to_owned(), String::new()));
    provocations.iter().flat_map(at).chain(together).collect()
}

#[test]
fn every_alert_there_is_is_provoked() {
    let there: BTreeSet<String> = alerts().into_iter().map(|(alert, _)| alert).collect();
    let provoked = Trouble::ALL.iter().flat_map(|trouble| trouble.fires());
    let provoked: BTreeSet<String> =
        provoked.chain(&TOGETHER).map(|alert| (*alert).to_owned()).collect();
    assert_eq!(there, provoked, "rules.yml, and what tests/blackbox/provocations.rs provokes");
}

/// Gateways inside the tests' own process share its open files, so alerts about files do not tell them apart.
fn is_of_the_tests(alert: &Value, provocations: &[Provocation]) -> bool {
    let here =
        |one: &Provocation| one.is_here() && one.admin.to_string() == text(alert, "instance");
    text(alert, "alertname") == "ZecGatewayFileDescriptors" && provocations.iter().any(here)
}

/// Waits until all targets are scraped and busy and no alert is even pending. Until then none may have fired.
async fn until_all_is_well(prometheus: &Prometheus, provocations: &[Provocation]) {
    let all = provocations.len();
    let workers = provocations.iter().filter(|one| one.is_here()).count();
    let working =
        "sum by (instance) (increase(zec_gateway_http_requests_total{code=\"200\"}[1m])) > 0";
    let scraped = "count_over_time(up{job=\"zec-gateway\"}[1m]) >= 8 and up == 1";
    let begun = Instant::now();
    loop {
        let up = prometheus.count(scraped).await;
        let at_work = prometheus.count(working).await;
        let active = prometheus.alerts().await;
        let active = active.into_iter().filter(|alert| !is_of_the_tests(alert, provocations));
        let active: Vec<_> = active.collect();
        if (up, at_work) == (all, workers) && active.is_empty() {
            break;
        }
        let state = format!("{up} of {all} up, {at_work} of {workers} at work, active: {active:?}");
        assert!(begun.elapsed() < DEADLINE, "{state}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for alert in prometheus.ask("count_over_time(ALERTS{alertstate=\"firing\"}[1h])").await {
        let alert = json!({"labels": alert["metric"]});
        // Prometheus first waits five seconds, here more than two minutes, before it scrapes anything.
        let first =
            text(&alert, "alertname") == "ZecGatewayDown" && text(&alert, "instance").is_empty();
        assert!(first || is_of_the_tests(&alert, provocations), "has fired for no reason: {alert}");
    }
}

/// Waits until each of them has fired, and checks that no others fire.
async fn until_fired(prometheus: &Prometheus, provocations: &[Provocation]) {
    let expected = expected(provocations);
    let mut missing = expected.clone();
    let begun = Instant::now();
    while !missing.is_empty() {
        assert!(begun.elapsed() < DEADLINE, "do not fire: {missing:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let active = prometheus.alerts().await;
        for alert in active.iter().filter(|alert| alert["state"] == "firing") {
            let one = (text(alert, "alertname"), text(alert, "instance"));
            let due = expected.contains(&one) || is_of_the_tests(alert, provocations);
            assert!(due, "fires for no reason: {alert}");
            for annotation in ["summary", "description", "runbook_url"] {
                let said = alert["annotations"][annotation].as_str().unwrap_or_default();
                assert!(!said.is_empty() && !said.contains('<'), "{annotation}: {alert}");
            }
            missing.remove(&one);
        }
    }
}

/// Every rule is evaluated, and the recorded series have values.
async fn rules_work(prometheus: &Prometheus) {
    let rules = prometheus.api("rules").await.expect("the rules");
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
    }
    let recorded: Vec<_> = RULES.split("- record: ").skip(1).collect();
    assert!(recorded.len() > 10);
    for rule in recorded {
        prometheus.numbers(rule.lines().next().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_fires_in_a_real_prometheus_and_every_panel_of_the_dashboard_shows_something() {
    if left_out("prometheus") {
        return;
    }
    let (late, early): (Vec<_>, Vec<_>) =
        Trouble::ALL.into_iter().partition(|trouble| trouble.is_from_the_start());
    let mut provocations = Vec::new();
    for trouble in early {
        provocations.push(Provocation::new(trouble).await);
    }
    let targets = |provocations: &[Provocation]| -> Vec<_> {
        provocations.iter().map(|one| one.admin).collect()
    };
    let prometheus = Prometheus::start(&targets(&provocations));
    until_all_is_well(&prometheus, &provocations).await;

    for provocation in &mut provocations {
        provocation.provoke().await;
    }
    for trouble in late {
        provocations.push(Provocation::new(trouble).await);
    }
    prometheus.scrape(&targets(&provocations));
    until_fired(&prometheus, &provocations).await;

    rules_work(&prometheus).await;
    dashboard_shows_something(&prometheus, &targets(&provocations)).await;
}

/// Every query of the dashboard has data, and each gateway can be selected.
async fn dashboard_shows_something(prometheus: &Prometheus, gateways: &[SocketAddr]) {
    let instances = "label/instance/values?match%5B%5D=zec_gateway_build_info";
    let instances = prometheus.api(instances).await.expect("the instances");
    for gateway in gateways {
        assert!(instances.as_array().unwrap().contains(&json!(gateway.to_string())), "{gateway}");
    }
    for (panel, query) in queries() {
        let query = query.replace("$instance", ".*").replace("$__rate_interval", "1m");
        assert!(!query.contains('$'), "{panel}: {query}");
        prometheus.numbers(&query).await;
    }
}
