//! The route to a server: direct, or through an HTTP proxy that opens a tunnel (CONNECT, RFC 9110, 9.3.6). In both
//! cases TLS is between the gateway and the server.

use std::{
    future::Future,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderValue, Uri,
    header::{PROXY_AUTHORIZATION, USER_AGENT},
    uri::Scheme,
};
use hyper_util::{
    client::legacy::connect::{HttpConnector, proxy::Tunnel},
    rt::TokioIo,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::{AGENT, BoxError, is_loopback};
use crate::{error::Fault, files};

/// An HTTP proxy from the configuration. The gateway never reads the proxy variables of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySettings {
    /// Its address: the scheme `http`, a host and no path.
    pub address: Uri,
    /// The file with `user:password` for the proxy, read at the start.
    pub credentials_file: Option<PathBuf>,
}

/// How a TCP connection to a server is made.
#[derive(Clone, Debug)]
pub(super) enum ProxyRoute {
    Direct(HttpConnector),
    Through {
        tunnel: Tunnel<HttpConnector>,
        /// Connects directly to servers on loopback: a remote proxy would look for them on its own machine. `None` if
        /// the proxy is on this machine; the tunnel then reaches them.
        direct: Option<HttpConnector>,
    },
}

impl ProxyRoute {
    /// `section` is the section of the configuration with the proxy's keys, for faults.
    pub(super) fn new(
        connector: HttpConnector,
        proxy: Option<&ProxySettings>,
        section: &str,
    ) -> Result<Self, Fault> {
        let Some(proxy) = proxy else { return Ok(Self::Direct(connector)) };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(path) = &proxy.credentials_file {
            let fault = |text: String| {
                Fault::new(text).in_file(path).at_key(format!("{section}.proxy_credentials_file"))
            };
            let text =
                files::read(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
            let text = String::from_utf8(text).map(SecretString::from);
            let text = text.map_err(|_| fault("is not UTF-8".to_owned()))?;
            let pair = text.expose_secret();
            let pair = pair.strip_suffix('\n').unwrap_or(pair);
            let pair = pair.strip_suffix('\r').unwrap_or(pair);
            if !pair.contains(':') || pair.contains(char::is_control) {
                return Err(fault("does not hold `user:password` on one line".to_owned()));
            }
            let basic = format!("Basic {}", STANDARD.encode(pair));
            let mut basic =
                HeaderValue::try_from(basic).map_err(|error| fault(error.to_string()))?;
            basic.set_sensitive(true);
            headers.insert(PROXY_AUTHORIZATION, basic);
        }
        let is_here = proxy.address.host().is_some_and(is_loopback);
        let direct = (!is_here).then(|| connector.clone());
        let tunnel = Tunnel::new(proxy.address.clone(), connector).with_headers(headers);
        Ok(Self::Through { tunnel, direct })
    }
}

impl tower::Service<Uri> for ProxyRoute {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(connector) => connector.poll_ready(cx).map_err(Into::into),
            Self::Through { tunnel, .. } => tunnel.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self {
            Self::Direct(connector) => {
                let connecting = connector.call(to);
                Box::pin(async move { Ok(connecting.await?) })
            }
            Self::Through { direct: Some(connector), .. } if to.host().is_some_and(is_loopback) => {
                let connecting = connector.clone().oneshot(to);
                Box::pin(async move { Ok(connecting.await?) })
            }
            Self::Through { tunnel, .. } => match with_port(to) {
                Ok(to) => {
                    let connecting = tunnel.call(to);
                    Box::pin(async move {
                        connecting.await.map_err(|error| BoxError::from(ProxyRefused(error.into())))
                    })
                }
                Err(error) => Box::pin(async move { Err(error) }),
            },
        }
    }
}

/// Why there is no tunnel, in terms for operators.
#[derive(Debug, thiserror::Error)]
#[error("the proxy did not open a tunnel")]
struct ProxyRefused(#[source] BoxError);

/// A tunnel needs a port: without one in the address, the tunnel would use the port of https.
fn with_port(to: Uri) -> Result<Uri, BoxError> {
    if to.port().is_some() || to.scheme() != Some(&Scheme::HTTP) {
        return Ok(to);
    }
    let mut parts = to.into_parts();
    parts.authority = match parts.authority {
        Some(authority) => Some(format!("{authority}:80").parse()?),
        None => None,
    };
    Ok(Uri::from_parts(parts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_leads_to_the_schemes_own_port() {
        for (to, want) in [
            ("http://zec.example/", "http://zec.example:80/"),
            ("http://zec.example:8080/", "http://zec.example:8080/"),
            ("https://zec.example/", "https://zec.example/"),
        ] {
            assert_eq!(with_port(to.parse().unwrap()).unwrap().to_string(), want);
        }
    }

    #[tokio::test]
    async fn servers_on_loopback_are_reached_without_a_remote_proxy() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = format!("http://{}/", server.local_addr().unwrap());
        let by = |proxy: &str| {
            let address = proxy.parse().unwrap();
            let settings = ProxySettings { address, credentials_file: None };
            ProxyRoute::new(HttpConnector::new(), Some(&settings), "zec").unwrap()
        };
        // Nothing answers at the addresses of the proxies: what was reached was reached without them.
        by("http://proxy.invalid:3128").oneshot(here.parse().unwrap()).await.unwrap();
        let there = "http://zec.invalid/".parse().unwrap();
        by("http://proxy.invalid:3128").oneshot(there).await.unwrap_err();
        by("http://127.0.0.1:1").oneshot(here.parse().unwrap()).await.unwrap_err();
    }

    #[test]
    fn a_proxys_credentials_are_one_line_with_a_colon() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = ProxySettings {
            address: "http://proxy.example:3128".parse().unwrap(),
            credentials_file: Some(file.path().to_owned()),
        };
        let make = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            ProxyRoute::new(HttpConnector::new(), Some(&settings), "zec").map_err(|e| e.to_string())
        };
        for good in ["gateway:secret\n", "gateway:se:cret", "gateway:\r\n"] {
            let route = make(good).unwrap();
            assert!(!format!("{route:?}").contains("cret"), "shown: {route:?}");
        }
        for bad in ["", "secret\n", "a:b\nc:d\n", "a:\u{7}"] {
            let said = make(bad).unwrap_err();
            assert!(said.contains("does not hold `user:password` on one line"), "{said}");
            assert!(said.contains("zec.proxy_credentials_file"), "{said}");
        }
    }
}
