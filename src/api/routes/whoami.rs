//! The caller: `/whoami`.

use serde_json::json;

use super::super::{
    describe::{Description, JSON, Tag, reference},
    reply::{self, Answer},
    request::RequestParts,
};
use crate::{domain::Caller, error::Error};

/// `GET /whoami`
pub(super) fn show(request: &RequestParts<'_>, caller: &Caller) -> Result<Answer, Error> {
    request.bare()?;
    Ok(reply::ok(reply::caller(caller).to_string()))
}

pub(super) fn describe() -> Description {
    Description {
        id: "whoAmI",
        tag: Tag::Gateway,
        summary: "Show who you are",
        text: "Issuer, subject and groups as the gateway and its policy see them; a 403 shows the same.",
        parameters: vec![],
        body: None,
        success: "You",
        answer: (JSON, reference("Caller")),
        headers: &[],
        example: Some(
            json!({ "issuer": "corp", "subject": "alice", "groups": ["engineers", "netops"] }),
        ),
        links: json!({}),
        curl: "{gateway}/whoami",
    }
}
