//! A request's parts as an [`Operation`]: parsed to the end, or refused.

use http::HeaderMap;

use super::{
    body,
    query::{Query, shown},
    routes::{Endpoint, Matched},
};
use crate::{
    domain::{Addresses, AddressesError, Change, ChangeIpv4, NicId, Operation, ReadNic},
    error::Error,
};

/// The query keys of a change. The last two have no effect yet and are refused where used,
/// never ignored: a caller who means "dry run" must not get a write.
const UNASSIGN_KEYS: [&str; 4] = ["ipAddresses", "ipAddress", "dryRun", "all"];
const ASSIGN_KEYS: [&str; 1] = ["dryRun"];
const NOT_YET: [&str; 2] = ["dryRun", "all"];

/// A request with its body read.
pub(super) struct Parts<'a> {
    pub(super) matched: &'a Matched,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Option<&'a [u8]>,
    /// The most addresses that one request may name.
    pub(super) max_addresses: usize,
}

impl Parts<'_> {
    /// The operation that the request asks for.
    ///
    /// # Errors
    /// 400 with what to mend.
    pub(super) fn operation(&self) -> Result<Operation, Error> {
        match self.matched.endpoint {
            Endpoint::ReadNic => {
                self.bare()?;
                Ok(Operation::Read(ReadNic { nic: self.nic()? }))
            }
            Endpoint::Unassign => self.change(Change::Unassign, &self.unassigned()?),
            Endpoint::UnassignOne => {
                self.bare()?;
                self.no_idempotency_key()?;
                let address = self.matched.parameters.get(1).cloned().unwrap_or_default();
                self.change(Change::Unassign, &[address])
            }
            Endpoint::Assign => self.change(Change::Assign, &self.assigned()?),
            Endpoint::WhoAmI | Endpoint::Problem => {
                Err(Error::invalid("this route performs no operation"))
            }
        }
    }

    /// A request that has no query.
    pub(super) fn bare(&self) -> Result<(), Error> {
        let keys: &[&str] = match self.matched.endpoint {
            Endpoint::UnassignOne => &["dryRun"],
            _ => &[],
        };
        not_yet(&Query::parse(self.query, keys)?)
    }

    fn nic(&self) -> Result<NicId, Error> {
        let text = self.matched.parameters.first().map(String::as_str).unwrap_or_default();
        NicId::parse(text).map_err(|error| Error::invalid(error.to_string()))
    }

    fn change(&self, change: Change, texts: &[String]) -> Result<Operation, Error> {
        let nic = self.nic()?;
        let addresses = Addresses::parse(texts.iter().map(String::as_str), self.max_addresses);
        let addresses = addresses.map_err(|error| match error {
            AddressesError::Empty => Error::missing(
                "no address is named: send `{\"ipAddresses\": [\"10.0.0.2\"]}` as JSON body, \
                 or, with DELETE, `?ipAddresses=10.0.0.2` for each",
            ),
            error => Error::invalid(error.to_string()),
        })?;
        Ok(Operation::Change(ChangeIpv4 { change, nic, addresses }))
    }

    fn unassigned(&self) -> Result<Vec<String>, Error> {
        let query = Query::parse(self.query, &UNASSIGN_KEYS)?;
        not_yet(&query)?;
        self.no_idempotency_key()?;
        let Some(bytes) = self.body else { return in_query(&query) };
        if let Some(key) = query.first_of(&["ipAddresses", "ipAddress"]) {
            return Err(Error::invalid(format!(
                "addresses stand both in the query (`{key}`) and in the body: use one of them"
            )));
        }
        body::addresses(bytes, true)
    }

    fn assigned(&self) -> Result<Vec<String>, Error> {
        not_yet(&Query::parse(self.query, &ASSIGN_KEYS)?)?;
        self.no_idempotency_key()?;
        self.body.map_or(Ok(Vec::new()), |bytes| body::addresses(bytes, false))
    }

    /// Without a journal nothing could be remembered under the key: it is refused, not ignored.
    fn no_idempotency_key(&self) -> Result<(), Error> {
        if self.headers.contains_key("idempotency-key") {
            return Err(Error::invalid(
                "`Idempotency-Key` is not available: this version remembers no keys yet; leave it out",
            ));
        }
        Ok(())
    }
}

/// The list outranks the deprecated single address, as ZEC documents.
fn in_query(query: &Query<'_>) -> Result<Vec<String>, Error> {
    let texts: Vec<String> = query.all("ipAddresses").map(str::to_owned).collect();
    if texts.is_empty() {
        return Ok(query.all("ipAddress").map(str::to_owned).collect());
    }
    query.all("ipAddress").try_for_each(body::outranked)?;
    Ok(texts)
}

fn not_yet(query: &Query<'_>) -> Result<(), Error> {
    match query.first_of(&NOT_YET) {
        None => Ok(()),
        Some(key) => Err(Error::invalid(format!(
            "`{}` is not available in this version of the gateway; nothing was done",
            shown(key)
        ))),
    }
}

/// For `tests/fuzz`: a request's way from its target to its operation.
#[cfg(fuzzing)]
pub(crate) fn door(
    method: &http::Method,
    target: &http::Uri,
    body: Option<&[u8]>,
    max_addresses: usize,
) -> Result<Operation, Error> {
    super::check_target(target)?;
    let router = super::Router::new().map_err(|error| Error::invalid(error.to_string()))?;
    let matched = router.route(method, target.path()).map_err(|(_, error)| error)?;
    let headers = HeaderMap::new();
    // An empty body is none, and some routes read none: as `endpoint` has it.
    let body = body.filter(|body| !body.is_empty() && matched.endpoint.takes_body());
    Parts { matched: &matched, query: target.query(), headers: &headers, body, max_addresses }
        .operation()
}
