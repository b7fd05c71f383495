//! The documents for people are accurate.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use zec_gateway::error::Problem;

use crate::{
    program::{REPOSITORY, Running, program, run},
    real_parts::{left_out, need, output},
    world::{NIC, Setup},
};

const API: &str = include_str!("../../docs/api.md");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");
const CLIENTS: &str = include_str!("../../docs/clients.md");
const COOKBOOK: &str = include_str!("../../docs/policy-cookbook.md");
const THREATS: &str = include_str!("../../docs/threats.md");

/// Every document, with its name.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(REPOSITORY);
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let beside = ["README.md", "deploy/README.md"].map(|name| root.join(name));
    let paths: Vec<_> = docs.chain(beside).filter(|path| path.extension().is_some()).collect();
    assert!(paths.len() > 6);
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks in a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let open = format!("```{language}\n");
    text.split(open.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The sections of the cookbook that are rules, each with its title.
fn recipes() -> Vec<(&'static str, &'static str)> {
    let sections = COOKBOOK.split("\n## ").skip(1);
    sections.map(|section| (section.lines().next().unwrap(), section)).collect()
}

#[test]
fn every_rule_of_the_cookbook_is_loaded_and_decides_as_its_cases_say() {
    let recipes = recipes();
    assert_eq!(recipes.len(), 21);
    for (title, section) in recipes {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("cases")).unwrap();
        let (policy, cases) = (blocks(section, "cedar"), blocks(section, "toml"));
        assert!(policy.len() == 1 && cases.len() == 1, "{title}");
        fs::write(at("rule.cedar"), policy[0]).unwrap();
        fs::write(at("cases/rule.toml"), cases[0]).unwrap();
        let place = directory.path().to_str().unwrap();
        let (code, said, complaints) = run(&["policy", "test", place], directory.path());
        assert_eq!(code, 0, "{title}: {said}{complaints}");
        let expected = |what: &str| cases[0].matches(&format!("expect = \"{what}\"")).count();
        assert!(expected("deny") > 0, "{title}: no case is denied");
        assert!(
            said.contains(&format!("{} passed, 0 failed", expected("allow") + expected("deny")))
        );
        // Only policies that no case can cover are untested: operations, and dry runs (below).
        let no_case = ["`audit-operations`", "`partners-rehearse`"];
        let untested: Vec<_> = complaints
            .lines()
            .filter(|line| !no_case.iter().any(|policy| line.contains(policy)))
            .collect();
        assert!(untested.is_empty(), "{title}: {untested:?}");
    }
}

#[test]
fn the_rules_of_the_cookbook_can_stand_together() {
    let directory = tempfile::tempdir().unwrap();
    let policies: String =
        recipes().iter().map(|(_, section)| blocks(section, "cedar")[0]).collect();
    fs::write(directory.path().join("all.cedar"), policies).unwrap();
    let (engine, warnings) = zec_gateway::policy::Engine::load(directory.path()).unwrap();
    assert!(engine.ids().count() > 10);
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test]
async fn the_cookbooks_partners_and_long_lists_are_for_dry_runs_only() {
    let policy = |number: usize| blocks(recipes()[number - 1].1, "cedar")[0];
    let rehearse = policy(8).replace("partner/network", "corp/netops");
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21");
    let world = Setup { policy: rehearse, ..Setup::default() }.start().await;
    assert_eq!(world.alice().delete(&target).await.status, 403);
    assert_eq!(world.alice().delete(&format!("{target}&dryRun=true")).await.status, 200);

    let four = [22, 23, 24].map(|last| format!("&ipAddresses=10.0.0.{last}")).concat();
    let target = format!("{target}{four}");
    let world = Setup { policy: policy(7).to_owned(), ..Setup::default() }.start().await;
    assert_eq!(world.alice().delete(&target).await.status, 403);
    assert_eq!(world.alice().delete(&format!("{target}&dryRun=true")).await.status, 200);
}

#[tokio::test]
async fn the_runbooks_rule_cuts_an_issuer_off() {
    let world = Setup::default().start().await;
    let nic = format!("/nics/{NIC}");
    assert_eq!(world.alice().get(&nic).await.status, 200);
    world.put("policy/cut-off.cedar", blocks(RUNBOOK, "cedar")[0]);
    world.reload().await;
    assert_eq!(world.alice().get(&nic).await.status, 403);
    assert_eq!(world.alice().get("/whoami").await.status, 200);
}

#[test]
fn every_command_in_the_documents_is_one_that_there_is() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for (name, text) in documents() {
        for line in text.lines().filter(|line| line.contains("zec-gateway ")) {
            for rest in line.split("zec-gateway ").skip(1) {
                // The text that is the input of each hash of a journal.
                if rest.starts_with("journal entry 2") {
                    continue;
                }
                let word = |c: char| c.is_ascii_lowercase();
                let mut words =
                    rest.split([' ', '`', '\\', ')']).take_while(|w| w.chars().all(word));
                let Some(first) = words.next().filter(|first| !first.is_empty()) else { continue };
                let groups = ["policy", "journal"];
                let single = ["serve", "dev", "emulator", "check", "token"];
                // Prose mentions the gateway too.
                if !groups.contains(&first) && !single.contains(&first) {
                    continue;
                }
                let mut command = vec![first];
                command.extend(words.next().filter(|w| groups.contains(&first) && !w.is_empty()));
                command.push("--help");
                let (code, help, said) = run(&command, nowhere.path());
                assert_eq!(code, 0, "{name}: {line}: {said}");
                let flags = rest.split('`').next().unwrap().split(['|', '#']).next().unwrap();
                for flag in flags.split([' ', '=']).filter(|flag| flag.starts_with("--")) {
                    assert!(help.contains(flag), "{name}: there is no {flag}: {line}");
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

/// Text files below a directory of the repository.
fn below(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { below(&path, into) } else { into.push(path) }
    }
}

#[test]
fn every_cargo_command_that_anybody_is_told_or_that_runs_holds_to_the_lock_file() {
    let root = Path::new(REPOSITORY);
    let mut paths = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for directory in [".cargo", ".ci", "deploy", "docs", "scripts", "tests/bench"] {
        below(&root.join(directory), &mut paths);
    }
    let builds = [
        "bench", "build", "check", "clippy", "deny", "doc", "fetch", "install", "metadata", "run",
        "test",
    ];
    let mut seen = 0;
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            for rest in line.split("cargo ").skip(1) {
                let command = rest.split(['`', '|', ';', '&']).next().unwrap();
                let mut words = command.split_whitespace();
                if !words.next().is_some_and(|first| builds.contains(&first)) {
                    continue;
                }
                assert!(words.any(|word| word == "--locked"), "{}: {line}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    for (name, text) in documents() {
        let here = Path::new(REPOSITORY).join(&name);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { here.clone() } else { here.parent().unwrap().join(path) };
            assert!(target.exists(), "{name}: {link}");
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let headings: BTreeSet<String> = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(|line| anchor(line.trim_start_matches('#').trim()))
                    .collect();
                assert!(headings.contains(heading), "{name}: {link}");
            }
        }
    }
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[tokio::test]
async fn the_api_guide_has_every_route_in_its_table_and_no_other() {
    let world = Setup::default().start().await;
    let document = world.stranger().get("/openapi.json").await.json();
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.insert(format!("{} {path}", method.to_ascii_uppercase()));
        }
    }
    // A row starts with a method and a path; the part after a `?` narrows the route down.
    let rows = API.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '?']).next());
    let routes_alone = rows.filter(|row| row.contains(" /"));
    let rows: BTreeSet<String> = routes_alone.map(str::to_owned).collect();
    assert_eq!(rows, routes);
}

/// Every text that may cite a document, with its name.
fn citing() -> Vec<(String, String)> {
    let root = Path::new(REPOSITORY);
    let mut paths = Vec::new();
    for directory in ["src", "tests", "config", "scripts", "docs"] {
        below(&root.join(directory), &mut paths);
    }
    // Files that tools leave behind, and inputs for fuzzing.
    let skipped = ["target", "corpus", "artifacts", "coverage", "node_modules", "seeds"];
    let mut texts = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if name.split('/').any(|part| skipped.contains(&part)) {
            continue;
        }
        if let Ok(text) = String::from_utf8(fs::read(&path).unwrap()) {
            texts.push((name, one_line(&text)));
        }
    }
    texts
}

/// A text as one line, without comment markers, because a citation may continue on the next line.
fn one_line(text: &str) -> String {
    let plain = |line: &str| line.trim().trim_start_matches(['/', '!', '#']).trim().to_owned();
    text.lines().map(plain).collect::<Vec<String>>().join(" ")
}

/// The citations in a text: the document's name and, for `docs/threats.md, row 7`, the text after the comma.
fn citations(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for rest in text.split("docs/").skip(1) {
        let Some((name, place)) = rest.split_once(".md, ") else { continue };
        if name.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            found.push((format!("docs/{name}.md"), place.to_owned()));
        }
    }
    found
}

/// The starts of the headings that a citation needs: numbers of rows or sections, or a title. Empty if the words after
/// the comma cite no heading.
fn headings(place: &str) -> Vec<String> {
    if let Some(title) = place.strip_prefix('"') {
        return vec![title.split('"').next().unwrap().to_owned()];
    }
    let mut words = place.split(' ');
    let kind = words.next().unwrap();
    let mut found = Vec::new();
    if !["row", "rows", "section", "sections"].contains(&kind) {
        return found;
    }
    for word in words {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        if digits.parse::<u32>().is_ok() {
            found.push(format!("{digits}. "));
        } else if word != "and" {
            break;
        }
        // Only a list of numbers continues.
        if !digits.is_empty() && word.trim_end_matches(',') != digits {
            break;
        }
    }
    assert!(!found.is_empty(), "`{kind}` without a number");
    found
}

/// Whether a heading starts with that number, for example `7. `.
fn is_numbered(line: &str, number: &str) -> bool {
    number.ends_with(". ") && line.starts_with(number)
}

#[test]
fn every_citation_of_a_document_leads_to_a_row_or_section_that_there_is() {
    let root = Path::new(REPOSITORY);
    let mut seen = 0;
    for (name, text) in citing() {
        for (document, place) in citations(&text) {
            let wanted = headings(&place);
            if wanted.is_empty() {
                continue;
            }
            let target = fs::read_to_string(root.join(&document));
            let target = target.unwrap_or_else(|error| panic!("{name}: {document}: {error}"));
            for heading in wanted {
                let there = target
                    .lines()
                    .filter(|line| line.starts_with("##"))
                    .map(|line| line.trim_start_matches('#').trim())
                    .any(|line| line == heading || is_numbered(line, &heading));
                assert!(there, "{name}: {document} has no `{heading}`");
                seen += 1;
            }
        }
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn no_citation_names_a_document_that_is_elsewhere() {
    // Each in two pieces, so that this file contains none of them.
    let elsewhere = [
        concat!("threats", ", row"),
        concat!("contract", ", section"),
        concat!("zec-api.md", ", section"),
        concat!("zec-api.md", ":"),
    ];
    for (name, text) in citing() {
        for form in elsewhere {
            for (at, _) in text.match_indices(form) {
                assert!(text[..at].ends_with("docs/"), "{name}: `{form}` without its document");
            }
        }
    }
}

#[test]
fn every_row_of_the_threats_names_tests_that_there_are() {
    let root = Path::new(REPOSITORY);
    let mut seen = 0;
    for (before, row) in THREATS.split("\n## ").skip(1).enumerate() {
        let title = row.lines().next().unwrap();
        assert!(title.starts_with(&format!("{}. ", before + 1)), "{title}");
        let items: Vec<&str> = row.lines().filter_map(|line| line.strip_prefix("- ")).collect();
        assert!(!items.is_empty(), "{title}: neither a test nor \"No test\"");
        for item in items {
            if item.starts_with("No test: ") {
                continue;
            }
            let parts: Vec<&str> = item.split('`').collect();
            assert!(parts.len() == 5 && parts[2] == " in ", "{title}: {item}");
            let (test, file) = (parts[1], parts[3]);
            let text = fs::read_to_string(root.join(file));
            let text = text.unwrap_or_else(|error| panic!("{title}: {file}: {error}"));
            assert!(text.contains(&format!("fn {test}(")), "{title}: {file} has no {test}");
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn the_api_guide_shows_every_problem() {
    for problem in Problem::ALL {
        let row = format!("| {} | `{}` |", problem.status(), problem.slug());
        assert!(API.contains(&row), "docs/api.md has no row that begins with {row}");
    }
}

/// Runs a line of the guide and reports a difference between its answer and the guide's.
const CHECK: &str = r#"
failed=0
check() {
  local want=$1 got
  shift
  : >"$BODY"
  got=$("$@" -sS -o "$BODY" -w '%{http_code}' 2>&1)
  local slug=$(grep -o '"type":"/problems/[a-z-]*"' "$BODY" | cut -d / -f 3 | tr -d '"')
  # The page about a problem has its type too.
  [ "$got" = 200 ] && slug=
  [ "$got${slug:+ $slug}" = "$want" ] && return
  local command="$*"
  echo "$want was expected of: ${command:0:300}: $got $(cat "$BODY")"
  failed=1
}
"#;

/// The script of the page for ZEC's own clients, with the token that `dev` says how to set.
#[tokio::test(flavor = "multi_thread")]
async fn the_script_for_the_python_sdk_works_as_written() {
    if left_out("sdk") {
        return;
    }
    let runtime = tempfile::tempdir().unwrap();
    let args = ["dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut dev = Running::start(program(&args, runtime.path()));
    let (mut gateway, mut token) = (String::new(), String::new());
    while token.is_empty() {
        let line = dev.line();
        assert!(!line.is_empty(), "dev says nothing of a token");
        if let Some((_, url)) = line.trim().split_once("gateway    http://") {
            url.clone_into(&mut gateway);
        } else if line.trim().starts_with("export TOKEN=") {
            line.trim().clone_into(&mut token);
        }
    }
    let script = blocks(CLIENTS, "python").concat().replace("127.0.0.1:8080", &gateway);
    let file = runtime.path().join("script.py");
    fs::write(&file, script).unwrap();
    let python = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts/venv/bin/python");
    let mut command = Command::new("bash");
    let line = format!("{token}; exec {} {}", need(&python).display(), file.display());
    command.args(["-c", &line]).env("HOME", runtime.path());
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    let (ok, said) = output(&mut command).await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(ok && lines.len() == 5, "{said}");
    assert!(lines[0].ends_with(" lab-web-1") && lines[3].starts_with("deleted 17"), "{said}");
    assert!(lines[4].starts_with("AUTHFAILURE_UNAUTHORIZED_OPERATION the vNIC"), "{said}");
    assert!(
        lines[4].contains("ask the policy's authors, or for a group that may do this"),
        "{said}"
    );
}

#[test]
fn the_lines_of_the_api_guide_get_the_answers_that_it_says() {
    let runtime = tempfile::tempdir().unwrap();
    let args = ["dev", "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut dev = Running::start(program(&args, runtime.path()));
    let json: Value = serde_json::from_str(&dev.line()).unwrap();
    let gateway = json["gateway"].as_str().unwrap();
    let port = gateway.rsplit(':').next().unwrap();
    let mut script = vec![CHECK.to_owned()];
    for line in blocks(API, "sh").concat().lines() {
        let line = line.replace("http://127.0.0.1:8080", gateway);
        let line = line.replace("header-8080", &format!("header-{port}"));
        script.push(match line.rsplit_once("  # ") {
            Some((command, answer)) => format!("check '{}' {}", answer.trim(), command.trim()),
            None => line,
        });
    }
    let checked = script.iter().filter(|line| line.starts_with("check ")).count();
    assert!(checked > 20, "{checked}");
    script.push("exit $failed".to_owned());
    let done = Command::new("bash")
        .args(["-c", &script.join("\n")])
        .env("XDG_RUNTIME_DIR", runtime.path())
        .env("BODY", runtime.path().join("body"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && said.is_empty(), "{said}");
}
