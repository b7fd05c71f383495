//! The innermost service: decodes a request, executes it, and writes the reply.

use std::{error::Error as StdError, sync::Arc};

use http::request;
use http_body::Body;
use tokio::time::Instant;

use super::{
    body::{self, BodyLimits},
    decode::RequestParts,
    docs::{self, Description},
    reply::{self, Answer},
    routes::{Endpoint, Matched},
};
use crate::{
    domain::{Action, Caller, Operation},
    error::{Error, Problem},
    execute::{Done, Executor, LookupResult, RequestContext},
    limit::{AtOnce, ConcurrencySlots, Live},
    telemetry::{Asked, Record},
};

/// The innermost service: decodes, executes, replies.
#[derive(Clone, Debug)]
pub struct Api {
    executor: Arc<Executor>,
    body_limits: BodyLimits,
    limits: Live,
    /// Requests on routes without authentication that wait for the end of an empty body.
    strangers: AtOnce,
    description: Description,
}

/// The findings of the layers about a request before it gets here.
#[derive(Debug)]
pub struct Context {
    /// The request's route.
    pub matched: Matched,
    /// The caller, if the route requires one.
    pub caller: Option<Caller>,
    /// The concurrency slots that the request takes.
    pub places: ConcurrencySlots,
    /// The time after which an answer is useless.
    pub deadline: Instant,
    /// The request's record for the log.
    pub record: Arc<Record>,
}

impl Context {
    fn asking<'a>(&'a self, caller: &'a Caller) -> RequestContext<'a> {
        let Self { places, deadline, record, .. } = self;
        RequestContext { caller, places, deadline: *deadline, record }
    }
}

impl Api {
    /// An API over an executor.
    #[must_use]
    pub fn new(executor: Arc<Executor>, body_limits: BodyLimits, limits: Live) -> Self {
        let (strangers, description) = (AtOnce::default(), Description::default());
        Self { executor, body_limits, limits, strangers, description }
    }

    /// Answers a request after routing and authentication.
    ///
    ///
    /// # Errors
    /// What is wrong with the request, or why it failed.
    pub async fn answer<B>(
        &self,
        head: &request::Parts,
        body: B,
        context: &Context,
    ) -> Result<Answer, Error>
    where
        B: Body,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let body = if context.matched.endpoint.takes_body() {
            body::read(&head.headers, body, self.body_limits, context.deadline).await?
        } else {
            let strangers = context.caller.is_none().then_some(&self.strangers);
            body::refuse(body, context.deadline, strangers).await?;
            None
        };
        let parts = self.parts(head, &context.matched, body.as_deref());
        match (context.matched.endpoint, &context.caller) {
            (Endpoint::Problem, _) => {
                parts.bare()?;
                explain(context.matched.parameters.first())
            }
            (Endpoint::OpenApi, _) => {
                parts.bare()?;
                Ok(self.description.json(self.max_addresses()))
            }
            (Endpoint::Docs, _) => {
                parts.bare()?;
                Ok(self.description.page())
            }
            (Endpoint::Stylesheet, _) => {
                parts.bare()?;
                Ok(docs::stylesheet())
            }
            (Endpoint::WhoAmI, Some(caller)) => {
                parts.bare()?;
                Ok(reply::ok(reply::caller(caller).to_string()))
            }
            (Endpoint::ReadOperation | Endpoint::ListOperations, Some(caller)) => {
                let lookup = parts.lookup()?;
                self.executor.look_up(lookup, context.asking(caller)).await.map(seen)
            }
            (_, Some(caller)) => {
                let operation = parts.operation()?;
                note(&context.record, &operation);
                self.executor.perform(operation, context.asking(caller)).await.map(done)
            }
            (_, None) => Err(Error::new(Problem::Internal, "a route without a caller")),
        }
    }

    fn max_addresses(&self) -> usize {
        self.limits.now().settings.max_addresses
    }

    fn parts<'a>(
        &self,
        head: &'a request::Parts,
        matched: &'a Matched,
        body: Option<&'a [u8]>,
    ) -> RequestParts<'a> {
        RequestParts {
            matched,
            query: head.uri.query(),
            headers: &head.headers,
            body,
            max_addresses: self.max_addresses(),
        }
    }
}

fn note(record: &Record, operation: &Operation) {
    let (action, nic): (Action, _) = (operation.action(), operation.nic().to_string());
    let addresses = operation.named_addresses();
    record.note(|facts| facts.asked = Some(Asked { action, nic, addresses }));
}

fn done(done: Done) -> Answer {
    match done {
        Done::Replayed(done) => reply::replayed(self::done(*done)),
        Done::NothingToDo { nic, request_id } => {
            reply::ok(reply::nothing_to_do(&nic, &request_id).to_string())
        }
        Done::Rehearsed(rehearsed) => reply::ok(reply::rehearsed(&rehearsed).to_string()),
        Done::Nic(shown) => reply::ok(shown.nic().raw().get().to_owned()),
        Done::Changed { change, request_id, operation } => {
            reply::ok(reply::changed(&change, &request_id, operation))
        }
    }
}

fn seen(seen: LookupResult) -> Answer {
    reply::ok(match seen {
        LookupResult::One(view) => reply::operation(&view),
        LookupResult::Several { views, next } => reply::operations(&views, next),
    })
}

/// The page of a problem, which the problem's `type` links to.
fn explain(slug: Option<&String>) -> Result<Answer, Error> {
    let Some(problem) = slug.and_then(|slug| Problem::from_slug(slug)) else {
        return Err(Error::new(Problem::NotFound, "there is no problem with this name"));
    };
    Ok(reply::ok(reply::explanation(problem).to_string()))
}
