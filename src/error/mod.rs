//! The one error type of the gateway: an outside text that says what to do next, an inside text for the log, and a
//! [`Problem`] from a closed list, which determines status and code.

mod caught;
mod extra;
mod fault;
mod problem;

use std::borrow::Cow;

pub use caught::caught;
pub use extra::{Conflict, Extra};
pub use fault::{Fault, line_at};
pub use problem::Problem;

/// Why a request failed.
///
/// `detail` goes to the caller, so it never contains a secret, a token, a file path or a header of ZEC's. `cause` goes
/// to the log only.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    problem: Problem,
    status: Option<u16>,
    code: Option<String>,
    detail: Cow<'static, str>,
    cause: Option<String>,
    retry_after: Option<u32>,
    allow: Option<String>,
    ends_connection: bool,
    replayed: bool,
    zec_request_id: Option<String>,
    extra: Option<Extra>,
}

impl Error {
    /// An error of this kind; `detail` tells the caller what to do next.
    #[must_use]
    pub fn new(problem: Problem, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: Box::new(Inner {
                problem,
                status: None,
                code: None,
                detail: detail.into(),
                cause: None,
                retry_after: problem.default_retry_after(),
                allow: None,
                ends_connection: false,
                replayed: false,
                zec_request_id: None,
                extra: None,
            }),
        }
    }

    /// A malformed request.
    #[must_use]
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Problem::InvalidRequest, detail)
    }

    /// A request that lacks something it must have.
    #[must_use]
    pub fn missing(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(detail).with_code("MISSING_PARAMETER")
    }

    /// Adds the text for the log, which the caller must not see.
    #[must_use]
    pub fn with_cause(mut self, cause: impl std::fmt::Display) -> Self {
        self.inner.cause = Some(cause.to_string());
        self
    }

    /// Replaces the kind's own code, if ZEC or the case has a better one.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.inner.code = Some(code.into());
        self
    }

    /// Replaces the kind's own status: `zec-rejected` keeps ZEC's, and a client may repeat a call after another one only.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.inner.status = Some(status);
        self
    }

    /// Sets the seconds to wait before a retry.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.inner.retry_after = Some(seconds);
        self
    }

    /// Sets the methods of the route, for a 405.
    #[must_use]
    pub fn with_allow(mut self, methods: impl Into<String>) -> Self {
        self.inner.allow = Some(methods.into());
        self
    }

    /// Closes the connection after the answer, because the following bytes could be read in two ways.
    #[must_use]
    pub fn ending_connection(mut self) -> Self {
        self.inner.ends_connection = true;
        self
    }

    /// Marks the error as the repeated answer to an earlier request with the same `Idempotency-Key`.
    #[must_use]
    pub fn replayed(mut self) -> Self {
        self.inner.replayed = true;
        self
    }

    /// Adds ZEC's own request id, if ZEC answered.
    #[must_use]
    pub fn with_zec_request_id(mut self, id: Option<String>) -> Self {
        self.inner.zec_request_id = id;
        self
    }

    /// Adds what the error tells programs beyond its text.
    #[must_use]
    pub fn with_extra(mut self, extra: Extra) -> Self {
        self.inner.extra = Some(extra);
        self
    }

    /// The kind of problem.
    #[must_use]
    pub fn problem(&self) -> Problem {
        self.inner.problem
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.inner.status.unwrap_or_else(|| self.inner.problem.status())
    }

    /// The stable code that clients branch on.
    #[must_use]
    pub fn code(&self) -> &str {
        self.inner.code.as_deref().unwrap_or_else(|| self.inner.problem.code())
    }

    /// The outside text.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.inner.detail
    }

    /// The inside text, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.inner.cause.as_deref()
    }

    /// The seconds to wait before a retry.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.inner.retry_after
    }

    /// The methods of the route, for a 405.
    #[must_use]
    pub fn allow(&self) -> Option<&str> {
        self.inner.allow.as_deref()
    }

    /// Whether the connection closes after the answer.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        self.inner.ends_connection
    }

    /// Whether the error repeats the answer to an earlier request.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.inner.replayed
    }

    /// ZEC's request id, if ZEC answered.
    #[must_use]
    pub fn zec_request_id(&self) -> Option<&str> {
        self.inner.zec_request_id.as_deref()
    }

    /// What the error tells programs beyond its text.
    #[must_use]
    pub fn extra(&self) -> Option<&Extra> {
        self.inner.extra.as_ref()
    }
}
