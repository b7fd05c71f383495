//! Who may do what, as a table for people: by the scopes of the policies, without asking about any request.

use std::collections::{BTreeMap, BTreeSet};

use super::{engine::Engine, index::Principal, rule::Rule};

/// The columns of a table without actions of its own: the groups of actions.
const GROUPS: [&str; 7] =
    ["read", "inquiry", "catalogue", "addresses", "write", "destructive", "reclassify"];

/// What a principal may do in one column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cell {
    /// Some actions are always allowed, or under a condition.
    may: bool,
    /// Some actions are never allowed.
    may_not: bool,
    /// Some actions are allowed without any condition of a `permit`.
    freely: bool,
    /// The `permit`s with a condition or a scope of resources.
    if_any: BTreeSet<String>,
    /// The `forbid`s with a condition or a scope of resources.
    unless: BTreeSet<String>,
}

/// The name of an action that the policies cannot name.
#[derive(Debug, thiserror::Error)]
#[error("there is no action `{0}`: `zec-gateway policy schema` lists them")]
pub struct UnknownAction(String);

impl Engine {
    /// Who may do what, as a Markdown table: a row for everybody, and one for each group and each caller that the policies
    /// name. Without `actions`, the columns are the groups of actions.
    ///
    /// # Errors
    /// When there is no such action.
    pub fn matrix(&self, actions: &[String]) -> Result<String, UnknownAction> {
        let columns = self.columns(actions)?;
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let mut lines = vec![
            format!("| who | {} |", names.join(" | ")),
            format!("| ---{} |", " | ---".repeat(names.len())),
        ];
        let mut named = BTreeSet::new();
        for principal in self.index.principals() {
            let mut texts = Vec::new();
            for (_, numbers) in &columns {
                let mut cell = Cell::default();
                for number in numbers {
                    let rules = self.numbered(self.index.numbers_for(principal, *number));
                    cell.add(&rules);
                }
                named.extend(cell.if_any.iter().chain(&cell.unless).cloned());
                texts.push(cell.text());
            }
            lines.push(format!("| {principal} | {} |", texts.join(" | ")));
        }
        lines.extend(self.legend(&named));
        Ok(lines.join("\n"))
    }

    /// Each column's name and the numbers of its actions.
    fn columns<'a>(
        &'a self,
        actions: &'a [String],
    ) -> Result<Vec<(&'a str, Vec<usize>)>, UnknownAction> {
        let one = |name: &'a String| {
            let number = self.vocabulary.number(name);
            Ok((name.as_str(), vec![number.ok_or_else(|| UnknownAction(name.clone()))?]))
        };
        if !actions.is_empty() {
            return actions.iter().map(one).collect();
        }
        let mut columns: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, (_, groups)) in self.vocabulary.actions_and_groups().enumerate() {
            for group in groups {
                if let Some(name) = GROUPS.iter().find(|name| group.id().unescaped() == **name) {
                    columns.entry(name).or_default().push(number);
                }
            }
        }
        let column = |name: &&'static str| Some((*name, columns.remove(*name)?));
        Ok(GROUPS.iter().filter_map(column).collect())
    }

    /// The policies that the table names, each with its reason.
    fn legend(&self, named: &BTreeSet<String>) -> Vec<String> {
        let rules = self.rules().filter(|rule| named.contains(&rule.id));
        let line = |rule: &Rule| match &rule.reason {
            Some(reason) => format!("- {}: {reason}", rule.id),
            None => format!("- {}", rule.id),
        };
        let lines: Vec<String> = rules.map(line).collect();
        if lines.is_empty() { lines } else { [vec![String::new()], lines].concat() }
    }
}

impl Cell {
    /// Adds an action, of these policies by the scopes of principal and action.
    fn add(&mut self, rules: &[&Rule]) {
        let (permits, forbids): (Vec<&Rule>, Vec<&Rule>) =
            rules.iter().copied().partition(|rule| rule.permits);
        if permits.is_empty() || forbids.iter().any(|rule| rule.always) {
            self.may_not = true;
            return;
        }
        self.may = true;
        if permits.iter().any(|rule| rule.always) {
            self.freely = true;
        } else {
            self.if_any.extend(permits.iter().map(|rule| rule.id.clone()));
        }
        self.unless.extend(forbids.iter().map(|rule| rule.id.clone()));
    }

    fn text(&self) -> String {
        if !self.may {
            return "never".to_owned();
        }
        let list = |ids: &BTreeSet<String>| ids.iter().cloned().collect::<Vec<_>>().join(" or ");
        let mut parts = Vec::new();
        if self.freely {
            parts.push("always".to_owned());
        }
        if !self.if_any.is_empty() {
            parts.push(format!("if {}", list(&self.if_any)));
        }
        let unless = if self.unless.is_empty() {
            String::new()
        } else {
            format!(", unless {}", list(&self.unless))
        };
        // Some action of the group is never allowed, or not under the same conditions as another.
        let in_part = if self.may_not || parts.len() > 1 { "in part: " } else { "" };
        format!("{in_part}{}{unless}", parts.join(", or "))
    }
}

impl std::fmt::Display for Principal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anybody => f.write_str("anybody"),
            Self::Group(id) => write!(f, "group {id}"),
            Self::Caller(id) => write!(f, "caller {id}"),
        }
    }
}
