//! Why a caller is not let in: the text for the caller and the label for metrics.

use std::borrow::Cow;

use crate::{
    error::{Error, Problem},
    metrics::AuthResult,
};

/// Why a token or a signature is not accepted: the text for the caller and the label for metrics.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) result: AuthResult,
    detail: Cow<'static, str>,
    /// ZEC's own code for it, if it has a better one than the problem's.
    code: Option<&'static str>,
    /// What is known of the access key that the request names, for the log.
    key: Option<String>,
}

impl Refusal {
    pub(super) fn new(result: AuthResult, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { result, detail: detail.into(), code: None, key: None }
    }

    pub(super) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(AuthResult::Malformed, detail)
    }

    pub(super) fn claims(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(AuthResult::BadClaims, detail)
    }

    pub(super) fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Adds what is known of the access key, for the log.
    pub(super) fn about(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// The error answer for the caller.
    pub(super) fn into_error(self) -> Error {
        let problem = match self.result {
            AuthResult::Missing => Problem::MissingToken,
            AuthResult::KeysUnavailable => Problem::IdentityProviderUnavailable,
            _ => Problem::InvalidToken,
        };
        // The log has it too, for operators whose callers all get 401.
        let cause = match &self.key {
            Some(key) => format!("{} (access key {key})", self.detail),
            None => self.detail.to_string(),
        };
        let error = Error::new(problem, self.detail).with_cause(cause);
        match self.code {
            Some(code) => error.with_code(code),
            None => error,
        }
    }
}
