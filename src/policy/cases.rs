//! A policy's own test cases: `cases/*.toml` beside the policies, run by `policy test`.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use serde::Deserialize;
use toml::Spanned;

use super::{
    Engine, Requester, ResourceData,
    offline::{Attributes, Question, Told, WrittenResource},
};
use crate::{
    domain::{Described, Resource},
    error::{Fault, line_at},
    files,
};

/// The result of a run of the cases.
#[derive(Debug, Default)]
pub struct Report {
    /// The names of the cases that passed, with their files.
    pub passed: Vec<String>,
    /// What was wrong with the cases that failed.
    pub failed: Vec<Fault>,
    /// Policies that no case names in `policies`.
    pub untested: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Spanned<String>,
    caller: String,
    #[serde(default)]
    groups: Vec<String>,
    action: String,
    nic: Option<String>,
    #[serde(default)]
    addresses: Vec<String>,
    attributes: Option<Attributes>,
    /// The data of resources that a call names.
    resources: Option<Vec<WrittenResource>>,
    /// When the call is decided, as `2026-12-24T18:00:00Z`; the present time if omitted.
    now: Option<String>,
    /// The arguments of a call of any other action.
    arguments: Option<toml::Table>,
    expect: Expect,
    /// The exact set of policies that must decide; not checked if omitted.
    policies: Option<BTreeSet<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Allow,
    Deny,
}

/// Runs every case in `directory/cases`.
///
/// # Errors
/// When there are no cases, or a file of cases cannot be read.
pub fn run(engine: &Engine, directory: &Path) -> Result<Report, Vec<Fault>> {
    let directory = directory.join("cases");
    let unreadable =
        |path: &Path, error| vec![Fault::new(format!("cannot be read: {error}")).in_file(path)];
    let paths =
        files::list(&directory, "toml").map_err(|error| unreadable(&directory, error))?.files;
    let mut report = Report::default();
    let mut named = BTreeSet::new();
    for path in paths {
        let text = files::read_text(&path).map_err(|error| unreadable(&path, error))?;
        let file: File = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(&text, span.start));
            vec![Fault::new(error.message()).in_file(&path).on_line(line)]
        })?;
        for case in file.case {
            named.extend(case.policies.iter().flatten().cloned());
            let line = line_at(&text, case.name.span().start);
            match case.run(engine) {
                Ok(()) => report.passed.push(case.name.into_inner()),
                Err(why) => report.failed.push(
                    Fault::new(why).in_file(&path).on_line(line).at_key(case.name.into_inner()),
                ),
            }
        }
    }
    if report.passed.is_empty() && report.failed.is_empty() {
        let text = "there is no case: write `[[case]]` into a *.toml file in this directory";
        return Err(vec![Fault::new(text).in_file(&directory)]);
    }
    report.untested = engine.ids().filter(|id| !named.contains(*id)).map(str::to_owned).collect();
    Ok(report)
}

/// A table of TOML as JSON.
fn json(table: &toml::Table) -> Result<String, String> {
    serde_json::to_string(table).map_err(|error| format!("`arguments` cannot be JSON: {error}"))
}

/// The resources, by their types and ids.
fn described(written: &[WrittenResource]) -> Result<HashMap<Resource, Described>, String> {
    let each = written.iter().map(WrittenResource::described);
    each.map(|one| one.map(|one| (one.resource.clone(), one))).collect()
}

impl Case {
    /// The answer to the case's question, and the policies that decide it.
    fn answer(&self, engine: &Engine) -> Result<(Expect, BTreeSet<String>), String> {
        let question = Question {
            caller: self.caller.clone(),
            groups: self.groups.clone(),
            action: self.action.clone(),
            nic: self.nic.clone(),
            addresses: self.addresses.clone(),
            arguments: self.arguments.as_ref().map(json).transpose()?,
        };
        let (caller, operation) = question.parse()?;
        let attributes = self.attributes.as_ref().zip(self.nic.as_deref());
        let nic = attributes.map(|(attributes, nic)| attributes.nic(nic)).transpose()?;
        let resources = self.resources.as_deref().map(described).transpose()?;
        let data = match (&nic, &resources) {
            (Some(nic), _) => Some(ResourceData::Nic(nic)),
            (None, Some(resources)) => Some(ResourceData::Read(resources)),
            (None, None) => None,
        };
        let now = self.now.as_deref().map(humantime::parse_rfc3339).transpose();
        let now = now.map_err(|error| format!("`now` is no time: {error}"))?;
        let requester = Requester { now, ..Requester::from(&caller) };
        match engine.tell(requester, operation, data) {
            Told::Allowed(policies) => Ok((Expect::Allow, policies.into_iter().collect())),
            Told::Denied(denial) => {
                let all = denial.denied.into_iter().flat_map(|one| [one.policies, one.failed]);
                Ok((Expect::Deny, all.flatten().map(|reason| reason.id).collect()))
            }
            Told::DependsOnData => Err(
                "the policy reads the resource in this case: for a vNIC, add `[case.attributes]`, \
                 for others `resources`"
                    .to_owned(),
            ),
        }
    }

    fn run(&self, engine: &Engine) -> Result<(), String> {
        let (answer, by) = self.answer(engine)?;
        let word = |expect| if expect == Expect::Allow { "allowed" } else { "denied" };
        let list = |ids: &BTreeSet<String>| {
            if ids.is_empty() {
                "no policy".to_owned()
            } else {
                format!("`{}`", ids.iter().cloned().collect::<Vec<_>>().join("`, `"))
            }
        };
        if answer != self.expect {
            return Err(format!(
                "expected to be {}, was {} by {}",
                word(self.expect),
                word(answer),
                list(&by)
            ));
        }
        match &self.policies {
            Some(expected) if *expected != by => Err(format!(
                "{} as expected, but by {} instead of {}",
                word(answer),
                list(&by),
                list(expected)
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const POLICY: &str = r#"
        @id("lab") permit (principal in Zec::Group::"corp/netops", action, resource is Zec::Nic)
        when { resource.hasTag("env") && resource.getTag("env") == "lab" };
        @id("never") forbid (principal, action, resource is Zec::Nic) when { resource.hasPublicIp };"#;

    fn report(cases: &str) -> Result<Report, Vec<Fault>> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("cases")).unwrap();
        fs::write(directory.path().join("p.cedar"), POLICY).unwrap();
        fs::write(directory.path().join("cases/c.toml"), cases).unwrap();
        let (engine, _) = Engine::load(directory.path()).unwrap();
        run(&engine, directory.path())
    }

    fn case(rest: &str) -> String {
        format!(
            "[[case]]\nname = \"n\"\ncaller = \"corp/a\"\ngroups = [\"netops\"]\n\
             action = \"UnassignNetworkInterfaceIpv4\"\nnic = \"x\"\naddresses = [\"10.0.0.2\"]\n{rest}\n"
        )
    }

    #[test]
    fn right_expectations_pass_and_untested_policies_are_told() {
        let right =
            case("expect = \"allow\"\npolicies = [\"lab\"]\nattributes.tags = { env = \"lab\" }");
        let report = report(&right).unwrap();
        assert_eq!((report.passed.len(), report.failed.len()), (1, 0));
        assert_eq!(report.untested, ["never"]);
    }

    #[test]
    fn wrong_expectations_fail_with_file_line_and_what_was() {
        for (rest, why) in [
            ("expect = \"deny\"\nattributes.tags = { env = \"lab\" }", "was allowed by `lab`"),
            ("expect = \"allow\"\nattributes = { hasPublicIp = true }", "was denied by `never`"),
            ("expect = \"allow\"\nattributes = {}", "was denied by no policy"),
            ("expect = \"deny\"\npolicies = [\"never\"]\nattributes = {}", "instead of `never`"),
            ("expect = \"allow\"", "add `[case.attributes]`"),
        ] {
            let report = report(&case(rest)).unwrap();
            let said = report.failed[0].to_string();
            assert!(said.contains("c.toml:2: n: ") && said.contains(why), "{said}");
        }
    }

    #[test]
    fn malformed_cases_are_faults_with_their_line() {
        let said = |text: &str| report(text).unwrap_err()[0].to_string();
        assert!(said(&case("expect = \"perhaps\"")).contains("c.toml:8: "));
        assert!(said(&case("expect = \"deny\"\nadress = \"x\"")).contains("adress"));
        assert!(said("").contains("no case"));
    }
}
