//! Spans of requests, sent to an OpenTelemetry collector by OTLP over HTTP with protobuf (the feature
//! `otlp`).
//!
//! The protocol's messages come from its own crate, and our own client posts them. The exporter of
//! `opentelemetry-otlp` wants its SDK's tracer, processor and threads beside ours, and takes its spans
//! where they begin; here one record says all of a request when it is over (`telemetry::Finished`), and
//! what is left to do is a bounded queue and a post, which must never hold a request up.

mod export;
mod post;
mod span;

#[cfg(test)]
mod tests;

pub use export::{Exporter, Queue};
