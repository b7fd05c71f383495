//! zec-gateway: a policy gateway in front of Zenlayer Elastic Compute's API.

pub mod auth;
pub mod domain;
pub mod emulator;
pub mod error;
pub mod limit;
pub mod policy;
pub mod server;
pub mod telemetry;
pub mod zec;
