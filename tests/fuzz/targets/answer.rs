//! ZEC's answers. A write is done only if ZEC's envelope says so, and not done only if ZEC's refusal says so. A vNIC is
//! shown only if it is the requested one.
//!
//! An input is two bytes for the status, one for the headers, and the body.

#![no_main]

use http::{HeaderMap, HeaderValue, StatusCode, header};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zec_gateway::{
    domain::NicId,
    error::{Error, Problem},
    fuzz,
};

fuzz_target!(|input: &[u8]| {
    let Some(([high, low, encoded], body)) = input.split_first_chunk() else { return };
    let number = 100 + u16::from_be_bytes([*high, *low]) % 500;
    let status = StatusCode::from_u16(number).expect("a status");
    let mut headers = HeaderMap::new();
    if encoded & 1 != 0 {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let value = oracle::strict(body);
    let envelope = value.as_ref().filter(|value| {
        number == 200
            && headers.is_empty()
            && value["requestId"].is_string()
            && value["response"].is_object()
    });
    match fuzz::written(status, &headers, body) {
        Ok(id) => {
            let envelope = envelope.expect("it is said to be done, and ZEC did not say so");
            harmless(&id, 64);
            let said: String =
                text(&envelope["requestId"]).chars().filter(|c| !c.is_control()).collect();
            assert!(said.starts_with(&id));
        }
        Err(error) => {
            assert!(envelope.is_none(), "ZEC says that it is done");
            undone(&error, number, value.as_ref());
        }
    }
    let asked = NicId::parse("1612345678901234567").expect("an id");
    if let Some(shown) = fuzz::found(&asked, status, &headers, body) {
        let response = &envelope.expect("an answer without ZEC's envelope")["response"];
        let list = response["dataSet"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(response["totalCount"].is_u64());
        match shown {
            None => assert!(list.is_empty() && response["totalCount"] == 0),
            Some(nic) => {
                assert!(nic.id == asked && list.len() == 1 && list[0]["nicId"] == asked.as_str());
                let bytes = nic.raw().get().as_bytes();
                assert!(body.windows(bytes.len()).any(|part| part == bytes), "not as it came");
                let said: Value = serde_json::from_slice(bytes).expect("a vNIC that is no JSON");
                assert_eq!(said, list[0], "judged by another than what is shown");
            }
        }
    }
});

/// "Nothing was changed" requires ZEC's own statement.
fn undone(error: &Error, status: u16, value: Option<&Value>) {
    harmless(error.detail(), 1000);
    assert!(error.cause().is_some());
    let code = value.map(|value| text(&value["code"])).unwrap_or_default();
    if let Some(id) = error.zec_request_id() {
        harmless(id, 64);
    }
    match error.problem() {
        // The outcome is unknown.
        Problem::ZecBadAnswer => assert_eq!(error.status(), 502),
        Problem::RateLimited => {
            assert!(status == 429 || code == "REQUEST_LIMIT_EXCEEDED");
            assert!(!code.is_empty() && status != 200);
        }
        Problem::ZecCredentialsRefused => {
            assert!(code.starts_with("AUTHFAILURE_") && error.status() == 502 && status != 200);
        }
        Problem::ZecRejected => {
            assert!((400..500).contains(&status) && error.status() == status);
            assert!(![401, 407, 408, 429, 451].contains(&status));
            assert!(code.starts_with(error.code()) && !error.code().is_empty());
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
            assert!(error.code().bytes().all(plain));
        }
        other => panic!("{other:?} out of an answer to a write"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn harmless(text: &str, most: usize) {
    assert!(text.chars().count() <= most && !text.chars().any(char::is_control), "{text:?}");
}
