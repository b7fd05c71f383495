//! Finds the policies that can matter to a request by the scope of their principal and action, never by a condition. So
//! a thousand policies about other callers cost nothing.

use std::{collections::HashMap, str::FromStr, sync::Arc};

use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint};

use super::{names::FastHash, vocabulary::Vocabulary};
use crate::domain::Caller;

/// The policies by the principals in their scope.
#[derive(Debug, Default)]
pub(super) struct Index {
    any: Vec<Indexed>,
    callers: HashMap<String, Vec<Indexed>, FastHash>,
    groups: HashMap<String, Vec<Indexed>, FastHash>,
}

/// A policy's number, and the actions that its scope covers.
#[derive(Clone, Debug)]
struct Indexed {
    number: usize,
    actions: Arc<ActionSet>,
}

/// A set of actions by their numbers, and whether seeing everyone's operations is one of them.
#[derive(Debug, Default)]
struct ActionSet {
    bits: Vec<u64>,
    journal: bool,
}

impl ActionSet {
    fn insert(&mut self, number: usize) {
        let (word, bit) = (number / 64, number % 64);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= 1 << bit;
        }
    }

    fn has(&self, number: usize) -> bool {
        self.bits.get(number / 64).is_some_and(|bits| bits & (1 << (number % 64)) != 0)
    }
}

/// A principal that policies name, or anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Principal<'a> {
    Anybody,
    /// A caller in this group and in no other.
    Group(&'a str),
    /// This caller, in no group.
    Caller(&'a str),
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
    /// Adds the policy under every principal that its scope can match.
    pub(super) fn insert(&mut self, number: usize, policy: &Policy, vocabulary: &Vocabulary) {
        let constraint = policy.action_constraint();
        let mut actions = ActionSet::default();
        for (of_action, (action, groups)) in vocabulary.actions_and_groups().enumerate() {
            if covers(&constraint, (action, groups)) {
                actions.insert(of_action);
            }
        }
        // This action is in no group, so a scope matches it only by name or without any action.
        actions.journal = covers(&constraint, (vocabulary.read_operations(), &[]));
        let indexed = Indexed { number, actions: Arc::new(actions) };
        match who(&policy.principal_constraint()) {
            Who::Any => self.any.push(indexed),
            Who::Caller(id) => self.callers.entry(id).or_default().push(indexed),
            Who::Group(id) => self.groups.entry(id).or_default().push(indexed),
            Who::Nobody => {}
        }
    }

    /// The numbers of the policies whose scope can match, each once.
    pub(super) fn candidates(&self, caller: &Caller, action: usize) -> Vec<usize> {
        self.of(caller, |actions| actions.has(action))
    }

    /// Anybody, and the groups and callers that policies name.
    pub(super) fn principals(&self) -> Vec<Principal<'_>> {
        let groups = self.groups.keys().map(|id| Principal::Group(id));
        let callers = self.callers.keys().map(|id| Principal::Caller(id));
        let mut all: Vec<_> = groups.chain(callers).chain([Principal::Anybody]).collect();
        all.sort_unstable();
        all
    }

    /// The numbers of the policies whose scope can match this principal and action.
    pub(super) fn numbers_for(&self, principal: Principal<'_>, action: usize) -> Vec<usize> {
        let own = match principal {
            Principal::Anybody => None,
            Principal::Group(id) => self.groups.get(id),
            Principal::Caller(id) => self.callers.get(id),
        };
        let all = self.any.iter().chain(own.into_iter().flatten());
        all.filter(|one| one.actions.has(action)).map(|one| one.number).collect()
    }

    /// The numbers of the policies that decide whether the caller may see everyone's operations.
    pub(super) fn about_the_journal(&self, caller: &Caller) -> Vec<usize> {
        self.of(caller, |actions| actions.journal)
    }

    fn of(&self, caller: &Caller, wanted: impl Fn(&ActionSet) -> bool) -> Vec<usize> {
        let mut found = Vec::new();
        let mut add = |all: &[Indexed]| {
            let fits = all.iter().filter(|one| wanted(&one.actions));
            found.extend(fits.map(|one| one.number));
        };
        add(&self.any);
        if let Some(own) = self.callers.get(caller.id()) {
            add(own);
        }
        if !self.groups.is_empty() {
            for id in caller.group_ids() {
                if let Some(of_group) = self.groups.get(id) {
                    add(of_group);
                }
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

pub(super) fn covers(
    constraint: &ActionConstraint,
    (action, groups): (&EntityUid, &[EntityUid]),
) -> bool {
    match constraint {
        ActionConstraint::Any => true,
        // In Cedar, `action == group` is never true: an action equals only itself.
        ActionConstraint::Eq(uid) => uid == action,
        ActionConstraint::In(uids) => uids.iter().any(|uid| uid == action || groups.contains(uid)),
    }
}
