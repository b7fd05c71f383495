//! Every layer that a request passes, in order, each with the reason why it is where it is.

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

use std::{convert::Infallible, error::Error as StdError, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body::Body;
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, util::BoxCloneSyncService};
use tower_http::set_header::SetResponseHeaderLayer;

pub use crate::api::{Answer, AnswerBody};
use crate::{
    api::{Api, Router},
    auth::Authenticator,
    limit::{AtOnce, Callers, Live},
    metrics::Metrics,
    telemetry::Sink,
};
use check::check;
pub use framing::Oddities;
use from_fn::from_fn;
use request_state::RequestState;

/// The whole gateway as one service: any request in, an answer out, never an error.
pub type Stack<B> = BoxCloneSyncService<Request<B>, Answer, Infallible>;

/// What the layers are made of.
#[derive(Clone, Debug)]
pub struct StackParts {
    /// Who callers are.
    pub authenticator: Arc<Authenticator>,
    /// What they can ask for.
    pub api: Api,
    /// Where requests go.
    pub router: Arc<Router>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What each caller may ask for.
    pub callers: Arc<Callers>,
    /// How many requests may run at once, among others.
    pub limits: Live,
    /// How long a whole answer may take.
    pub request_timeout: Duration,
    /// Cancelled when nothing new is begun any more.
    pub draining: CancellationToken,
    /// Where requests go when they are over, for their spans.
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
    let (api, counted, running) = (Arc::new(api), Arc::clone(&metrics), AtOnce::default());
    let timeout = parts.request_timeout;
    let service =
        ServiceBuilder::new()
            // First of all, around everything that can fail, so that nothing goes uncounted, hung-up callers
            // too, and every answer and every log event can be found by the request's id.
            .layer(from_fn(move |request, next| {
                observe::observe(Arc::clone(&metrics), spans.clone(), request, next)
            }))
            // On every answer there is: none may be stored, or guessed to be a page.
            .layer(always(header::CACHE_CONTROL, "no-store"))
            .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            // Before authentication, for a preflight carries no token; around errors, for a page
            // can read none without these headers.
            .option_layer(cors::layer(&parts.allowed_origins).map(|layer| {
                from_fn(move |request, next| cors::cors(layer.clone(), request, next))
            }))
            // Whatever goes wrong inside, a panic too, becomes one problem document, here and nowhere else.
            .layer(from_fn(move |request, next| {
                problems::errors_to_problems(Arc::clone(&counted), request, next)
            }))
            // What only looks at the head, in one layer: each costs a copy of the request.
            .layer(check(move |request: &mut Request<B>| {
                // Sheds before any work is done, least of all a signature check.
                shed::shed(&running, &limits, &draining, request)?;
                // From here the clock runs; whoever waits for something waits until then at most.
                deadline::stamp(timeout, request)?;
                // A path that two parties could read differently is not even routed.
                framing::target(request)?;
                // The path is read once; policy and ZEC see only what was parsed of it.
                route::route(&router, request)?;
                // The same for headers, once it is known on which route to count the refusal.
                framing::headers(request)
            }))
            // Before a byte of the body is read: strangers cost a few signature checks at most.
            .layer(from_fn(move |request, next| {
                authenticate::authenticate(Arc::clone(&authenticator), request, next)
            }))
            // As soon as it is known who asks: nobody's haste or patience takes the others' places.
            .layer(check(move |request: &mut Request<B>| caller_limits::limit(&callers, request)))
            .service(tower::service_fn(move |request: Request<B>| {
                let api = Arc::clone(&api);
                let (mut head, body) = request.into_parts();
                let context = RequestState::take(&mut head.extensions);
                Box::pin(async move { api.answer(&head, body, &context?).await })
            }));
    BoxCloneSyncService::new(service)
}

fn always(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}
