//! Answers one request to the emulator: admission, action, and the faults that strike it.

use std::{future::pending, time::UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, header, request::Parts, uri::PathAndQuery,
};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{
    Emulator,
    actions::{Action, Output, Parameters},
    answer::{self, Answer},
    control,
    failure::{Code, Failure},
    fault::{FaultKind, Stage},
    log::LoggedRequest,
    version::Version,
};
use crate::catalogue::ZEC;

/// The path of a service, without the service's name.
const PATHS: &str = "/api/v2/";

/// What a connection does in place of a regular HTTP answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    /// It closes.
    #[error("cut without an answer")]
    Silent,
    /// It writes the answer slowly, then once more, and stays open.
    #[error("answered twice")]
    Twice(Bytes),
}

/// Answers one request.
pub(super) async fn answer(emulator: Emulator, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (parts, body) = request.into_parts();
    let body = read(body, emulator.0.max_body).await?;
    if emulator.0.control && parts.uri.path().starts_with(control::PREFIX) {
        let body = body.unwrap_or_default();
        return Ok(control::answer(&emulator, &parts.method, parts.uri.path(), &body));
    }
    let mut visit = Visit::begin(emulator, parts, body);
    let answer = visit.answer().await?;
    let twice = answer.extensions().get::<Twice>().is_some();
    let answer = visit.end(answer);
    if twice {
        return Err(Cut::Twice(answer::written(answer).await));
    }
    Ok(answer)
}

/// The complete body; `None` if it is longer than `max` bytes. Even then it is read to its end, because a caller that
/// is still sending would take an early end for a broken connection.
async fn read(mut body: Incoming, max: usize) -> Result<Option<Bytes>, Cut> {
    let (mut bytes, mut length) = (BytesMut::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(|_| Cut::Silent)?.into_data().unwrap_or_default();
        length = length.saturating_add(data.len());
        if length <= max {
            bytes.extend_from_slice(&data);
        }
    }
    Ok((length <= max).then(|| bytes.freeze()))
}

/// Marks an answer to be sent twice.
#[derive(Clone, Copy)]
struct Twice;

/// One request while it is answered.
struct Visit {
    emulator: Emulator,
    /// The request's number in the log.
    number: usize,
    parts: Parts,
    body: Option<Bytes>,
    action: String,
    credentials: Result<(), Failure>,
}

impl Visit {
    fn begin(emulator: Emulator, parts: Parts, body: Option<Bytes>) -> Self {
        let now = emulator.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let bytes = body.clone().unwrap_or_default();
        let credentials = emulator.0.access.check(&parts.headers, &bytes, now);
        let logged = LoggedRequest::new(&parts, bytes, credentials.is_ok());
        let action = logged.action.clone();
        let number = emulator.log().push(logged);
        Self { emulator, number, parts, body, action, credentials }
    }

    async fn answer(&mut self) -> Result<Answer, Cut> {
        if let Some(FaultKind::Delay(time)) = self.strike(Stage::Arrival) {
            tokio::time::sleep(time).await;
        }
        if let Some(kind) = self.strike(Stage::Front) {
            return in_front(&kind).await;
        }
        match self.admit() {
            Ok((action, version, parameters)) => self.carry_out(action, version, &parameters).await,
            Err(failure) => Ok(answer::failure(&failure)),
        }
    }

    /// All checks before ZEC reads the parameters. The order is inferred.
    fn admit(&self) -> Result<(Action, Version, Parameters), Failure> {
        // The signature always covers an empty query, so a query is not possible.
        let path = self.parts.uri.path_and_query().map(PathAndQuery::as_str);
        let service = path.and_then(|path| path.strip_prefix(PATHS));
        let Some(service) = service.filter(|service| Action::has_service(service)) else {
            return Err(Failure::new(Code::Route, "there is no such path"));
        };
        if self.parts.method != Method::POST {
            return Err(Failure::new(Code::Method, "the method is not POST"));
        }
        let Some(body) = &self.body else {
            return Err(Failure::new(Code::TooLarge, "the body is too large"));
        };
        check_content_type(&self.parts.headers)?;
        let parameters = Parameters::parse(body)?;
        self.credentials.clone()?;
        let unknown = |what: String| Err(Failure::new(Code::UnauthorizedOperation, what));
        let no_action = || unknown(format!("no permission for the action `{}`", self.action));
        let (action, version) = if service == ZEC {
            let Some(version) = version(&self.parts.headers) else {
                return unknown("there is no such version".to_owned());
            };
            let Some(action) = Action::from_name(&self.action, version) else {
                return no_action();
            };
            (action, version)
        } else {
            let version = self.parts.headers.get("x-zc-version").map(HeaderValue::to_str);
            let version = version.and_then(Result::ok).unwrap_or_default();
            let Some(action) = Action::of_service(service, version, &self.action) else {
                return no_action();
            };
            (action, Version::V20250901)
        };
        if self.strike(Stage::Admission).is_some() {
            return Err(Failure::new(Code::RequestLimit, "too many requests, try again later"));
        }
        Ok((action, version, parameters))
    }

    async fn carry_out(
        &self,
        action: Action,
        version: Version,
        parameters: &Parameters,
    ) -> Result<Answer, Cut> {
        let output = match self.change(action, version, parameters) {
            Ok(output) => output,
            Err(failure) => return Ok(answer::failure(&failure)),
        };
        Ok(match self.strike(Stage::Answer) {
            Some(FaultKind::CutAfter) => return Err(Cut::Silent),
            Some(FaultKind::HangAfter) => pending().await,
            Some(FaultKind::LateAfter(time)) => {
                tokio::time::sleep(time).await;
                answer::success(&output)
            }
            Some(FaultKind::Twice) => {
                let mut answer = answer::success(&output);
                answer.extensions_mut().insert(Twice);
                answer
            }
            Some(FaultKind::NotJson200) => {
                answer::json(StatusCode::OK, "done, but this is no JSON")
            }
            Some(FaultKind::NoEnvelope) => answer::json(StatusCode::OK, "{}"),
            Some(FaultKind::Truncated) => answer::truncated(&output),
            Some(FaultKind::Huge) => answer::huge(&output),
            Some(FaultKind::WrongNic) => {
                answer::success(&self.emulator.state().mistake(output, version))
            }
            _ => answer::success(&output),
        })
    }

    /// Carries out the action. The next reads show its effect, or still the previous state for a while.
    fn change(
        &self,
        action: Action,
        version: Version,
        parameters: &Parameters,
    ) -> Result<Output, Failure> {
        let now = self.emulator.now();
        let mut state = self.emulator.state();
        let before = action.is_change().then(|| state.before(parameters)).flatten();
        let output = state.run(action, version, parameters, now)?;
        if let Some(before) = before
            && let Some(FaultKind::Stale(time)) = self.strike(Stage::Change)
        {
            state.show_stale(before, time);
        }
        Ok(output)
    }

    /// The waiting fault for the request at that stage, if there is one; the log shows it.
    fn strike(&self, stage: Stage) -> Option<FaultKind> {
        let kind = self.emulator.faults().take(stage, &self.action)?;
        if let Some(logged) = self.emulator.log().get_mut(self.number) {
            logged.fault = Some(kind.to_string());
        }
        Some(kind)
    }

    /// Dates the answer and logs its status.
    fn end(self, mut answer: Answer) -> Answer {
        let date = httpdate::fmt_http_date(self.emulator.now());
        if let Ok(date) = HeaderValue::from_str(&date) {
            answer.headers_mut().insert(header::DATE, date);
        }
        if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        let status = answer.status().as_u16();
        if let Some(logged) = self.emulator.log().get_mut(self.number) {
            logged.status = Some(status);
        }
        tracing::info!(zec.action = %self.action, http.status = status, "the emulator answered");
        answer
    }
}

/// Answers for the faults that strike in front of ZEC.
async fn in_front(kind: &FaultKind) -> Result<Answer, Cut> {
    let failure = match kind {
        FaultKind::Hang => return pending().await,
        FaultKind::Cut => return Err(Cut::Silent),
        FaultKind::Html => return Ok(answer::html(StatusCode::BAD_GATEWAY)),
        FaultKind::Challenge => return Ok(challenge()),
        FaultKind::Redirect => return Ok(redirect()),
        FaultKind::RefuseCredentials => {
            Failure::new(Code::SignatureFailure, "the key is unknown or the signature wrong")
        }
        FaultKind::UnknownStatus(status, code) => {
            Failure::other(*status, code, "an answer on request")
        }
        FaultKind::Unavailable => Failure::new(Code::Unavailable, "not available, try again later"),
        _ => Failure::new(Code::Internal, "an internal error"),
    };
    Ok(answer::failure(&failure))
}

/// hyper writes header names in lower case; ZEC's Python SDK recognises no other form.
fn challenge() -> Answer {
    let mut answer = answer::html(StatusCode::FORBIDDEN);
    answer.headers_mut().insert("cf-mitigated", HeaderValue::from_static("challenge"));
    answer
}

fn redirect() -> Answer {
    let mut answer = answer::html(StatusCode::FOUND);
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/elsewhere"));
    answer
}

/// The requested version. ZEC's example of a call with an access token names none.
fn version(headers: &HeaderMap) -> Option<Version> {
    match headers.get("x-zc-version") {
        Some(name) => Version::from_name(name.to_str().ok()?),
        None if headers.contains_key("x-zc-timestamp") => None,
        None => Some(Version::V20250901),
    }
}

/// Accepts `application/json`, alone or with UTF-8. ZEC does not document its answer to other types.
fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default().to_ascii_lowercase();
    let (kind, charset) = value.split_once(';').unwrap_or((&value, "charset=utf-8"));
    if kind.trim() == "application/json" && charset.trim() == "charset=utf-8" {
        return Ok(());
    }
    Err(Failure::new(Code::ParameterType, "the body is not declared as JSON in UTF-8"))
}
