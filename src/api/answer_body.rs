//! The body of an answer, with the slots and counts that it holds until it has been sent.

use bytes::Bytes;

use crate::{execute::LongAnswer, limit::ConcurrencySlots, metrics::InFlightGauge};

/// The body of an answer, with everything that the sender holds until it has been sent.
#[derive(Debug, Default)]
pub struct AnswerBody {
    /// The bytes to send.
    pub bytes: Bytes,
    /// A long answer of ZEC's, in place of the bytes.
    pub long: Option<Box<LongAnswer>>,
    /// Whether the request had an accepted token.
    pub authenticated: bool,
    /// The concurrency slots that the request takes. `None` if no limit of a caller bounds the number of waiting
    /// answers: anonymous clients must not occupy the slots of others by not reading.
    pub places: Option<ConcurrencySlots>,
    /// Counts the request as in flight.
    pub running: Option<InFlightGauge>,
}

impl From<Bytes> for AnswerBody {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, ..Self::default() }
    }
}

impl From<String> for AnswerBody {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}
