//! Finds the policies that can matter to a request by the scope of their principal and action, never by a condition. So
//! a thousand policies about other callers cost nothing.

use std::{collections::HashMap, str::FromStr};

use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint};

use super::vocabulary::Vocabulary;
use crate::domain::{Action, Caller};

/// The hash for lookups of names: a caller may be in hundreds of groups. Names from callers are never inserted, so
/// callers cannot fill the table with colliding names.
pub(super) type FastHash = foldhash::fast::RandomState;

/// For each action, the policies by the principals in their scope.
#[derive(Debug, Default)]
pub(super) struct Index {
    actions: HashMap<Action, Scopes>,
    /// The same for seeing everyone's operations.
    journal: Scopes,
}

#[derive(Debug, Default)]
struct Scopes {
    any: Vec<usize>,
    callers: HashMap<String, Vec<usize>, FastHash>,
    groups: HashMap<String, Vec<usize>, FastHash>,
}

/// The principals that a policy's scope can match.
#[derive(Debug, PartialEq, Eq)]
enum Who {
    Any,
    Caller(String),
    Group(String),
    Nobody,
}

impl Index {
    /// Adds the policy under every action and principal that its scope can match.
    pub(super) fn insert(&mut self, number: usize, policy: &Policy, vocabulary: &Vocabulary) {
        let who = who(&policy.principal_constraint());
        let constraint = policy.action_constraint();
        for action in Action::ALL {
            if covers(&constraint, vocabulary.action_and_groups(action)) {
                self.actions.entry(action).or_default().insert(number, &who);
            }
        }
        // This action is in no group, so a scope matches it only by name or without any action.
        if covers(&constraint, (vocabulary.read_operations(), &[])) {
            self.journal.insert(number, &who);
        }
    }

    /// The numbers of the policies whose scope can match, each once.
    pub(super) fn candidates(&self, caller: &Caller, action: Action) -> Vec<usize> {
        self.actions.get(&action).map(|scopes| scopes.candidates(caller)).unwrap_or_default()
    }

    /// The numbers of the policies that decide whether the caller may see everyone's operations.
    pub(super) fn about_the_journal(&self, caller: &Caller) -> Vec<usize> {
        self.journal.candidates(caller)
    }
}

impl Scopes {
    fn insert(&mut self, number: usize, who: &Who) {
        match who {
            Who::Any => self.any.push(number),
            Who::Caller(id) => self.callers.entry(id.clone()).or_default().push(number),
            Who::Group(id) => self.groups.entry(id.clone()).or_default().push(number),
            Who::Nobody => {}
        }
    }

    fn candidates(&self, caller: &Caller) -> Vec<usize> {
        let mut found = self.any.clone();
        if let Some(own) = self.callers.get(caller.id()) {
            found.extend(own);
        }
        if !self.groups.is_empty() {
            for id in caller.group_ids() {
                found.extend(self.groups.get(id).into_iter().flatten());
            }
        }
        found
    }
}

fn who(constraint: &PrincipalConstraint) -> Who {
    match constraint {
        PrincipalConstraint::Any => Who::Any,
        PrincipalConstraint::Is(kind) if is(kind, "Zec::Caller") => Who::Any,
        PrincipalConstraint::Is(_) => Who::Nobody,
        // A caller is `in` itself, and no other principal is in a caller.
        PrincipalConstraint::Eq(uid) => match named(uid) {
            Who::Group(_) => Who::Nobody,
            who => who,
        },
        PrincipalConstraint::In(uid) => named(uid),
        PrincipalConstraint::IsIn(kind, uid) if is(kind, "Zec::Caller") => named(uid),
        PrincipalConstraint::IsIn(..) => Who::Nobody,
    }
}

fn named(uid: &EntityUid) -> Who {
    let id = || uid.id().unescaped().to_owned();
    if is(uid.type_name(), "Zec::Caller") {
        Who::Caller(id())
    } else if is(uid.type_name(), "Zec::Group") {
        Who::Group(id())
    } else {
        Who::Nobody
    }
}

fn is(kind: &EntityTypeName, name: &str) -> bool {
    EntityTypeName::from_str(name).is_ok_and(|name| *kind == name)
}

fn covers(constraint: &ActionConstraint, (action, groups): (&EntityUid, &[EntityUid])) -> bool {
    match constraint {
        ActionConstraint::Any => true,
        // In Cedar, `action == group` is never true: an action equals only itself.
        ActionConstraint::Eq(uid) => uid == action,
        ActionConstraint::In(uids) => uids.iter().any(|uid| uid == action || groups.contains(uid)),
    }
}
