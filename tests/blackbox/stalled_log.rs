//! A standard error that nothing reads: log lines are dropped and counted, and nothing else suffers.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    client::{self, PATIENCE},
    program::{Files, Served},
};

/// The number of concurrent connections.
const CONNECTIONS: usize = 4;
/// The number of requests on each; their lines exceed a pipe and the gateway's own buffer together.
const EACH: usize = 1500;

/// Sends requests without a token, far more than there is room for log lines, and expects every answer.
pub async fn fill_the_log(gateway: SocketAddr) {
    let mut asking = JoinSet::new();
    for _ in 0..CONNECTIONS {
        asking.spawn(async move {
            let mut text = client::request("GET", "/whoami", &[], None).repeat(EACH - 1);
            text += &client::request("GET", "/whoami", &[("Connection", "close")], None);
            let (mut read, mut write) = TcpStream::connect(gateway).await.unwrap().into_split();
            // Kept open, because closing it would count as hanging up.
            let write = tokio::spawn(async move {
                write.write_all(text.as_bytes()).await.unwrap();
                write
            });
            let mut answers = String::new();
            let answered = read.read_to_string(&mut answers);
            let answered = tokio::time::timeout(PATIENCE, answered).await;
            answered.expect("callers wait for the log").unwrap();
            drop(write.await.unwrap());
            assert_eq!(answers.matches("HTTP/1.1 401 ").count(), EACH);
        });
    }
    asking.join_all().await;
}

async fn get(admin: SocketAddr, target: &str) -> client::Answer {
    let text = client::request("GET", target, &[("Connection", "close")], None);
    let answer = tokio::time::timeout(PATIENCE, client::raw(admin, text.as_bytes())).await;
    answer.expect("the operators' port waits for the log").expect("an answer")
}

async fn dropped(admin: SocketAddr) -> u64 {
    let metrics = get(admin, "/metrics").await;
    let series = "zec_gateway_log_lines_dropped_total ";
    let value = metrics.text().lines().find_map(|line| line.strip_prefix(series));
    value.expect("the series").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_up_neither_callers_nor_probes_nor_the_end() {
    let files = Files::new("https://console.zenlayer.com");
    let mut served = Served::start(&files, "info");
    let admin = served.admin();
    assert_eq!(dropped(admin).await, 0, "the series is there from the start");
    fill_the_log(served.gateway).await;
    assert!(dropped(admin).await > 0, "there was room for every line");
    for target in ["/readyz", "/livez"] {
        assert_eq!(get(admin, target).await.status, 200, "{target}");
    }
    served.terminate();
    let ended = async {
        loop {
            if let Some(status) = served.child.try_wait().unwrap() {
                break status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    assert_eq!(ended.expect("the end waits for the log").code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn once_somebody_reads_the_log_again_it_says_how_many_lines_are_missing() {
    let files = Files::new("https://console.zenlayer.com");
    let mut served = Served::start(&files, "info");
    let admin = served.admin();
    fill_the_log(served.gateway).await;
    assert!(dropped(admin).await > 0, "there was room for every line");
    // Even without a further log line, the gateway reports the dropped lines at the end.
    served.until("lines of the log were dropped here");
    let counted = dropped(admin).await;
    assert_eq!(served.stop(), Some(0));
    let events: Vec<Value> =
        served.said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<&Value> = events
        .iter()
        .filter(|event| event["message"].as_str().unwrap().contains("were dropped here"))
        .collect();
    let missing: u64 = told.iter().map(|event| event["lines"].as_u64().unwrap()).sum();
    assert_eq!(missing, counted);
    let answered = events.iter().filter(|event| event["message"] == "answered").count() as u64;
    assert_eq!(answered + missing, (CONNECTIONS * EACH) as u64, "each line is there or counted");
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_standard_error_refuses_are_counted() {
    let files = Files::new("https://console.zenlayer.com");
    let mut served = Served::start(&files, "info");
    let admin = served.admin();
    // A pipe without a reader rejects every line.
    let nobody = std::process::Command::new("true").stderr(std::process::Stdio::piped()).spawn();
    served.log = std::io::BufReader::new(nobody.unwrap().stderr.take().unwrap());
    let text = client::request("GET", "/whoami", &[], None);
    // A process that another test starts holds the old pipe's reader until its `exec`, and a line
    // written meanwhile is taken. So one line proves nothing, and requests go on until one is refused.
    let counted = async {
        while dropped(admin).await == 0 {
            assert_eq!(client::raw(served.gateway, text.as_bytes()).await.unwrap().status, 401);
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("a refused line is not counted");
    assert_eq!(served.stop(), Some(0));
}
