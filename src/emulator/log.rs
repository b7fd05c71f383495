//! The log of requests to the emulator, bounded and without signatures.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use serde::{Serialize, Serializer};

/// The most requests that the log keeps.
const MAX_REQUESTS: usize = 10_000;
/// The most bytes of bodies that the log keeps, over all requests: a long run of large requests must not fill the
/// memory.
const MAX_BODY_BYTES: usize = 64 << 20;

/// A received request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedRequest {
    /// The method, for example `POST`.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// The header `X-ZC-Action`; empty if there is none.
    pub action: String,
    /// The header `X-ZC-Version`; empty if there is none.
    pub version: String,
    /// Every header except `Authorization`, names in lower case, as often as they came.
    pub headers: Vec<(String, String)>,
    /// The body; JSON shows it as text.
    #[serde(serialize_with = "as_text")]
    pub body: Bytes,
    /// Whether the signature and timestamp, or the access token, were accepted.
    pub authenticated: bool,
    /// The most recent fault that struck the request, in its text form.
    pub fault: Option<String>,
    /// The status of the answer; `None` if there is none yet, or none was sent.
    pub status: Option<u16>,
}

impl LoggedRequest {
    pub(super) fn new(parts: &Parts, body: Bytes, authenticated: bool) -> Self {
        let headers = parts
            .headers
            .iter()
            .filter(|(name, _)| *name != header::AUTHORIZATION)
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            action: text(&parts.headers, "x-zc-action"),
            version: text(&parts.headers, "x-zc-version"),
            headers,
            body,
            authenticated,
            fault: None,
            status: None,
        }
    }

    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn as_text<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}

/// The most recent requests, newest last.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    requests: VecDeque<LoggedRequest>,
    /// The number of dropped requests, which is also the number of the oldest one kept.
    dropped: usize,
    body_bytes: usize,
}

impl RequestLog {
    /// Adds a request and returns its number.
    pub(super) fn push(&mut self, request: LoggedRequest) -> usize {
        self.body_bytes += request.body.len();
        self.requests.push_back(request);
        while self.requests.len() > MAX_REQUESTS || self.body_bytes > MAX_BODY_BYTES {
            let Some(oldest) = self.requests.pop_front() else { break };
            self.body_bytes -= oldest.body.len();
            self.dropped += 1;
        }
        self.dropped + self.requests.len() - 1
    }

    /// The request with that number, unless it has been dropped.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut LoggedRequest> {
        self.requests.get_mut(number.checked_sub(self.dropped)?)
    }

    pub(super) fn all(&self) -> Vec<LoggedRequest> {
        self.requests.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &'static [u8]) -> LoggedRequest {
        let (parts, ()) = http::Request::post("/p?q").body(()).unwrap().into_parts();
        LoggedRequest::new(&parts, Bytes::from_static(body), true)
    }

    #[test]
    fn a_number_stays_right_when_the_oldest_go() {
        let mut log = RequestLog::default();
        let first = log.push(request(b""));
        let numbers: Vec<usize> = (0..MAX_REQUESTS).map(|_| log.push(request(b""))).collect();
        let last = *numbers.last().unwrap();
        log.get_mut(last).unwrap().status = Some(200);
        assert!(log.get_mut(first).is_none());
        let all = log.all();
        assert_eq!((all.len(), all.last().unwrap().status), (MAX_REQUESTS, Some(200)));
    }

    #[test]
    fn large_bodies_do_not_pile_up() {
        static BODY: [u8; 1 << 20] = [0; 1 << 20];
        let mut log = RequestLog::default();
        for _ in 0..100 {
            log.push(request(&BODY));
        }
        assert_eq!(log.all().len(), 64);
    }

    #[test]
    fn no_signature_is_kept() {
        let request = http::Request::post("/").header("Authorization", "Bearer x").header("A", "b");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let logged = LoggedRequest::new(&parts, Bytes::new(), false);
        assert_eq!((logged.header("authorization"), logged.header("a")), (None, Some("b")));
    }
}
