//! `ZEC_GATEWAY__SECTION__KEY`: an environment variable may set any key of the file.

use super::{
    findings::Findings,
    origin::ValueOrigin,
    tree::{Table, TomlNode, Value},
};

/// The prefix of the gateway's own variables.
pub(super) const PREFIX: &str = "ZEC_GATEWAY__";

/// One step into the tree. The order matters, because items are added to a list from the first on.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathStep {
    Index(usize),
    Key(String),
}

/// The variables with the gateway's prefix.
pub(super) fn ours(
    variables: impl Iterator<Item = (String, String)>,
) -> impl Iterator<Item = (String, String)> {
    variables.filter(|(name, _)| name.starts_with(PREFIX))
}

/// Overrides values of the file with the gateway's variables, and ignores all other variables.
pub(super) fn merge(
    root: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
    findings: &Findings,
) {
    let mut ours: Vec<_> = variables
        .filter_map(|(name, text)| Some((steps(name.strip_prefix(PREFIX)?), name, text)))
        .collect();
    ours.sort();
    for (path, name, text) in ours {
        if let Err(said) = place(root, &path, &name, text) {
            findings.fault("", &ValueOrigin::Variable(name), said);
        }
    }
}

/// The variable of a key in a table, for example of `name` in `auth.issuers[0]`.
pub(super) fn name(table: &str, key: &str) -> String {
    let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
    let path = path.replace(['.', '['], "__").replace(']', "");
    format!("{PREFIX}{}", path.to_ascii_uppercase())
}

fn steps(path: &str) -> Vec<PathStep> {
    path.split("__")
        .map(|step| match step.parse() {
            Ok(index) if step.bytes().all(|byte| byte.is_ascii_digit()) => PathStep::Index(index),
            _ => PathStep::Key(step.to_ascii_lowercase()),
        })
        .collect()
}

fn place(table: &mut Table, path: &[PathStep], name: &str, text: String) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    let key = match first {
        PathStep::Key(key) => key.clone(),
        PathStep::Index(index) => index.to_string(), // no table has such a key: reported as unknown later
    };
    set(table.entry(key).or_insert_with(|| fresh(rest, name)), rest, name, text)
}

/// An empty value for the rest of the path.
fn fresh(rest: &[PathStep], name: &str) -> TomlNode {
    let value = match rest.first() {
        None => Value::Raw(String::new()),
        Some(PathStep::Index(_)) => Value::List(Vec::new()),
        Some(PathStep::Key(_)) => Value::Table(Table::new()),
    };
    TomlNode { value, origin: ValueOrigin::Variable(name.to_owned()) }
}

fn set(node: &mut TomlNode, path: &[PathStep], name: &str, text: String) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        return overwrite(node, name, text);
    };
    match (&mut node.value, first) {
        (Value::Table(table), _) => place(table, path, name, text),
        (Value::List(items), PathStep::Index(index)) => {
            if items.len() == *index {
                items.push(fresh(rest, name));
            }
            let length = items.len();
            match items.get_mut(*index) {
                Some(item) => set(item, rest, name, text),
                None => Err(format!("leaves a gap: the next entry of the list is `{length}`")),
            }
        }
        (Value::List(_), PathStep::Key(key)) => Err(format!(
            "must have the number of a list's entry, not `{}`",
            key.to_ascii_uppercase()
        )),
        _ => {
            Err("unknown variable: it goes into a key that is neither a table nor a list"
                .to_owned())
        }
    }
}

fn overwrite(node: &mut TomlNode, name: &str, text: String) -> Result<(), String> {
    match &node.origin {
        ValueOrigin::Variable(other) if other != name => {
            Err(format!("sets the same key as `{other}`: keep one of them"))
        }
        _ => {
            *node = TomlNode {
                value: Value::Raw(text),
                origin: ValueOrigin::Variable(name.to_owned()),
            };
            Ok(())
        }
    }
}
