//! Counts the instructions of a request with callgrind, stage by stage and as a whole. The same program gives the same
//! count, whatever else the machine does.
//!
//!     cargo bench --locked --bench count              counts, and fails where it is 10 % off what is written down
//!     cargo bench --locked --bench count -- --write   writes down what it counts
//!     cargo bench --locked --bench count -- --order   writes down which functions run, for the linker
//!
//! `scripts/bench` also uses it to emulate ZEC: `stub PORT`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run should say so and stop"
)]

mod order;
#[path = "../parts/mod.rs"]
mod parts;
mod stages;
mod whole;

use std::{collections::BTreeMap, fs, net::TcpListener, process::ExitCode};

/// The file of the recorded figures.
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/count/figures.txt");

/// How far a count may exceed the recorded one, in percent.
const MORE: u64 = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["stage", name] => {
            stages::run(name);
            ExitCode::SUCCESS
        }
        ["stub", port] => {
            whole::serve(&TcpListener::bind(format!("127.0.0.1:{port}")).unwrap());
            ExitCode::SUCCESS
        }
        ["--write", "--bench"] => {
            let lines = counted().into_iter().map(|(name, count)| format!("{count:>9}  {name}\n"));
            fs::write(FIGURES, lines.collect::<String>()).unwrap();
            ExitCode::SUCCESS
        }
        ["--order", "--bench"] => {
            order::write();
            ExitCode::SUCCESS
        }
        ["--bench"] if is_comparable() => match [compare(), laid_out()] {
            [true, true] => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        },
        ["--bench"] => {
            println!("not counted: the figures are of x86-64 with AVX2 and BMI2");
            ExitCode::SUCCESS
        }
        _ => panic!("usage: cargo bench --locked --bench count [-- --write | --order]"),
    }
}

fn counted() -> Vec<(&'static str, u64)> {
    stages::NAMES.iter().map(|name| (*name, stages::count(name))).chain(whole::count()).collect()
}

/// Whether this processor runs the same code as the recorded one: cryptography and memory copies choose their code by
/// the processor's features.
fn is_comparable() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Whether the linker has placed the functions that run together.
fn laid_out() -> bool {
    let is_current = order::is_current();
    if !is_current {
        println!(
            "the program is not put together by link/order.txt: what it is made of has changed, so write another one \
             (`cargo bench --locked --bench count -- --order`), or the linker was chosen by hand (build.rs)"
        );
    }
    is_current
}

/// Prints a table, and returns whether it matches the recorded one.
fn compare() -> bool {
    let text = fs::read_to_string(FIGURES).unwrap();
    let line =
        |line: &str| line.trim().split_once("  ").map(|(n, t)| (t.to_owned(), n.parse().unwrap()));
    let written: BTreeMap<String, u64> = text.lines().filter_map(line).collect();
    let (mut dearer, mut cheaper, counted) = (false, false, counted());
    println!("{:>9} {:>9} {:>7}", "counted", "written", "%");
    for (name, count) in &counted {
        let before = written
            .get(*name)
            .copied()
            .unwrap_or_else(|| panic!("no figure is written down of `{name}`"));
        dearer |= count * 100 > before * (100 + MORE);
        cheaper |= count * 100 < before * (100 - MORE);
        println!("{count:>9} {before:>9} {:>7}  {name}", count * 100 / before);
    }
    let counts: BTreeMap<&str, u64> = counted.iter().copied().collect();
    let mut related = true;
    for (what, holds) in stages::relations(&counts) {
        println!("{}: {what}", if holds { "holds" } else { "DOES NOT HOLD" });
        related &= holds;
    }
    assert_eq!(
        counted.len(),
        written.len(),
        "a figure is written down of something that is not counted"
    );
    if dearer {
        println!(
            "a request has become dearer: make it cheaper, or write the new figures down and say why"
        );
        return false;
    }
    if cheaper {
        println!(
            "a request has become much cheaper: write the new figures down, or it may become as dear again"
        );
        return false;
    }
    related
}
