//! Loads policies from files and reports every fault.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    thread,
};

use aws_lc_rs::digest;
use cedar_policy::{
    ActionConstraint, Effect, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint,
    Schema, ValidationError, ValidationMode, Validator,
};
use miette::Diagnostic;

use super::{
    depth,
    directory::{Directory, unreadable},
    engine::Engine,
    has,
    index::Index,
    literals::{self, Never},
    looks,
    pieces::pieces,
    rule::Rule,
    schema,
    vocabulary::Vocabulary,
};
use crate::error::{Fault, line_at};

/// A policy file.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file's path, for messages.
    pub path: PathBuf,
    /// The file's text.
    pub text: String,
}

impl Source {
    fn fault(&self, text: impl Into<String>, offset: Option<usize>) -> Fault {
        let fault = Fault::new(text).in_file(&self.path);
        match offset {
            Some(offset) => fault.on_line(line_at(&self.text, offset)),
            None => fault,
        }
    }
}

/// A policy with its place in a file.
struct FoundPolicy<'a> {
    source: &'a Source,
    offset: usize,
    /// Where the piece of the file begins that Cedar has read it from. Cedar's places count from there.
    base: usize,
    policy: Policy,
}

impl FoundPolicy<'_> {
    /// A fault for each name after `has` that the schema does not have.
    fn unknown_names(&self, vocabulary: &Vocabulary) -> Vec<Fault> {
        let fault = |name: String| {
            let text = format!(
                "`has {name}` is never true: nothing that the policy's actions are about has that; \
                 correct the name, or name the actions that have it"
            );
            self.source.fault(text, Some(self.offset))
        };
        has::unknown_names(&self.policy, vocabulary).into_iter().map(fault).collect()
    }

    /// The place in the file of what Cedar found here; the policy's own, if Cedar says nothing.
    fn place(&self, offset: Option<usize>) -> usize {
        offset.map_or(self.offset, |offset| self.base + offset)
    }

    /// A fault for each literal that can never match.
    fn never(&self, issuers: Option<&[String]>) -> Vec<Fault> {
        let never = literals::never(&self.policy, issuers).into_iter();
        let fault = |Never { offset, why }| self.source.fault(why, Some(self.place(offset)));
        never.map(fault).collect()
    }
}

impl Engine {
    /// Loads every `*.cedar` of a directory; the second value holds warnings. The configuration is unknown here, so
    /// only the form of issuers' names is checked.
    ///
    /// # Errors
    /// Every fault at once, with file and line.
    pub fn load(directory: &Path) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let directory = Directory::read(directory).map_err(|fault| vec![fault])?;
        Self::from_directory(directory, None)
    }

    /// Loads a directory that the caller has read; the second value holds warnings. `issuers` are the configured names,
    /// if known; a policy may name no others.
    ///
    /// # Errors
    /// Every fault at once, with file and line.
    pub fn from_directory(
        directory: Directory<'_>,
        issuers: Option<&[String]>,
    ) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let (mut faults, unloaded) = directory.unloaded();
        let mut sources = Vec::new();
        let nothing = directory.files.is_empty();
        for (path, bytes) in directory.files {
            match bytes.map_err(|error| unreadable(&path, &error)).and_then(|b| text(&path, b)) {
                Ok(text) => sources.push(Source { path, text }),
                Err(fault) => faults.push(fault),
            }
        }
        if nothing {
            let text = "no *.cedar file in the directory: write one, even if it allows nothing yet";
            faults.push(Fault::new(text).in_file(directory.path));
        }
        match Self::on_a_thread(&sources, issuers) {
            Ok((engine, warnings)) if faults.is_empty() => {
                Ok((engine, [unloaded, warnings].concat()))
            }
            loaded => {
                faults.extend(loaded.err().unwrap_or_default());
                Err(faults)
            }
        }
    }

    /// Loads policies from texts; the second value holds warnings. The configuration is unknown here, as in
    /// [`Self::load`].
    ///
    /// # Errors
    /// Every fault at once, with file and line.
    pub fn from_sources(sources: &[Source]) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        Self::on_a_thread(sources, None)
    }

    /// Loads on a thread whose stack has room for deep nesting.
    fn on_a_thread(
        sources: &[Source],
        issuers: Option<&[String]>,
    ) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let broke =
            |why: &str| Err(vec![Fault::new(format!("the policies cannot be read: {why}"))]);
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("policy".to_owned()).stack_size(depth::STACK);
            match thread.spawn_scoped(scope, || Self::read(sources, issuers)) {
                Ok(reading) => {
                    reading.join().unwrap_or_else(|_| broke("the thread that reads them panicked"))
                }
                Err(error) => broke(&error.to_string()),
            }
        })
    }

    fn read(
        sources: &[Source],
        issuers: Option<&[String]>,
    ) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let vocabulary = Vocabulary::in_use().map_err(|fault| vec![fault])?;
        let mut faults = Vec::new();
        let mut found = Vec::new();
        for source in sources {
            match parse(source) {
                Ok(policies) => found.extend(policies),
                Err(more) => faults.extend(more),
            }
        }
        faults.extend(found.iter().flat_map(|found| found.never(issuers)));
        faults.extend(found.iter().flat_map(|found| found.unknown_names(&vocabulary)));
        let named = name(found, &mut faults);
        // Built first: what stays in memory is then apart from the schema, which goes again.
        let engine = build(&named, vocabulary, sources);
        let warnings = match schema::in_use() {
            Ok(schema) => validate(&named, schema, &mut faults),
            Err(why) => return Err(vec![Fault::new(format!("the schema is broken: {why}"))]),
        };
        if faults.is_empty() { Ok((engine, warnings)) } else { Err(faults) }
    }
}

#[cfg(test)]
impl Engine {
    /// An engine from any text that parses, for properties that must also be true of odd policies.
    pub(super) fn unvalidated(text: &str) -> Self {
        let source = Source { path: PathBuf::from("odd.cedar"), text: text.to_owned() };
        let mut faults = Vec::new();
        let named = name(parse(&source).unwrap(), &mut faults);
        assert_eq!(faults, []);
        build(&named, Vocabulary::in_use().unwrap(), std::slice::from_ref(&source))
    }
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = line_at(&String::from_utf8_lossy(error.as_bytes()), valid);
        Fault::new("is not UTF-8: save it as UTF-8").in_file(path).on_line(line)
    })
}

fn parse(source: &Source) -> Result<Vec<FoundPolicy<'_>>, Vec<Fault>> {
    if let Some(offset) = depth::too_deep(&source.text) {
        let text = "a policy is nested too deeply: write several policies, or replace a long chain of `||` by a set";
        return Err(vec![source.fault(text, Some(offset))]);
    }
    let mut policies = Vec::new();
    for (base, piece) in pieces(&source.text) {
        let Ok(set) = PolicySet::from_str(piece) else { return Err(faults_of_form(source)) };
        if let Some(template) = set.templates().next() {
            let offset = source.text.find(&template.to_string());
            return Err(vec![source.fault(
                "templates are not accepted: write the policy out for each principal or resource",
                offset,
            )]);
        }
        let mut after = HashMap::new();
        policies.extend(set.policies().map(|policy| {
            // Cedar keeps a policy's text but not its place. Equal texts keep the order of the file.
            let text = policy.to_string();
            let from = after.get(&text).copied().unwrap_or(0);
            let rest = piece.get(from..).unwrap_or_default();
            let offset = rest.find(&text).map_or(from, |at| from + at);
            after.insert(text, offset + 1);
            FoundPolicy { source, offset: base + offset, base, policy: policy.clone() }
        }));
    }
    policies.sort_by_key(|found| found.offset);
    Ok(policies)
}

/// Why a file is no list of policies, as Cedar says it of the whole file.
fn faults_of_form(source: &Source) -> Vec<Fault> {
    match PolicySet::from_str(&source.text) {
        Ok(_) => vec![source.fault("cannot be read in pieces: write one policy to a line", None)],
        Err(errors) => {
            errors.iter().map(|error| source.fault(said(error), offset(error))).collect()
        }
    }
}

/// Gives each policy the id from its `@id` annotation.
fn name<'a>(found: Vec<FoundPolicy<'a>>, faults: &mut Vec<Fault>) -> Vec<FoundPolicy<'a>> {
    let mut seen = HashSet::new();
    let mut named = Vec::new();
    for mut policy in found {
        let fault = |text: String| policy.source.fault(text, Some(policy.offset));
        let id = policy.policy.annotation("id").unwrap_or_default().to_owned();
        if id.is_empty() {
            faults.push(fault("the policy has no id: write `@id(\"...\")` above it".to_owned()));
        } else if !seen.insert(id.clone()) {
            faults.push(fault(format!("another policy has the id `{id}` too: give each its own")));
        } else {
            policy.policy = policy.policy.new_id(PolicyId::new(&id));
            named.push(policy);
        }
    }
    named
}

fn validate(named: &[FoundPolicy<'_>], schema: Schema, faults: &mut Vec<Fault>) -> Vec<Fault> {
    let set = match PolicySet::from_policies(named.iter().map(|found| found.policy.clone())) {
        Ok(set) => set,
        Err(error) => {
            faults.push(Fault::new(said(&error)));
            return Vec::new();
        }
    };
    let place = |id: &PolicyId, error: &dyn Diagnostic, text: String| {
        match named.iter().find(|found| found.policy.id() == id) {
            // Cedar's labels, if there are any, count from the start of the policy's piece.
            Some(found) => found.source.fault(text, Some(found.place(offset(error)))),
            None => Fault::new(text),
        }
    };
    let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
    // Cedar checks a policy once for each action that its scope covers, and would say the same of many.
    let mut places: Vec<(PolicyId, Option<usize>, usize)> = Vec::new();
    let mut first = Vec::new();
    for error in result.validation_errors() {
        let (id, at) = (error.policy_id().clone(), offset(error));
        if let Some((.., more)) =
            places.iter_mut().find(|(known, place, _)| *known == id && *place == at)
        {
            *more += 1;
        } else {
            places.push((id, at, 0));
            first.push(error);
        }
    }
    for (error, (.., more)) in first.into_iter().zip(places) {
        let more = match more {
            0 => String::new(),
            more => {
                format!(" (and {more} more faults of that kind: name the actions that it is for)")
            }
        };
        faults.push(place(error.policy_id(), error, invalid(error) + &more));
    }
    let mut warnings: Vec<Fault> = result
        .validation_warnings()
        .map(|warning| place(warning.policy_id(), warning, said(warning)))
        .collect();
    for found in named.iter().filter(|found| permits_everything(&found.policy)) {
        let text = format!(
            "`{}` permits everything to everybody: name a group, an action or a condition",
            found.policy.id()
        );
        warnings.push(found.source.fault(text, Some(found.offset)));
    }
    warnings
}

fn build(named: &[FoundPolicy<'_>], vocabulary: Arc<Vocabulary>, sources: &[Source]) -> Engine {
    let mut index = Index::default();
    let mut rules = Vec::new();
    let mut groups = HashSet::default();
    for (number, FoundPolicy { policy, .. }) in named.iter().enumerate() {
        index.insert(number, policy, &vocabulary);
        groups.extend(looks::groups_named(policy));
        rules.push(Rule::of(policy));
    }
    Engine::assemble(version(sources), vocabulary, index, rules, groups)
}

/// Twelve hex digits of the SHA-256 of every file's name and text.
fn version(sources: &[Source]) -> Arc<str> {
    let mut context = digest::Context::new(&digest::SHA256);
    for source in sources {
        let name = source.path.file_name().unwrap_or_default();
        for part in [name.as_encoded_bytes(), source.text.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    let digest = context.finish();
    let mut text = String::new();
    for byte in digest.as_ref().iter().take(6) {
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

fn permits_everything(policy: &Policy) -> bool {
    policy.effect() == Effect::Permit
        && matches!(
            policy.principal_constraint(),
            PrincipalConstraint::Any | PrincipalConstraint::Is(_)
        )
        && policy.action_constraint() == ActionConstraint::Any
        && matches!(
            policy.resource_constraint(),
            ResourceConstraint::Any | ResourceConstraint::Is(_)
        )
        && !policy.has_non_scope_constraint()
}

/// The message of Cedar's validator. For a tag that may be missing, Cedar advises to put `hasTag` and `&&` in front;
/// this would reverse the meaning of `!resource.hasTag("x") || ...`.
fn invalid(error: &ValidationError) -> String {
    match error {
        ValidationError::UnsafeTagAccess(unsafe_access) => format!(
            "{unsafe_access}: write it as `resource.hasTag(\"x\") && resource.getTag(\"x\") == \"y\"`, and the \
             opposite as `!(resource.hasTag(\"x\") && resource.getTag(\"x\") == \"y\")`; after \
             `!resource.hasTag(\"x\") ||` Cedar does not know that the tag is there"
        ),
        other => said(other),
    }
}

/// The message of an error, with Cedar's advice if there is any.
fn said(error: &dyn Diagnostic) -> String {
    match error.help() {
        Some(help) => format!("{error}: {help}"),
        None => error.to_string(),
    }
}

fn offset(error: &dyn Diagnostic) -> Option<usize> {
    error.labels()?.next().map(|label| label.offset())
}
