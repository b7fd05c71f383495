//! A loaded policy with the facts found while it was loaded.

use cedar_policy_core::ast::Expr;

use super::looks::Needs;

/// A loaded policy with the facts found while it was loaded.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) reason: Option<String>,
    pub(super) permits: bool,
    /// Whether its answer may depend on the vNIC's data.
    pub(super) looks: bool,
    pub(super) needs: Needs,
    /// The only vNIC that its scope can match, if the scope names one.
    pub(super) only_nic: Option<String>,
    /// Its scope and its conditions as one expression.
    pub(super) condition: Expr,
}
