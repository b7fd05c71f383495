//! A policy as it was loaded, with what was found out about it.

use cedar_policy_core::ast::Expr;

use super::looks::Needs;

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
    /// Its scope and its conditions in one.
    pub(super) condition: Expr,
}
