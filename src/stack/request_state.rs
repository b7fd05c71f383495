//! The state of a request, which the layers fill in.

use std::sync::Arc;

use http::{Extensions, Request};
use tokio::time::Instant;

use crate::{
    api::{Context, Matched, RequestId},
    domain::Caller,
    error::{Error, Problem},
    limit::ConcurrencySlots,
    telemetry::Record,
};

/// What the layers learn about a request, each for the layers behind it. It travels in the request's extensions from
/// the first layer on.
#[derive(Clone, Debug)]
pub(super) struct RequestState {
    pub(super) id: RequestId,
    pub(super) record: Arc<Record>,
    pub(super) places: ConcurrencySlots,
    /// Until when the request must be answered, and until when if it only reads.
    pub(super) deadlines: Option<(Instant, Instant)>,
    pub(super) matched: Option<Matched>,
    pub(super) caller: Option<Caller>,
}

impl RequestState {
    /// The state with nothing but the id and the record.
    pub(super) fn new(id: RequestId, record: Arc<Record>) -> Self {
        let places = ConcurrencySlots::default();
        Self { id, record, places, deadlines: None, matched: None, caller: None }
    }

    /// The state of a request so far.
    pub(super) fn of<B>(request: &mut Request<B>) -> Result<&mut Self, Error> {
        request.extensions_mut().get_mut().ok_or_else(missing)
    }

    /// The route of a request, and until when it must be answered: what the reading of its body needs.
    pub(super) fn route_and_deadline(&self) -> Result<(&Matched, Instant), Error> {
        match (&self.matched, self.deadlines) {
            (Some(matched), Some((deadline, _))) => Ok((matched, deadline)),
            _ => Err(missing()),
        }
    }

    /// Takes the complete state, for the API.
    pub(super) fn take(extensions: &mut Extensions) -> Result<Context, Error> {
        let found: Self = extensions.remove().ok_or_else(missing)?;
        let Self { record, places, caller, .. } = found;
        let (Some(matched), Some((deadline, reads_until))) = (found.matched, found.deadlines)
        else {
            return Err(missing());
        };
        Ok(Context { matched, caller, places, deadline, reads_until, record })
    }
}

fn missing() -> Error {
    Error::new(Problem::Internal, "a layer is missing from the stack")
}
