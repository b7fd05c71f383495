//! What a client says about itself: information for people, by which nothing is decided.

use http::{HeaderMap, HeaderName, header};

use crate::domain::text::plain;

/// The headers in which ZEC's clients name themselves, and the one of every client.
const HEADERS: [HeaderName; 4] = [
    HeaderName::from_static("x-zc-request-client"),
    HeaderName::from_static("x-zc-sdk-lang"),
    HeaderName::from_static("x-zc-sdk-version"),
    header::USER_AGENT,
];

/// The most characters of one header that are kept.
const MAX_CHARS: usize = 64;

/// The client's software, as `Python SDK_PYTHON_2.0.077 python-requests/2.32`; `None` if it says nothing.
pub(super) fn software(headers: &HeaderMap) -> Option<String> {
    let mut said = Vec::new();
    for name in HEADERS {
        let text = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !text.is_empty() {
            said.push(plain(text, MAX_CHARS));
        }
    }
    (!said.is_empty()).then(|| said.join(" "))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_a_client_says_is_bounded_and_harmless() {
        let mut headers = HeaderMap::new();
        assert_eq!(software(&headers), None);
        headers.insert("x-zc-request-client", HeaderValue::from_static("zeno"));
        headers.insert("x-zc-sdk-lang", HeaderValue::from_bytes(b"\xff").unwrap());
        let long = HeaderValue::try_from("v".repeat(9000)).unwrap();
        headers.insert("x-zc-sdk-version", long);
        headers.insert("user-agent", HeaderValue::from_static("Go-http-client/2.0"));
        let wanted = format!("zeno {} Go-http-client/2.0", "v".repeat(64));
        assert_eq!(software(&headers), Some(wanted));
    }
}
