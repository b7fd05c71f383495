//! URLs; each key accepts the narrowest kind that it needs.

use std::net::Ipv6Addr;

use http::{
    Uri,
    uri::{Authority, Scheme},
};

use super::tree::shown;
use crate::net::{is_loopback, is_port_or_nothing};

/// An http or https address without a user name or password, which would be a secret in the file.
struct Web {
    uri: Uri,
    scheme: Scheme,
    authority: Authority,
}

impl Web {
    fn parse(text: &str) -> Result<Self, String> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        if rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
            // The message does not show the text: the part before `@` may be a password.
            return Err("has a user name or password in it: take it out".to_owned());
        }
        let wrong = || format!("{} is not a URL, as `https://host.example`", shown(text));
        if text.contains('#') {
            return Err(format!("{} has a fragment: take out `#` and what follows", shown(text)));
        }
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme().filter(|s| **s == Scheme::HTTP || **s == Scheme::HTTPS);
        let (Some(scheme), Some(authority)) = (scheme.cloned(), uri.authority().cloned()) else {
            return Err(wrong());
        };
        if !is_host(authority.host()) || !is_port_or_nothing(&authority) {
            return Err(wrong());
        }
        Ok(Self { uri, scheme, authority })
    }

    /// The same without the path, in lower case.
    fn bare(&self) -> String {
        format!("{}://{}", self.scheme, self.authority).to_ascii_lowercase()
    }

    fn has_path_or_query(&self) -> bool {
        self.uri.path() != "/" || self.uri.query().is_some()
    }

    /// Accepts https, or plain http where nobody can listen in.
    fn safe(self, text: &str) -> Result<Self, String> {
        if self.scheme == Scheme::HTTPS || is_loopback(self.authority.host()) {
            Ok(self)
        } else {
            Err(format!("{} is plain http, which is for loopback only: use https", shown(text)))
        }
    }
}

/// ZEC's address. The host becomes lower case, because it is signed and ZEC's documentation signs it in lower case.
pub(super) fn endpoint(text: &str) -> Result<(Scheme, Authority), String> {
    let web = Web::parse(text)?;
    let bare = web.bare();
    if web.has_path_or_query() {
        return Err(format!("{} has a path or query: write it as `{bare}`", shown(text)));
    }
    let lower = web.authority.as_str().to_ascii_lowercase();
    let authority = lower.parse().map_err(|_| format!("{} has no host", shown(text)))?;
    Ok((web.scheme, authority))
}

/// The address of an issuer's keys.
pub(super) fn key_set(text: &str) -> Result<Uri, String> {
    Ok(Web::parse(text)?.safe(text)?.uri)
}

/// Checks that an issuer's discovery document can be fetched.
pub(super) fn discoverable(text: &str) -> Result<(), String> {
    let web = Web::parse(text)?.safe(text)?;
    match web.uri.query() {
        Some(_) => Err(format!("{} has a query, which discovery does not allow", shown(text))),
        None => Ok(()),
    }
}

/// A collector's address; the protocol's path is appended to its path.
#[cfg(feature = "otlp")]
pub(super) fn collector(text: &str) -> Result<Uri, String> {
    let web = Web::parse(text)?;
    if web.uri.query().is_some() {
        return Err(format!("{} has a query, which a collector's URL may not have", shown(text)));
    }
    let path = web.uri.path().trim_end_matches('/');
    if path.ends_with("/v1/traces") {
        return Err(format!(
            "{} has the path for spans already: leave `/v1/traces` out",
            shown(text)
        ));
    }
    let uri = Uri::builder().scheme(web.scheme).authority(web.authority);
    uri.path_and_query(format!("{path}/v1/traces")).build().map_err(|error| error.to_string())
}

/// A proxy's address. The connection to the proxy is plain HTTP, but may carry TLS.
pub(super) fn proxy(text: &str) -> Result<Uri, String> {
    let web = Web::parse(text)?;
    if web.scheme != Scheme::HTTP || web.has_path_or_query() {
        return Err(format!("{} is not a proxy, as `http://proxy.example:3128`", shown(text)));
    }
    Ok(web.uri)
}

/// A web page's origin, exactly as browsers send it; any other form would never match.
pub(super) fn origin(text: &str) -> Result<String, String> {
    if text.contains('*') {
        return Err(
            "never holds `*`: name each origin, as `https://console.example.com`".to_owned()
        );
    }
    let web = Web::parse(text)?;
    let default = if web.scheme == Scheme::HTTPS { ":443" } else { ":80" };
    let bare = web.bare();
    let exact = bare.strip_suffix(default).unwrap_or(&bare);
    if text == exact {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not how browsers write an origin: write it as `{exact}`", shown(text)))
    }
}

fn bracketed(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn is_host(host: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    bracketed(host).is_some() || (!host.is_empty() && host.bytes().all(letter))
}
