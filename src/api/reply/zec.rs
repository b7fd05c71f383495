//! Answers in ZEC's own form: the result in `response`, and the request's id inside and outside of it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::{ActionCall, Change, ChangeIpv4, OperationId};

/// A request's id as ZEC writes it: `T` and an upper-case UUID. An id of the caller's own that is no UUID stays as it is.
pub(in crate::api) fn zec_request_id(id: &str) -> String {
    Uuid::try_parse(id).map_or_else(|_| id.to_owned(), |id| format!("T{id}").to_ascii_uppercase())
}

/// The answer to a change. ZEC lists the addresses that it gave.
pub(in crate::api) fn zec_change(id: &str, change: &ChangeIpv4) -> String {
    let id = zec_request_id(id);
    let mut response = json!({ "requestId": id });
    if let (Change::Assign, Some(members)) = (change.change, response.as_object_mut()) {
        members.insert("ipAddresses".to_owned(), json!(change.addresses.as_slice()));
    }
    json!({ "requestId": id, "response": response }).to_string()
}

/// An answer of ZEC's with the operation's id as its first member. ZEC's own bytes stay as they are.
pub(in crate::api) fn with_operation(answer: &[u8], id: OperationId) -> Vec<u8> {
    // ZEC's answer was read as an object with members.
    let begin = answer.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
    let mut whole = format!("{{\"operationId\":\"{id}\",").into_bytes();
    whole.extend_from_slice(answer.get(begin..).unwrap_or_default());
    whole.push(b'\n');
    whole
}

/// What a call would send.
pub(in crate::api) fn call_rehearsed(call: &ActionCall) -> Value {
    let recorded = call.recorded(&|_| "(secret)".to_owned());
    json!({
        "dryRun": true,
        "action": recorded.action,
        "version": recorded.api_version,
        "resources": recorded.resources,
        "body": recorded.arguments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operations_id_is_added_and_zecs_bytes_stay() {
        let id = OperationId::new();
        let answer = br#" {"requestId":"T1","response":{"x":1.50}}"#;
        let whole = String::from_utf8(with_operation(answer, id)).unwrap();
        assert_eq!(
            whole,
            format!(
                "{{\"operationId\":\"{id}\",\"requestId\":\"T1\",\"response\":{{\"x\":1.50}}}}\n"
            )
        );
    }
}
