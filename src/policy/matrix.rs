//! Who may do what, as a table for people: by the scopes of the policies, without asking about any request.

use std::collections::{BTreeMap, BTreeSet};

use super::{engine::Engine, index::Principal, rule::Rule, schema};
use crate::catalogue::Catalogue;

/// The columns of a table without actions of its own: the groups of actions.
const GROUPS: [&str; 7] =
    ["read", "inquiry", "catalogue", "addresses", "write", "destructive", "reclassify"];

/// What a principal may do in one column.
#[derive(Debug, Default)]
struct Cell {
    /// The answers for the column's actions that are not always denied. Different actions may have different ones.
    answers: BTreeSet<ByScope>,
    /// Some actions are never allowed.
    may_not: bool,
}

/// What the scopes of the policies say of one action.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct ByScope {
    /// The action is allowed without any condition of a `permit`.
    freely: bool,
    /// Otherwise, the `permit`s with a condition or a scope of resources.
    if_any: BTreeSet<String>,
    /// The `forbid`s with a condition or a scope of resources.
    unless: BTreeSet<String>,
}

/// The name of an action that ZEC's API does not have.
#[derive(Debug, thiserror::Error)]
#[error("ZEC's API has no action `{0}`: `GET /actions` lists them")]
pub struct UnknownAction(String);

impl Engine {
    /// Who may do what, as a Markdown table: a row for anybody, and one for each group and each caller that a policy's scope
    /// names. Without `actions`, the columns are the groups of actions.
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
        let types = Catalogue::in_use().map(schema::actions).unwrap_or_default();
        for principal in self.index.principals() {
            let mut texts = Vec::new();
            for (_, numbers) in &columns {
                let mut cell = Cell::default();
                for number in numbers {
                    let mut rules = self.numbered(self.index.numbers_for(principal, *number));
                    // The vocabulary numbers the actions in the same order.
                    let is_about =
                        |own: &str| types.get(*number).is_some_and(|one| one.is_about(own));
                    rules.retain(|rule| rule.resource_type.as_deref().is_none_or(is_about));
                    cell.add(&rules);
                }
                for answer in &cell.answers {
                    named.extend(answer.if_any.iter().chain(&answer.unless).cloned());
                }
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

    /// The policies that the table names, each with its conditions and its reason.
    fn legend(&self, named: &BTreeSet<String>) -> Vec<String> {
        let rules = self.rules().filter(|rule| named.contains(&rule.id));
        let line = |rule: &Rule| {
            let about = [Some(rule.conditions.clone()), rule.reason.as_deref().map(cell_text)];
            let about: Vec<String> =
                about.into_iter().flatten().filter(|one| !one.is_empty()).collect();
            format!("- {}: {}", cell_text(&rule.id), about.join("; "))
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
        let ids = |rules: &[&Rule]| rules.iter().map(|rule| rule.id.clone()).collect();
        let freely = permits.iter().any(|rule| rule.always);
        let if_any = if freely { BTreeSet::new() } else { ids(&permits) };
        self.answers.insert(ByScope { freely, if_any, unless: ids(&forbids) });
    }

    fn text(&self) -> String {
        if self.answers.is_empty() {
            return "never".to_owned();
        }
        let mut all = ByScope::default();
        for answer in self.answers.iter().cloned() {
            all.freely |= answer.freely;
            all.if_any.extend(answer.if_any);
            all.unless.extend(answer.unless);
        }
        let list = |word: &str, ids: &BTreeSet<String>| {
            let ids: Vec<String> = ids.iter().map(|id| cell_text(id)).collect();
            (!ids.is_empty()).then(|| format!("{word} {}", ids.join(" or ")))
        };
        let permits = [all.freely.then(|| "always".to_owned()), list("if", &all.if_any)];
        let permits = permits.into_iter().flatten().collect::<Vec<_>>().join(", or ");
        let unless = list(", unless", &all.unless).unwrap_or_default();
        // Some action of the group is never allowed, or not under the same conditions as another.
        let in_part = if self.may_not || self.answers.len() > 1 { "in part: " } else { "" };
        format!("{in_part}{permits}{unless}")
    }
}

/// A text that cannot end a cell or a line of the table.
fn cell_text(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|")
}

impl std::fmt::Display for Principal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anybody => f.write_str("anybody"),
            Self::Group(id) => write!(f, "group {}", cell_text(id)),
            Self::Caller(id) => write!(f, "caller {}", cell_text(id)),
        }
    }
}
