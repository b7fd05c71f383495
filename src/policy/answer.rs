//! What each policy says to one question.

use cedar_policy_core::{
    ast::{Literal, SlotEnv, ValueKind},
    evaluator::Evaluator,
};

use super::rule::Rule;

/// What each policy says to one question.
#[derive(Debug, Default)]
pub(super) struct PolicyAnswer<'a> {
    /// The `permit`s that apply.
    pub(super) permits: Vec<&'a Rule>,
    /// The `forbid`s that apply.
    pub(super) forbids: Vec<&'a Rule>,
    /// Those that could not be evaluated, and why.
    pub(super) failed: Vec<(&'a Rule, String)>,
}

impl<'a> PolicyAnswer<'a> {
    /// Asks each policy.
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

    /// Something permits it and nothing forbids it: Cedar's decision. And nothing failed: what cannot be
    /// evaluated might have been a `forbid` (docs/threats.md, row 20).
    pub(super) fn allows(&self) -> bool {
        !self.permits.is_empty() && self.forbids.is_empty() && self.failed.is_empty()
    }
}

fn applies(rule: &Rule, evaluator: &Evaluator<'_>) -> Result<bool, String> {
    // Policies without slots: templates are refused when they are loaded.
    let value =
        evaluator.interpret(&rule.condition, &SlotEnv::new()).map_err(|error| error.to_string())?;
    // A condition is a chain of `&&`: Cedar makes sure that it gives nothing else than true or false.
    Ok(matches!(value.value_kind(), ValueKind::Lit(Literal::Bool(true))))
}
