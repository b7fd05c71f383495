//! The functions that run while the gateway starts and while it serves. They are listed in `link/order.txt`, by which
//! the linker places them together (`build.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use crate::{parts::program::PROGRAM, whole};

/// The file with the list.
const ORDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/link/order.txt");

const HEAD: &str = "\
# What runs when the gateway starts and while it serves, as the linker is to put it together (build.rs).
# Written by `cargo bench --locked --bench count -- --order`; a few names differ from run to run, for threads
# meet in other places.
";

/// How many of the listed names must be in their place, in percent. Names from assembler never are, because its files
/// are not split into functions.
const PLACED: usize = 90;

/// The section that the linker makes of them.
const SECTION: &str = ".text.order";

/// Writes the list of functions that run now: first those of the first scenario, then the additional ones of each
/// further scenario. Functions with one name and different types share a pattern. If fewer than half of them ran, the
/// pattern comes after the others of its scenario; if fewer than a hundredth did, it is left out.
pub(crate) fn write() {
    let (symbols, mut written, mut lines) = (symbols(), BTreeSet::new(), HEAD.to_owned());
    for ran in whole::ran() {
        let mut patterns: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for (symbol, _) in &symbols {
            let (all, those_that_ran) = patterns.entry(pattern(symbol)).or_default();
            *all += 1;
            *those_that_ran += usize::from(ran.contains(symbol));
        }
        patterns.retain(|name, (all, ran)| {
            *ran > 0 && *ran * 100 > *all && written.insert(name.clone())
        });
        let (most, few): (Vec<_>, Vec<_>) =
            patterns.iter().partition(|(_, (all, ran))| ran * 2 >= *all);
        most.iter().chain(&few).for_each(|(name, _)| lines.extend([name.as_str(), "\n"]));
    }
    fs::write(ORDER, lines).unwrap();
}

/// Whether the program is laid out by the recorded list.
pub(crate) fn is_current() -> bool {
    let placed: BTreeSet<String> = symbols()
        .into_iter()
        .filter(|(_, section)| section == SECTION)
        .map(|(symbol, _)| pattern(&symbol))
        .collect();
    let text = fs::read_to_string(ORDER).unwrap();
    let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let found = names.iter().filter(|name| placed.contains(**name)).count();
    println!("{found} of the {} functions that are to stand together do", names.len());
    !names.is_empty() && found * 100 >= names.len() * PLACED
}

/// The program's functions, each with its section.
fn symbols() -> BTreeSet<(String, String)> {
    let mut nm = Command::new("nm");
    let listed = nm.args(["--defined-only", "--format=sysv"]).arg(PROGRAM).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).unwrap();
    // name|value|class|type|size|line|section
    let function = |line: &str| {
        let mut fields = line.split('|').map(str::trim);
        let (name, class, section) = (fields.next()?, fields.nth(1)?, fields.nth(3)?);
        ["t", "T"].contains(&class).then(|| (name.to_owned(), section.to_owned()))
    };
    text.lines().filter_map(function).collect()
}

/// A function's name without the parts that differ from build to build: the hash of its types, the hashes of the crates
/// in it, aws-lc's version, and the suffixes that compilers add to derived functions.
fn pattern(symbol: &str) -> String {
    if let Some((name, _)) = symbol.rsplit_once("17h").filter(|_| symbol.starts_with("_ZN")) {
        return format!("{name}17h*");
    }
    if symbol.starts_with("_R") {
        let symbol = symbol.split_once(".llvm.").map_or(symbol, |(name, _)| name);
        let mut crates = symbol.split("Cs");
        let first = crates.next().unwrap_or_default().to_owned();
        let without_hash = |name: String, rest: &str| {
            let rest = rest.split_once('_').map_or(rest, |(_, rest)| rest);
            format!("{name}Cs*_{rest}")
        };
        return crates.fold(first, without_hash) + "*";
    }
    let name = symbol.split_once('.').map_or(symbol.to_owned(), |(name, _)| format!("{name}.*"));
    let Some((before, versioned)) = name.split_once("aws_lc_") else { return name };
    let rest = versioned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
    format!("{before}aws_lc_*_{rest}")
}
