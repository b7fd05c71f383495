//! Turns a request's parts into an [`Operation`]: parsed completely, or refused.

use http::HeaderMap;

use super::{
    body,
    query::{Query, shown},
    reply::RequestId,
    routes::{Endpoint, Matched},
};
use crate::{
    domain::{
        Addresses, AddressesError, Change, ChangeIpv4, IdempotencyKey, NicId, Operation,
        OperationId, Outcome, ReadNic, Resource, Selection, UnassignAll,
    },
    error::Error,
    execute::Lookup,
    journal::Filter,
};

/// The query keys of a request that unassigns addresses.
const UNASSIGN_KEYS: [&str; 4] = ["ipAddresses", "ipAddress", "dryRun", "all"];

/// The query keys of every other change.
const CHANGE_KEYS: [&str; 1] = ["dryRun"];

/// The query keys of a list of operations.
const LIST_KEYS: [&str; 6] = ["nic", "resource", "outcome", "requestId", "limit", "before"];

/// The most operations that a list may show, and the default number.
const MAX_LISTED: usize = 100;
const LISTED: usize = 20;

/// A request after its body has been read.
pub(super) struct RequestParts<'a> {
    pub(super) matched: &'a Matched,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Option<&'a [u8]>,
    /// The most addresses that one request may name.
    pub(super) max_addresses: usize,
}

impl RequestParts<'_> {
    /// The operation that the request asks for.
    ///
    ///
    /// # Errors
    /// 400, with what to correct.
    pub(super) fn operation(&self) -> Result<Operation, Error> {
        match self.matched.endpoint {
            Endpoint::ReadNic => {
                self.bare()?;
                Ok(Operation::Read(ReadNic { nic: self.nic()? }))
            }
            Endpoint::Unassign => {
                let query = Query::parse(self.query, &UNASSIGN_KEYS)?;
                self.change(&query, self.unassigned(&query)?)
            }
            Endpoint::UnassignOne => {
                let query = Query::parse(self.query, &CHANGE_KEYS)?;
                let address = self.matched.parameters.get(1).cloned().unwrap_or_default();
                self.change(&query, self.listed(Change::Unassign, &[address])?)
            }
            Endpoint::Assign => {
                let query = Query::parse(self.query, &CHANGE_KEYS)?;
                let texts = self.body.map_or(Ok(None), |body| body::addresses(body, false))?;
                self.change(&query, self.listed(Change::Assign, &texts.unwrap_or_default())?)
            }
            Endpoint::ReadOperation
            | Endpoint::ListOperations
            | Endpoint::WhoAmI
            | Endpoint::Problem
            | Endpoint::OpenApi
            | Endpoint::Docs
            | Endpoint::Stylesheet => Err(Error::invalid("this route performs no operation")),
        }
    }

    /// The lookup in the record of writes that the request asks for: one operation, or a list.
    ///
    ///
    /// # Errors
    /// 400, with what to correct.
    pub(super) fn lookup(&self) -> Result<Lookup, Error> {
        if let Some(id) = self.matched.parameters.first() {
            self.bare()?;
            return Ok(Lookup::One(operation_id(id)?));
        }
        let query = Query::parse(self.query, &LIST_KEYS)?;
        Ok(Lookup::Several(Filter {
            resource: resource(&query)?,
            outcome: query.one("outcome").map(outcome).transpose()?,
            request_id: query.one("requestId").map(request_id).transpose()?,
            before: query.one("before").map(operation_id).transpose()?,
            ..Filter::newest(query.one("limit").map_or(Ok(LISTED), limit)?)
        }))
    }

    /// Checks that a request has no query.
    pub(super) fn bare(&self) -> Result<(), Error> {
        Query::parse(self.query, &[]).map(drop)
    }

    fn nic(&self) -> Result<NicId, Error> {
        let text = self.matched.parameters.first().map(String::as_str).unwrap_or_default();
        NicId::parse(text).map_err(|error| Error::invalid(error.to_string()))
    }

    fn change(&self, query: &Query<'_>, selection: Selection) -> Result<Operation, Error> {
        let key = self.headers.get("idempotency-key").map(http::HeaderValue::as_bytes);
        let key = key.map(IdempotencyKey::parse).transpose();
        let key = key.map_err(|error| Error::invalid(error.to_string()))?;
        match (query.is_true("dryRun")?, key) {
            (true, None) => Ok(Operation::DryRun(selection)),
            (true, Some(_)) => Err(Error::invalid(
                "a dry run takes no `Idempotency-Key`, because it changes nothing: leave one of \
                 them out",
            )),
            (false, key) => Ok(Operation::Change(selection, key)),
        }
    }

    fn listed(&self, change: Change, texts: &[String]) -> Result<Selection, Error> {
        let nic = self.nic()?;
        let addresses = Addresses::parse(texts.iter().map(String::as_str), self.max_addresses);
        let addresses = addresses.map_err(|error| match error {
            AddressesError::Empty => Error::missing(
                "no address is named: send `{\"ipAddresses\": [\"10.0.0.2\"]}` as JSON body, \
                 or, with DELETE, `?ipAddresses=10.0.0.2` for each, or `?all=true`",
            ),
            error => Error::invalid(error.to_string()),
        })?;
        Ok(Selection::Listed(ChangeIpv4 { change, nic, addresses }))
    }

    fn unassigned(&self, query: &Query<'_>) -> Result<Selection, Error> {
        let named = query.first_of(&["ipAddresses", "ipAddress"]);
        let in_body = self.body.map_or(Ok(None), |body| body::addresses(body, true))?;
        if query.is_true("all")? {
            if named.is_some() || in_body.is_some() {
                return Err(Error::invalid(
                    "`all=true` takes every secondary address off: name no address with it",
                ));
            }
            return Ok(Selection::All(UnassignAll { nic: self.nic()?, max: self.max_addresses }));
        }
        let texts = match (in_body, named) {
            (None, _) => in_query(query)?,
            (Some(texts), None) => texts,
            (Some(_), Some(key)) => {
                return Err(Error::invalid(format!(
                    "addresses are both in the query (`{key}`) and in the body: use one of them"
                )));
            }
        };
        self.listed(Change::Unassign, &texts)
    }
}

/// The resource to filter by; `nic=1612…` is short for `resource=nic/1612…`.
fn resource(query: &Query<'_>) -> Result<Option<Resource>, Error> {
    let invalid = |error: &dyn std::fmt::Display| Error::invalid(error.to_string());
    match (query.one("nic"), query.one("resource")) {
        (None, None) => Ok(None),
        (Some(text), None) => {
            let nic = NicId::parse(text).map_err(|error| invalid(&error))?;
            Ok(Some(Resource::nic(&nic)))
        }
        (None, Some(text)) => {
            // Most clients escape the slash, and no other character of a resource needs an escape.
            let text = text.replacen("%2F", "/", 1).replacen("%2f", "/", 1);
            Resource::parse(&text).map(Some).map_err(|error| invalid(&error))
        }
        (Some(_), Some(_)) => {
            Err(Error::invalid("`nic` and `resource` name the same thing: send one of them"))
        }
    }
}

fn operation_id(text: &str) -> Result<OperationId, Error> {
    OperationId::parse(text).map_err(|error| Error::invalid(error.to_string()))
}

fn outcome(text: &str) -> Result<Outcome, Error> {
    Outcome::from_label(text).ok_or_else(|| {
        let all = Outcome::ALL.map(Outcome::label).join("`, `");
        Error::invalid(format!("`outcome` is `{}`: use one of `{all}`", shown(text)))
    })
}

fn request_id(text: &str) -> Result<String, Error> {
    if RequestId::is_harmless(text.as_bytes()) {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(format!(
        "`requestId` is `{}`, which cannot be a request's id: send the `X-Request-Id` of an answer",
        shown(text)
    )))
}

/// A number has only one form: no sign, no leading zero.
fn limit(text: &str) -> Result<usize, Error> {
    (1..=MAX_LISTED).find(|limit| limit.to_string() == text).ok_or_else(|| {
        Error::invalid(format!("`limit` is `{}`: use 1 to {MAX_LISTED}", shown(text)))
    })
}

/// The list has precedence over the deprecated single address, as ZEC documents.
fn in_query(query: &Query<'_>) -> Result<Vec<String>, Error> {
    if let Some(list) = query.all("ipAddresses").find(|text| text.contains(',')) {
        return Err(Error::invalid(format!(
            "`ipAddresses` is `{}`: repeat the key for each address, as \
             `ipAddresses=10.0.0.2&ipAddresses=10.0.0.3`",
            shown(list)
        )));
    }
    let texts: Vec<String> = query.all("ipAddresses").map(str::to_owned).collect();
    if texts.is_empty() {
        return Ok(query.all("ipAddress").map(str::to_owned).collect());
    }
    query.all("ipAddress").try_for_each(body::outranked)?;
    Ok(texts)
}

/// For `tests/fuzz`: all steps from a request's target to its operation.
#[cfg(fuzzing)]
pub(crate) fn fuzz_entry(
    method: &http::Method,
    target: &http::Uri,
    body: Option<&[u8]>,
    max_addresses: usize,
) -> Result<Operation, Error> {
    super::check_target(target)?;
    let router = super::Router::new().map_err(|error| Error::invalid(error.to_string()))?;
    let matched = router.route(method, target.path()).map_err(|(_, error)| error)?;
    let headers = HeaderMap::new();
    // An empty body counts as absent, and some routes read no body, as in `endpoint`.
    let body = body.filter(|body| !body.is_empty() && matched.endpoint.takes_body());
    RequestParts {
        matched: &matched,
        query: target.query(),
        headers: &headers,
        body,
        max_addresses,
    }
    .operation()
}
