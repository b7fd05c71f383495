//! Every route of the callers' port. The router, the labels of metrics, `Allow`, CORS, the `OpenAPI` document and the
//! page come from this table.

pub(super) mod actions;
mod find;
mod nics;
mod operations;
mod pages;
mod whoami;
mod zec;

use http::Method;

use super::{
    describe::Description,
    route::{
        Access,
        Handler::{self, ActionCall, Caller, Lookup, Operation, Page, ZecCall},
        Route,
    },
};
use crate::{
    error::{Error, Problem},
    metrics::RouteSeries,
};

/// Whether a request may have a body.
const BODY: bool = true;
const NO_BODY: bool = false;

#[rustfmt::skip] // One line for each route reads as the table that it is.
static ROUTES: [Route; 16] = [
    route(Method::DELETE, "/nics/{nicId}/ipv4",           Operation(nics::unassign),     BODY,    nics::UNASSIGN, nics::describe_unassign),
    route(Method::DELETE, "/nics/{nicId}/ipv4/{address}", Operation(nics::unassign_one), NO_BODY, nics::UNASSIGN, nics::describe_unassign_one),
    route(Method::POST,   "/nics/{nicId}/ipv4",           Operation(nics::assign),       BODY,    nics::ASSIGN,   nics::describe_assign),
    route(Method::GET,    "/nics",                        Operation(find::find),         NO_BODY, find::FIND,     find::describe),
    route(Method::GET,    "/nics/{nicId}",                Operation(nics::read),         NO_BODY, nics::READ,     nics::describe_read),
    route(Method::POST,   "/api/v2/{service}",            ZecCall(zec::call),            BODY,    zec::CALL,      zec::describe),
    route(Method::POST,   "/actions/{Action}",            ActionCall(actions::call),     BODY,    zec::CALL,      actions::describe_call),
    route(Method::GET,    "/actions/{Action}",            Page(actions::read),           NO_BODY, actions::READ,  actions::describe_read),
    route(Method::GET,    "/actions",                     Page(actions::list),           NO_BODY, &[],            actions::describe_list),
    route(Method::GET,    "/operations/{operationId}",    Lookup(operations::read),      NO_BODY, operations::READ, operations::describe_read),
    route(Method::GET,    "/operations",                  Lookup(operations::list),      NO_BODY, operations::READ, operations::describe_list),
    route(Method::GET,    "/whoami",                      Caller(whoami::show),          NO_BODY, &[],            whoami::describe),
    route(Method::GET,    "/problems/{slug}",             Page(pages::problem),          NO_BODY, pages::PROBLEM, pages::describe_problem),
    route(Method::GET,    "/openapi.json",                Page(pages::open_api),         NO_BODY, &[],            pages::describe_open_api),
    route(Method::GET,    "/docs",                        Page(pages::docs),             NO_BODY, &[],            pages::describe_docs),
    route(Method::GET,    "/docs/style.css",              Page(pages::stylesheet),       NO_BODY, &[],            pages::describe_stylesheet),
];

const fn route(
    method: Method,
    path: &'static str,
    handler: Handler,
    takes_body: bool,
    problems: &'static [&'static [Problem]],
    describe: fn() -> Description,
) -> Route {
    Route { method, path, handler, takes_body, problems, describe }
}

/// Every route, in the order of the documents.
pub(super) fn all() -> &'static [Route] {
    &ROUTES
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

/// Every method that some route answers, each once.
#[must_use]
pub fn methods() -> Vec<Method> {
    once(ROUTES.iter().flat_map(Route::methods).cloned())
}

/// Every series that a route has from the start.
#[must_use]
pub fn series() -> Vec<RouteSeries> {
    let unmatched =
        RouteSeries { route: UNMATCHED, method: "GET", codes: vec![400, 404, 414, 500, 503] };
    let own = ROUTES.iter().flat_map(|route| {
        let codes: Vec<u16> = route.statuses().into_iter().collect();
        let series = move |method| {
            let method = method_label(method);
            RouteSeries { route: route.path, method, codes: codes.clone() }
        };
        route.methods().map(series)
    });
    own.chain([unmatched]).collect()
}

/// The route of a request.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The route.
    pub route: &'static Route,
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
    /// # Errors
    /// When two paths of the table conflict, which a test would find.
    pub fn new() -> Result<Self, matchit::InsertError> {
        let mut inner = matchit::Router::new();
        for path in paths(|_| true) {
            inner.insert(path, path)?;
        }
        Ok(Self { inner })
    }

    /// The route of a path that is within the grammar. If only the method is wrong, the route's path is still returned,
    /// for the metrics.
    ///
    /// # Errors
    /// 404 or 405, with the route's path if there is one.
    pub fn route(
        &self,
        method: &Method,
        path: &str,
    ) -> Result<Matched, (Option<&'static str>, Error)> {
        let Ok(found) = self.inner.at(path) else { return Err((None, no_such_path())) };
        let path = *found.value;
        let of_path = || ROUTES.iter().filter(|route| route.path == path);
        let Some(route) = of_path().find(|route| route.methods().any(|one| one == method)) else {
            let allow: Vec<&str> = of_path().flat_map(Route::methods).map(Method::as_str).collect();
            let allow = allow.join(", ");
            let detail = format!("the route `{path}` has no such method: use {allow}");
            let error = Error::new(Problem::MethodNotAllowed, detail).with_allow(allow);
            return Err((Some(path), error));
        };
        let parameters = found.params.iter().map(|(_, value)| value.to_owned()).collect();
        Ok(Matched { route, parameters })
    }
}

/// Each value once, in the order of its first place.
fn once<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut each = Vec::new();
    for value in values {
        if !each.contains(&value) {
            each.push(value);
        }
    }
    each
}

/// The paths of some routes, each once.
fn paths(wanted: impl Fn(&Route) -> bool) -> Vec<&'static str> {
    once(ROUTES.iter().filter(|route| wanted(route)).map(|route| route.path))
}

fn no_such_path() -> Error {
    let paths = paths(|route| route.access() == Access::Caller).join("`, `");
    let detail = format!("the gateway has no such path; it has `{paths}`: `/docs` describes them");
    Error::new(Problem::NotFound, detail)
}

/// For `tests/fuzz`: all steps from a request's target to its operation.
#[cfg(fuzzing)]
pub(crate) fn fuzz_entry(
    method: &http::Method,
    target: &http::Uri,
    headers: &http::HeaderMap,
    body: Option<&[u8]>,
    max_addresses: usize,
) -> Result<crate::domain::Operation, Error> {
    super::check_target(target)?;
    let router = Router::new().map_err(|error| Error::invalid(error.to_string()))?;
    let matched = router.route(method, target.path()).map_err(|(_, error)| error)?;
    // An empty body counts as absent, and some routes read no body, as in `endpoint`.
    let body = body.filter(|body| !body.is_empty() && matched.route.takes_body);
    let request = super::request::RequestParts {
        unknown_fields: crate::domain::UnknownFields::Refuse,
        parameters: &matched.parameters,
        query: target.query(),
        headers,
        body,
        max_addresses,
    };
    match matched.route.handler {
        Handler::Operation(read) | Handler::ActionCall(read) | Handler::ZecCall(read) => {
            read(&request)
        }
        _ => Err(Error::invalid("this route performs no operation")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_clash_and_every_route_is_found() {
        let router = Router::new().unwrap();
        for entry in &ROUTES {
            let path = entry.path.replace(['{', '}'], "");
            let matched = router.route(&entry.method, &path).unwrap();
            assert!(std::ptr::eq(matched.route, entry));
        }
    }

    #[test]
    fn unknown_paths_are_404_and_unknown_methods_405_with_allow() {
        let router = Router::new().unwrap();
        for path in
            ["/", "/nic", "/nics/a/", "/nics/a/ipv4/", "/nics/a/ipv6", "/operations/", "/metrics"]
        {
            let (route, error) = router.route(&Method::GET, path).unwrap_err();
            assert_eq!((route, error.problem()), (None, Problem::NotFound), "{path}");
        }
        let (route, error) = router.route(&Method::PUT, "/nics/a/ipv4").unwrap_err();
        assert_eq!(route, Some("/nics/{nicId}/ipv4"));
        assert_eq!(error.allow(), Some("DELETE, POST"));
    }

    #[test]
    fn the_404_names_every_path_for_callers_and_cors_every_method() {
        let router = Router::new().unwrap();
        let (_, error) = router.route(&Method::GET, "/").unwrap_err();
        for route in &ROUTES {
            let named = error.detail().contains(&format!("`{}`", route.path));
            let is_callers = |one: &Route| one.path == route.path && one.access() == Access::Caller;
            assert_eq!(named, ROUTES.iter().any(is_callers) || route.path == "/docs");
        }
        let methods = methods();
        assert!(ROUTES.iter().flat_map(Route::methods).all(|method| methods.contains(method)));
        assert_eq!(methods, [Method::DELETE, Method::POST, Method::GET, Method::HEAD]);
    }
}
