//! For `tests/fuzz`: requests and answers of ZEC, made and read by the room's own code.

use http::{HeaderMap, StatusCode};

use super::{Failure, answer, describe};
use crate::domain::{Nic, NicId, json::Node};

/// The request id in an answer to a write.
pub(crate) fn written(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<String, Failure> {
    answer::read(status, headers, body, |_, _| ()).map(|answer| answer.request_id)
}

/// The vNIC that an answer to a read shows.
pub(crate) fn found(
    asked: &NicId,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Option<Nic>> {
    let take = |response: &Node<'_>, all: &[u8]| describe::nic(asked, response, all);
    let answer = answer::read(status, headers, body, take).ok()?;
    answer.response.ok().map(|nic| nic.map(|nic| *nic))
}
