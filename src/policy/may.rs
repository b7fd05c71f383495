//! What a caller may learn, beside the decisions on requests.

use super::{
    Engine, answer::PolicyAnswer, engine::answer, names::VocabularyError, requester::Requester,
    rule::Rule, subject::ResourceData,
};
use crate::domain::{Action, Caller, ReadNic};

impl Engine {
    /// Whether some policy could let a caller see some vNIC.
    #[must_use]
    pub fn may_see_some_nic(&self, caller: &Caller) -> bool {
        let number = self.vocabulary.number(Action::DescribeNetworkInterfaces.name());
        let numbers = number.map(|number| self.index.candidates(caller, number));
        let fits = |rule: &&Rule| {
            rule.permits && rule.resource_type.as_deref().is_none_or(|kind| kind == "Zec::Nic")
        };
        self.numbered(numbers.unwrap_or_default()).iter().any(fits)
    }

    /// Whether a caller may learn that a vNIC does not exist. Policies that need no data must allow the caller to see
    /// it, and no policy that reads the vNIC could have forbidden that.
    #[must_use]
    pub fn may_learn_of_absence<'a>(
        &self,
        requester: impl Into<Requester<'a>>,
        read: ReadNic,
    ) -> bool {
        let requester = requester.into();
        let candidates = self.candidates(requester.caller, &read);
        if candidates.iter().any(|rule| rule.looks && !rule.permits) {
            return false;
        }
        let blind: Vec<&Rule> = candidates.into_iter().filter(|rule| !rule.looks).collect();
        self.settle(requester, read, &blind, ResourceData::Unread).is_ok()
    }

    /// Whether a caller may see everyone's operations. If a policy cannot be evaluated, the answer is no.
    #[must_use]
    pub fn may_read_operations(&self, caller: &Caller) -> bool {
        self.about_the_journal(caller).is_ok_and(|answer| answer.allows())
    }

    fn about_the_journal(&self, caller: &Caller) -> Result<PolicyAnswer<'_>, VocabularyError> {
        let rules = self.numbered(self.index.about_the_journal(caller));
        let relevant = |group: &str| self.groups.contains(group);
        let (request, entities) = self.vocabulary.about_the_journal(caller, relevant)?;
        Ok(answer(request, &rules, &entities))
    }
}
