//! Which functions run when the gateway starts and while it serves: `link/order.txt`, by which the
//! linker puts them together (`build.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use crate::whole;

/// Where they are written down.
const ORDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/link/order.txt");

const HEAD: &str = "# What runs when the gateway starts and while it serves, as the linker is to put it together (build.rs).\n\
                    # cargo bench --locked --bench count -- --order\n";

/// How many of the names must be the program's, in percent: below that, most of what they save is lost.
const KNOWN: usize = 80;

/// Writes down what runs now: first what the first scenario needs, then what each further one needs
/// besides. Functions of one name and other types go by one pattern; where fewer than half of
/// them ran it stands behind the others of its scenario, and where fewer than a hundredth did, nowhere.
pub(crate) fn write() {
    let (symbols, mut written, mut lines) = (symbols(), BTreeSet::new(), HEAD.to_owned());
    for ran in whole::ran() {
        let mut patterns: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for symbol in &symbols {
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

/// Whether the names that are written down are still the program's.
pub(crate) fn is_current() -> bool {
    let known: BTreeSet<String> = symbols().iter().map(|symbol| pattern(symbol)).collect();
    let text = fs::read_to_string(ORDER).unwrap();
    let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let found = names.iter().filter(|name| known.contains(**name)).count();
    println!(
        "{found} of the {} functions that the linker is to put together are the program's",
        names.len()
    );
    !names.is_empty() && found * 100 >= names.len() * KNOWN
}

/// What the program is made of.
fn symbols() -> BTreeSet<String> {
    let listed = Command::new("nm").arg(Path::new(whole::PROGRAM)).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines().filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect()
}

/// A function's name without what differs from build to build: the hash of its types, those of the
/// crates in it, and the linker's number.
fn pattern(symbol: &str) -> String {
    let symbol = symbol.split_once(".llvm.").map_or(symbol, |(name, _)| name);
    if let Some((name, _)) = symbol.rsplit_once("17h").filter(|_| symbol.starts_with("_ZN")) {
        return format!("{name}17h*");
    }
    if !symbol.starts_with("_R") {
        return symbol.to_owned();
    }
    let mut crates = symbol.split("Cs");
    let first = crates.next().unwrap_or_default().to_owned();
    crates.fold(first, |name, rest| {
        let rest = rest.split_once('_').map_or(rest, |(_, rest)| rest);
        format!("{name}Cs*_{rest}")
    }) + "*"
}
