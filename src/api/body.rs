//! The body of a request: how it must be declared, how it is read, and what it may hold.

use std::{error::Error as StdError, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tokio::time::Instant;

use super::query::shown;
use crate::{
    domain::{Addresses, json},
    error::{Error, Problem},
};

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The largest body, in bytes.
    pub max: usize,
    /// How long it may take to arrive.
    pub timeout: Duration,
}

/// Reads a body within its limits; an empty one is no body, and any other must have been declared
/// with its length. HTTP/2 knows the end of a body without it, so there it must be asked for.
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
    let too_large = || {
        Error::new(
            Problem::BodyTooLarge,
            format!("the body is over {} bytes: name fewer addresses in one request", limits.max),
        )
    };
    // What is declared too large is refused before a byte of it is read.
    if body.size_hint().lower() > limits.max as u64 {
        return Err(too_large());
    }
    // Most requests have none, and need no timer.
    if body.is_end_stream() {
        return Ok(None);
    }
    let declared = headers.contains_key(header::CONTENT_LENGTH);
    let most = if declared { limits.max } else { 0 };
    let until = deadline.min(Instant::now() + limits.timeout);
    let collected = tokio::time::timeout_at(until, Limited::new(body, most).collect()).await;
    let bytes = match collected {
        Err(_) => {
            return Err(Error::invalid(
                "the body did not arrive in time: send it whole and at once",
            ));
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(if declared { too_large() } else { undeclared() });
        }
        Ok(Err(error)) => {
            return Err(Error::invalid("the body broke off: send it whole").with_cause(error));
        }
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    declared_as_json(headers)?;
    Ok(Some(bytes))
}

/// What a body without `Content-Length` is refused with.
fn undeclared() -> Error {
    Error::new(Problem::LengthRequired, "send the body with `Content-Length`")
}

/// Refuses a body where none belongs, before a byte of it is waited for: on a public route it
/// would hold a place that callers need.
pub(super) fn refuse(body: &impl Body) -> Result<(), Error> {
    if body.is_end_stream() {
        Ok(())
    } else {
        Err(Error::invalid("this request takes no body: leave it out"))
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

/// The addresses in a body: `ipAddresses`, and where it is `deprecated_too` also `ipAddress`,
/// which the list outranks.
pub(super) fn addresses(bytes: &[u8], deprecated_too: bool) -> Result<Vec<String>, Error> {
    let value = json::parse(bytes)
        .map_err(|error| Error::invalid(format!("the body is not JSON as it must be: {error}")))?;
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
            shown(unknown)
        )));
    }
    let single = match single {
        None => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return Err(Error::invalid("`ipAddress` is not a text")),
    };
    if let (Some(_), Some(text)) = (&list, &single) {
        outranked(text)?;
    }
    match list {
        None => Ok(single.into_iter().collect()),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(Error::invalid("`ipAddresses` holds something that is not a text")),
            })
            .collect(),
        Some(_) => Err(Error::invalid("`ipAddresses` is not a list of texts")),
    }
}

/// Checks an address that counts for nothing beside the list: another reader might go by it.
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

    /// A body that declares what it likes, and whose end comes after its parts, or never.
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
