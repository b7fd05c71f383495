//! Outgoing HTTP, for ZEC and for identity providers: HTTP/1.1 over pooled connections, TLS by
//! rustls, no redirects, no proxy out of the environment, every answer bounded in size.

use std::{
    error::Error as StdError,
    future::Future,
    net::IpAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri, uri::Authority};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::net::TcpStream;

use crate::{error::Fault, files, lanes};

/// Idle connections are dropped after this long, before the usual 60 to 90 seconds after which
/// servers and load balancers drop them: less often is a request written into a closing one.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// How a boxed error is carried between layers that do not know each other.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A client for outgoing requests with whole bodies. Its connections live where they are used: each
/// lane has its own.
#[derive(Clone, Debug)]
pub struct HttpClient {
    lanes: Vec<Connections>,
    elsewhere: Connections,
}

type Connections = legacy::Client<TimedConnector, Full<Bytes>>;

impl HttpClient {
    /// Sends a request, once.
    ///
    /// # Errors
    /// As hyper's own client.
    pub async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, legacy::Error> {
        let lane = lanes::current().checked_sub(1).and_then(|lane| self.lanes.get(lane));
        lane.unwrap_or(&self.elsewhere).request(request).await
    }
}

/// Builds a client whose connections take at most `connect_timeout` for TCP and TLS together.
///
/// `https` says whether TLS is needed at all: loading the system's roots costs time and memory.
/// `ca_file` names PEM certificates that are trusted beside the system's.
///
/// # Errors
/// When the certificates cannot be read.
pub fn client(
    connect_timeout: Duration,
    https: bool,
    ca_file: Option<&Path>,
) -> Result<HttpClient, Fault> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls(https, ca_file)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    let connector = TimedConnector { inner: https, timeout: connect_timeout };
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        // A request is sent once; whoever may repeat one does so knowingly, signed afresh.
        .retry_canceled_requests(false)
        // The Host header is signed, so it is set where it is signed.
        .set_host(false)
        .pool_idle_timeout(POOL_IDLE)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new());
    let build = || builder.build(connector.clone());
    Ok(HttpClient { lanes: (0..lanes::most()).map(|_| build()).collect(), elsewhere: build() })
}

fn tls(https: bool, ca_file: Option<&Path>) -> Result<rustls::ClientConfig, Fault> {
    let mut roots = rustls::RootCertStore::empty();
    if https {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(path) = ca_file {
        let unreadable = |error: &dyn StdError| {
            Fault::new(format!("no PEM certificates can be read from the file: {error}"))
                .in_file(path)
                .at_key("zec.ca_file")
        };
        let pem = files::read(path).map_err(|e| unreadable(&e))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.map_err(|e| unreadable(&e))?).map_err(|e| unreadable(&e))?;
        }
    }
    if https && roots.is_empty() {
        return Err(Fault::new(
            "no trusted certificates: install the system's CA certificates (for ZEC alone, setting \
             `zec.ca_file` does too)",
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(format!("TLS cannot be set up: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// When it is longer, or breaks off.
pub async fn read_body(body: Incoming, limit: usize) -> Result<Bytes, BoxError> {
    Ok(Limited::new(body, limit).collect().await?.to_bytes())
}

/// What lies behind an error, the nearest cause first.
pub fn causes<'a>(error: &'a dyn StdError) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

/// An error in words, with all its causes: hyper's own text names only the place.
#[must_use]
pub fn with_causes(error: &dyn StdError) -> String {
    causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Whether what goes to that host, as it stands in an address, stays on this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether what follows the host is nothing or a port from 1 to 65535: `http` takes other things for
/// an authority, too, and would go to the scheme's own port.
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

/// A connector that gives up after a while: hyper's own timeout ends before the TLS handshake.
#[derive(Clone)]
pub struct TimedConnector {
    inner: HttpsConnector<HttpConnector>,
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
