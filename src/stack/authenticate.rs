//! The layer that authenticates the caller and removes the credentials.

use std::{
    error::Error as StdError,
    future::{Future, poll_fn},
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::SystemTime,
};

use bytes::Bytes;
use http::{Request, header, uri::Authority};
use http_body::Body;
use http_body_util::{Either, Full};
use tower::{Service, ServiceExt};

use super::request_state::RequestState;
use crate::{
    api::{Access, Answer, Api, Matched, read_body},
    auth::{Authenticator, Identified, SignedHead, SignedRequest},
    domain::{Caller, Origin},
    error::{Error, Problem},
    limit::{Live, UnverifiedBodies},
};

/// How often a connection is asked for a body before the request takes a place to wait for it.
const TURNS: usize = 4;

/// The body of a request after this layer: as it came, or read already, because a signature covers it.
pub(super) type CheckedBody<B> = Either<B, Full<Bytes>>;

/// Authenticates the caller if the route requires it. No later layer sees the credentials.
pub(super) async fn authenticate<B, S>(
    authenticator: Arc<Authenticator>,
    (api, limits, unverified): (Arc<Api>, Live, UnverifiedBodies),
    mut request: Request<B>,
    mut next: S,
) -> Result<Answer, Error>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
    S: Service<Request<CheckedBody<B>>, Response = Answer, Error = Error>,
{
    let Some(Matched { route, .. }) = &RequestState::of(&mut request)?.matched else {
        return Err(Error::new(Problem::Internal, "a request without a route"));
    };
    let mut request = match route.access() {
        Access::Public => request.map(Either::Left),
        Access::Caller if route.takes_access_keys() => {
            let head = SignedHead {
                headers: request.headers(),
                authority: request.uri().authority().map(Authority::as_str),
            };
            match authenticator.authenticate_or_begin(head, SystemTime::now()).await? {
                Identified::Caller(caller) => {
                    note(&mut request, caller)?;
                    request.map(Either::Left)
                }
                Identified::ByBody(signed) => {
                    let most = limits.now().settings.max_concurrent_requests;
                    by_body(&authenticator, &api, request, &signed, (&unverified, most)).await?
                }
            }
        }
        Access::Caller => {
            let caller = authenticator.authenticate(request.headers(), SystemTime::now()).await?;
            note(&mut request, caller)?;
            request.map(Either::Left)
        }
    };
    request.headers_mut().remove(header::AUTHORIZATION);
    next.ready().await?.call(request).await
}

/// Reads the body, which the signature covers, and then checks it. Of the requests whose bodies are still on their way,
/// only so many wait, whatever keys they name.
async fn by_body<B>(
    authenticator: &Authenticator,
    api: &Api,
    mut request: Request<B>,
    signed: &SignedRequest,
    (unverified, most): (&UnverifiedBodies, usize),
) -> Result<Request<CheckedBody<B>>, Error>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let found = RequestState::of(&mut request)?;
    let (client, (matched, deadline)) = (client(found), found.route_and_deadline()?);
    let bodies = api.limits_of(matched.route);
    let (head, body) = request.into_parts();
    let body = {
        let mut reading = pin!(read_body(&head.headers, body, bodies, deadline));
        if let Some(read) = at_once(reading.as_mut()).await {
            read?
        } else {
            let _place = unverified.begin(client, most).ok_or_else(full)?;
            reading.await?
        }
    };
    let mut request = Request::from_parts(head, Either::Right(Full::new(body.clone())));
    let caller = authenticator.check_signature(signed, &body, client, SystemTime::now())?;
    note(&mut request, caller)?;
    Ok(request)
}

/// The output of a future that needs no more than a few turns of its connection: enough for a body that came with its
/// head.
async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    for _ in 0..TURNS {
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

fn full() -> Error {
    Error::new(
        Problem::Overloaded,
        "too many signed requests wait for their bodies; nothing was sent, try again, and send each request whole",
    )
}

fn note<B>(request: &mut Request<B>, caller: Caller) -> Result<(), Error> {
    let found = RequestState::of(request)?;
    found.record.note(|facts| facts.caller = Some(caller.id().to_owned()));
    found.caller = Some(caller);
    Ok(())
}

/// The address from which a request came: the peer's, or the one that a trusted proxy names.
fn client(found: &RequestState) -> Option<IpAddr> {
    match found.record.peer()?.client {
        Origin::Tcp(address) => Some(address.ip()),
        Origin::Unix | Origin::Unknown => None,
    }
}
