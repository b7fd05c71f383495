//! A long answer of ZEC's, passed on piece by piece. So a list of some megabytes takes little room.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    StatusCode,
    header::{CONTENT_ENCODING, TRANSFER_ENCODING},
    response::Parts,
};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    domain::text::plain,
    metrics::Metrics,
    net::{BegunBody, BodyRest},
};

/// How much of an answer is read before the rest is passed on, in bytes. A shorter answer is read and checked as a whole.
pub(super) const BEGINNING: usize = 32 * 1024;

/// The longest answer that is passed on, in bytes. A page of 1,000 instances has several megabytes.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The longest request id that is looked for, in bytes.
const MOST_OF_AN_ID: usize = 256;

/// The body of ZEC's answer to a call.
#[derive(Debug)]
pub enum ZecBody {
    /// A body that was read as a whole.
    Whole(Bytes),
    /// A body of which the beginning was read.
    Long(Box<LongAnswer>),
}

/// A long answer of which the beginning was read. It breaks off with an error if it does not come whole.
pub struct LongAnswer {
    /// The piece that is passed on next, once it is known whether another one follows.
    next: Bytes,
    rest: Box<BodyRest>,
    passed: u64,
    until: Pin<Box<Sleep>>,
    request_id: String,
    action: &'static str,
    metrics: Arc<Metrics>,
}

/// The next piece of a long answer.
#[derive(Debug)]
pub enum Piece {
    /// Another one follows.
    Next(Bytes),
    /// The end of the answer.
    Last(Bytes),
}

/// Why a long answer breaks off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ZEC's answer broke off: {0}")]
pub struct BrokenOff(String);

impl fmt::Debug for LongAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongAnswer").field("passed", &self.passed).finish_non_exhaustive()
    }
}

impl LongAnswer {
    /// Takes over a body of which the beginning was read, if the beginning shows a success and a cut of the rest would show.
    /// It must end by `until`. Returns ZEC's id of the request beside it.
    ///
    /// # Errors
    /// The body, if it must be read as a whole.
    pub(super) fn of(
        head: &Parts,
        begun: BegunBody,
        until: Instant,
        (action, metrics): (&'static str, &Arc<Metrics>),
    ) -> Result<(String, Box<Self>), BegunBody> {
        let Some(request_id) = request_id(head, &begun) else { return Err(begun) };
        let BegunBody { first: next, rest: Some(rest) } = begun else { return Err(begun) };
        let long = Self {
            next,
            rest,
            passed: 0,
            until: Box::pin(sleep_until(until)),
            request_id: request_id.clone(),
            action,
            metrics: Arc::clone(metrics),
        };
        Ok((request_id, Box::new(long)))
    }

    /// How many bytes are still to be passed on, if ZEC said so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        Some(self.next.len() as u64 + self.rest.length()?)
    }

    /// The next piece.
    ///
    /// # Errors
    /// When the answer breaks off, is too long, takes too long, or ends as no JSON object does.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, BrokenOff>> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(self.breaks_off("it took too long")));
        }
        let piece = match ready!(self.rest.poll_data(cx)) {
            Some(Ok(data)) => Piece::Next(std::mem::replace(&mut self.next, data)),
            Some(Err(error)) => return Poll::Ready(Err(self.breaks_off(&error.to_string()))),
            None if ends_as_an_object(&self.next) => Piece::Last(std::mem::take(&mut self.next)),
            None => return Poll::Ready(Err(self.breaks_off("it does not end as a JSON object"))),
        };
        let (Piece::Next(bytes) | Piece::Last(bytes)) = &piece;
        self.passed += bytes.len() as u64;
        if self.passed + self.next.len() as u64 > LONGEST {
            return Poll::Ready(Err(self.breaks_off("it is longer than 16 MiB")));
        }
        Poll::Ready(Ok(piece))
    }

    fn breaks_off(&self, cause: &str) -> BrokenOff {
        self.metrics.zec_answer_broke_off();
        tracing::warn!(
            zec.request_id = self.request_id,
            action = self.action,
            passed = self.passed,
            missing = self.length(),
            cause,
            "a long answer of ZEC's broke off: its caller got a part of it, and an error"
        );
        BrokenOff(cause.to_owned())
    }
}

/// ZEC's id of the request, if the beginning of a body can be passed on without the rest: it begins as ZEC's successes do,
/// and a cut of the rest would show.
fn request_id(head: &Parts, begun: &BegunBody) -> Option<String> {
    let length = begun.rest.as_ref()?.length();
    let shows_a_cut = length.is_some() || head.headers.contains_key(TRANSFER_ENCODING);
    let fits = length.is_none_or(|rest| begun.first.len() as u64 + rest <= LONGEST);
    let is_plain = head.status == StatusCode::OK && !head.headers.contains_key(CONTENT_ENCODING);
    if shows_a_cut && fits && is_plain { beginning(&begun.first) } else { None }
}

/// The id in a text that begins as `{"requestId":"...","response":{`.
fn beginning(text: &[u8]) -> Option<String> {
    let text = [&b"{"[..], b"\"requestId\"", b":", b"\""].iter().try_fold(text, after)?;
    let end = text.iter().take(MOST_OF_AN_ID).position(|byte| matches!(byte, b'"' | b'\\'))?;
    let id = str::from_utf8(text.get(..end)?).ok()?;
    let text = text.get(end..)?;
    [&b"\""[..], b",", b"\"response\"", b":", b"{"].iter().try_fold(text, after)?;
    Some(plain(id, 64))
}

/// What follows a word, before which there may be white space.
fn after<'a>(text: &'a [u8], word: &&[u8]) -> Option<&'a [u8]> {
    text.trim_ascii_start().strip_prefix(*word)
}

fn ends_as_an_object(last: &[u8]) -> bool {
    last.trim_ascii_end().ends_with(b"}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_as_a_success_of_zecs_is_passed_on() {
        for (text, id) in [
            (r#"{"requestId":"T1","response":{"dataSet":["#, Some("T1")),
            (" { \"requestId\" : \"T1\" ,\r\n \"response\" : {", Some("T1")),
            (r#"{"response":{"dataSet":["#, None),
            (r#"{"requestId":"T1","code":"X","response":{"#, None),
            (r#"{"requestId":1,"response":{"#, None),
            (r#"{"requestId":"T\u0031","response":{"#, None),
            (r#"{"requestId":"T1","response":["#, None),
            (r#"{"requestId":"T1","response":null}"#, None),
            (r#"[{"requestId":"T1","response":{"#, None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(beginning(text.as_bytes()).as_deref(), id, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_cut_does_not_end_as_an_object() {
        assert!(
            ends_as_an_object(b"]}} \n") && !ends_as_an_object(b"]") && !ends_as_an_object(b"")
        );
    }
}
