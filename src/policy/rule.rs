//! A loaded policy with the facts found while it was loaded.

use std::time::Duration;

use cedar_policy::{Effect, Policy, ResourceConstraint};
use cedar_policy_core::ast::{self, Expr};

use super::looks::{self, Needs};
use crate::seldom::Seldom;

/// How often the log says that the policy cannot be evaluated. A search asks it about hundreds of vNICs.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// A loaded policy with the facts found while it was loaded.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) reason: Option<String>,
    pub(super) permits: bool,
    /// Whether it has no condition and its scope names no resource.
    pub(super) always: bool,
    /// What its scope says of the resource, and its conditions, as one line for people.
    pub(super) conditions: String,
    /// Whether its answer may depend on the resource's data.
    pub(super) looks: bool,
    pub(super) needs: Needs,
    /// The type of the resources that its scope can match, as `Zec::Nic`, if the scope names one.
    pub(super) resource_type: Option<String>,
    /// The id of the only resource that its scope can match, if the scope names one.
    pub(super) only_id: Option<String>,
    /// Its scope and its conditions as one expression.
    pub(super) condition: Expr,
    /// When the log said that it could not be evaluated.
    pub(super) said_to_fail: Seldom,
}

impl Rule {
    /// The policy, as the engine asks it.
    pub(super) fn of(policy: &Policy) -> Self {
        Self {
            id: policy.id().to_string(),
            reason: policy.annotation("reason").map(str::to_owned),
            permits: policy.effect() == Effect::Permit,
            always: policy.resource_constraint() == ResourceConstraint::Any
                && !policy.has_non_scope_constraint(),
            conditions: conditions(policy.as_ref()),
            looks: looks::looks_at_resource(policy),
            needs: Needs::of(policy),
            resource_type: match policy.resource_constraint() {
                ResourceConstraint::Eq(uid) => Some(uid.type_name().to_string()),
                ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => {
                    Some(kind.to_string())
                }
                ResourceConstraint::Any | ResourceConstraint::In(_) => None,
            },
            only_id: match policy.resource_constraint() {
                ResourceConstraint::Eq(uid) => Some(uid.id().unescaped().to_owned()),
                _ => None,
            },
            condition: AsRef::<ast::Policy>::as_ref(policy).condition(),
            said_to_fail: Seldom::new(SAY_AGAIN),
        }
    }
}

/// What a policy's scope says of the resource, and its conditions, as Cedar writes them.
fn conditions(policy: &ast::Policy) -> String {
    let scope = match policy.resource_constraint() {
        scope if scope == ast::ResourceConstraint::any() => None,
        scope => Some(format!("for `{scope}`")),
    };
    let when = policy.non_scope_constraints().map(|condition| format!("when `{condition}`"));
    let all: Vec<String> = scope.into_iter().chain(when).collect();
    all.join(" ").replace(['\n', '\r'], " ")
}
