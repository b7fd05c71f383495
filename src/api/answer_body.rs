//! The body of an answer, with the places and counts that it holds until sent.

use bytes::Bytes;

use crate::{limit::ConcurrencySlots, metrics::InFlight};

/// The body of an answer, whole, with what those who send it hold until it is out.
#[derive(Debug, Default)]
pub struct AnswerBody {
    /// What is sent.
    pub bytes: Bytes,
    /// Whether the request showed a good token.
    pub authenticated: bool,
    /// What the request takes up of the limits. None where no caller's limit bounds how many answers
    /// wait: strangers must not take the places of others by not reading.
    pub places: Option<ConcurrencySlots>,
    /// Counts the request as running.
    pub running: Option<InFlight>,
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
