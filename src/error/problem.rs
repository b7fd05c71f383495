//! The closed list of problems, with the status, code and texts of each.

labels! {
    /// Every way in which a request can fail. The list is closed, so it may label metrics, and each problem has a page
    /// at `/problems/{slug}`. The table for callers is in docs/api.md, "Problems".
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Problem by slug, from from_slug {
        /// Malformed path, query, body, address or header.
        InvalidRequest = "invalid-request",
        /// No token or access key.
        MissingToken = "missing-token",
        /// A token or access key that is not accepted.
        InvalidToken = "invalid-token",
        /// The policy denies the request.
        PolicyDenied = "policy-denied",
        /// The gateway does not perform this action.
        UnknownAction = "unknown-action",
        /// The vNIC has the tag that protects it.
        Protected = "protected",
        /// No such route.
        NotFound = "not-found",
        /// The route has no such method.
        MethodNotAllowed = "method-not-allowed",
        /// The vNIC is in a state in which ZEC would refuse the request.
        StateConflict = "state-conflict",
        /// The first request with this `Idempotency-Key` is still in flight.
        IdempotencyInProgress = "idempotency-in-progress",
        /// An earlier write on the same addresses has no outcome yet.
        OperationInProgress = "operation-in-progress",
        /// The `Idempotency-Key` was used for another request.
        IdempotencyKeyReused = "idempotency-key-reused",
        /// A body without `Content-Length`.
        LengthRequired = "length-required",
        /// A body over the limit.
        BodyTooLarge = "body-too-large",
        /// A request target over the limit.
        UriTooLong = "uri-too-long",
        /// A body that is not declared as JSON.
        UnsupportedMediaType = "unsupported-media-type",
        /// The caller sends requests too often, or ZEC throttles the gateway.
        RateLimited = "rate-limited",
        /// The caller has unassigned as many addresses as allowed in an hour.
        BudgetExceeded = "budget-exceeded",
        /// ZEC refused the request.
        ZecRejected = "zec-rejected",
        /// ZEC refused the gateway's own key.
        ZecCredentialsRefused = "zec-credentials-refused",
        /// ZEC sent an unusable answer.
        ZecBadAnswer = "zec-bad-answer",
        /// A write was sent and got no answer.
        OutcomeUnknown = "outcome-unknown",
        /// A read was sent and got no answer.
        ZecTimeout = "zec-timeout",
        /// Too many requests at once.
        Overloaded = "overloaded",
        /// The gateway is stopping.
        Draining = "draining",
        /// The operators have stopped all writes.
        Frozen = "frozen",
        /// The journal cannot record the intended write.
        JournalUnavailable = "journal-unavailable",
        /// The caller's issuer has no usable keys.
        IdentityProviderUnavailable = "identity-provider-unavailable",
        /// ZEC cannot be reached; nothing was sent.
        ZecUnavailable = "zec-unavailable",
        /// A bug.
        Internal = "internal",
    }
}

/// A problem as callers see it.
struct ProblemEntry {
    status: u16,
    code: &'static str,
    title: &'static str,
    explanation: &'static str,
}

impl Problem {
    /// The HTTP status; `zec-rejected` keeps ZEC's instead.
    #[must_use]
    pub fn status(self) -> u16 {
        self.entry().status
    }

    /// The `code` that ZEC's SDKs read, unless the case has a better one.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.entry().code
    }

    /// A short name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// The meaning of the problem and what to do, for `/problems/{slug}`.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        self.entry().explanation
    }

    /// The seconds for `Retry-After`; every 429 and 503 has one.
    #[must_use]
    pub fn default_retry_after(self) -> Option<u32> {
        match self.status() {
            429 => Some(2),
            503 => Some(5),
            _ => None,
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    #[rustfmt::skip] // One line for each member reads as the table that it is.
    const fn entry(self) -> &'static ProblemEntry {
        match self {
            Self::InvalidRequest => &ProblemEntry {
                status: 400, code: "INVALID_PARAMETER_VALUE",
                title: "The request is malformed",
                explanation: "Something in the path, the query, the headers or the body is missing, unknown, repeated or malformed; `detail` names it. Nothing was sent to ZEC. Correct the request before you send it again.",
            },
            Self::MissingToken => &ProblemEntry {
                status: 401, code: "AUTHFAILURE_INVALID_AUTHORIZATION",
                title: "No token or access key",
                explanation: "The gateway wants exactly one header `Authorization: Bearer <JWT>` with a token of your company's identity provider. Only calls of `/api/v2/...` may be signed with an access key of the gateway's own instead. The gateway does not accept a token in the query or in a cookie.",
            },
            Self::InvalidToken => &ProblemEntry {
                status: 401, code: "AUTHFAILURE_INVALID_AUTHORIZATION",
                title: "The token or access key is not accepted",
                explanation: "The token is expired, not yet valid, meant for somebody else, from an issuer the gateway does not know, malformed, or not signed by its issuer's key; `detail` says which, unless saying so would help an attacker. Get a fresh token and try again; `GET /whoami` shows what the gateway reads in it. Of an access key: its signature or its time is wrong, or it has ended, or it is for another network.",
            },
            Self::PolicyDenied => &ProblemEntry {
                status: 403, code: "AUTHFAILURE_UNAUTHORIZED_OPERATION",
                title: "The policy does not allow this",
                explanation: "`denied` lists each address (or the vNIC) that is not allowed, with the policies that forbid it and their reasons; an empty list means that no policy allows it. One denied address denies the whole request and nothing is sent. `caller` shows you as the policy sees you: a missing group there is the usual cause.",
            },
            Self::UnknownAction => &ProblemEntry {
                status: 403, code: "AUTHFAILURE_UNAUTHORIZED_OPERATION",
                title: "The gateway does not perform this action",
                explanation: "The headers `X-ZC-Action`, `X-ZC-Version` and `X-ZC-Service` name an action that the gateway does not know, or does not perform; `detail` says which. Nothing was sent. Names are compared exactly: check their spelling, or ask the gateway's operators for another way.",
            },
            Self::Protected => &ProblemEntry {
                status: 403, code: "NIC_PROTECTED",
                title: "The vNIC is protected",
                explanation: "The vNIC carries the tag `zec-gateway:protected`, so the gateway never changes it, whatever the policy allows. Nothing was sent. The vNIC's owner can remove the tag in ZEC's console.",
            },
            Self::NotFound => &ProblemEntry {
                status: 404, code: "ROUTE_NOT_FOUND",
                title: "No such route or operation",
                explanation: "The gateway has no such path, no operation with this id that you may see, or no journal to read; `detail` says which. This says nothing about any vNIC: an unknown vNIC is `zec-rejected` with the code INVALID_NIC_NOT_FOUND.",
            },
            Self::MethodNotAllowed => &ProblemEntry {
                status: 405, code: "METHOD_NOT_ALLOWED",
                title: "The route has no such method",
                explanation: "The header `Allow` names the methods that the route has.",
            },
            Self::StateConflict => &ProblemEntry {
                status: 409, code: "INVALID_NIC_STATUS",
                title: "The vNIC's state forbids this",
                explanation: "The gateway read the vNIC before writing and found what ZEC would refuse: the primary address, an address that is not on the vNIC, an address to be given that the vNIC already has, an elastic IP, or a vNIC that is changing; `detail` and `addresses` say which, and `code` is ZEC's own for it. Nothing was sent. Read the vNIC (`GET /nics/{nicId}`), then send a request that its state allows.",
            },
            Self::IdempotencyInProgress => &ProblemEntry {
                status: 409, code: "OPERATION_IN_PROGRESS",
                title: "The first request with this key still runs",
                explanation: "A request with the same `Idempotency-Key` has no outcome yet. Nothing was sent for this one; try again as `Retry-After` says and you will get the first one's answer.",
            },
            Self::OperationInProgress => &ProblemEntry {
                status: 409, code: "OPERATION_IN_PROGRESS",
                title: "An earlier operation on these addresses is not over",
                explanation: "Another write that shares an address on this vNIC has no outcome yet, perhaps because it is not known whether ZEC has done it; the gateway is finding out. Nothing was sent. Wait as `Retry-After` says, or check `GET /operations/{operationId}` if this answer gives its id.",
            },
            Self::IdempotencyKeyReused => &ProblemEntry {
                status: 422, code: "IDEMPOTENCY_KEY_REUSED",
                title: "The key was used for another request",
                explanation: "You sent this `Idempotency-Key` before with a different request. Nothing was sent. Use a new key for a new request; keys are kept for 24 hours.",
            },
            Self::LengthRequired => &ProblemEntry {
                status: 411, code: "INVALID_REQUEST",
                title: "The body has no Content-Length",
                explanation: "Over HTTP/2 a request that has a body must say how long it is: send `Content-Length`. Over HTTP/1.1 send `Content-Length`, or exactly `Transfer-Encoding: chunked`.",
            },
            Self::BodyTooLarge => &ProblemEntry {
                status: 413, code: "INVALID_REQUEST",
                title: "The body is too large",
                explanation: "The body is over the gateway's limit (`server.max_body`). Name fewer addresses and send several requests.",
            },
            Self::UriTooLong => &ProblemEntry {
                status: 414, code: "INVALID_REQUEST",
                title: "The request target is too long",
                explanation: "Path and query together are over the gateway's limit. Put the addresses into a JSON body instead of the query.",
            },
            Self::UnsupportedMediaType => &ProblemEntry {
                status: 415, code: "INVALID_REQUEST",
                title: "The body is not declared as JSON",
                explanation: "Send the body with `Content-Type: application/json`, in UTF-8 and without `Content-Encoding`.",
            },
            Self::RateLimited => &ProblemEntry {
                status: 429, code: "REQUEST_LIMIT_EXCEEDED",
                title: "Too many requests",
                explanation: "There are four causes, and `detail` says which it is: you send requests more often than one caller may (`limits.requests_per_second`); you have more requests running at once than one caller may (`limits.max_concurrent_per_caller`); the gateway cannot remember more `Idempotency-Key`s of requests that found nothing to do; or ZEC throttles the key that all callers share. Nothing was done. Wait as `Retry-After` says, then try again, more slowly.",
            },
            Self::BudgetExceeded => &ProblemEntry {
                status: 429, code: "BUDGET_EXCEEDED",
                title: "Too much removed in an hour",
                explanation: "You have taken off as many addresses as one caller may within an hour (`limits.addresses_per_hour`), or named as many resources in other destructive calls (`limits.destructive_per_hour`). What has no known outcome counts too. Nothing was sent. Wait as `Retry-After` says, or ask the gateway's operators for a higher budget.",
            },
            Self::ZecRejected => &ProblemEntry {
                status: 400, code: "INVALID_PARAMETER_VALUE",
                title: "ZEC refused the request",
                explanation: "The policy allowed the request and ZEC refused it: status and code are ZEC's own, `zecRequestId` is what ZEC's support asks for. Nothing was changed.",
            },
            Self::ZecCredentialsRefused => &ProblemEntry {
                status: 502, code: "UPSTREAM_CREDENTIALS_REFUSED",
                title: "ZEC refused the gateway's key",
                explanation: "Your token is fine: ZEC does not accept the gateway's own access key, or the gateway's clock is wrong. Nothing was changed. Tell the gateway's operators.",
            },
            Self::ZecBadAnswer => &ProblemEntry {
                status: 502, code: "UPSTREAM_BAD_ANSWER",
                title: "ZEC's answer cannot be used",
                explanation: "ZEC, or a proxy in front of it, answered something that is not an answer to this request. After a write, it is not known yet whether it happened: `GET /operations/{operationId}` says so once it is known, most often within seven minutes. Do not repeat the write before then.",
            },
            Self::OutcomeUnknown => &ProblemEntry {
                status: 504, code: "REQUEST_TIMED_OUT",
                title: "The outcome is unknown",
                explanation: "The write was sent to ZEC and no answer came in time. It may have happened, or still happen: `GET /operations/{operationId}` says `done` or `not-done` once it is known, most often within seven minutes. Do not repeat the write before then. The gateway never sends a write twice on its own.",
            },
            Self::ZecTimeout => &ProblemEntry {
                status: 504, code: "REQUEST_TIMED_OUT",
                title: "ZEC did not answer in time",
                explanation: "A read was sent to ZEC and no answer came in time. Nothing was changed; try again.",
            },
            Self::Overloaded => &ProblemEntry {
                status: 503, code: "SERVICE_TEMPORARY_UNAVAILABLE",
                title: "The gateway is overloaded",
                explanation: "More requests run at once than the gateway accepts (`limits.max_concurrent_requests`), or too little time was left to send this one. Nothing was sent; try again as `Retry-After` says.",
            },
            Self::Draining => &ProblemEntry {
                status: 503, code: "SERVICE_TEMPORARY_UNAVAILABLE",
                title: "The gateway is stopping",
                explanation: "This instance is being stopped. Nothing was sent; try again, another instance will answer.",
            },
            Self::Frozen => &ProblemEntry {
                status: 503, code: "SERVICE_TEMPORARY_UNAVAILABLE",
                title: "Writes are stopped",
                explanation: "The gateway's operators have stopped all writes; `detail` holds their reason. Nothing was sent. Reads and dry runs still work; try again later, or ask the operators.",
            },
            Self::JournalUnavailable => &ProblemEntry {
                status: 503, code: "SERVICE_TEMPORARY_UNAVAILABLE",
                title: "The record of writes cannot be used",
                explanation: "Every write is recorded on disk before it is sent, and that was not possible in time; or you asked for recorded writes, and they could not be read. Nothing was sent; try again as `Retry-After` says, and tell the gateway's operators if the problem persists.",
            },
            Self::IdentityProviderUnavailable => &ProblemEntry {
                status: 503, code: "SERVICE_TEMPORARY_UNAVAILABLE",
                title: "The identity provider's keys are not at hand",
                explanation: "The gateway has no usable keys of your token's issuer, so it cannot tell whether the token is good. Nothing was sent; try again as `Retry-After` says.",
            },
            Self::ZecUnavailable => &ProblemEntry {
                status: 503, code: "SERVICE_TEMPORARY_UNAVAILABLE",
                title: "ZEC cannot be reached",
                explanation: "No connection to ZEC could be made, or ZEC said that it is unavailable for a read. Nothing was changed; try again as `Retry-After` says.",
            },
            Self::Internal => &ProblemEntry {
                status: 500, code: "INTERNAL_SERVER_ERROR",
                title: "A fault in the gateway",
                explanation: "This is a bug in the gateway. Tell its operators the `requestId`; if the request was a write, check the vNIC before you repeat it.",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_problem_is_listed_once_and_found_by_its_slug() {
        let slugs: HashSet<_> = Problem::ALL.iter().map(|p| p.slug()).collect();
        assert_eq!(slugs.len(), Problem::ALL.len());
        for problem in Problem::ALL {
            assert_eq!(Problem::from_slug(problem.slug()), Some(problem));
        }
    }

    #[test]
    fn no_problem_is_a_redirect_or_451_and_every_429_and_503_says_when_to_retry() {
        for problem in Problem::ALL {
            assert!((400..600).contains(&problem.status()) && problem.status() != 451);
            assert_eq!(
                matches!(problem.status(), 429 | 503),
                problem.default_retry_after().is_some()
            );
        }
    }
}
