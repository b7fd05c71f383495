//! A long answer of ZEC's, passed on piece by piece. So a list of some megabytes takes little room.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, StatusCode,
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

/// How long a caller may take for a whole answer: the longest comes in that time at 56 KB a second.
const LONGEST_TIME: Duration = Duration::from_mins(5);

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
    /// The last byte so far that is no white space.
    last: u8,
    /// How much longer ZEC may keep the gateway waiting, in all.
    left: Duration,
    began: Instant,
    /// Since when the gateway waits for ZEC.
    waits_since: Option<Instant>,
    patience: Pin<Box<Sleep>>,
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
#[error("a long answer breaks off: {0}")]
pub struct BrokenOff(String);

impl fmt::Debug for LongAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongAnswer").field("passed", &self.passed).finish_non_exhaustive()
    }
}

impl LongAnswer {
    /// Takes over a body of which the beginning was read, if the beginning shows a success and a cut of the rest would show.
    /// ZEC may keep the gateway waiting as long as it is until `until` now. Returns ZEC's id of the request beside it.
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
            last: b'{',
            left: until.saturating_duration_since(Instant::now()),
            began: Instant::now(),
            waits_since: None,
            patience: Box::pin(sleep_until(until)),
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
        if self.began.elapsed() > LONGEST_TIME {
            return Poll::Ready(Err(BrokenOff("its caller takes it too slowly".to_owned())));
        }
        let Poll::Ready(read) = self.rest.poll_data(cx) else {
            // Only waiting for ZEC is bounded here. The server bounds how long the caller may take.
            if self.waits_since.is_none() {
                self.waits_since = Some(Instant::now());
                self.patience.as_mut().reset(Instant::now() + self.left);
            }
            ready!(self.patience.as_mut().poll(cx));
            return Poll::Ready(Err(self.breaks_off("it took too long")));
        };
        let waited = self.waits_since.take().map(|since| since.elapsed()).unwrap_or_default();
        self.left = self.left.saturating_sub(waited);
        self.last = last_byte(&self.next).unwrap_or(self.last);
        let piece = match read {
            Some(Ok(data)) => Piece::Next(std::mem::replace(&mut self.next, data)),
            Some(Err(error)) => return Poll::Ready(Err(self.breaks_off(&error.to_string()))),
            None if self.last == b'}' => Piece::Last(std::mem::take(&mut self.next)),
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
    let shows_a_cut = length.is_some() || is_chunked(&head.headers);
    let fits = length.is_none_or(|rest| begun.first.len() as u64 + rest <= LONGEST);
    let is_plain = head.status == StatusCode::OK && !head.headers.contains_key(CONTENT_ENCODING);
    if shows_a_cut && fits && is_plain { beginning(&begun.first) } else { None }
}

/// Whether the body is chunked. With any other last coding it ends with the connection (RFC 9112, 6.3).
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back();
    let coding = last.and_then(|codings| codings.to_str().ok()?.rsplit(',').next());
    coding.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
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

/// The last byte that is no white space.
fn last_byte(piece: &[u8]) -> Option<u8> {
    piece.trim_ascii_end().last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net;

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
    fn a_body_shows_a_cut_if_its_last_coding_is_chunked() {
        for (values, is) in [
            (&["chunked"][..], true),
            (&["gzip, Chunked"], true),
            (&["gzip", "chunked"], true),
            (&["chunked", "gzip"], false),
            (&["identity"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TRANSFER_ENCODING, value.parse().unwrap());
            }
            assert_eq!(is_chunked(&headers), is, "{values:?}");
        }
    }

    /// A caller who takes a piece now and then keeps neither the connection to ZEC nor a slot for hours.
    #[tokio::test]
    async fn an_answer_that_is_taken_too_slowly_breaks_off() {
        use std::{
            io::{Read, Write},
            net::TcpListener,
        };

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let serving = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            let body =
                format!(r#"{{"requestId":"T1","response":{{"x":"{}"}}}}"#, "x".repeat(200_000));
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        });
        let options = net::Options {
            connect_timeout: Duration::from_secs(5),
            https: false,
            trust: net::Trust::System,
            proxy: None,
            section: "zec",
        };
        let client = net::client(options).unwrap();
        let request = http::Request::get("/").header("host", "zec");
        let request = request.body(http_body_util::Full::new(Bytes::new())).unwrap();
        let begun = client.link(&to).await.unwrap().begin(request, BEGINNING).await.unwrap();
        let (head, body) = begun.into_parts();
        let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
        let until = Instant::now() + Duration::from_secs(30);
        let (id, mut long) = LongAnswer::of(&head, body, until, ("A", &metrics)).unwrap();
        assert_eq!(id, "T1");
        let first = std::future::poll_fn(|cx| long.poll_piece(cx)).await.unwrap();
        assert!(matches!(first, Piece::Next(_)));
        tokio::time::pause();
        tokio::time::advance(LONGEST_TIME + Duration::from_secs(1)).await;
        let late = std::future::poll_fn(|cx| long.poll_piece(cx)).await.unwrap_err();
        assert!(late.to_string().contains("too slowly"), "{late}");
        drop(long);
        let _ = serving.join();
    }
}
