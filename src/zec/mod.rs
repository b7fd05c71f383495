//! The protocol of ZEC: the action and the body of an operation, its signature, the single send, and the
//! meaning of the answer.

mod answer;
mod client;
mod credentials;
mod describe;
#[cfg(fuzzing)]
pub(crate) mod fuzz_entry;
mod long;
mod request;
mod settings;
mod sign;
mod skew;

use std::time::Duration;

/// How far ZEC's clock and a signature's time may be apart, either way (docs/zec-api.md, section 2). Once
/// ZEC's clock is later by more than this, ZEC refuses the signature.
pub const SIGNATURE_LIFETIME: Duration = Duration::from_mins(5);

pub use answer::{Failure, WhyNotSent};
#[cfg(test)]
pub(crate) use client::connect_over;
pub use client::{Answered, FoundNic, FoundResources, Reader, Sent, Writer, check, connect};
pub use credentials::{AccessKey, AccessKeys};
pub use describe::{NICS_OF_A_PAGE, NicPage};
pub use long::{BrokenOff, LongAnswer, Piece, ZecBody};
pub use settings::{Settings, UnknownFields};
pub use sign::{CONTENT_TYPE, authorization};
