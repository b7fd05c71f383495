//! Why a token is refused: the text for the caller and the label for metrics.

use std::borrow::Cow;

use crate::{
    error::{Error, Problem},
    metrics::AuthResult,
};

/// Why a token does not count: what the caller is told, and how it is counted.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) result: AuthResult,
    detail: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn new(result: AuthResult, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { result, detail: detail.into() }
    }

    pub(super) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(AuthResult::Malformed, detail)
    }

    pub(super) fn claims(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(AuthResult::BadClaims, detail)
    }

    /// The answer to the caller.
    pub(super) fn into_error(self) -> Error {
        let problem = match self.result {
            AuthResult::Missing => Problem::MissingToken,
            AuthResult::KeysUnavailable => Problem::IdentityProviderUnavailable,
            _ => Problem::InvalidToken,
        };
        // Operators see it in the log: whose callers all get 401 wants to know why.
        let cause = self.detail.to_string();
        Error::new(problem, self.detail).with_cause(cause)
    }
}
