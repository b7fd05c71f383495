//! The policy in force, which decides with Cedar and denies by default.

use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use cedar_policy_core::{
    ast::Request, entities::Entities, evaluator::Evaluator, extensions::Extensions,
};

use super::{
    answer::PolicyAnswer,
    authorization_request::AuthorizationRequest,
    denial::{Denial, Denied, Reason},
    index::{FastHash, Index},
    looks::Needs,
    permit::Permit,
    rule::Rule,
    vocabulary::{Vocabulary, VocabularyError},
};
use crate::domain::{Action, Caller, Nic, ReadNic};

/// The policy in force: decides who may do what, with Cedar, default deny.
#[derive(Debug)]
pub struct Engine {
    version: Arc<str>,
    vocabulary: Vocabulary,
    index: Index,
    rules: Vec<Rule>,
    groups: HashSet<String, FastHash>,
}

/// The policy's answer to a question.
#[derive(Debug)]
pub enum Verdict<O> {
    /// Yes.
    Allowed(Permit<O>),
    /// No, whatever the vNIC is like.
    Denied(Denial),
    /// It depends on the vNIC: read it, then ask [`Engine::decide`].
    DependsOnNic(Pending<O>),
}

/// A question that waits for the vNIC.
#[derive(Debug)]
pub struct Pending<O> {
    operation: O,
}

impl<O> Pending<O> {
    /// Gives the question up, where there is no such vNIC.
    #[must_use]
    pub fn into_operation(self) -> O {
        self.operation
    }
}

impl Engine {
    pub(super) fn assemble(
        version: Arc<str>,
        vocabulary: Vocabulary,
        index: Index,
        rules: Vec<Rule>,
        groups: HashSet<String, FastHash>,
    ) -> Self {
        Self { version, vocabulary, index, rules, groups }
    }

    /// Which policy this is: twelve hex digits of its files' content.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no policy at all, so that everything is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The ids of the policies, in the order of their files.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.id.as_str())
    }

    /// The policies that can matter to a caller's action, a line for people each.
    pub(super) fn considered(&self, caller: &Caller, action: Action) -> Vec<String> {
        let numbers = self.index.candidates(caller, action);
        let rules = numbers.into_iter().filter_map(|number| self.rules.get(number));
        let line = |rule: &Rule| {
            let effect = if rule.permits { "permit" } else { "forbid" };
            let looks = if rule.looks { ", reads the vNIC" } else { "" };
            format!("{effect} {}{looks}", rule.id)
        };
        rules.map(line).collect()
    }

    /// Asks without the vNIC's data. Sends the caller away, or lets the caller through, where
    /// that data cannot make a difference; only where it can is the vNIC worth a read.
    pub fn ask<O: AuthorizationRequest>(&self, caller: &Caller, operation: O) -> Verdict<O> {
        let candidates = self.candidates(caller, &operation);
        let blind: Vec<&Rule> = candidates.iter().copied().filter(|rule| !rule.looks).collect();
        if blind.len() == candidates.len() {
            return match self.settle(caller, operation, &blind, None) {
                Ok(permit) => Verdict::Allowed(permit),
                Err(denial) => Verdict::Denied(denial),
            };
        }
        // Some policy looks. The others' answers stand whatever the vNIC is like: where they
        // forbid, or nothing that looks could still permit, the caller is sent away unread.
        let looking_permit =
            candidates.iter().any(|rule| rule.looks && rule.could_permit(&operation));
        let denied: Vec<Denied> = self
            .each(caller, &operation, &blind, None)
            .into_iter()
            .filter_map(|(address, answer)| self.denied(address, answer))
            .filter(|denied| !denied.is_default() || !looking_permit)
            .collect();
        if denied.is_empty() {
            Verdict::DependsOnNic(Pending { operation })
        } else {
            Verdict::Denied(Denial { denied })
        }
    }

    /// Asks again, with the vNIC's data.
    ///
    /// # Errors
    /// The denial.
    pub fn decide<O: AuthorizationRequest>(
        &self,
        caller: &Caller,
        pending: Pending<O>,
        nic: &Nic,
    ) -> Result<Permit<O>, Denial> {
        let operation = pending.operation;
        let candidates = self.candidates(caller, &operation);
        self.settle(caller, operation, &candidates, Some(nic))
    }

    /// Decides at once, where the vNIC was read already.
    ///
    /// # Errors
    /// The denial.
    pub fn judge<O: AuthorizationRequest>(
        &self,
        caller: &Caller,
        operation: O,
        nic: &Nic,
    ) -> Result<Permit<O>, Denial> {
        self.decide(caller, Pending { operation }, nic)
    }

    /// Whether a caller may learn that there is no such vNIC: they may see it by policies that
    /// need no data, and nothing that looks could have forbidden it.
    #[must_use]
    pub fn may_learn_of_absence(&self, caller: &Caller, read: ReadNic) -> bool {
        let candidates = self.candidates(caller, &read);
        if candidates.iter().any(|rule| rule.looks && !rule.permits) {
            return false;
        }
        let blind: Vec<&Rule> = candidates.into_iter().filter(|rule| !rule.looks).collect();
        self.settle(caller, read, &blind, None).is_ok()
    }

    /// Whether a caller may see everyone's operations. What cannot be evaluated is a no.
    #[must_use]
    pub fn may_read_operations(&self, caller: &Caller) -> bool {
        self.denied(None, self.about_the_journal(caller)).is_none()
    }

    fn candidates<O: AuthorizationRequest>(&self, caller: &Caller, operation: &O) -> Vec<&Rule> {
        self.numbered(self.index.candidates(caller, operation.action()))
    }

    fn numbered(&self, numbers: Vec<usize>) -> Vec<&Rule> {
        numbers.into_iter().filter_map(|number| self.rules.get(number)).collect()
    }

    /// All or nothing: a permit only if every address is allowed.
    fn settle<O: AuthorizationRequest>(
        &self,
        caller: &Caller,
        operation: O,
        rules: &[&Rule],
        nic: Option<&Nic>,
    ) -> Result<Permit<O>, Denial> {
        let mut allowed_by = Vec::new();
        let mut denied = Vec::new();
        for (address, answer) in self.each(caller, &operation, rules, nic) {
            match answer {
                Ok(answer) if answer.allows() => {
                    allowed_by.extend(answer.permits.iter().map(|rule| rule.id.as_str()));
                }
                answer => denied.extend(self.denied(address, answer)),
            }
        }
        if denied.is_empty() && !allowed_by.is_empty() {
            allowed_by.sort_unstable();
            allowed_by.dedup();
            let policies = allowed_by.into_iter().map(str::to_owned).collect();
            Ok(Permit::grant(operation, policies, Arc::clone(&self.version)))
        } else {
            Err(Denial { denied })
        }
    }

    /// The policies' answer for each address, or for the vNIC itself where the action has none.
    fn each<'a, O: AuthorizationRequest>(
        &self,
        caller: &Caller,
        operation: &O,
        rules: &[&'a Rule],
        nic: Option<&Nic>,
    ) -> Vec<(Option<Ipv4Addr>, Result<PolicyAnswer<'a>, VocabularyError>)> {
        let needs = rules.iter().fold(Needs::default(), |needs, rule| needs.or(rule.needs));
        // A group that no policy names can make no difference.
        let relevant = |group: &str| self.groups.contains(group);
        let nic = (operation.nic(), nic);
        let about = (caller, relevant);
        let entities = self.vocabulary.entities(operation.action(), needs, about, nic);
        let question = self.vocabulary.question(operation, caller);
        let addresses = operation.addresses();
        let ask = |address: Option<Ipv4Addr>| {
            let entities = entities.as_ref().map_err(Clone::clone)?;
            let request = question.about(address.map(|address| (address, addresses.len())))?;
            Ok(answer(request, rules, entities))
        };
        if addresses.is_empty() {
            vec![(None, ask(None))]
        } else {
            addresses.iter().map(|address| (Some(*address), ask(Some(*address)))).collect()
        }
    }

    /// The entry of a 403, where the answer is a no.
    fn denied(
        &self,
        address: Option<Ipv4Addr>,
        answer: Result<PolicyAnswer<'_>, VocabularyError>,
    ) -> Option<Denied> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(policy.version = %self.version, %error, "the policy could not be asked");
                let failed = vec![Reason { id: "(the question itself)".to_owned(), reason: None }];
                return Some(Denied { address, policies: Vec::new(), failed });
            }
        };
        if answer.allows() {
            return None;
        }
        for (rule, error) in &answer.failed {
            tracing::warn!(policy.version = %self.version, policy = rule.id, error, "a policy could not be evaluated: denied");
        }
        let failed = answer.failed.iter().map(|(rule, _)| rule.as_reason()).collect();
        let mut policies: Vec<_> = answer.forbids.iter().map(|rule| rule.as_reason()).collect();
        policies.sort();
        Some(Denied { address, policies, failed })
    }

    fn about_the_journal(&self, caller: &Caller) -> Result<PolicyAnswer<'_>, VocabularyError> {
        let rules = self.numbered(self.index.about_the_journal(caller));
        let relevant = |group: &str| self.groups.contains(group);
        let (request, entities) = self.vocabulary.about_the_journal(caller, relevant)?;
        Ok(answer(request, &rules, &entities))
    }
}

fn answer<'a>(request: Request, rules: &[&'a Rule], entities: &Entities) -> PolicyAnswer<'a> {
    let evaluator = Evaluator::new(request, entities, Extensions::all_available());
    PolicyAnswer::of(rules, &evaluator)
}

impl Rule {
    fn as_reason(&self) -> Reason {
        Reason { id: self.id.clone(), reason: self.reason.clone() }
    }

    fn could_permit<O: AuthorizationRequest>(&self, operation: &O) -> bool {
        self.permits && self.only_nic.as_deref().is_none_or(|nic| nic == operation.nic().as_str())
    }
}

impl Denied {
    /// Denied because nothing allows it, not because something forbids it or failed.
    fn is_default(&self) -> bool {
        self.policies.is_empty() && self.failed.is_empty()
    }
}
