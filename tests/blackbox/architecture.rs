//! The modules and their allowed dependencies, read from the `use crate::` lines.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each module with the modules that it may use; `ARCHITECTURE.md` gives the reasons.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("catalogue", &[]),
    ("clock", &[]),
    ("labels", &[]),
    ("mutex", &[]),
    ("seldom", &[]),
    ("domain", &["catalogue"]),
    ("error", &["domain"]),
    ("files", &[]),
    ("lanes", &["mutex", "telemetry"]),
    ("metrics", &["domain", "error", "telemetry"]),
    ("net", &["error", "files", "lanes", "mutex"]),
    ("telemetry", &["domain", "error", "mutex"]),
    ("auth", &["domain", "error", "files", "metrics", "net"]),
    ("policy", &["catalogue", "domain", "error", "files", "seldom"]),
    ("limit", &["clock", "domain", "error", "files", "metrics", "mutex"]),
    ("journal", &["clock", "domain", "error", "files", "metrics", "mutex", "policy"]),
    (
        "zec",
        &[
            "catalogue",
            "clock",
            "domain",
            "error",
            "files",
            "journal",
            "limit",
            "metrics",
            "mutex",
            "net",
            "seldom",
        ],
    ),
    (
        "execute",
        &[
            "catalogue",
            "clock",
            "domain",
            "error",
            "journal",
            "limit",
            "metrics",
            "mutex",
            "policy",
            "telemetry",
            "zec",
        ],
    ),
    (
        "api",
        &["catalogue", "domain", "error", "execute", "journal", "limit", "metrics", "telemetry"],
    ),
    ("stack", &["api", "auth", "domain", "error", "limit", "metrics", "telemetry"]),
    (
        "server",
        &[
            "auth", "domain", "error", "files", "journal", "lanes", "limit", "metrics", "mutex",
            "reload", "seldom", "stack",
        ],
    ),
    ("reload", &["files", "mutex"]),
    ("otlp", &["error", "metrics", "net", "telemetry"]),
    (
        "config",
        &[
            "auth",
            "error",
            "execute",
            "files",
            "journal",
            "limit",
            "net",
            "policy",
            "server",
            "telemetry",
            "zec",
        ],
    ),
    (
        "app",
        &[
            "api",
            "auth",
            "catalogue",
            "config",
            "error",
            "execute",
            "files",
            "journal",
            "lanes",
            "limit",
            "metrics",
            "net",
            "otlp",
            "policy",
            "reload",
            "server",
            "stack",
            "telemetry",
            "zec",
        ],
    ),
    ("emulator", &["catalogue", "domain"]),
    ("issuer", &[]),
    (
        "simulation",
        &[
            "clock",
            "domain",
            "error",
            "execute",
            "journal",
            "limit",
            "metrics",
            "net",
            "policy",
            "telemetry",
            "zec",
        ],
    ),
    ("fuzz", &["api", "auth", "catalogue", "domain", "error", "execute", "server", "zec"]),
];

/// Constructors that only some modules may call, where the type alone cannot enforce that.
const MADE_ONLY_BY: &[(&str, &[&str])] = &[
    ("Caller::vouch(", &["auth", "domain", "policy", "simulation"]),
    ("Permit::grant(", &["policy"]),
    ("Ticket::new(", &["journal"]),
];

fn sources(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Each source file's module and its text, without tests.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let is_test = |path: &Path| {
        path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
    };
    paths
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| {
            let inner = path.strip_prefix(&root).unwrap().to_owned();
            let room = inner.iter().next().unwrap().to_string_lossy().replace(".rs", "");
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            (room, inner, text)
        })
        .collect()
}

/// The modules named after `crate::`, also inside braces.
fn known(text: &str) -> BTreeSet<String> {
    named(text, "crate::")
}

/// The names after a prefix, also inside braces.
fn named(text: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices(prefix) {
        let rest = &text[at + prefix.len()..];
        let names: Vec<&str> = if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let end = list.find(|c| {
                depth += match c {
                    '{' => 1,
                    '}' => -1,
                    _ => 0,
                };
                depth < 0
            });
            top_level(&list[..end.unwrap()])
        } else {
            vec![rest]
        };
        for name in names {
            let name = name.trim_start();
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            found.insert(name[..end].to_owned());
        }
    }
    found.remove("");
    found
}

fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

#[test]
fn rooms_know_only_whom_they_may_know() {
    for (room, path, text) in rooms() {
        if matches!(room.as_str(), "lib" | "main" | "cli") {
            continue;
        }
        let (_, may) = MAY_KNOW
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{room} is a new room: say in the table whom it may know"));
        for other in known(&text) {
            let fine = other == room || may.contains(&other.as_str());
            assert!(fine, "{} uses crate::{other}, which {room} may not know", path.display());
        }
    }
}

#[test]
fn auth_policy_and_limit_never_know_each_other_and_api_never_knows_zec() {
    let may = |room: &str| MAY_KNOW.iter().find(|(name, _)| *name == room).unwrap().1;
    for room in ["auth", "policy", "limit"] {
        for other in ["auth", "policy", "limit"] {
            assert!(room == other || !may(room).contains(&other));
        }
    }
    assert!(!may("api").contains(&"zec"));
}

#[test]
fn identities_and_permits_are_made_in_their_own_rooms_only() {
    for (room, path, text) in rooms() {
        for (constructor, only) in MADE_ONLY_BY {
            let fine = !text.contains(constructor) || only.contains(&room.as_str());
            assert!(fine, "{} calls {constructor}...)", path.display());
        }
    }
}

#[test]
fn the_reader_of_imports_sees_them_all() {
    let text = "use crate::{\n a::{B, c::D},\n e,\n};\nuse crate::f::G; fn x() { crate::h() }";
    assert_eq!(known(text).into_iter().collect::<Vec<_>>(), ["a", "e", "f", "h"]);
}

/// Answers get their form in `api`: the rooms below it hand up values.
#[test]
fn the_rooms_below_the_api_build_no_json_for_answers() {
    for (room, path, text) in rooms() {
        if matches!(room.as_str(), "execute" | "error" | "limit" | "journal") {
            let builds = text.contains("json!") || named(&text, "serde_json::").contains("Value");
            assert!(!builds, "{} builds JSON", path.display());
        }
    }
}

/// Parts that use each other, so that neither can be read alone. The list should not grow.
const CIRCLES: &[(&str, &[&str])] = &[
    // A connection reports its state to its listener's list, and the list asks it to end.
    ("server", &["crowd", "phase", "seat"]),
    // An answer counts as in flight until the stream has written it.
    ("server", &["outgoing", "wire"]),
    // A thread's lines go to the writer, and at the end the writer asks every thread for its remaining lines.
    ("telemetry", &["lines", "writer"]),
    // For tests only.
    ("simulation", &["callers", "gateway", "truth", "zec"]),
];

/// The names that a room's own file takes from its parts, each with its part.
fn passed_on(text: &str) -> BTreeMap<String, String> {
    let mut homes = BTreeMap::new();
    for import in text.split("use ").skip(1) {
        let import = import.split(';').next().unwrap_or_default();
        let Some((part, _)) = import.split_once("::") else { continue };
        if !text.contains(&format!("mod {part};")) {
            continue;
        }
        for name in named(import, &format!("{part}::")) {
            homes.insert(name, part.to_owned());
        }
    }
    homes
}

/// A part of a module is a file or a folder directly below it.
#[test]
fn no_two_parts_of_a_room_know_each_other_in_a_circle() {
    let mut knows: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut homes: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (room, path, text) in rooms() {
        let names: Vec<String> =
            path.iter().map(|name| name.to_string_lossy().replace(".rs", "")).collect();
        // `mod.rs`, or `room.rs`, joins its parts.
        if names[1..].iter().all(|name| name == "mod") {
            homes.insert(room.clone(), passed_on(&text));
            continue;
        }
        let [_, part, below @ ..] = names.as_slice() else { continue };
        // Below a part, `super` is the part itself.
        let ups = below.iter().filter(|name| *name != "mod").count();
        let up = "super::".repeat(ups + 1);
        let mut others = named(&text, &format!("crate::{room}::"));
        if ups == 0 || text.contains(&up) {
            others.extend(named(&text, &up));
        }
        others.remove(part);
        knows.entry((room, part.clone())).or_default().extend(others);
    }
    // A name that the room's own file passes on belongs to the part that has it.
    for ((room, part), others) in &mut knows {
        let Some(homes) = homes.get(room) else { continue };
        *others = others.iter().map(|name| homes.get(name).unwrap_or(name).clone()).collect();
        others.remove(part);
    }
    let parts = |room: &str| knows.keys().filter(|(of, _)| of == room).count();
    assert!(parts("policy") > 10 && parts("server") > 10, "too few parts are seen");
    let mut circles = Vec::new();
    for (room, part) in knows.keys() {
        let (mut seen, mut left) = (BTreeSet::new(), vec![part.clone()]);
        while let Some(next) = left.pop() {
            for other in knows.get(&(room.clone(), next.clone())).into_iter().flatten() {
                let is_known = CIRCLES.iter().any(|(of, parts)| {
                    of == room && [part, &next].iter().all(|one| parts.contains(&one.as_str()))
                });
                if other == part && !is_known {
                    circles.push(format!("{room}: `{part}` and `{next}`"));
                }
                if seen.insert(other.clone()) {
                    left.push(other.clone());
                }
            }
        }
    }
    assert!(circles.is_empty(), "these know each other in a circle: {circles:#?}");
}

#[test]
fn every_file_says_first_what_it_holds() {
    let mut paths = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut paths);
    assert!(paths.len() > 200, "{}", paths.len());
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} opens without a `//!` sentence", path.display());
    }
}

/// The fuzz targets are a separate workspace, which no build here covers.
#[test]
fn the_fuzz_targets_lock_file_knows_what_the_gateway_is_made_of() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let lock: toml::Table = read("tests/fuzz/Cargo.lock").parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let gateway = packages.iter().find(|one| one["name"].as_str() == Some("zec-gateway")).unwrap();
    let locked: BTreeSet<&str> = gateway["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().split(' ').next().unwrap())
        .collect();
    let optional = |how: &toml::Value| how.get("optional").is_some();
    let all = manifest["dependencies"].as_table().unwrap().iter();
    let named: BTreeSet<&str> =
        all.filter(|(_, how)| !optional(how)).map(|(name, _)| name.as_str()).collect();
    let differ: Vec<_> = named.symmetric_difference(&locked).collect();
    assert!(differ.is_empty(), "run `cargo update --workspace` in tests/fuzz: {differ:?}");
}

/// Without `build.rs` the image would still build, but not as it should.
#[test]
fn the_containers_build_is_given_all_that_a_build_reads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(root.join("deploy/container/Dockerfile.dockerignore")).unwrap();
    let given: BTreeSet<&str> = list.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for needed in ["Cargo.toml", "Cargo.lock", "build.rs", "link", "src", "config", "scripts"] {
        assert!(given.contains(needed), "{needed}");
        assert!(root.join(needed).exists(), "{needed}");
    }
}

/// Names that several rooms give to the same idea. Code outside the room writes them with the room's name.
const SHARED_NAMES: [&str; 4] = ["Args", "Command", "Inner", "Settings"];

/// The stand-ins for ZEC and an issuer, and the simulation, use the gateway's words for their own things.
const STAND_INS: [&str; 3] = ["emulator", "issuer", "simulation"];

/// So that a search for a type finds what it is.
#[test]
fn a_types_name_has_one_definition() {
    let mut homes: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (room, path, text) in rooms() {
        if STAND_INS.contains(&room.as_str()) {
            continue;
        }
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let kind = words.iter().position(|word| matches!(*word, "struct" | "enum" | "trait"));
            let Some(kind) = kind.filter(|at| words[..*at].iter().all(|word| is_visibility(word)))
            else {
                continue;
            };
            let name = words.get(kind + 1).copied().unwrap_or_default();
            let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
            homes.entry(name[..end].to_owned()).or_default().insert(path.clone());
        }
    }
    assert!(homes.len() > 200, "too few types are seen: {}", homes.len());
    homes.retain(|name, paths| paths.len() > 1 && !SHARED_NAMES.contains(&name.as_str()));
    assert!(homes.is_empty(), "these have several definitions: {homes:#?}");
}

fn is_visibility(word: &str) -> bool {
    word.starts_with("pub") || matches!(word, "in" | "unsafe") || word.ends_with(')')
}
