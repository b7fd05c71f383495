//! Exports spans of requests to an OpenTelemetry collector by OTLP over HTTP with protobuf (the feature `otlp`).
//!
//! The protocol's messages come from its own crate, and the gateway's own client posts them. The exporter of
//! `opentelemetry-otlp` needs the tracer, processor and threads of its SDK, and collects spans from their beginning.
//! Here one record has all facts of a request when it is over (`telemetry::Finished`). What remains is a bounded queue
//! and a post, which must never delay a request.

mod export;
mod post;
mod span;

#[cfg(test)]
mod tests;

pub use export::{Exporter, SpanQueue};
