//! Bearer token in, [`Caller`](crate::domain::Caller) out.

mod algorithm;
mod settings;

pub use algorithm::Algorithm;
pub use settings::{IssuerSettings, KeySource, Settings};
