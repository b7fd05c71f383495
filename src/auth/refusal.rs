//! Why a token is refused: the text for the caller and the label for metrics.

use std::borrow::Cow;

use crate::{
    error::{Error, Problem},
    metrics::AuthResult,
};

/// Why a token is not accepted: the text for the caller and the label for metrics.
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

    /// The error answer for the caller.
    pub(super) fn into_error(self) -> Error {
        let problem = match self.result {
            AuthResult::Missing => Problem::MissingToken,
            AuthResult::KeysUnavailable => Problem::IdentityProviderUnavailable,
            _ => Problem::InvalidToken,
        };
        // The log has it too, for operators whose callers all get 401.
        let cause = self.detail.to_string();
        Error::new(problem, self.detail).with_cause(cause)
    }
}
