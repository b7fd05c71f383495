//! The result of every policy for one question.

use cedar_policy_core::{
    ast::{Literal, SlotEnv, ValueKind},
    evaluator::Evaluator,
};

use super::rule::Rule;

/// The result of every policy for one question.
#[derive(Debug, Default)]
pub(super) struct PolicyAnswer<'a> {
    /// The `permit`s that apply.
    pub(super) permits: Vec<&'a Rule>,
    /// The `forbid`s that apply.
    pub(super) forbids: Vec<&'a Rule>,
    /// The policies that could not be evaluated, and why.
    pub(super) failed: Vec<(&'a Rule, String)>,
}

impl<'a> PolicyAnswer<'a> {
    /// Evaluates each policy.
    pub(super) fn of(rules: &[&'a Rule], evaluator: &Evaluator<'_>) -> Self {
        let mut answer = Self::default();
        for rule in rules {
            match applies(rule, evaluator) {
                Ok(false) => {}
                Ok(true) if rule.permits => answer.permits.push(rule),
                Ok(true) => answer.forbids.push(rule),
                Err(error) => answer.failed.push((rule, error)),
            }
        }
        answer
    }

    /// Whether some policy permits and none forbids, which is Cedar's decision. In addition, no policy may have failed,
    /// because a policy that cannot be evaluated may be a `forbid` (docs/threats.md, row 20).
    pub(super) fn allows(&self) -> bool {
        !self.permits.is_empty() && self.forbids.is_empty() && self.failed.is_empty()
    }
}

fn applies(rule: &Rule, evaluator: &Evaluator<'_>) -> Result<bool, String> {
    // The policies have no slots: the loader rejects templates.
    let value =
        evaluator.interpret(&rule.condition, &SlotEnv::new()).map_err(|error| error.to_string())?;
    // A condition is a chain of `&&`, and Cedar makes sure that it yields only true or false.
    Ok(matches!(value.value_kind(), ValueKind::Lit(Literal::Bool(true))))
}
