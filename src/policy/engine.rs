//! The policy in force, which decides with Cedar and denies by default.

use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use cedar_policy_core::{
    ast::{Entity, Request},
    entities::Entities,
    evaluator::Evaluator,
    extensions::Extensions,
};

use super::{
    answer::PolicyAnswer,
    authorization_request::{AuthorizationRequest, TargetRef},
    index::Index,
    looks::Needs,
    names::{FastHash, VocabularyError},
    permit::Permit,
    requester::Requester,
    rule::Rule,
    schema::type_name,
    subject::{ResourceData, Subject, for_each_subject},
    unsaid::{self, is_of_unsaid_type},
    vocabulary::Vocabulary,
};
use crate::domain::{Caller, Denial, Denied, Reason, Resource};

/// The policy in force. It decides with Cedar what a caller may do, and denies by default.
#[derive(Debug)]
pub struct Engine {
    version: Arc<str>,
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) index: Index,
    rules: Vec<Rule>,
    pub(super) groups: HashSet<String, FastHash>,
}

/// The policy's answer to a request.
#[derive(Debug)]
pub enum Verdict<O> {
    /// The operation is allowed.
    Allowed(Permit<O>),
    /// The operation is denied, whatever the resources' data.
    Denied(Denial),
    /// It depends on the resources: read them, then ask [`Engine::decide`].
    DependsOnData(Pending<O>),
}

/// A request that waits for the data of its resources.
#[derive(Debug)]
pub struct Pending<O> {
    operation: O,
}

impl<O> Pending<O> {
    /// The operation.
    #[must_use]
    pub const fn operation(&self) -> &O {
        &self.operation
    }

    /// Returns the operation of a request that cannot be decided, because the vNIC does not exist.
    #[must_use]
    pub fn into_operation(self) -> O {
        self.operation
    }
}

impl Engine {
    pub(super) fn assemble(
        version: Arc<str>,
        vocabulary: Arc<Vocabulary>,
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
    pub(super) fn considered(
        &self,
        caller: &Caller,
        operation: &impl AuthorizationRequest,
    ) -> Vec<String> {
        let rules = self.candidates(caller, operation).into_iter();
        let line = |rule: &Rule| {
            let effect = if rule.permits { "permit" } else { "forbid" };
            let looks = if rule.looks { ", reads the resource" } else { "" };
            format!("{effect} {}{looks}", rule.id)
        };
        rules.map(line).collect()
    }

    /// Decides without the resources' data, where that data cannot change the answer. Only otherwise is it worth reading
    /// them.
    pub fn ask<'a, O: AuthorizationRequest>(
        &self,
        requester: impl Into<Requester<'a>>,
        operation: O,
    ) -> Verdict<O> {
        let requester = requester.into();
        let candidates = self.candidates(requester.caller, &operation);
        let none_looks = candidates.iter().all(|rule| !rule.looks);
        let nothing_to_read =
            || operation.targets().all(|target| matches!(target, TargetRef::Account));
        let of_unsaid_type = operation.targets().any(is_of_unsaid_type);
        if !of_unsaid_type && none_looks || nothing_to_read() {
            return self.settle(requester, operation, &candidates, ResourceData::Unread).into();
        }
        let blind: Vec<&Rule> = candidates.iter().copied().filter(|rule| !rule.looks).collect();
        // Some policy reads a resource, or a resource's type is unsaid. The results of the policies that read nothing do not
        // depend on a resource's data. If they forbid, or no policy that reads the resource could still permit, the request is
        // denied without a read. A resource of an unsaid type is denied if it is so for every type.
        let looking_permit =
            candidates.iter().any(|rule| rule.looks && rule.could_permit(&operation));
        let mut denied: Vec<Denied> = self
            .each(requester, &operation, &blind, ResourceData::Unread)
            .into_iter()
            .filter_map(|(about, answer)| self.denied(about, answer))
            .filter(|denied| !denied.is_default() || !looking_permit)
            .collect();
        if denied.is_empty() && none_looks {
            // Every type is allowed, so it does not matter of which it is.
            return self.settle(requester, operation, &candidates, ResourceData::Unread).into();
        }
        let open = unsaid::still_open(&operation, &denied);
        denied.retain(|denied| !open.contains(&denied.resource));
        if denied.is_empty() {
            Verdict::DependsOnData(Pending { operation })
        } else {
            Verdict::Denied(unsaid::denial(&operation, denied))
        }
    }

    /// Decides with the resources' data.
    ///
    /// # Errors
    /// The denial.
    pub fn decide<'a, O: AuthorizationRequest>(
        &self,
        requester: impl Into<Requester<'a>>,
        pending: Pending<O>,
        data: impl Into<ResourceData<'a>>,
    ) -> Result<Permit<O>, Denial> {
        let (requester, operation) = (requester.into(), pending.operation);
        let candidates = self.candidates(requester.caller, &operation);
        self.settle(requester, operation, &candidates, data.into())
    }

    /// Decides in one step, for resources that have already been read.
    ///
    /// # Errors
    /// The denial.
    pub fn judge<'a, O: AuthorizationRequest>(
        &self,
        requester: impl Into<Requester<'a>>,
        operation: O,
        data: impl Into<ResourceData<'a>>,
    ) -> Result<Permit<O>, Denial> {
        self.decide(requester, Pending { operation }, data)
    }

    /// The policies that can matter to the request, by their scope.
    pub(super) fn candidates<O: AuthorizationRequest>(
        &self,
        caller: &Caller,
        operation: &O,
    ) -> Vec<&Rule> {
        let number = self.vocabulary.number(operation.action());
        let numbers = number.map(|number| self.index.candidates(caller, number));
        let mut rules = self.numbered(numbers.unwrap_or_default());
        rules.retain(|rule| operation.targets().any(|target| rule.can_match(target)));
        rules
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    pub(super) fn numbered(&self, numbers: Vec<usize>) -> Vec<&Rule> {
        numbers.into_iter().filter_map(|number| self.rules.get(number)).collect()
    }

    /// Returns a permit only if every question is allowed.
    pub(super) fn settle<O: AuthorizationRequest>(
        &self,
        requester: Requester<'_>,
        operation: O,
        rules: &[&Rule],
        data: ResourceData<'_>,
    ) -> Result<Permit<O>, Denial> {
        let mut allowed_by = Vec::new();
        let mut denied = Vec::new();
        for (about, answer) in self.each(requester, &operation, rules, data) {
            match answer {
                Ok(answer) if answer.allows() => {
                    allowed_by.extend(answer.permits.iter().map(|rule| rule.id.as_str()));
                }
                answer => denied.extend(self.denied(about, answer)),
            }
        }
        if denied.is_empty() && !allowed_by.is_empty() {
            allowed_by.sort_unstable();
            allowed_by.dedup();
            let policies = allowed_by.into_iter().map(str::to_owned).collect();
            Ok(Permit::grant(operation, policies, Arc::clone(&self.version)))
        } else {
            Err(unsaid::denial(&operation, denied))
        }
    }

    /// The policies' results for each target and each address.
    fn each<'a, 'd, O: AuthorizationRequest>(
        &self,
        requester: Requester<'_>,
        operation: &'d O,
        rules: &[&'a Rule],
        data: ResourceData<'d>,
    ) -> Vec<(About<'d>, Result<PolicyAnswer<'a>, VocabularyError>)> {
        let needs = rules.iter().fold(Needs::default(), |needs, rule| needs.or(rule.needs));
        // A group that no policy names cannot change the answer.
        let relevant = |group: &str| self.groups.contains(group);
        let question = self.vocabulary.question(operation, requester, needs);
        let (alone, several) = ([Ok(Vec::new())], self.beside(needs, data));
        let beside = several.as_deref().unwrap_or(&alone);
        let addresses = operation.addresses();
        let mut results = Vec::with_capacity(addresses.len().max(1));
        let mut ask_about = |subject: Subject<'d>| {
            let resource = self.vocabulary.subject_uid(subject);
            for beside in beside {
                let who = (requester.caller, relevant);
                let entities = beside.as_ref().map_err(Clone::clone).and_then(|beside| {
                    self.vocabulary.entities(operation.action(), needs, who, subject, beside)
                });
                let ask = |address: Option<Ipv4Addr>| {
                    if matches!(subject, Subject::Unreadable(_) | Subject::UnreadableNic(_)) {
                        // Nothing permits what no policy could look at.
                        return Ok(PolicyAnswer::default());
                    }
                    let entities = entities.as_ref().map_err(Clone::clone)?;
                    let question = question.as_ref().map_err(Clone::clone)?;
                    let resource = resource.as_ref().map_err(Clone::clone)?;
                    let address = address.map(|address| (address, addresses.len()));
                    Ok(answer(question.about(resource, address)?, rules, entities))
                };
                let about = |address| About { subject, address };
                if addresses.is_empty() {
                    results.push((about(None), ask(None)));
                } else {
                    let each = addresses.iter().map(|address| Some(*address));
                    results.extend(each.map(|one| (about(one), ask(one))));
                }
            }
        };
        for target in operation.targets() {
            for_each_subject(target, data, &mut ask_about);
        }
        results
    }

    /// The entities beside the subject, with which each question is asked; `None` if it is asked once, without any.
    fn beside(
        &self,
        needs: Needs,
        data: ResourceData<'_>,
    ) -> Option<Vec<Result<Vec<Entity>, VocabularyError>>> {
        let ResourceData::Read(read) = data else { return None };
        if !needs.beside {
            return None;
        }
        let several = read.values().any(|described| described.lineages.len() > 1);
        let in_any = if several { &[true, false][..] } else { &[true] };
        Some(in_any.iter().map(|in_any| self.vocabulary.beside(read.values(), *in_any)).collect())
    }

    /// The entry of a 403, if the result is a denial.
    fn denied(
        &self,
        about: About<'_>,
        answer: Result<PolicyAnswer<'_>, VocabularyError>,
    ) -> Option<Denied> {
        let address = about.address;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(policy.version = %self.version, %error, "the policy could not be asked");
                let failed =
                    vec![Reason { id: "(the request to the policy)".to_owned(), reason: None }];
                let resource = about.subject.resource();
                return Some(Denied { address, resource, policies: Vec::new(), failed });
            }
        };
        if answer.allows() {
            return None;
        }
        for (rule, error) in answer.failed.iter().filter(|(rule, _)| rule.said_to_fail.is_due()) {
            tracing::warn!(policy.version = %self.version, policy = rule.id, error, "a policy could not be evaluated: denied");
        }
        let failed = answer.failed.iter().map(|(rule, _)| rule.as_reason()).collect();
        let mut policies: Vec<_> = answer.forbids.iter().map(|rule| rule.as_reason()).collect();
        policies.sort();
        Some(Denied { address, resource: about.subject.resource(), policies, failed })
    }
}

impl<O> From<Result<Permit<O>, Denial>> for Verdict<O> {
    fn from(decided: Result<Permit<O>, Denial>) -> Self {
        match decided {
            Ok(permit) => Self::Allowed(permit),
            Err(denial) => Self::Denied(denial),
        }
    }
}

pub(super) fn answer<'a>(
    request: Request,
    rules: &[&'a Rule],
    entities: &Entities,
) -> PolicyAnswer<'a> {
    let evaluator = Evaluator::new(request, entities, Extensions::all_available());
    PolicyAnswer::of(rules, &evaluator)
}

/// What a question is about.
#[derive(Clone, Copy, Debug)]
struct About<'a> {
    subject: Subject<'a>,
    address: Option<Ipv4Addr>,
}

impl Rule {
    fn as_reason(&self) -> Reason {
        Reason { id: self.id.clone(), reason: self.reason.clone() }
    }

    fn could_permit<O: AuthorizationRequest>(&self, operation: &O) -> bool {
        let is_it = |id: &str| self.only_id.as_deref().is_none_or(|only| only == id);
        let fits = |target: TargetRef<'_>| match target {
            TargetRef::Account => is_it(Resource::ACCOUNT_ID),
            TargetRef::Nic(nic) => is_it(nic.as_str()),
            TargetRef::OneOf(resources) => resources.iter().any(|one| is_it(&one.id)),
        };
        self.permits && operation.targets().any(fits)
    }

    /// Whether the type in its scope can be the target's.
    fn can_match(&self, target: TargetRef<'_>) -> bool {
        let Some(own) = self.resource_type.as_deref().and_then(|own| own.strip_prefix("Zec::"))
        else {
            return self.resource_type.is_none();
        };
        match target {
            TargetRef::Account => own == "Account",
            TargetRef::Nic(_) => own == "Nic",
            TargetRef::OneOf(resources) => resources.iter().any(|one| own == type_name(&one.kind)),
        }
    }
}
