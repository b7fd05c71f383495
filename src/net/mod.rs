//! Outgoing HTTP, for ZEC and for identity providers: HTTP/1.1 over kept connections, TLS by rustls, no redirects, no
//! proxy from the environment, and a bounded size for every answer.

mod link;
mod pool;
mod proxy;
mod rest;
#[cfg(test)]
pub(crate) mod simulated;

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    net::IpAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header::USER_AGENT, uri::Authority};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::net::TcpStream;
use tower::ServiceExt;

use self::{
    link::{Answering, Link},
    pool::{Pool, Taken},
    proxy::ProxyRoute,
};
use crate::{error::Fault, files, lanes};

pub use proxy::ProxySettings;
pub use rest::{BegunBody, BodyRest};

/// An error, boxed so that layers which do not know each other can pass it on.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The value of `User-Agent`. Common rule sets of firewalls refuse requests without this header.
pub const AGENT: &str = concat!("zec-gateway/", env!("CARGO_PKG_VERSION"));

/// A client for outgoing requests whose bodies are in memory as a whole. Its connections stay on the thread that uses
/// them: each lane has its own pool.
#[derive(Clone, Debug)]
pub struct HttpClient {
    connector: TimedConnector,
    /// One pool for each lane; the last one is for threads outside every lane.
    pools: Arc<[Pool]>,
    /// Used instead of every connection.
    #[cfg(test)]
    simulated: Option<Arc<dyn simulated::Network>>,
}

/// Why a request got no complete answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing of the request was sent.
    #[error("{0}")]
    Unsent(String),
    /// The request may have arrived, and no answer began.
    #[error("{0}")]
    Unanswered(String),
    /// An answer began, but its body is too long or breaks off.
    #[error("status {status}, the body is too long or breaks off: {cause}")]
    Cut {
        /// The status of the answer.
        status: StatusCode,
        /// The cause, as text.
        cause: String,
    },
}

impl ExchangeError {
    /// An answer whose body is too long or breaks off.
    #[must_use]
    pub fn cut(status: StatusCode, cause: &(dyn StdError + 'static)) -> Self {
        Self::Cut { status, cause: with_causes(cause) }
    }
}

impl HttpClient {
    /// Returns a connection to the scheme and host of `to` for one request: a free one, or a new one.
    ///
    /// # Errors
    /// Fails if no connection can be made. Nothing was sent then.
    pub async fn link(&self, to: &Uri) -> Result<Lease<'_>, ExchangeError> {
        #[cfg(test)]
        if let Some(network) = &self.simulated {
            network.connect().await?;
            return Ok(Lease(PooledLink::Simulated(Arc::clone(network))));
        }
        let lane = lanes::current().checked_sub(1).and_then(|lane| self.pools.get(lane));
        let Some(pool) = lane.or(self.pools.last()) else {
            return Err(ExchangeError::Unsent("there is no room for connections".to_owned()));
        };
        let mut taken = pool.take(to, false);
        if let Taken::Stale = taken {
            // The runtime polls its sockets before this task runs again. So a server that closed the connection
            // meanwhile is detected now, and not by a request that gets no answer.
            tokio::task::yield_now().await;
            taken = pool.take(to, true);
        }
        let link = match taken {
            Taken::Link(link) => link,
            // Boxed, because it is rare and large.
            Taken::None | Taken::Stale => {
                Box::pin(self.connect(to)).await.map_err(ExchangeError::Unsent)?
            }
        };
        Ok(Lease(PooledLink::Real { link, pool, to: to.clone() }))
    }

    async fn connect(&self, to: &Uri) -> Result<Box<Link>, String> {
        let stream = self.connector.clone().oneshot(to.clone()).await;
        let stream = stream.map_err(|error| format!("no connection: {}", with_causes(&*error)))?;
        Link::new(stream).await.map_err(|error| with_causes(&error))
    }
}

/// A connection that is reserved for one request.
#[derive(Debug)]
pub struct Lease<'a>(PooledLink<'a>);

#[derive(Debug)]
enum PooledLink<'a> {
    Real {
        link: Box<Link>,
        pool: &'a Pool,
        to: Uri,
    },
    #[cfg(test)]
    Simulated(Arc<dyn simulated::Network>),
}

/// A request in flight.
enum OnItsWay<'a> {
    Real {
        answering: Answering,
        link: Box<Link>,
        pool: &'a Pool,
        to: Uri,
    },
    #[cfg(test)]
    Simulated(simulated::Later<Response<Bytes>>),
}

impl Lease<'_> {
    /// Sends a request once, and returns the complete answer, whose body has at most `limit` bytes. The target of the
    /// request is a path. Dropping the future closes the connection.
    ///
    /// # Errors
    /// The error tells how far the request came.
    pub fn exchange(
        self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> impl Future<Output = Result<Response<Bytes>, ExchangeError>> {
        let begun = self.begin(request, limit);
        async move {
            let (head, body) = begun.await?.into_parts();
            let cut = |error: BoxError| ExchangeError::cut(head.status, &*error);
            let body = body.whole(limit).await.map_err(cut)?;
            Ok(Response::from_parts(head, body))
        }
    }

    /// As [`Self::exchange`], but returns as soon as more than `first` bytes of the body were read.
    ///
    /// # Errors
    /// As there.
    pub fn begin(
        self,
        mut request: Request<Full<Bytes>>,
        first: usize,
    ) -> impl Future<Output = Result<Response<BegunBody>, ExchangeError>> {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let sent = match self.0 {
            PooledLink::Real { mut link, pool, to } => {
                OnItsWay::Real { answering: link.send(request), link, pool, to }
            }
            #[cfg(test)]
            PooledLink::Simulated(network) => OnItsWay::Simulated(network.exchange(request)),
        };
        async move {
            match sent {
                OnItsWay::Real { answering, mut link, pool, to } => {
                    let (head, (first, rest)) = link.begin(answering, first).await?.into_parts();
                    let rest = BodyRest::of(rest, link, pool, to);
                    Ok(Response::from_parts(head, BegunBody { first, rest }))
                }
                #[cfg(test)]
                OnItsWay::Simulated(answer) => {
                    Ok(answer.await?.map(|first| BegunBody { first, rest: None }))
                }
            }
        }
    }
}

/// Which certificate authorities a client trusts, in PEM files.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Those of the system. Without TLS they are not loaded, which saves time and memory.
    System,
    /// Those of the system, and those in this file.
    SystemAnd(&'a Path),
    /// Only those in this file.
    Only(&'a Path),
}

/// The options of a client.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// How long TCP, the proxy and TLS may take together.
    pub connect_timeout: Duration,
    /// Whether TLS is needed at all.
    pub https: bool,
    /// The certificate authorities that are trusted.
    pub trust: Trust<'a>,
    /// The proxy to connect through.
    pub proxy: Option<&'a ProxySettings>,
    /// The section of the configuration with the keys `ca_file` and `proxy_credentials_file`, for faults.
    pub section: &'a str,
}

/// Builds a client.
///
/// # Errors
/// Fails if the certificates or the proxy's credentials cannot be read.
pub fn client(options: Options<'_>) -> Result<HttpClient, Fault> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls(options)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(ProxyRoute::new(http, options.proxy, options.section)?);
    Ok(HttpClient {
        connector: TimedConnector { inner: https, timeout: options.connect_timeout },
        pools: (0..=lanes::most()).map(|_| Pool::default()).collect(),
        #[cfg(test)]
        simulated: None,
    })
}

fn tls(options: Options<'_>) -> Result<rustls::ClientConfig, Fault> {
    let mut roots = rustls::RootCertStore::empty();
    let (system, more) = match options.trust {
        Trust::System => (options.https, None),
        Trust::SystemAnd(path) => (options.https, Some(path)),
        Trust::Only(path) => (false, Some(path)),
    };
    if system {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(path) = more {
        add(&mut roots, path, options.section)?;
    }
    if options.https && roots.is_empty() {
        return Err(Fault::new(
            "no trusted certificates: install the system's CA certificates, or set `ca_file` in `[zec]` \
             for ZEC, and in its `[[auth.issuers]]` for an issuer",
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(format!("TLS cannot be set up: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Adds the certificates of a file; a file without certificates is a fault.
fn add(roots: &mut rustls::RootCertStore, path: &Path, section: &str) -> Result<(), Fault> {
    let unreadable = |error: &dyn fmt::Display| {
        Fault::new(format!("no PEM certificates can be read from the file: {error}"))
            .in_file(path)
            .at_key(format!("{section}.ca_file"))
    };
    let pem = files::read(path).map_err(|error| unreadable(&error))?;
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
        found = true;
    }
    if found { Ok(()) } else { Err(unreadable(&"it holds none: put a CA certificate into it")) }
}

/// The chain of causes of an error, the nearest cause first.
pub fn causes<'a>(error: &'a dyn StdError) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

/// The target of a request: path and query, as they are sent (RFC 9112, 3.2.1).
#[must_use]
pub fn target(uri: &Uri) -> String {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", uri.path())
}

/// The text of an error with all its causes; hyper's own text names only the place.
#[must_use]
pub fn with_causes(error: &dyn StdError) -> String {
    causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Whether requests to this host, written as in an address, stay on this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether the host is followed by nothing or by a port from 1 to 65535. The crate `http` also accepts other text in an
/// authority, and a client would then connect to the scheme's default port.
#[must_use]
pub fn is_port_or_nothing(authority: &Authority) -> bool {
    match authority.as_str().strip_prefix(authority.host()) {
        Some("") => true,
        Some(rest) => {
            authority.port_u16().is_some_and(|port| port > 0 && rest == format!(":{port}"))
        }
        None => false,
    }
}

/// A connector with a timeout for everything; hyper's own timeout ends before the TLS handshake.
#[derive(Clone, Debug)]
struct TimedConnector {
    inner: HttpsConnector<ProxyRoute>,
    timeout: Duration,
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl tower::Service<Uri> for TimedConnector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let timeout = self.timeout;
        Box::pin(async move {
            tokio::time::timeout(timeout, connecting)
                .await
                .map_err(|_| BoxError::from("connecting took too long"))?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_always_begins_with_a_slash() {
        for (uri, want) in [
            ("https://sso.example.com", "/"),
            ("https://sso.example.com?x=1", "/?x=1"),
            ("https://sso.example.com/keys?x=1", "/keys?x=1"),
        ] {
            assert_eq!(target(&uri.parse().unwrap()), want);
        }
    }
}
