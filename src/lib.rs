//! zec-gateway: a policy gateway in front of Zenlayer Elastic Compute's API.

pub mod api;
pub mod auth;
pub mod config;
pub mod domain;
pub mod error;
pub mod execute;
pub mod issuer;
pub mod limit;
pub mod metrics;
pub mod net;
pub mod policy;
pub mod server;
pub mod stack;
pub mod telemetry;
pub mod zec;
