//! One request to ZEC: signed for this attempt, sent once over a connection, and its answer read.

use std::{
    sync::{Arc, LazyLock, atomic::AtomicUsize},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use tokio::time::{Instant, error::Elapsed, timeout_at};

use crate::{
    catalogue::ZEC,
    domain::json::Node,
    limit::{Asker, Breaker, BreakerPass},
    metrics::{Kind, Metrics, ZecResult},
    net::{ExchangeError, HttpClient},
    zec::{
        AccessKey, AccessKeys, LongAnswer, ZecBody,
        answer::{self, Failure, MAX_ANSWER, WhyNotSent, ZecAnswer},
        long::BEGINNING,
        request::{PATH, PATHS},
        sign,
        skew::Skew,
    },
};

const X_ZC_ACTION: HeaderName = HeaderName::from_static("x-zc-action");
const X_ZC_VERSION: HeaderName = HeaderName::from_static("x-zc-version");
const X_ZC_TIMESTAMP: HeaderName = HeaderName::from_static("x-zc-timestamp");
const X_ZC_SIGNATURE_METHOD: HeaderName = HeaderName::from_static("x-zc-signature-method");
const X_ZC_SERVICE: HeaderName = HeaderName::from_static("x-zc-service");

/// How many headers a request has, `User-Agent` included. Room for all is made at once.
const HEADERS: usize = 9;

/// A timeout counts against ZEC only if ZEC had at least this much time to answer.
const FAIR: Duration = Duration::from_secs(1);

/// The cause of a missing answer after a timeout.
const TOO_LONG: &str = "it took too long";

/// The client that both halves share.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) http: HttpClient,
    /// Scheme and host.
    pub(super) endpoint: Uri,
    pub(super) host: HeaderValue,
    pub(super) host_text: String,
    pub(super) keys: AccessKeys,
    pub(super) request_timeout: Duration,
    pub(super) skew: Arc<Skew>,
    pub(super) breaker: Breaker,
    /// How many callers' requests are in flight.
    pub(super) busy: AtomicUsize,
    pub(super) metrics: Arc<Metrics>,
}

/// The action, its body, and the key to sign with.
pub(super) struct SignedCall<'a> {
    pub(super) service: &'static str,
    pub(super) action: &'static str,
    pub(super) version: &'static str,
    pub(super) body: Bytes,
    pub(super) key: &'a AccessKey,
}

impl Client {
    /// Sends one request, signed for this attempt over the exact bytes that are sent, and returns what `take`
    /// makes of its answer. Once there is a connection, `sign_at` returns the time to sign, or that nothing
    /// may be sent.
    pub(super) async fn attempt<T>(
        &self,
        call: SignedCall<'_>,
        sign_at: impl FnOnce() -> Result<SystemTime, Failure>,
        take: impl Take<T>,
        pass: BreakerPass,
        deadline: Instant,
    ) -> Result<ZecAnswer<Result<T, String>>, Failure> {
        let (started, action) = (Instant::now(), call.action);
        let until = deadline.min(started + self.request_timeout);
        let result = self.exchange(call, sign_at, take, until).await;
        let had = until.saturating_duration_since(started);
        let out_of_time = match &result {
            Err(Failure::NoAnswer(_)) => true,
            Err(Failure::NotSent(cause)) => *cause == WhyNotSent::Late,
            _ => false,
        };
        match &result {
            // If ZEC had no fair time to answer, it may well be available: the attempt counts neither way.
            _ if out_of_time && had < self.request_timeout.min(FAIR) => drop(pass),
            Err(Failure::NotSent(_)) => pass.unreached(),
            result if trouble(result) => pass.failure(),
            _ => pass.success(),
        }
        let outcome = result.as_ref().err().map_or(ZecResult::Ok, Failure::outcome);
        self.metrics.zec_answered(action, outcome, started.elapsed());
        result
    }

    pub(super) fn identity(&self, key: &AccessKey) -> Arc<str> {
        key.identity(&self.host_text)
    }

    pub(super) fn admit(&self, kind: Kind, who: Asker) -> Result<BreakerPass, Failure> {
        self.breaker.admit(kind, who).map_err(|wait| Failure::Spared { wait })
    }

    async fn exchange<T>(
        &self,
        call: SignedCall<'_>,
        sign_at: impl FnOnce() -> Result<SystemTime, Failure>,
        take: impl Take<T>,
        until: Instant,
    ) -> Result<ZecAnswer<Result<T, String>>, Failure> {
        let action = call.action;
        let link = timeout_at(until, self.http.link(&self.endpoint)).await;
        let link = link.map_err(|_| Failure::NotSent(WhyNotSent::Late))?.map_err(failure)?;
        // Signed only when the request can go out, because connecting takes time.
        let signed_at = sign_at()?;
        let request = self.request(call, signed_at);
        let request = request.map_err(|cause| Failure::NotSent(WhyNotSent::Because(cause)))?;
        let ends_at = take.ends_at();
        let first = if ends_at.is_some() { BEGINNING } else { MAX_ANSWER };
        let begun = timeout_at(until, link.begin(request, first)).await;
        let (head, body) = begun.map_err(too_long)?.map_err(failure)?.into_parts();
        let date = self.skew.observe(&head.headers, &self.metrics);
        let body = match ends_at {
            Some(ends_at) => LongAnswer::of(&head, body, ends_at, (action, &self.metrics)),
            None => Err(body),
        };
        let answer = match body {
            Ok((request_id, long)) => Ok(ZecAnswer { request_id, response: take.long(long) }),
            Err(body) => {
                let body = timeout_at(until, body.whole(MAX_ANSWER)).await.map_err(too_long)?;
                let body =
                    body.map_err(|error| failure(ExchangeError::cut(head.status, &*error)))?;
                let take = |response: &Node<'_>, _: &[u8]| take.whole(response, &body);
                answer::read(head.status, &head.headers, &body, take)
            }
        };
        match (&answer, date) {
            (Ok(_), None) => self.skew.accepted(signed_at),
            (Ok(_) | Err(Failure::Rejected { .. } | Failure::Throttled { .. }), Some(date)) => {
                self.skew.is_now(date);
            }
            // Without a date, a refused signature proves nothing about ZEC's clock; a proxy's page never
            // does.
            (Err(Failure::CredentialsRefused { .. }), Some(date)) => self.skew.is_now(date),
            _ => {}
        }
        answer
    }

    /// Built from scratch: no header of the caller's can get into it (docs/threats.md, rows 2 and 7).
    pub(super) fn request(
        &self,
        call: SignedCall<'_>,
        signed_at: SystemTime,
    ) -> Result<Request<Full<Bytes>>, String> {
        let SignedCall { service, action, version, body, key } = call;
        let now = signed_at.duration_since(UNIX_EPOCH).map_err(|_| "the clock is before 1970")?;
        let timestamp = now.as_secs().to_string();
        let authorization =
            sign::authorization(key, &timestamp, sign::CONTENT_TYPE, &self.host_text, &body);
        let mut authorization = HeaderValue::try_from(authorization)
            .map_err(|_| "the signature cannot be sent in a header")?;
        authorization.set_sensitive(true);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path(service)?;
        let headers = request.headers_mut();
        headers.reserve(HEADERS);
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(sign::CONTENT_TYPE));
        headers.insert(header::AUTHORIZATION, authorization);
        headers.insert(X_ZC_ACTION, HeaderValue::from_static(action));
        headers.insert(X_ZC_VERSION, HeaderValue::from_static(version));
        headers.insert(X_ZC_TIMESTAMP, HeaderValue::from(now.as_secs()));
        headers.insert(X_ZC_SIGNATURE_METHOD, HeaderValue::from_static(sign::ALGORITHM));
        headers.insert(X_ZC_SERVICE, HeaderValue::from_static(service));
        Ok(request)
    }
}

fn too_long(_: Elapsed) -> Failure {
    Failure::NoAnswer(TOO_LONG.to_owned())
}

/// What is made of an answer that reports success. An error says what is wrong with the answer.
pub(super) trait Take<T>: Sized {
    /// When an answer must have ended that is passed on piece by piece; `None` if every answer is read as a whole.
    fn ends_at(&self) -> Option<Instant> {
        None
    }

    /// Takes what it needs of an answer that was read as a whole: `response` is the parsed object.
    fn whole(self, response: &Node<'_>, all: &Bytes) -> Result<T, String>;

    /// Takes a long answer, of which the beginning was read.
    fn long(self, _: Box<LongAnswer>) -> Result<T, String> {
        Err("it is long".to_owned())
    }
}

impl<T, F: FnOnce(&Node<'_>, &Bytes) -> Result<T, String>> Take<T> for F {
    fn whole(self, response: &Node<'_>, all: &Bytes) -> Result<T, String> {
        self(response, all)
    }
}

/// Takes the whole body, or the long answer, as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unchanged {
    /// As [`Take::ends_at`].
    pub(super) ends_at: Option<Instant>,
}

impl Take<ZecBody> for Unchanged {
    fn ends_at(&self) -> Option<Instant> {
        self.ends_at
    }

    fn whole(self, _: &Node<'_>, all: &Bytes) -> Result<ZecBody, String> {
        Ok(ZecBody::Whole(all.clone()))
    }

    fn long(self, answer: Box<LongAnswer>) -> Result<ZecBody, String> {
        Ok(ZecBody::Long(answer))
    }
}

/// The path of a service's actions.
fn path(service: &'static str) -> Result<Uri, String> {
    static OWN: LazyLock<Uri> = LazyLock::new(|| Uri::from_static(PATH));
    if service == ZEC {
        return Ok(OWN.clone());
    }
    Uri::try_from(format!("{PATHS}{service}")).map_err(|error| error.to_string())
}

fn failure(error: ExchangeError) -> Failure {
    match error {
        ExchangeError::Unsent(cause) => Failure::NotSent(WhyNotSent::Because(cause)),
        ExchangeError::Unanswered(cause) => Failure::NoAnswer(cause),
        cut @ ExchangeError::Cut { .. } => {
            Failure::BadAnswer { cause: cut.to_string(), request_id: None }
        }
    }
}

/// Whether ZEC is in trouble: it could not be reached, or it gave no proper answer. A 5xx or a proxy's page
/// is not a proper answer. A refusal is an answer.
const fn trouble<T>(result: &Result<ZecAnswer<T>, Failure>) -> bool {
    match result {
        Err(
            Failure::NotSent(_)
            | Failure::NoAnswer(_)
            | Failure::BadAnswer { .. }
            | Failure::Unavailable { .. },
        ) => true,
        Ok(_)
        | Err(
            Failure::Spared { .. }
            | Failure::Throttled { .. }
            | Failure::CredentialsRefused { .. }
            | Failure::Rejected { .. },
        ) => false,
    }
}
