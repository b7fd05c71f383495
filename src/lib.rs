//! zec-gateway: a policy gateway in front of Zenlayer Elastic Compute's API.
//!
//! The modules are in the order in which a request travels. `ARCHITECTURE.md` describes the journey.

#[macro_use]
mod labels;

// Used by everything.
pub mod catalogue;
pub mod clock;
pub mod domain;
pub mod error;
pub mod files;
pub mod lanes;
pub mod metrics;
pub mod mutex;
pub mod net;
pub mod seldom;
pub mod telemetry;

// A request's way in, its decision and its way out.
pub mod server;
pub mod stack;
pub mod api;
pub mod auth;
pub mod limit;
pub mod policy;
pub mod journal;
pub mod execute;
pub mod zec;

// Spans of finished requests, for a collector.
#[cfg(feature = "otlp")]
pub mod otlp;

// How a gateway is built and run.
pub mod config;
pub mod reload;
pub mod app;
pub mod cli;

// Stand-ins for ZEC and an issuer, for development and tests.
pub mod emulator;
pub mod issuer;

#[cfg(fuzzing)]
pub mod fuzz;

#[cfg(test)]
mod simulation;
