//! The descriptions of the interface: the `OpenAPI` document for programs, and a page for people from the same tables.

mod html;
mod page;

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};

use super::{
    openapi,
    reply::{self, Answer},
};

/// The page runs no script and loads only its own style sheet. Its icon is an empty one, so that browsers do not
/// request `/favicon.ico`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("style.css");

/// Both descriptions, each built on its first request: most gateways never get one, and building them takes a megabyte.
/// Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Documents(Arc<Built>);

#[derive(Debug, Default)]
struct Built {
    json: ArcSwapOption<OpenApi>,
    page: OnceLock<Bytes>,
}

/// The document, and the limit that it mentions.
#[derive(Debug)]
struct OpenApi {
    max_addresses: usize,
    json: Bytes,
}

impl OpenApi {
    fn new(max_addresses: usize) -> Self {
        let mut json = openapi::document(max_addresses).to_string();
        json.push('\n');
        Self { max_addresses, json: Bytes::from(json) }
    }
}

impl Documents {
    /// The limit may have changed since, because a running gateway can reload it.
    pub(super) fn json(&self, max_addresses: usize) -> Answer {
        let made = self.0.json.load_full().filter(|made| made.max_addresses == max_addresses);
        let document = made.unwrap_or_else(|| {
            let document = Arc::new(OpenApi::new(max_addresses));
            self.0.json.store(Some(Arc::clone(&document)));
            document
        });
        reply::page("application/json", document.json.clone())
    }

    pub(super) fn page(&self) -> Answer {
        let page = self.0.page.get_or_init(|| Bytes::from(page::render()));
        let mut answer = reply::page("text/html; charset=utf-8", page.clone());
        let mut put = |name: HeaderName, value| {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        };
        put(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
        put(header::REFERRER_POLICY, "no-referrer");
        answer
    }
}

/// The style sheet of the page.
pub(super) fn stylesheet() -> Answer {
    reply::page("text/css; charset=utf-8", Bytes::from_static(STYLE.as_bytes()))
}
