//! The parts of a request from which a route reads what is asked.

use http::HeaderMap;

use super::query::Query;
use crate::{domain::UnknownFields, error::Error};

/// A request after its body has been read.
pub(super) struct RequestParts<'a> {
    /// The path's parameters, in order, as they came.
    pub(super) parameters: &'a [String],
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Option<&'a [u8]>,
    /// The most addresses that one request may name.
    pub(super) max_addresses: usize,
    /// What becomes of arguments that an action's row does not have.
    pub(super) unknown_fields: UnknownFields,
}

impl RequestParts<'_> {
    /// The path's parameter at this position, counted from 0; empty if the path has none there.
    pub(super) fn parameter(&self, position: usize) -> &str {
        self.parameters.get(position).map(String::as_str).unwrap_or_default()
    }

    /// Checks that a request has no query.
    pub(super) fn bare(&self) -> Result<(), Error> {
        Query::parse(self.query, &[]).map(drop)
    }
}
