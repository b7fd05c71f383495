//! ZEC's language: which action and body an operation is, how it is signed, how it is sent once,
//! and what the answer means.

mod answer;
mod client;
mod credentials;
mod describe;
#[cfg(fuzzing)]
pub(crate) mod fuzz_entry;
mod request;
mod settings;
mod sign;
mod skew;

use std::time::Duration;

/// How far apart ZEC lets its clock and a signature's time be, either way (docs/zec-api.md, section 2).
/// A signature is worth nothing once ZEC's clock is so much later.
pub const SIGNATURE_LIFETIME: Duration = Duration::from_mins(5);

pub use answer::{Failure, WhyNotSent};
#[cfg(test)]
pub(crate) use client::connect_over;
pub use client::{FoundNic, Reader, Sent, Writer, check, connect};
pub use credentials::{AccessKey, AccessKeys, Read};
pub use request::change_body;
pub use settings::Settings;
pub use sign::{CONTENT_TYPE, authorization};
