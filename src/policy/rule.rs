//! A loaded policy with the facts found while it was loaded.

use std::time::Duration;

use cedar_policy_core::ast::Expr;

use super::looks::Needs;
use crate::seldom::Seldom;

/// How often the log says that the policy cannot be evaluated. A search asks it about hundreds of vNICs.
pub(super) const SAY_AGAIN: Duration = Duration::from_mins(1);

/// A loaded policy with the facts found while it was loaded.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) reason: Option<String>,
    pub(super) permits: bool,
    /// Whether it has no condition and its scope names no resource.
    pub(super) always: bool,
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
