//! Refuses targets and headers that two parties could read differently.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri, Version, header,
    uri::{Authority, Scheme},
};

use crate::{api::check_target, error::Error};

/// Headers that may appear once: of several, two parties might each read a different one (docs/threats.md, row 10). A
/// second `Authorization` is refused with 401, by `auth`.
const ONCE: [HeaderName; 2] = [header::CONTENT_TYPE, HeaderName::from_static("idempotency-key")];

/// The schemes that an absolute target may have.
const SCHEMES: [Scheme; 2] = [Scheme::HTTP, Scheme::HTTPS];

/// What the HTTP library does not report about a request's head; the code that reads the bytes reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// The head has both a `Content-Length` and a `Transfer-Encoding`.
    pub both_framings: bool,
    /// The target has a fragment.
    pub fragment: bool,
}

/// Refuses targets and hosts that could be read in two ways. Bytes after such a request on its connection are not read
/// at all.
pub(super) fn target<B>(request: &Request<B>) -> Result<(), Error> {
    check_oddities(request.extensions().get())
        .and_then(|()| check_target(request.uri()))
        .and_then(|()| check_host(request.version(), request.uri(), request.headers()))
        .map_err(Error::ending_connection)
}

/// Refuses headers that could be read in two ways.
pub(super) fn headers<B>(request: &Request<B>) -> Result<(), Error> {
    check_headers(request.headers()).map_err(Error::ending_connection)
}

/// The gateway accepts any host name. But two parties must not each read a different one (RFC 9112, 3.2).
fn check_host(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    let mut sent = headers.get_all(header::HOST).iter();
    let host = match (sent.next(), sent.next()) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("the header `Host` appears twice: send it once"));
        }
        (Some(host), None) => Some(authority(host).ok_or_else(|| {
            Error::invalid("the header `Host` is not a host: send the gateway's, as `name:port`")
        })?),
        // HTTP/2 has `:authority` instead (RFC 9113, 8.3.1), and HTTP/1.0 requires neither.
        (None, _) if version < Version::HTTP_11 => None,
        (None, _) if version >= Version::HTTP_2 && uri.authority().is_some() => None,
        (None, _) => {
            return Err(Error::invalid("the request has no header `Host`: send it once"));
        }
    };
    // A target with scheme and host is equivalent to its path, and every server must accept it.
    let Some(named) = uri.authority() else { return Ok(()) };
    let scheme = uri.scheme().is_some_and(|scheme| SCHEMES.contains(scheme));
    if !scheme || named.as_str().contains('@') || host.is_some_and(|host| host != *named) {
        return Err(Error::invalid(
            "the request target names another host than the header `Host`, or a scheme or user \
             that the gateway does not have: send the path alone, as `/...`",
        ));
    }
    Ok(())
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    // A comma is a sign that a hop joined two headers into one.
    Authority::try_from(host.as_bytes()).ok().filter(|host| !host.as_str().contains(['@', ',']))
}

fn check_oddities(oddities: Option<&Oddities>) -> Result<(), Error> {
    match oddities {
        Some(Oddities { both_framings: true, .. }) => Err(unclear_framing()),
        Some(Oddities { fragment: true, .. }) => Err(Error::invalid(
            "the request target holds `#`, which no request may send: leave out `#` and everything after it",
        )),
        _ => Ok(()),
    }
}

/// If two hops use different framings, the difference can hide a request that nothing has checked (RFC 9112, 11.2).
fn unclear_framing() -> Error {
    Error::invalid(
        "it is not clear where the body ends: send either one `Content-Length`, or `Transfer-Encoding: \
         chunked` and no other coding",
    )
}

fn check_headers(headers: &HeaderMap) -> Result<(), Error> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let framed = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => {
            coding.as_bytes().eq_ignore_ascii_case(b"chunked")
                && !headers.contains_key(header::CONTENT_LENGTH)
        }
        (Some(_), Some(_)) => false,
    };
    if !framed {
        return Err(unclear_framing());
    }
    if let Some(name) = ONCE.into_iter().find(|name| headers.get_all(name).iter().count() > 1) {
        return Err(Error::invalid(format!("the header `{name}` appears twice: send it once")));
    }
    // A hop that obeyed this would remove the token (docs/threats.md, row 9).
    let drops_token = headers.get_all(header::CONNECTION).iter().any(|value| {
        let names = value.as_bytes().split(|byte| *byte == b',');
        names.into_iter().any(|name| name.trim_ascii().eq_ignore_ascii_case(b"authorization"))
    });
    if drops_token {
        return Err(Error::invalid(
            "the header `Connection` names `authorization`: leave `authorization` out of it",
        ));
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

    /// The statuses over HTTP/1.1, 1.0 and 2.
    fn host_status(target: &str, hosts: &[&'static str]) -> [u16; 3] {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_static(host));
        }
        let uri: Uri = target.parse().unwrap();
        let status = |version| {
            check_host(version, &uri, &headers).map_or_else(|error| error.status(), |()| 200)
        };
        [Version::HTTP_11, Version::HTTP_10, Version::HTTP_2].map(status)
    }

    #[test]
    fn a_request_names_one_host() {
        for (target, hosts, want) in [
            ("/", &["gateway"][..], [200, 200, 200]),
            ("/", &["[::1]:8080"], [200, 200, 200]),
            ("http://Gateway:80/", &["gateway:80"], [200, 200, 200]),
            ("/", &[], [400, 200, 400]),
            ("http://gateway/", &[], [400, 200, 200]),
            ("/", &["gateway", "gateway"], [400, 400, 400]),
            ("/", &[""], [400, 400, 400]),
            ("/", &["a b"], [400, 400, 400]),
            ("/", &["a/b"], [400, 400, 400]),
            ("/", &["a,b"], [400, 400, 400]),
            ("/", &["user@gateway"], [400, 400, 400]),
            ("http://evil/", &["gateway"], [400, 400, 400]),
            ("http://user@gateway/", &["gateway"], [400, 400, 400]),
            ("http://user@gateway/", &[], [400, 400, 400]),
            ("ftp://gateway/", &["gateway"], [400, 400, 400]),
        ] {
            assert_eq!(host_status(target, hosts), want, "{target} {hosts:?}");
        }
    }

    #[test]
    fn requests_that_could_be_read_in_two_ways_are_refused() {
        for (pairs, want) in [
            (vec![("content-type", "application/json"), ("connection", "keep-alive")], 200),
            (vec![("transfer-encoding", "chunked")], 200),
            (vec![("transfer-encoding", "CHUNKED")], 200),
            (vec![("transfer-encoding", "gzip, chunked")], 400),
            (vec![("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], 400),
            (vec![("transfer-encoding", "chunked"), ("content-length", "1")], 400),
            (vec![("transfer-encoding", "identity"), ("content-length", "1")], 400),
            (vec![("content-type", "application/json"), ("content-type", "text/plain")], 400),
            (vec![("idempotency-key", "a"), ("idempotency-key", "a")], 400),
            (vec![("connection", "keep-alive, Authorization")], 400),
            (vec![("connection", "close"), ("connection", "authorization ")], 400),
        ] {
            assert_eq!(status(&pairs), want, "{pairs:?}");
        }
    }
}
