//! The policy in force, which decides with Cedar and denies by default.

use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use cedar_policy_core::{
    ast::Request, entities::Entities, evaluator::Evaluator, extensions::Extensions,
};

use super::{
    answer::PolicyAnswer,
    authorization_request::AuthorizationRequest,
    index::{FastHash, Index},
    looks::Needs,
    permit::Permit,
    rule::Rule,
    vocabulary::{Vocabulary, VocabularyError},
};
use crate::domain::{Action, Caller, Denial, Denied, Nic, ReadNic, Reason};

/// The policy in force. It decides with Cedar what a caller may do, and denies by default.
#[derive(Debug)]
pub struct Engine {
    version: Arc<str>,
    vocabulary: Vocabulary,
    index: Index,
    rules: Vec<Rule>,
    groups: HashSet<String, FastHash>,
}

/// The policy's answer to a request.
#[derive(Debug)]
pub enum Verdict<O> {
    /// The operation is allowed.
    Allowed(Permit<O>),
    /// The operation is denied, whatever the vNIC's data.
    Denied(Denial),
    /// It depends on the vNIC: read it, then ask [`Engine::decide`].
    DependsOnNic(Pending<O>),
}

/// A request that waits for the vNIC's data.
#[derive(Debug)]
pub struct Pending<O> {
    operation: O,
}

impl<O> Pending<O> {
    /// Returns the operation of a request that cannot be decided, because the vNIC does not exist.
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

    /// The version of the policy: twelve hex digits of a hash over its files' content.
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

    /// The policies that can matter to a caller's action, each as a line for people.
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

    /// Decides without the vNIC's data, where that data cannot change the answer. Only otherwise is it worth reading
    /// the vNIC.
    pub fn ask<O: AuthorizationRequest>(&self, caller: &Caller, operation: O) -> Verdict<O> {
        let candidates = self.candidates(caller, &operation);
        let blind: Vec<&Rule> = candidates.iter().copied().filter(|rule| !rule.looks).collect();
        if blind.len() == candidates.len() {
            return match self.settle(caller, operation, &blind, None) {
                Ok(permit) => Verdict::Allowed(permit),
                Err(denial) => Verdict::Denied(denial),
            };
        }
        // Some policy reads the vNIC. The results of the others do not depend on it. If they forbid, or no policy that
        // reads the vNIC could still permit, the request is denied without a read.
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

    /// Decides with the vNIC's data.
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

    /// Decides in one step, for a vNIC that has already been read.
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

    /// Whether a caller may learn that a vNIC does not exist. Policies that need no data must allow the caller to see
    /// it, and no policy that reads the vNIC could have forbidden that.
    #[must_use]
    pub fn may_learn_of_absence(&self, caller: &Caller, read: ReadNic) -> bool {
        let candidates = self.candidates(caller, &read);
        if candidates.iter().any(|rule| rule.looks && !rule.permits) {
            return false;
        }
        let blind: Vec<&Rule> = candidates.into_iter().filter(|rule| !rule.looks).collect();
        self.settle(caller, read, &blind, None).is_ok()
    }

    /// Whether a caller may see everyone's operations. If a policy cannot be evaluated, the answer is no.
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

    /// Returns a permit only if every address is allowed.
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

    /// The policies' results for each address, or for the vNIC itself if the action has no addresses.
    fn each<'a, O: AuthorizationRequest>(
        &self,
        caller: &Caller,
        operation: &O,
        rules: &[&'a Rule],
        nic: Option<&Nic>,
    ) -> Vec<(Option<Ipv4Addr>, Result<PolicyAnswer<'a>, VocabularyError>)> {
        let needs = rules.iter().fold(Needs::default(), |needs, rule| needs.or(rule.needs));
        // A group that no policy names cannot change the answer.
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

    /// The entry of a 403, if the result is a denial.
    fn denied(
        &self,
        address: Option<Ipv4Addr>,
        answer: Result<PolicyAnswer<'_>, VocabularyError>,
    ) -> Option<Denied> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(policy.version = %self.version, %error, "the policy could not be asked");
                let failed =
                    vec![Reason { id: "(the request to the policy)".to_owned(), reason: None }];
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
