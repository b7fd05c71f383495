//! What describes the interface: the `OpenAPI` document for programs, and a page for people that is
//! made of the same tables. Both are made once.

mod html;
mod page;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};

use super::{
    openapi,
    reply::{self, Answer},
};

/// The page runs no script, and loads nothing but its own style sheet; the icon is
/// an empty one, lest browsers ask for `/favicon.ico`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("style.css");

/// The two descriptions.
#[derive(Clone, Debug)]
pub(super) struct Description {
    json: Bytes,
    page: Bytes,
}

impl Description {
    pub(super) fn new(max_addresses: usize) -> Self {
        let mut json = openapi::document(max_addresses).to_string();
        json.push('\n');
        Self { json: Bytes::from(json), page: Bytes::from(page::render()) }
    }

    pub(super) fn json(&self) -> Answer {
        reply::page("application/json", self.json.clone())
    }

    pub(super) fn page(&self) -> Answer {
        let mut answer = reply::page("text/html; charset=utf-8", self.page.clone());
        let mut put = |name: HeaderName, value| {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        };
        put(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
        put(header::REFERRER_POLICY, "no-referrer");
        answer
    }
}

/// How the page looks.
pub(super) fn stylesheet() -> Answer {
    reply::page("text/css; charset=utf-8", Bytes::from_static(STYLE.as_bytes()))
}
