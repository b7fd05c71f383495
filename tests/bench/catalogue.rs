//! What the catalogue of every action costs: `cargo bench --locked --bench catalogue`. The figures are in
//! `docs/performance.md`. It says of each figure whether it meets its limit, and does not fail if one does not. It needs
//! valgrind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot run should say so and stop"
)]

mod parts;

use std::{
    hint::black_box,
    io::{BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use parts::{
    company,
    program::{Gateway, PROGRAM, callgrind, collected, message},
};
use serde_json::value::RawValue;
use zec_gateway::{
    domain::{ChangeIpv4, Nic},
    policy::{Engine, Permit, Source, Verdict},
};

/// The turns of reads, and the reads of each form in a turn.
const TURNS: usize = 21;
const READS: u32 = 4000;

/// The reads of which callgrind counts the instructions: the difference of two runs, without the start.
const FEW: u32 = 50;
const MANY: u32 = 550;

/// The turns of decisions, and the decisions of each set of policies in a turn.
const DECISION_TURNS: usize = 201;
const DECISIONS: u32 = 500;

/// The starts with each set of policies.
const STARTS: usize = 7;

/// The stages that callgrind counts in a process of their own.
const TEN: &str = "10";
const THOUSAND: &str = "1000";

/// Policies that allow the read without the vNIC's data, and by the resource group that it lies in.
const ANY: &str = r#"
@id("reads") permit (principal in Zec::Group::"corp/staff", action in Zec::Action::"read", resource is Zec::Nic);"#;
const IN_GROUP: &str = r#"
@id("reads") permit (principal in Zec::Group::"corp/staff", action in Zec::Action::"read", resource is Zec::Nic in Zec::ResourceGroup::"rg-1");"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["stage", TEN] => count_decisions(&[company::ten()]),
        ["stage", THOUSAND] => count_decisions(&company::thousand()),
        ["--bench"] => {
            all_reads();
            decisions();
            starts();
        }
        ["reads", "--bench"] => all_reads(),
        ["decisions", "--bench"] => decisions(),
        ["starts", "--bench"] => starts(),
        _ => {
            panic!("usage: cargo bench --locked --bench catalogue [-- reads | decisions | starts]")
        }
    }
}

fn all_reads() {
    reads("101 addresses", ANY, 100);
    reads("1 address", ANY, 0);
    reads("101 addresses, decided by its resource group", IN_GROUP, 100);
    reads("1 address, decided by its resource group", IN_GROUP, 0);
}

/// Prints a figure beside its limit.
fn tell(what: &str, measured: f64, unit: &str, limit: f64) {
    let verdict = if measured < limit { "met" } else { "NOT MET" };
    println!("{what}: {measured:.2} {unit}, limit {limit} {unit}: {verdict}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The instructions of one of this many.
fn each(instructions: u64, count: u32) -> f64 {
    f64::from(u32::try_from(instructions).unwrap()) / f64::from(count)
}

/// A ZEC with one vNIC, which has its primary address and this many more.
fn zec(more: usize) -> SocketAddr {
    let body = format!("{{\"requestId\":\"T1\",\"response\":{}}}", described(more));
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (BufReader::new(stream.unwrap()), answer.clone());
            stream.get_ref().set_nodelay(true).unwrap();
            thread::spawn(move || {
                while let Some((head, _)) = message(&mut stream) {
                    assert!(head.contains("DescribeNetworkInterfaces"), "{head}");
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

/// ZEC's answer with this vNIC.
fn described(more: usize) -> String {
    let mut answer: serde_json::Value =
        serde_json::from_str(&parts::described(parts::NIC)).unwrap();
    let secondary = answer["dataSet"][0]["secondaryIpv4s"].as_array_mut().unwrap();
    secondary.truncate(more);
    answer.to_string()
}

/// The two forms of a read, with the headers of ZEC's Python SDK.
fn forms(bearer: &str) -> [String; 2] {
    let common = format!(
        "User-Agent: python-requests/2.34.2\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n\
         Connection: keep-alive\r\nHost: gateway\r\nAuthorization: {bearer}\r\n"
    );
    let nic = parts::NIC;
    let body = format!("{{\"nicIds\": [\"{nic}\"], \"pageSize\": 20, \"pageNum\": 1}}");
    let get = format!("GET /nics/{nic} HTTP/1.1\r\n{common}\r\n");
    let post = format!(
        "POST /api/v2/zec HTTP/1.1\r\n{common}x-zc-version: 2025-09-01\r\nx-zc-service: zec\r\n\
         x-zc-action: DescribeNetworkInterfaces\r\nx-zc-sdk-version: SDK_PYTHON_2.0.077\r\n\
         x-zc-sdk-lang: Python\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    [get, post]
}

/// Sends a request this many times, one after the other.
fn ask(caller: &mut BufReader<TcpStream>, request: &str, times: u32) {
    for _ in 0..times {
        caller.get_mut().write_all(request.as_bytes()).unwrap();
        let (status, body) = message(caller).unwrap();
        assert!(status.starts_with("HTTP/1.1 200"), "{status}{}", String::from_utf8_lossy(&body));
    }
}

/// Compares a read by ZEC's own form with one by `GET /nics/{nicId}`.
fn reads(what: &str, policy: &str, more: usize) {
    let zec = zec(more);
    let mut command = Command::new("taskset");
    command.args(["-c", "0", PROGRAM]);
    let gateway = Gateway::start(command, &[policy.to_owned()], zec);
    let mut caller = BufReader::new(TcpStream::connect(gateway.public).unwrap());
    let forms = forms(&gateway.bearer);
    let mut turn = |form: usize| {
        let before = gateway.process.used();
        ask(&mut caller, &forms[form], READS);
        (gateway.process.used() - before) / f64::from(READS)
    };
    let (mut all, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for number in 0..=TURNS {
        let mut used = [0.0; 2];
        for form in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
            used[form] = turn(form);
        }
        // The first turn makes what is made only once.
        if number > 0 {
            all.iter_mut().zip(used).for_each(|(all, used)| all.push(used));
            ratios.push(used[1] / used[0]);
        }
    }
    let [get, post] = all.map(median);
    println!("a read of {what}: GET {get:.1} us, POST {post:.1} us of processor time");
    tell(&format!("POST of {what}, processor time of GET"), median(ratios), "x", 1.15);
    let [get, post] = [0, 1].map(|form| instructions(form, policy, zec));
    println!("a read of {what}: GET {get:.0}, POST {post:.0} instructions");
    tell(&format!("POST of {what}, instructions of GET"), post / get, "x", 1.15);
}

/// The instructions of one read.
fn instructions(form: usize, policy: &str, zec: SocketAddr) -> f64 {
    let [few, many] = [FEW, MANY].map(|times| {
        let mut gateway =
            Gateway::start(callgrind(&[], Path::new(PROGRAM)), &[policy.to_owned()], zec);
        let mut caller = BufReader::new(TcpStream::connect(gateway.public).unwrap());
        ask(&mut caller, &forms(&gateway.bearer)[form], times);
        drop(caller);
        gateway.signal("-TERM");
        assert!(gateway.process.0.wait().unwrap().success());
        collected(&gateway.log.iter().collect::<String>())
    });
    each(many - few, MANY - FEW)
}

/// An engine with these policies, and the vNIC that they decide on.
fn engine(policies: &[String]) -> (Engine, Nic) {
    let source = Source { path: PathBuf::from("company.cedar"), text: policies.concat() };
    let (engine, warnings) = Engine::from_sources(&[source]).unwrap();
    assert_eq!(warnings, []);
    let answer: serde_json::Value = serde_json::from_str(&described(0)).unwrap();
    let raw = RawValue::from_string(answer["dataSet"][0].to_string()).unwrap();
    (engine, Nic::parse(raw).unwrap())
}

/// Decides as the gateway does: with the vNIC where a policy depends on it.
fn decide((engine, nic): &(Engine, Nic), change: ChangeIpv4) -> Permit<ChangeIpv4> {
    let caller = parts::caller();
    match engine.ask(&caller, change) {
        Verdict::Allowed(permit) => permit,
        Verdict::DependsOnData(pending) => engine.decide(&caller, pending, nic).unwrap(),
        verdict @ Verdict::Denied(_) => panic!("{verdict:?}"),
    }
}

/// The decisions that callgrind observes.
fn count_decisions(policies: &[String]) {
    let engine = engine(policies);
    for _ in 0..FEW {
        drop(black_box(decide(&engine, parts::change())));
    }
    for _ in 0..DECISIONS {
        let (mut change, mut permit) = (Some(parts::change()), None);
        measured(&mut || permit = change.take().map(|change| decide(&engine, change)));
        drop(black_box(permit));
    }
}

#[inline(never)]
fn measured(stage: &mut dyn FnMut()) {
    stage();
}

/// Compares a decision by a thousand policies with one by ten.
fn decisions() {
    let engines = [vec![company::ten()], company::thousand()].map(|policies| engine(&policies));
    println!("{} and {} policies", engines[0].0.len(), engines[1].0.len());
    let (mut all, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for number in 0..=DECISION_TURNS {
        let mut took = [0.0; 2];
        for which in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
            let started = Instant::now();
            for _ in 0..DECISIONS {
                drop(black_box(decide(&engines[which], parts::change())));
            }
            took[which] = started.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS);
        }
        all.iter_mut().zip(took).for_each(|(all, took)| all.push(took));
        ratios.push(took[1] / took[0]);
    }
    let [ten, thousand] = all.map(median);
    println!("a decision: 10 policies {ten:.2} us, 1,000 policies {thousand:.2} us");
    tell("a decision by 1,000 policies, time of 10", median(ratios), "x", 1.2);
    let [ten, thousand] = [TEN, THOUSAND].map(|stage| {
        let this = std::env::current_exe().unwrap();
        let mut command = callgrind(&["--toggle-collect=catalogue::measured*"], &this);
        let said = command.args(["stage", stage]).output().unwrap().stderr;
        each(collected(&String::from_utf8_lossy(&said)), DECISIONS)
    });
    println!("a decision: 10 policies {ten:.0}, 1,000 policies {thousand:.0} instructions");
    tell("a decision by 1,000 policies, instructions of 10", thousand / ten, "x", 1.2);
}

/// A start, and a reload after it.
struct Began {
    ready: f64,
    resident: f64,
    reload: f64,
    resident_after: f64,
}

type Figure = fn(&Began) -> f64;

fn start(policies: &[String]) -> Began {
    let started = Instant::now();
    let gateway = Gateway::start(Command::new(PROGRAM), policies, zec(0));
    while !gateway.is_ready() {}
    let (ready, resident) = (started.elapsed().as_secs_f64() * 1e3, gateway.process.resident());
    let started = Instant::now();
    gateway.signal("-HUP");
    let said = |line: &String| line.contains("\"policy\"");
    while !said(&gateway.log.recv_timeout(Duration::from_secs(60)).unwrap()) {}
    let reload = started.elapsed().as_secs_f64() * 1e3;
    Began { ready, resident, reload, resident_after: gateway.process.resident() }
}

/// Compares starts with ten policies and with a thousand, which are in one file or in a file for each team.
fn starts() {
    let thousand = company::thousand();
    let sets = [vec![company::ten()], vec![thousand.concat()], thousand];
    let names =
        ["10 policies", "1,000 policies in one file", "1,000 policies, a file for each team"];
    let began: Vec<[Began; 3]> =
        (0..STARTS).map(|_| sets.each_ref().map(|policies| start(policies))).collect();
    let all = |which: usize, figure: Figure| {
        let mut values: Vec<f64> = began.iter().map(|one| figure(&one[which])).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let of = |which: usize, figure: Figure| median(all(which, figure));
    for (which, name) in names.iter().enumerate() {
        let figures: [(&str, Figure); 4] = [
            ("ms until it is ready", |one| one.ready),
            ("MiB resident then", |one| one.resident),
            ("ms for a reload", |one| one.reload),
            ("MiB resident then", |one| one.resident_after),
        ];
        for (what, figure) in figures {
            let values = all(which, figure);
            let (least, most) = (values[0], values[STARTS - 1]);
            println!("{name}: {:.1} {what} ({least:.1} to {most:.1})", of(which, figure));
        }
    }
    tell("a start until it is ready, 10 policies", of(0, |one| one.ready), "ms", 150.0);
    for (which, name) in names.iter().enumerate().skip(1) {
        tell(&format!("a start with {name}"), of(which, |one| one.ready), "ms", 3000.0);
        tell(&format!("a reload of {name}"), of(which, |one| one.reload), "ms", 3000.0);
        let more = of(which, |one| one.resident) - of(0, |one| one.resident);
        tell(&format!("{name}, more than 10 resident after the start"), more, "MiB", 8.0);
        let more = of(which, |one| one.resident_after) - of(0, |one| one.resident_after);
        tell(&format!("{name}, more than 10 resident after a reload"), more, "MiB", 8.0);
    }
}
