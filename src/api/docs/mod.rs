//! What describes the interface: the `OpenAPI` document for programs, and a page for people that is
//! made of the same tables.

mod html;
mod page;

use std::sync::Arc;

use arc_swap::ArcSwap;
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

/// The two descriptions. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Description {
    json: Arc<ArcSwap<Document>>,
    page: Bytes,
}

/// The document, and the limit that it tells of.
#[derive(Debug)]
struct Document {
    max_addresses: usize,
    json: Bytes,
}

impl Document {
    fn new(max_addresses: usize) -> Self {
        let mut json = openapi::document(max_addresses).to_string();
        json.push('\n');
        Self { max_addresses, json: Bytes::from(json) }
    }
}

impl Description {
    pub(super) fn new(max_addresses: usize) -> Self {
        let json = Arc::new(ArcSwap::from_pointee(Document::new(max_addresses)));
        Self { json, page: Bytes::from(page::render()) }
    }

    /// The limit may have changed since: it is loaded again while the gateway serves.
    pub(super) fn json(&self, max_addresses: usize) -> Answer {
        if self.json.load().max_addresses != max_addresses {
            self.json.store(Arc::new(Document::new(max_addresses)));
        }
        reply::page("application/json", self.json.load().json.clone())
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
