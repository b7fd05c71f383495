use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use cedar_policy::{Authorizer, Decision, Entities, Policy, PolicyId, PolicySet, Response};

use super::{
    denial::{Denial, Denied, Reason},
    index::Index,
    looks::Needs,
    permit::Permit,
    vocabulary::Vocabulary,
};
use crate::domain::{Action, Caller, ChangeIpv4, Nic, NicId, ReadNic, Rehearsal};

/// A policy with what was found out about it when it was loaded.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) reason: Option<String>,
    pub(super) permits: bool,
    /// Whether its answer may depend on the vNIC's data.
    pub(super) looks: bool,
    pub(super) needs: Needs,
    /// The one vNIC that its scope can match, where it names one.
    pub(super) only_nic: Option<String>,
    pub(super) policy: Policy,
}

/// The policy in force: decides who may do what, with Cedar, default deny.
#[derive(Debug)]
pub struct Engine {
    version: Arc<str>,
    vocabulary: Vocabulary,
    index: Index,
    rules: Vec<Rule>,
    groups: HashSet<String>,
    authorizer: Authorizer,
}

/// What can be asked of the policy.
pub trait Ask {
    /// Which action.
    fn action(&self) -> Action;
    /// On which vNIC.
    fn nic(&self) -> &NicId;
    /// For which addresses; none for a read.
    fn addresses(&self) -> &[Ipv4Addr];
    /// Whether nothing is to be done: `context.dryRun`.
    fn is_dry_run(&self) -> bool {
        false
    }
}

impl Ask for ReadNic {
    fn action(&self) -> Action {
        Action::DescribeNetworkInterfaces
    }

    fn nic(&self) -> &NicId {
        &self.nic
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        &[]
    }
}

impl Ask for ChangeIpv4 {
    fn action(&self) -> Action {
        self.change.action()
    }

    fn nic(&self) -> &NicId {
        &self.nic
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        self.addresses.as_slice()
    }
}

impl Ask for Rehearsal {
    fn action(&self) -> Action {
        self.0.action()
    }

    fn nic(&self) -> &NicId {
        &self.0.nic
    }

    fn addresses(&self) -> &[Ipv4Addr] {
        self.0.addresses()
    }

    fn is_dry_run(&self) -> bool {
        true
    }
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
        groups: HashSet<String>,
    ) -> Self {
        Self { version, vocabulary, index, rules, groups, authorizer: Authorizer::new() }
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
            let looks = if rule.looks { ", looks at the vNIC" } else { "" };
            format!("{effect} {}{looks}", rule.id)
        };
        rules.map(line).collect()
    }

    /// Asks without the vNIC's data. Sends the caller away, or lets the caller through, where
    /// that data cannot make a difference; only where it can is the vNIC worth a read.
    pub fn ask<O: Ask>(&self, caller: &Caller, operation: O) -> Verdict<O> {
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
    pub fn decide<O: Ask>(
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
    pub fn judge<O: Ask>(
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

    fn candidates<O: Ask>(&self, caller: &Caller, operation: &O) -> Vec<&Rule> {
        self.numbered(self.index.candidates(caller, operation.action()))
    }

    fn numbered(&self, numbers: Vec<usize>) -> Vec<&Rule> {
        numbers.into_iter().filter_map(|number| self.rules.get(number)).collect()
    }

    /// All or nothing: a permit only if every address is allowed.
    fn settle<O: Ask>(
        &self,
        caller: &Caller,
        operation: O,
        rules: &[&Rule],
        nic: Option<&Nic>,
    ) -> Result<Permit<O>, Denial> {
        let mut allowed_by = HashSet::new();
        let mut denied = Vec::new();
        for (address, answer) in self.each(caller, &operation, rules, nic) {
            if let Ok(response) = &answer
                && response.decision() == Decision::Allow
                && response.diagnostics().errors().next().is_none()
            {
                allowed_by.extend(response.diagnostics().reason().map(ToString::to_string));
            } else {
                denied.extend(self.denied(address, answer));
            }
        }
        if denied.is_empty() && !allowed_by.is_empty() {
            let mut policies: Vec<String> = allowed_by.into_iter().collect();
            policies.sort_unstable();
            Ok(Permit::grant(operation, policies, Arc::clone(&self.version)))
        } else {
            Err(Denial { denied })
        }
    }

    /// Cedar's answer for each address, or for the vNIC itself where the action has none.
    fn each<O: Ask>(
        &self,
        caller: &Caller,
        operation: &O,
        rules: &[&Rule],
        nic: Option<&Nic>,
    ) -> Vec<(Option<Ipv4Addr>, Result<Response, String>)> {
        let prepared = self.prepare(caller, operation, rules, nic);
        let addresses = operation.addresses();
        let ask = |address: Option<Ipv4Addr>| {
            let (set, entities) = prepared.as_ref().map_err(Clone::clone)?;
            let address = address.map(|address| (address, addresses.len()));
            let request = self
                .vocabulary
                .request(operation, caller, address)
                .map_err(|error| error.to_string())?;
            Ok(self.authorizer.is_authorized(&request, set, entities))
        };
        if addresses.is_empty() {
            vec![(None, ask(None))]
        } else {
            addresses.iter().map(|address| (Some(*address), ask(Some(*address)))).collect()
        }
    }

    fn prepare<O: Ask>(
        &self,
        caller: &Caller,
        operation: &O,
        rules: &[&Rule],
        nic: Option<&Nic>,
    ) -> Result<(PolicySet, Entities), String> {
        let set = PolicySet::from_policies(rules.iter().map(|rule| rule.policy.clone()))
            .map_err(|error| error.to_string())?;
        let needs = rules.iter().fold(Needs::default(), |needs, rule| needs.or(rule.needs));
        // A group that no policy names can make no difference.
        let relevant = |group: &str| self.groups.contains(group);
        let entities = self
            .vocabulary
            .entities(operation.action(), needs, (caller, relevant), (operation.nic(), nic))
            .map_err(|error| error.to_string())?;
        Ok((set, entities))
    }

    /// The entry of a 403, where the answer is a no. Any evaluation error is one, for Cedar
    /// skips the erring policy, a `forbid` too (threats, row 20).
    fn denied(
        &self,
        address: Option<Ipv4Addr>,
        answer: Result<Response, String>,
    ) -> Option<Denied> {
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(policy.version = %self.version, error, "a question could not be put to the policy");
                let failed = vec![Reason { id: "(the question itself)".to_owned(), reason: None }];
                return Some(Denied { address, policies: Vec::new(), failed });
            }
        };
        let failed: Vec<Reason> = response
            .diagnostics()
            .errors()
            .map(|error| {
                tracing::warn!(policy.version = %self.version, error = %error, "a policy could not be evaluated: denied");
                let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
                self.reason(error.policy_id())
            })
            .collect();
        if response.decision() == Decision::Allow && failed.is_empty() {
            return None;
        }
        let mut policies = Vec::new();
        if response.decision() == Decision::Deny {
            policies.extend(response.diagnostics().reason().map(|id| self.reason(id)));
            policies.sort();
        }
        Some(Denied { address, policies, failed })
    }

    fn about_the_journal(&self, caller: &Caller) -> Result<Response, String> {
        let rules = self.numbered(self.index.about_the_journal(caller));
        let set = PolicySet::from_policies(rules.iter().map(|rule| rule.policy.clone()))
            .map_err(|error| error.to_string())?;
        let relevant = |group: &str| self.groups.contains(group);
        let (request, entities) = self
            .vocabulary
            .about_the_journal(caller, relevant)
            .map_err(|error| error.to_string())?;
        Ok(self.authorizer.is_authorized(&request, &set, &entities))
    }

    fn reason(&self, id: &PolicyId) -> Reason {
        let id = id.to_string();
        let reason =
            self.rules.iter().find(|rule| rule.id == id).and_then(|rule| rule.reason.clone());
        Reason { id, reason }
    }
}

impl Rule {
    fn could_permit<O: Ask>(&self, operation: &O) -> bool {
        self.permits && self.only_nic.as_deref().is_none_or(|nic| nic == operation.nic().as_str())
    }
}

impl Denied {
    /// Denied because nothing allows it, not because something forbids it or failed.
    fn is_default(&self) -> bool {
        self.policies.is_empty() && self.failed.is_empty()
    }
}
