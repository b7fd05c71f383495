use http::{HeaderMap, HeaderName, Request, header};
use tower::{Service, ServiceExt};

use crate::{
    api::{Answer, check_target},
    error::{Error, Problem},
};

/// Headers that may stand once: of several, two parties might each read another one (threats,
/// row 10). A second `Authorization` is refused where tokens are, with 401.
const ONCE: [HeaderName; 2] = [header::CONTENT_TYPE, HeaderName::from_static("idempotency-key")];

/// Refuses targets that could be read in two ways.
pub(super) async fn target<B, S>(request: Request<B>, next: S) -> Result<Answer, Error>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    check_target(request.uri())?;
    next.oneshot(request).await
}

/// Refuses headers that could be read in two ways.
pub(super) async fn headers<B, S>(request: Request<B>, next: S) -> Result<Answer, Error>
where
    S: Service<Request<B>, Response = Answer, Error = Error>,
{
    check_headers(request.headers())?;
    next.oneshot(request).await
}

fn check_headers(headers: &HeaderMap) -> Result<(), Error> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Error::new(
            Problem::LengthRequired,
            "send the body with `Content-Length`, without `Transfer-Encoding`",
        ));
    }
    if let Some(name) = ONCE.into_iter().find(|name| headers.get_all(name).iter().count() > 1) {
        return Err(Error::invalid(format!("the header `{name}` stands twice: send it once")));
    }
    // A hop that obeyed this would take the token away (threats, row 9).
    let drops_token = headers.get_all(header::CONNECTION).iter().any(|value| {
        let names = value.as_bytes().split(|byte| *byte == b',');
        names.into_iter().any(|name| name.trim_ascii().eq_ignore_ascii_case(b"authorization"))
    });
    if drops_token {
        return Err(Error::invalid("`Connection` names `authorization`: leave that out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pairs: &[(&'static str, &'static str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        check_headers(&headers).map_or_else(|error| error.status(), |()| 200)
    }

    #[test]
    fn requests_that_could_be_read_in_two_ways_are_refused() {
        for (pairs, want) in [
            (vec![("content-type", "application/json"), ("connection", "keep-alive")], 200),
            (vec![("transfer-encoding", "chunked")], 411),
            (vec![("transfer-encoding", "identity"), ("content-length", "1")], 411),
            (vec![("content-type", "application/json"), ("content-type", "text/plain")], 400),
            (vec![("idempotency-key", "a"), ("idempotency-key", "a")], 400),
            (vec![("connection", "keep-alive, Authorization")], 400),
            (vec![("connection", "close"), ("connection", "authorization ")], 400),
        ] {
            assert_eq!(status(&pairs), want, "{pairs:?}");
        }
    }
}
