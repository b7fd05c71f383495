//! A row of the route table: what a route matches, what it does, and how it is described.

use std::collections::BTreeSet;

use http::Method;

use super::{describe::Description, reply::Answer, request::RequestParts};
use crate::{
    catalogue::ActionRow,
    domain::{Caller, Operation},
    error::{Error, Problem},
    execute::Lookup,
};

/// One method of one path.
#[derive(Debug)]
pub struct Route {
    pub(super) method: Method,
    /// The path, with its parameters in braces. It is the `route` label of metrics.
    pub(super) path: &'static str,
    pub(super) handler: Handler,
    /// Whether a request may have a body.
    pub(super) takes_body: bool,
    /// The problems that a request can end with, beside those that every route of its kind has.
    pub(super) problems: &'static [&'static [Problem]],
    pub(super) describe: fn() -> Description,
}

/// How a route reads a request, or answers it. Each of them is 400 for a malformed request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handler {
    /// Shows a page of the gateway's own to anybody, without a token.
    Page(fn(&RequestParts<'_>) -> Result<PublicPage, Error>),
    /// Answers a caller from what the gateway knows about them.
    Caller(fn(&RequestParts<'_>, &Caller) -> Result<Answer, Error>),
    /// Looks up recorded writes for a caller.
    Lookup(fn(&RequestParts<'_>) -> Result<Lookup, Error>),
    /// Performs an operation for a caller, and answers in ZEC's own form.
    ZecCall(fn(&RequestParts<'_>) -> Result<Operation, Error>),
    /// Performs an operation for a caller, and answers in the gateway's own form of ZEC's answer.
    ActionCall(fn(&RequestParts<'_>) -> Result<Operation, Error>),
    /// Performs an operation for a caller.
    Operation(fn(&RequestParts<'_>) -> Result<Operation, Error>),
}

/// A page of the gateway's own.
#[derive(Clone, Copy, Debug)]
pub(super) enum PublicPage {
    /// Explains a problem.
    Problem(Problem),
    /// Describes every route, for programs.
    OpenApi,
    /// Describes every route, for people.
    Docs,
    /// The style sheet of that description.
    Stylesheet,
    /// Every action of ZEC's API.
    Actions,
    /// One action of ZEC's API.
    Action(&'static ActionRow),
}

/// The callers that a route admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// Callers with an accepted token.
    Caller,
}

/// The largest body of a call of ZEC's API, in bytes.
const MAX_CALL_BODY: usize = 1024 * 1024;

/// The problems of every route.
const ALWAYS: [Problem; 6] = [
    Problem::InvalidRequest,
    Problem::LengthRequired,
    Problem::UriTooLong,
    Problem::Overloaded,
    Problem::Draining,
    Problem::Internal,
];

/// The problems of a route that requires a token.
const WITH_TOKEN: [Problem; 4] = [
    Problem::MissingToken,
    Problem::InvalidToken,
    Problem::RateLimited,
    Problem::IdentityProviderUnavailable,
];

/// The problems of a route that takes a body.
const WITH_BODY: [Problem; 2] = [Problem::BodyTooLarge, Problem::UnsupportedMediaType];

impl Route {
    /// The path, with its parameters in braces.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The largest body of a request, in bytes, if the gateway reads bodies of `usual` bytes. A call of ZEC's API may hold a
    /// machine's user data or a whole set of rules.
    pub(super) fn max_body(&self, usual: usize) -> usize {
        match self.handler {
            Handler::ZecCall(_) | Handler::ActionCall(_) => usual.max(MAX_CALL_BODY),
            Handler::Page(_) | Handler::Caller(_) | Handler::Lookup(_) | Handler::Operation(_) => {
                usual
            }
        }
    }

    /// Whether a request that comes too soon after its caller's others waits for its turn. ZEC's Terraform provider asks for
    /// all pages of a list at once, and never ends if one of them is refused.
    #[must_use]
    pub const fn waits_for_its_turn(&self) -> bool {
        matches!(self.handler, Handler::ZecCall(_))
    }

    /// Whether a request may be signed with an access key of the gateway's own. Only ZEC's own clients sign, and they call
    /// nothing else.
    #[must_use]
    pub const fn takes_access_keys(&self) -> bool {
        matches!(self.handler, Handler::ZecCall(_))
    }

    /// The callers that the route admits.
    #[must_use]
    pub const fn access(&self) -> Access {
        match self.handler {
            Handler::Page(_) => Access::Public,
            Handler::Caller(_)
            | Handler::Lookup(_)
            | Handler::Operation(_)
            | Handler::ActionCall(_)
            | Handler::ZecCall(_) => Access::Caller,
        }
    }

    /// Every problem that a request can end with. A wrong method is the problem of no route.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        let can_end = |problem: &Problem| {
            ALWAYS.contains(problem)
                || self.access() == Access::Caller && WITH_TOKEN.contains(problem)
                || self.takes_body && WITH_BODY.contains(problem)
                || self.problems.iter().any(|group| group.contains(problem))
        };
        Problem::ALL.into_iter().filter(can_end)
    }

    /// The statuses that answers have; of those that ZEC chooses, the most frequent.
    pub(super) fn statuses(&self) -> BTreeSet<u16> {
        let problems: Vec<Problem> = self.problems().collect();
        let no_such_nic = problems.contains(&Problem::ZecRejected).then_some(404);
        [200]
            .into_iter()
            .chain(no_such_nic)
            .chain(problems.iter().map(|one| one.status()))
            .collect()
    }

    /// The methods that the route answers. Each GET route also answers HEAD (RFC 9110, 9.1), without the body.
    pub(super) fn methods(&self) -> impl Iterator<Item = &Method> {
        [&self.method].into_iter().chain((self.method == Method::GET).then_some(&Method::HEAD))
    }
}
