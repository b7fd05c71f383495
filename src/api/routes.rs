//! Every route on one screen. The labels of metrics and the header `Allow` come from this table.

use http::Method;

use crate::{error::Error, error::Problem, metrics::RouteSeries};

/// The callers that a route admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// Callers with an accepted token.
    Caller,
}

/// The function of a route's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Unassigns addresses from a vNIC.
    Unassign,
    /// Unassigns the address in the path from a vNIC.
    UnassignOne,
    /// Assigns addresses to a vNIC.
    Assign,
    /// Shows a vNIC.
    ReadNic,
    /// Shows the outcome of a write.
    ReadOperation,
    /// Lists the outcomes of writes.
    ListOperations,
    /// Shows the caller.
    WhoAmI,
    /// Explains a problem.
    Problem,
    /// Describes every route, for programs.
    OpenApi,
    /// Describes every route, for people.
    Docs,
    /// The style sheet of that description.
    Stylesheet,
}

impl Endpoint {
    /// Whether a request may have a body.
    #[must_use]
    pub const fn takes_body(self) -> bool {
        match self {
            Self::Unassign | Self::Assign => true,
            Self::UnassignOne
            | Self::ReadNic
            | Self::ReadOperation
            | Self::ListOperations
            | Self::WhoAmI
            | Self::Problem
            | Self::OpenApi
            | Self::Docs
            | Self::Stylesheet => false,
        }
    }
}

/// One method of one route.
#[derive(Debug)]
struct Entry {
    route: &'static str,
    method: Method,
    access: Access,
    endpoint: Endpoint,
    codes: &'static [u16],
}

impl Entry {
    /// The methods that the entry answers.
    fn methods(&self) -> impl Iterator<Item = &'static str> {
        let head = (self.method == Method::GET).then_some("HEAD");
        [method_label(&self.method)].into_iter().chain(head)
    }
}

/// The gateway's own statuses that each kind of route may answer with.
const PAGE: &[u16] = &[200, 400, 500, 503];
const PUBLIC: &[u16] = &[200, 400, 404, 500, 503];
const CALLER: &[u16] = &[200, 400, 401, 429, 500, 503];
const RECORD: &[u16] = &[200, 400, 401, 404, 429, 500, 503];
const READ: &[u16] = &[200, 400, 401, 403, 404, 429, 500, 502, 503, 504];
const WRITE: &[u16] = &[200, 400, 401, 403, 404, 409, 411, 413, 415, 429, 500, 502, 503, 504];

#[rustfmt::skip] // One line for each route reads as the table that it is.
static ROUTES: [Entry; 11] = [
    Entry { route: "/nics/{nicId}/ipv4", method: Method::DELETE, access: Access::Caller, endpoint: Endpoint::Unassign, codes: WRITE },
    Entry { route: "/nics/{nicId}/ipv4/{address}", method: Method::DELETE, access: Access::Caller, endpoint: Endpoint::UnassignOne, codes: WRITE },
    Entry { route: "/nics/{nicId}/ipv4", method: Method::POST, access: Access::Caller, endpoint: Endpoint::Assign, codes: WRITE },
    Entry { route: "/nics/{nicId}", method: Method::GET, access: Access::Caller, endpoint: Endpoint::ReadNic, codes: READ },
    Entry { route: "/operations/{operationId}", method: Method::GET, access: Access::Caller, endpoint: Endpoint::ReadOperation, codes: RECORD },
    Entry { route: "/operations", method: Method::GET, access: Access::Caller, endpoint: Endpoint::ListOperations, codes: RECORD },
    Entry { route: "/whoami", method: Method::GET, access: Access::Caller, endpoint: Endpoint::WhoAmI, codes: CALLER },
    Entry { route: "/problems/{slug}", method: Method::GET, access: Access::Public, endpoint: Endpoint::Problem, codes: PUBLIC },
    Entry { route: "/openapi.json", method: Method::GET, access: Access::Public, endpoint: Endpoint::OpenApi, codes: PAGE },
    Entry { route: "/docs", method: Method::GET, access: Access::Public, endpoint: Endpoint::Docs, codes: PAGE },
    Entry { route: "/docs/style.css", method: Method::GET, access: Access::Public, endpoint: Endpoint::Stylesheet, codes: PAGE },
];

/// Every route's pattern, method and endpoint, for the descriptions.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static Method, Endpoint)> {
    ROUTES.iter().map(|entry| (entry.route, &entry.method, entry.endpoint))
}

/// The callers that an endpoint admits.
pub(super) fn access(endpoint: Endpoint) -> Access {
    let entry = ROUTES.iter().find(|entry| entry.endpoint == endpoint);
    entry.map_or(Access::Caller, |entry| entry.access)
}

/// The route label of a request without a route.
pub const UNMATCHED: &str = "unmatched";

/// The possible method labels; any other method is `other`.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];

/// A request's method as a label from a closed set.
#[must_use]
pub fn method_label(method: &Method) -> &'static str {
    METHODS.into_iter().find(|label| *label == method.as_str()).unwrap_or("other")
}

/// Every series that a route has from the start.
#[must_use]
pub fn series() -> Vec<RouteSeries> {
    let unmatched =
        RouteSeries { route: UNMATCHED, method: "GET", codes: &[400, 404, 414, 500, 503] };
    let own = ROUTES.iter().flat_map(|entry| {
        let series = |method| RouteSeries { route: entry.route, method, codes: entry.codes };
        entry.methods().map(series)
    });
    own.chain([unmatched]).collect()
}

/// The route of a request.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The route's pattern.
    pub route: &'static str,
    /// The callers that the route admits.
    pub access: Access,
    /// The route's function for this method.
    pub endpoint: Endpoint,
    /// The path's parameters, in order, as they came.
    pub parameters: Vec<String>,
}

/// Finds the route of a path.
#[derive(Debug)]
pub struct Router {
    inner: matchit::Router<&'static str>,
}

impl Router {
    /// Creates a router over the table.
    ///
    ///
    /// # Errors
    /// When two patterns of the table conflict, which a test would find.
    pub fn new() -> Result<Self, matchit::InsertError> {
        let mut inner = matchit::Router::new();
        let mut known = Vec::new();
        for entry in &ROUTES {
            if !known.contains(&entry.route) {
                known.push(entry.route);
                inner.insert(entry.route, entry.route)?;
            }
        }
        Ok(Self { inner })
    }

    /// The route of a path that is within the grammar. If only the method is wrong, the pattern is still returned, for
    /// the metrics.
    ///
    ///
    /// # Errors
    /// 404 or 405, with the pattern if there is one.
    pub fn route(
        &self,
        method: &Method,
        path: &str,
    ) -> Result<Matched, (Option<&'static str>, Error)> {
        let Ok(found) = self.inner.at(path) else {
            let detail = "the gateway has no such path; it has `/nics/{nicId}`, \
                          `/nics/{nicId}/ipv4`, `/nics/{nicId}/ipv4/{address}`, `/operations`, \
                          `/operations/{operationId}` and `/whoami`; `/docs` describes them";
            return Err((None, Error::new(Problem::NotFound, detail)));
        };
        let route = *found.value;
        // Each GET route also answers HEAD (RFC 9110, 9.1), without the body.
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let Some(entry) = ROUTES.iter().find(|e| e.route == route && e.method == wanted) else {
            let allow = allow(route);
            let detail = format!("the route `{route}` has no such method: use {allow}");
            let error = Error::new(Problem::MethodNotAllowed, detail).with_allow(allow);
            return Err((Some(route), error));
        };
        Ok(Matched {
            route,
            access: entry.access,
            endpoint: entry.endpoint,
            parameters: found.params.iter().map(|(_, value)| value.to_owned()).collect(),
        })
    }
}

fn allow(route: &'static str) -> String {
    let methods = ROUTES.iter().filter(|entry| entry.route == route);
    methods.flat_map(Entry::methods).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_clash_and_every_route_is_found() {
        let router = Router::new().unwrap();
        for entry in &ROUTES {
            let path = entry.route.replace(['{', '}'], "");
            let matched = router.route(&entry.method, &path).unwrap();
            assert_eq!((matched.route, matched.endpoint), (entry.route, entry.endpoint));
        }
    }

    #[test]
    fn unknown_paths_are_404_and_unknown_methods_405_with_allow() {
        let router = Router::new().unwrap();
        for path in
            ["/", "/nics", "/nics/a/", "/nics/a/ipv4/", "/nics/a/ipv6", "/operations/", "/metrics"]
        {
            let (route, error) = router.route(&Method::GET, path).unwrap_err();
            assert_eq!((route, error.problem()), (None, Problem::NotFound), "{path}");
        }
        let (route, error) = router.route(&Method::PUT, "/nics/a/ipv4").unwrap_err();
        assert_eq!(route, Some("/nics/{nicId}/ipv4"));
        assert_eq!(error.allow(), Some("DELETE, POST"));
    }
}
