//! The emulator's answers: ZEC's envelope, its error object, and faulty bodies.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;
use tokio::time::{Sleep, sleep};
use uuid::Uuid;

use super::{actions::Output, failure::Failure};

/// How long the first half of a truncated answer has to leave before the connection closes.
const TRUNCATED_AFTER: Duration = Duration::from_millis(20);
/// The padding of a huge answer, in bytes.
const HUGE: usize = (1 << 20) + (1 << 18);

/// An answer from the emulator.
pub(super) type Answer = Response<Body>;

/// A complete body, or one that ends before its announced length.
pub(super) enum Body {
    Whole(Full<Bytes>),
    Truncated { first: Option<Bytes>, end: Pin<Box<Sleep>> },
}

/// ZEC's envelope.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    request_id: &'a str,
    response: Inner<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inner<'a> {
    request_id: &'a str,
    #[serde(flatten)]
    output: &'a Output,
    #[serde(skip_serializing_if = "str::is_empty")]
    padding: &'a str,
}

/// ZEC's form of a request id: `T` and a UUID in upper case.
fn request_id() -> String {
    let mut buffer = Uuid::encode_buffer();
    format!("T{}", Uuid::new_v4().hyphenated().encode_upper(&mut buffer))
}

/// The answer to a successful action.
pub(super) fn success(output: &Output) -> Answer {
    json(StatusCode::OK, envelope(output, ""))
}

/// The same answer with more than 1 MiB of padding.
pub(super) fn huge(output: &Output) -> Answer {
    json(StatusCode::OK, envelope(output, &"x".repeat(HUGE)))
}

/// The same answer, announced with its full length and cut off in the middle.
pub(super) fn truncated(output: &Output) -> Answer {
    let mut bytes = Bytes::from(envelope(output, ""));
    let length = HeaderValue::from(bytes.len());
    bytes.truncate(bytes.len() / 2);
    let end = Box::pin(sleep(TRUNCATED_AFTER));
    let mut answer = json(StatusCode::OK, Vec::new());
    answer.headers_mut().insert(header::CONTENT_LENGTH, length);
    *answer.body_mut() = Body::Truncated { first: Some(bytes), end };
    answer
}

/// The answer as HTTP/1.1 writes it, with its length.
pub(super) async fn written(answer: Answer) -> Bytes {
    let (head, body) = answer.into_parts();
    // Only a truncated body fails, and it never gets here.
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let mut bytes = BytesMut::from(format!("HTTP/1.1 {}\r\n", head.status).as_bytes());
    for (name, value) in &head.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(&body);
    bytes.freeze()
}

fn envelope(output: &Output, padding: &str) -> Vec<u8> {
    let request_id = &request_id();
    let envelope = Envelope { request_id, response: Inner { request_id, output, padding } };
    // Texts, numbers and lists of them always serialise.
    serde_json::to_vec(&envelope).unwrap_or_default()
}

/// ZEC's flat error object.
pub(super) fn failure(failure: &Failure) -> Answer {
    json(failure.status, failure.body(&request_id()))
}

/// Any bytes that claim to be JSON.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    typed(status, "application/json", body)
}

/// An HTML error page, as from a proxy on the way.
pub(super) fn html(status: StatusCode) -> Answer {
    let body = format!("<html><head><title>{status}</title></head><body>{status}</body></html>\n");
    typed(status, "text/html", body)
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Body::Whole(Full::new(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(body) => {
                Pin::new(body).poll_frame(context).map_err(|never: Infallible| match never {})
            }
            Self::Truncated { first, end } => {
                if let Some(bytes) = first.take() {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                ready!(end.as_mut().poll(context));
                Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Truncated { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Truncated { .. } => SizeHint::default(),
        }
    }
}
