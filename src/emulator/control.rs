//! The control paths, by which tests in other languages steer the emulator. They need no credentials and are off by
//! default.

use std::str;

use http::{Method, StatusCode};
use serde_json::json;

use super::{
    Emulator, Version,
    answer::{self, Answer},
    failure::{Code, Failure},
    fault::{Fault, ParseFaultError},
    nic::NicInfo,
};

/// The prefix of every control path.
pub(super) const PREFIX: &str = "/control/";

/// `GET /control/requests` and `GET /control/nics` show, `POST /control/faults` with a fault's text form injects,
/// `DELETE /control/faults` clears.
pub(super) fn answer(emulator: &Emulator, method: &Method, path: &str, body: &[u8]) -> Answer {
    match (method, path.strip_prefix(PREFIX)) {
        (&Method::GET, Some("requests")) => show(&emulator.requests()),
        (&Method::GET, Some("nics")) => {
            let state = emulator.state();
            let nics: Vec<NicInfo> = state.all().map(|nic| nic.info(Version::V20250901)).collect();
            show(&nics)
        }
        (&Method::POST, Some("faults")) => match parse(body) {
            Ok(fault) => {
                let text = fault.to_string();
                emulator.inject(fault);
                show(&json!({ "fault": text }))
            }
            Err(error) => answer::failure(&Failure::new(Code::ParameterValue, error.to_string())),
        },
        (&Method::DELETE, Some("faults")) => {
            emulator.clear_faults();
            show(&json!({}))
        }
        _ => answer::failure(&Failure::new(Code::Route, "there is no such control path")),
    }
}

fn parse(body: &[u8]) -> Result<Fault, ParseFaultError> {
    let text = str::from_utf8(body);
    text.map_err(|_| ParseFaultError::Kind(String::from_utf8_lossy(body).into_owned()))?.parse()
}

fn show<T: serde::Serialize>(value: &T) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => answer::json(StatusCode::OK, body),
        Err(error) => answer::failure(&Failure::new(Code::Internal, error.to_string())),
    }
}
