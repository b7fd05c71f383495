//! Every layer that a request passes, in order, each with the reason for its position.

mod authenticate;
mod caller_limits;
mod check;
mod cors;
mod deadline;
mod request_state;
mod framing;
mod from_fn;
mod observe;
mod problems;
mod request_id;
mod route;
mod shed;

use std::{convert::Infallible, error::Error as StdError, sync::Arc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body::Body;
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, util::BoxCloneSyncService};
use tower_http::set_header::SetResponseHeaderLayer;

pub use crate::api::{Answer, AnswerBody, BrokenOff, LongAnswer, Piece};
use crate::{
    api::{Api, Router},
    auth::Authenticator,
    limit::{AtOnce, Callers, Live, UnverifiedBodies},
    metrics::Metrics,
    telemetry::Sink,
};
use authenticate::CheckedBody;
use check::check;
pub use deadline::Timeouts;
pub use framing::Oddities;
use from_fn::from_fn;
use request_state::RequestState;

/// The whole gateway as one service, which answers any request and never fails.
pub type Stack<B> = BoxCloneSyncService<Request<B>, Answer, Infallible>;

/// What the layers are built from.
#[derive(Clone, Debug)]
pub struct StackParts {
    /// Authenticates callers.
    pub authenticator: Arc<Authenticator>,
    /// Answers the routes of the API.
    pub api: Api,
    /// The route table.
    pub router: Arc<Router>,
    /// The series that the layers count in.
    pub metrics: Arc<Metrics>,
    /// The limits of each caller.
    pub callers: Arc<Callers>,
    /// The current limits, for example on how many requests may run at once.
    pub limits: Live,
    /// How long answers may take.
    pub timeouts: Timeouts,
    /// Cancelled when the gateway begins nothing new any more.
    pub draining: CancellationToken,
    /// Takes finished requests, to export their spans; `None` without a collector.
    pub spans: Option<Arc<dyn Sink>>,
    /// The origins whose pages may call.
    pub allowed_origins: Vec<HeaderValue>,
}

/// Builds the service. The first layer named is the outermost.
pub fn build<B>(parts: StackParts) -> Stack<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let StackParts {
        authenticator, api, router, metrics, callers, limits, draining, spans, ..
    } = parts;
    let turns = limits.clone();
    let (api, counted, running) = (Arc::new(api), Arc::clone(&metrics), AtOnce::default());
    let timeouts = parts.timeouts;
    let reading = (Arc::clone(&api), limits.clone(), UnverifiedBodies::default());
    let service = ServiceBuilder::new()
        // Outermost, around everything that can fail. So every request is counted, also if its caller hangs up, and
        // every answer and log event can be found by the request's id.
        .layer(from_fn(move |request, next| {
            observe::observe(Arc::clone(&metrics), spans.clone(), request, next)
        }))
        // On every answer: no cache may store it, and no browser may guess that it is a page.
        .layer(always(header::CACHE_CONTROL, "no-store"))
        .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Before authentication, because a preflight request has no token; around errors, because without these
        // headers a page cannot read them.
        .option_layer(
            cors::layer(&parts.allowed_origins).map(|layer| {
                from_fn(move |request, next| cors::cors(layer.clone(), request, next))
            }),
        )
        // Turns every error and panic inside into a problem document, here and nowhere else.
        .layer(from_fn(move |request, next| {
            problems::errors_to_problems(Arc::clone(&counted), request, next)
        }))
        // All checks of the head, in one layer, because each layer costs a copy of the request.
        .layer(check(move |request: &mut Request<B>| {
            // Sheds load before any work is done, especially before a signature is checked.
            shed::shed(&running, &limits, &draining, request)?;
            // The deadlines start here; every later wait ends at one of them.
            deadline::stamp(timeouts, request)?;
            // A path that two parties could read differently is not even routed.
            framing::target(request)?;
            // The path is read once; the policy and ZEC get only what was parsed from it.
            route::route(&router, request)?;
            // The same check for headers, now that the route is known under which a refusal is counted.
            framing::headers(request)
        }))
        // Before a byte of the body is read: a request without a good token costs a few signature checks at most. Only
        // a signature with an access key covers the body, which is then read to its bound.
        .layer(from_fn(move |request, next| {
            authenticate::authenticate(Arc::clone(&authenticator), reading.clone(), request, next)
        }))
        // As soon as the caller is known, so that one caller's many or slow requests do not take the places of
        // others.
        .layer(check(move |request: &mut Request<CheckedBody<B>>| {
            caller_limits::limit(&callers, request)
        }))
        .service(tower::service_fn(move |request: Request<CheckedBody<B>>| {
            let api = Arc::clone(&api);
            let (mut head, body) = request.into_parts();
            let context = RequestState::take(&mut head.extensions);
            let limits = turns.clone();
            Box::pin(async move {
                let context = context?;
                caller_limits::wait(&limits, &context).await?;
                api.answer(&head, body, &context).await
            })
        }));
    BoxCloneSyncService::new(service)
}

fn always(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}
