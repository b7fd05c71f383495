//! The innermost service: decodes a request, executes it, and writes the reply.

use std::{error::Error as StdError, sync::Arc};

use http::{Version, request};
use http_body::Body;
use tokio::time::Instant;

use super::{
    body::{self, BodyLimits},
    docs::{self, Documents},
    reply::{self, Answer},
    request::RequestParts,
    route::{Handler, PublicPage, Route},
    routes::{Matched, actions},
    software::software,
};
use crate::{
    domain::{Caller, Operation, UnknownFields},
    error::{Error, Problem},
    execute::{Done, Executor, LookupResult, RequestContext, Via, ZecBody},
    limit::{AtOnce, ConcurrencySlots, Live},
    telemetry::{Asked, Record},
};

/// The innermost service: decodes, executes, replies.
#[derive(Clone, Debug)]
pub struct Api {
    executor: Arc<Executor>,
    body_limits: BodyLimits,
    unknown_fields: UnknownFields,
    limits: Live,
    /// Requests on routes without authentication that wait for the end of an empty body.
    strangers: AtOnce,
    documents: Documents,
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
    /// The same for the answer to a read, and for what is read before a write.
    pub reads_until: Instant,
    /// The request's record for the log.
    pub record: Arc<Record>,
}

impl Context {
    fn asking<'a>(&'a self, caller: &'a Caller) -> RequestContext<'a> {
        let Self { places, record, deadline, reads_until, .. } = self;
        let (via, deadline, reads_until) = (Via::Rest, *deadline, *reads_until);
        RequestContext { caller, via, places, deadline, reads_until, in_pieces: false, record }
    }
}

impl Api {
    /// An API over an executor.
    #[must_use]
    pub fn new(
        executor: Arc<Executor>,
        body_limits: BodyLimits,
        unknown_fields: UnknownFields,
        limits: Live,
    ) -> Self {
        let (strangers, documents) = (AtOnce::default(), Documents::default());
        Self { executor, body_limits, unknown_fields, limits, strangers, documents }
    }

    /// Answers a request after routing and authentication.
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
        let Matched { route, parameters } = &context.matched;
        let body = if route.takes_body {
            body::read(&head.headers, body, self.limits_of(route), context.deadline).await?
        } else {
            let strangers = context.caller.is_none().then_some(&self.strangers);
            body::refuse(body, context.deadline, strangers).await?;
            None
        };
        let in_pieces = head.version > Version::HTTP_10;
        let request = RequestParts {
            parameters,
            query: head.uri.query(),
            headers: &head.headers,
            body: body.as_deref(),
            max_addresses: self.max_addresses(),
            unknown_fields: self.unknown_fields,
        };
        match (route.handler, &context.caller) {
            (Handler::Page(read), _) => self.page(read(&request)?),
            (Handler::Caller(answer), Some(caller)) => answer(&request, caller),
            (Handler::Lookup(read), Some(caller)) => {
                self.executor.look_up(read(&request)?, context.asking(caller)).await.map(seen)
            }
            (Handler::Operation(read), Some(caller)) => {
                self.perform(read(&request)?, context.asking(caller)).await.map(done)
            }
            (Handler::ZecCall(read), Some(caller)) => {
                let said = software(&head.headers);
                context.record.note(|facts| facts.software = said);
                let asking = RequestContext { via: Via::Api, in_pieces, ..context.asking(caller) };
                zec_answer(self.perform(read(&request)?, asking).await?)
            }
            (Handler::ActionCall(read), Some(caller)) => {
                let asking = RequestContext { in_pieces, ..context.asking(caller) };
                action_answer(self.perform(read(&request)?, asking).await?)
            }
            (
                Handler::Caller(_)
                | Handler::Lookup(_)
                | Handler::Operation(_)
                | Handler::ActionCall(_)
                | Handler::ZecCall(_),
                None,
            ) => Err(Error::new(Problem::Internal, "a route without a caller")),
        }
    }

    /// The limits of the bodies of requests on that route.
    #[must_use]
    pub fn limits_of(&self, route: &Route) -> BodyLimits {
        BodyLimits { max: route.max_body(self.body_limits.max), ..self.body_limits }
    }

    async fn perform(
        &self,
        operation: Operation,
        asking: RequestContext<'_>,
    ) -> Result<Done, Error> {
        note(asking.record, &operation);
        self.executor.perform(operation, asking).await
    }

    fn page(&self, page: PublicPage) -> Result<Answer, Error> {
        Ok(match page {
            PublicPage::Problem(problem) => reply::ok(reply::explanation(problem).to_string()),
            PublicPage::OpenApi => self.documents.json(self.max_addresses()),
            PublicPage::Docs => self.documents.page(),
            PublicPage::Stylesheet => docs::stylesheet(),
            PublicPage::Actions => actions::all()?,
            PublicPage::Action(row) => actions::one(row),
        })
    }

    fn max_addresses(&self) -> usize {
        self.limits.now().settings.max_addresses
    }
}

fn note(record: &Record, operation: &Operation) {
    let (action, nic) = (operation.action(), operation.about());
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
        Done::Found(found) => reply::ok(reply::found(&found)),
        Done::Answered { body, .. } => reply::zec_body(body),
        Done::CallRehearsed(call) => reply::ok(reply::call_rehearsed(&call).to_string()),
        Done::Changed { change, request_id, operation } => {
            reply::ok(reply::changed(&change, &request_id, operation))
        }
    }
}

/// The answer in the gateway's own form of ZEC's: with the operation's id beside it.
fn action_answer(done: Done) -> Result<Answer, Error> {
    Ok(match done {
        Done::Answered { body: ZecBody::Whole(body), operation: Some(operation) } => {
            reply::bytes(reply::with_operation(&body, operation).into())
        }
        Done::Answered { body, .. } => reply::zec_body(body),
        Done::Changed { change, request_id, operation } => {
            let body = reply::zec_change(&request_id, &change);
            reply::bytes(match operation {
                Some(operation) => reply::with_operation(body.as_bytes(), operation).into(),
                None => body.into(),
            })
        }
        Done::Replayed(done) => reply::replayed(action_answer(*done)?),
        done @ (Done::Nic(_)
        | Done::Found(_)
        | Done::NothingToDo { .. }
        | Done::Rehearsed(_)
        | Done::CallRehearsed(_)) => self::done(done),
    })
}

/// The answer in ZEC's own form.
fn zec_answer(done: Done) -> Result<Answer, Error> {
    match done {
        Done::Changed { change, request_id, .. } => {
            Ok(reply::ok(reply::zec_change(&request_id, &change)))
        }
        Done::Answered { body, .. } => Ok(reply::zec_body(body)),
        Done::Replayed(done) => zec_answer(*done).map(reply::replayed),
        Done::Nic(_)
        | Done::Found(_)
        | Done::NothingToDo { .. }
        | Done::Rehearsed(_)
        | Done::CallRehearsed(_) => {
            Err(Error::new(Problem::Internal, "a result that ZEC has no form for"))
        }
    }
}

fn seen(seen: LookupResult) -> Answer {
    reply::ok(match seen {
        LookupResult::One(view) => reply::operation(&view),
        LookupResult::Several { views, next } => reply::operations(&views, next),
    })
}
