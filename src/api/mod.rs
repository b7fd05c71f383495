//! The REST interface: the route table, strict decoding, and the form of answers.

mod answer_body;
mod body;
mod describe;
mod docs;
mod endpoint;
mod openapi;
mod query;
mod reply;
mod request;
mod route;
mod routes;
mod software;
mod target;

pub use crate::execute::{BrokenOff, LongAnswer, Piece};
pub use answer_body::AnswerBody;
pub use body::{BodyLimits, read_body};
pub use endpoint::{Api, Context};
pub use reply::{Answer, RequestId, problem};
pub use route::{Access, Route};
pub use routes::{Matched, Router, UNMATCHED, method_label, methods, series};
pub use target::check_target;

#[cfg(fuzzing)]
pub(crate) use routes::fuzz_entry;
