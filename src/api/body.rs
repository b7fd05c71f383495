//! The body of a request: how it must be declared, how it is read, and what it may contain.

use std::{error::Error as StdError, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    domain::{Addresses, json, text::excerpt},
    error::{Error, Problem},
    limit::AtOnce,
};

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The largest body, in bytes.
    pub max: usize,
    /// How long the body may take to arrive.
    pub timeout: Duration,
}

/// The mark that some editors and .NET's encoders put before UTF-8; JSON does not allow it (RFC 8259, 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How long to wait for the end of an empty body on a route without a body. The end comes with the head, or right after
/// it.
const EMPTY: Duration = Duration::from_secs(1);

/// How many anonymous requests may wait for that at once. Each takes one of `limits.max_concurrent_requests`.
const MAX_STRANGERS: usize = 64;

/// Reads a body within its limits; an empty body counts as absent. Any other body must be declared, with its length
/// or, over HTTP/1.1, as chunked. HTTP/2 marks the end of a body without a length, so there the gateway must
/// demand the length.
pub(super) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limits: BodyLimits,
    deadline: Instant,
) -> Result<Option<Bytes>, Error>
where
    B: Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let bytes = read_body(headers, body, limits, deadline).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    declared_as_json(headers)?;
    Ok(Some(bytes))
}

/// Reads a body within its limits, whatever it holds: also before it is known who calls.
///
/// # Errors
/// When the body is too large, does not come in time, or breaks off.
pub async fn read_body<B>(
    headers: &HeaderMap,
    body: B,
    limits: BodyLimits,
    deadline: Instant,
) -> Result<Bytes, Error>
where
    B: Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let too_large = || {
        Error::new(
            Problem::BodyTooLarge,
            format!("the body is over {} bytes: send less in one request", limits.max),
        )
    };
    // A body that is declared too large is refused before any byte of it is read.
    if body.size_hint().lower() > limits.max as u64 {
        return Err(too_large());
    }
    // Most requests have no body and need no timer.
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let declared = headers.contains_key(header::CONTENT_LENGTH)
        || headers.contains_key(header::TRANSFER_ENCODING);
    let most = if declared { limits.max } else { 0 };
    let until = deadline.min(Instant::now() + limits.timeout);
    collect(body, most, until).await.map_err(|unread| match unread {
        Unread::Late => {
            Error::invalid("the body did not arrive in time: send it whole and at once")
        }
        Unread::TooLarge if declared => too_large(),
        Unread::TooLarge => undeclared(),
        Unread::Broken(cause) => {
            Error::invalid("the body ended early or its framing is wrong: send it whole")
                .with_cause(cause)
        }
    })
}

/// Why the body could not be read completely.
enum Unread {
    Late,
    TooLarge,
    Broken(Box<dyn StdError + Send + Sync>),
}

async fn collect<B>(body: B, most: usize, until: Instant) -> Result<Bytes, Unread>
where
    B: Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    match tokio::time::timeout_at(until, Limited::new(body, most).collect()).await {
        Err(_) => Err(Unread::Late),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(error)) => Err(Unread::Broken(error)),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
    }
}

/// The error for a body without `Content-Length`.
fn undeclared() -> Error {
    Error::new(Problem::LengthRequired, "send the body with `Content-Length`")
}

/// Refuses a body on a route without one. A body without bytes counts as absent, however it is framed: HTTP/2 clients
/// that do not know the length end a request with an empty frame, which HAProxy turns into an empty chunk. On routes
/// without authentication, such requests count against `strangers` and are refused if there are too many.
pub(super) async fn refuse<B>(
    body: B,
    deadline: Instant,
    strangers: Option<&AtOnce>,
) -> Result<(), Error>
where
    B: Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    if body.is_end_stream() {
        return Ok(());
    }
    let refused = || Error::invalid("this request takes no body: leave it out");
    // A declared body is refused without waiting for any byte of it.
    if body.size_hint().lower() > 0 {
        return Err(refused());
    }
    let place = strangers.map(|strangers| strangers.begin(MAX_STRANGERS));
    if matches!(place, Some(None)) {
        return Err(refused());
    }
    match collect(body, 0, deadline.min(Instant::now() + EMPTY)).await {
        Ok(_) => Ok(()),
        Err(Unread::Late | Unread::TooLarge) => Err(refused()),
        Err(Unread::Broken(cause)) => Err(refused().with_cause(cause)),
    }
}

fn declared_as_json(headers: &HeaderMap) -> Result<(), Error> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = value.unwrap_or_default().split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let utf8 =
        parts.all(|parameter| parameter.to_ascii_lowercase().replace('"', "") == "charset=utf-8");
    if !kind.eq_ignore_ascii_case("application/json")
        || !utf8
        || headers.contains_key(header::CONTENT_ENCODING)
    {
        return Err(Error::new(
            Problem::UnsupportedMediaType,
            "send the body with `Content-Type: application/json`, in UTF-8 and not compressed",
        ));
    }
    Ok(())
}

/// The addresses in a body: `ipAddresses`, and with `deprecated_too` also `ipAddress`, over which the list has
/// precedence. `None` if the body has neither, because some clients send `{}` with every request.
pub(super) fn addresses(bytes: &[u8], deprecated_too: bool) -> Result<Option<Vec<String>>, Error> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(Error::invalid(
            "the body begins with a byte order mark (EF BB BF): send UTF-8 without one",
        ));
    }
    let value = json::parse(bytes).map_err(|error| {
        Error::invalid(format!("the body is not JSON that the gateway accepts: {error}"))
    })?;
    let Value::Object(mut members) = value else {
        return Err(Error::invalid(
            "the body is not a JSON object: send `{\"ipAddresses\": [...]}`",
        ));
    };
    let list = members.remove("ipAddresses");
    let single = if deprecated_too { members.remove("ipAddress") } else { None };
    if let Some(unknown) = members.keys().next() {
        return Err(Error::invalid(format!(
            "the body holds an unknown field `{}`: send `{{\"ipAddresses\": [...]}}`",
            excerpt(unknown)
        )));
    }
    let single = match single {
        None => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return Err(Error::invalid("`ipAddress` is not a string")),
    };
    if let (Some(_), Some(text)) = (&list, &single) {
        outranked(text)?;
    }
    match list {
        None => Ok(single.map(|text| vec![text])),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(Error::invalid("`ipAddresses` holds something that is not a string")),
            })
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(Error::invalid("`ipAddresses` is not a list of strings")),
    }
}

/// Checks an address that is ignored because of the list: another reader might use it.
pub(super) fn outranked(text: &str) -> Result<(), Error> {
    Addresses::parse([text], 1).map(drop).map_err(|error| Error::invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body::{Frame, SizeHint};

    use super::*;

    const LIMITS: BodyLimits = BodyLimits { max: 8, timeout: Duration::from_secs(10) };

    /// A body with any declared length, which ends after its parts or never.
    struct Odd {
        declared: u64,
        parts: u32,
        ends: bool,
    }

    impl Body for Odd {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.parts == 0 {
                return if self.ends { Poll::Ready(None) } else { Poll::Pending };
            }
            self.parts -= 1;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"12345")))))
        }

        fn size_hint(&self) -> SizeHint {
            let mut hint = SizeHint::new();
            hint.set_lower(self.declared);
            hint
        }
    }

    async fn refusal(body: Odd, left: Duration) -> (Problem, Duration) {
        let declared = HeaderMap::from_iter([(header::CONTENT_LENGTH, 8.into())]);
        let started = Instant::now();
        let error = read(&declared, body, LIMITS, started + left).await.unwrap_err();
        (error.problem(), started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_declared_too_large_is_refused_before_a_byte_of_it_came() {
        let body = Odd { declared: 9, parts: 0, ends: false };
        let (problem, waited) = refusal(body, Duration::from_mins(1)).await;
        assert_eq!((problem, waited), (Problem::BodyTooLarge, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_a_length_is_refused_with_its_first_byte_unless_it_is_empty() {
        let until = Instant::now() + Duration::from_mins(1);
        let body = Odd { declared: 0, parts: 1, ends: false };
        let error = read(&HeaderMap::new(), body, LIMITS, until).await.unwrap_err();
        assert_eq!(error.problem(), Problem::LengthRequired);
        let empty = Odd { declared: 0, parts: 0, ends: true };
        assert_eq!(read(&HeaderMap::new(), empty, LIMITS, until).await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_bytes_are_no_body_where_none_belongs() {
        let started = Instant::now();
        let until = started + Duration::from_mins(1);
        for (declared, parts, ends, good, waited) in [
            (0, 0, true, true, 0),
            (0, 1, true, false, 0),
            (1, 0, true, false, 0),
            (0, 0, false, false, 1),
        ] {
            let started = Instant::now();
            let result = refuse(Odd { declared, parts, ends }, until, None).await;
            assert_eq!(result.is_ok(), good, "{declared} {parts} {ends}");
            assert_eq!(started.elapsed().as_secs(), waited, "{declared} {parts} {ends}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn few_strangers_wait_for_the_end_of_an_empty_body_at_once() {
        let (strangers, started) = (AtOnce::default(), Instant::now());
        let until = started + Duration::from_mins(1);
        let endless = || Odd { declared: 0, parts: 0, ends: false };
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..MAX_STRANGERS {
            let strangers = strangers.clone();
            waiting.spawn(async move { refuse(endless(), until, Some(&strangers)).await });
        }
        for _ in 0..MAX_STRANGERS {
            tokio::task::yield_now().await;
        }
        for (body, strangers, waited) in [(endless(), Some(&strangers), 0), (endless(), None, 1)] {
            let started = Instant::now();
            refuse(body, until, strangers).await.unwrap_err();
            assert_eq!(started.elapsed().as_secs(), waited);
        }
        assert!(waiting.join_all().await.iter().all(Result::is_err));
        let empty = Odd { declared: 0, parts: 0, ends: true };
        refuse(empty, until, Some(&strangers)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_chunked_body_is_declared_too() {
        let chunked =
            HeaderMap::from_iter([(header::TRANSFER_ENCODING, "chunked".parse().unwrap())]);
        let until = Instant::now() + Duration::from_mins(1);
        let body = Odd { declared: 0, parts: 2, ends: true };
        let error = read(&chunked, body, LIMITS, until).await.unwrap_err();
        assert_eq!(error.problem(), Problem::BodyTooLarge);
        let body = Odd { declared: 0, parts: 1, ends: true };
        let error = read(&chunked, body, LIMITS, until).await.unwrap_err();
        assert_eq!(error.problem(), Problem::UnsupportedMediaType);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_counted_as_it_comes_whatever_was_declared() {
        let body = Odd { declared: 0, parts: 2, ends: true };
        let (problem, _) = refusal(body, Duration::from_mins(1)).await;
        assert_eq!(problem, Problem::BodyTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_awaited_for_its_time_and_no_longer_than_the_request_has() {
        for (left, waits) in [(60, 10), (3, 3)] {
            let body = Odd { declared: 0, parts: 1, ends: false };
            let (problem, waited) = refusal(body, Duration::from_secs(left)).await;
            assert_eq!(problem, Problem::InvalidRequest);
            assert_eq!(waited.as_secs(), waits, "{left} seconds left");
        }
    }
}
