//! Certificates for a test, and callers that use TLS.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Body, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::TicketRequest,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::{
    client::{self, Answer, PATIENCE},
    world::{Caller, QUICK, Setup, World},
};

/// The configuration lines of a listener with TLS, and of one that requires client certificates.
pub const TLS: &str = "tls = {cert_file = \"server.pem\", key_file = \"server.key\"}\n";
pub const MUTUAL: &str = "tls = {cert_file = \"server.pem\", key_file = \"server.key\", client_ca_file = \"clients.pem\"}\n";

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate that is valid until the start of the year.
    pub fn server(&self, until: i32) -> Pair {
        self.server_from(2020, until)
    }

    /// The same, valid from the start of a year.
    pub fn server_from(&self, from: i32, until: i32) -> Pair {
        let purpose = ExtendedKeyUsagePurpose::ServerAuth;
        self.sign(purpose, |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        })
    }

    /// The same, valid for this long from now.
    pub fn server_for(&self, left: Duration) -> Pair {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.sign(ExtendedKeyUsagePurpose::ServerAuth, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(1970, 1, 1) + now + left;
        })
    }

    /// The same, valid from a given time.
    pub fn server_at(&self, from: SystemTime, until: i32) -> Pair {
        self.sign(ExtendedKeyUsagePurpose::ServerAuth, |params| {
            params.not_before = from.into();
            params.not_after = date_time_ymd(until, 1, 1);
        })
    }

    pub fn client(&self) -> Pair {
        self.sign(ExtendedKeyUsagePurpose::ClientAuth, |_| {})
    }

    /// Starts a TLS front for a listener elsewhere, and returns its address.
    pub async fn front(&self, behind: SocketAddr) -> SocketAddr {
        let Pair { cert, key } = self.server(2100);
        let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut behind = TcpStream::connect(behind).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        address
    }

    fn sign(
        &self,
        purpose: ExtendedKeyUsagePurpose,
        validity: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        // Not the authority's own name, because the certificate would then look self-signed.
        params.distinguished_name.push(DnType::CommonName, "a gateway or its caller");
        params.extended_key_usages = vec![purpose];
        validity(&mut params);
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }
}

/// A world whose gateway uses TLS, and the authority of its certificate.
pub async fn secure(server: &str) -> (World, Authority) {
    let authority = Authority::new();
    let world = setup(server, &authority.server(2100)).start().await;
    (world, authority)
}

pub fn setup(server: &str, pair: &Pair) -> Setup {
    let files = vec![("server.pem", pair.cert.clone()), ("server.key", pair.key.clone())];
    Setup { server: format!("{TLS}{server}"), files, pace: QUICK, ..Setup::default() }
}

/// A client that connects with TLS.
pub struct Client {
    versions: Vec<&'static SupportedProtocolVersion>,
    protocols: Vec<&'static str>,
    roots: RootCertStore,
    shows: Option<Pair>,
}

impl Client {
    /// Trusts an authority, supports every version, and names no protocol inside TLS.
    pub fn new(trusts: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusts.pem().as_bytes()).unwrap()).unwrap();
        Self { versions: vec![&TLS13, &TLS12], protocols: Vec::new(), roots, shows: None }
    }

    pub fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    pub fn speaks(mut self, protocols: &[&'static str]) -> Self {
        self.protocols = protocols.to_vec();
        self
    }

    pub fn shows(mut self, pair: Pair) -> Self {
        self.shows = Some(pair);
        self
    }

    pub fn connector(&self) -> TlsConnector {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.shows {
            None => config.with_no_client_auth(),
            Some(Pair { cert, key }) => {
                let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        config.alpn_protocols =
            self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    /// A client of TLS 1.3 that says how many sessions it wants to resume (RFC 9149).
    pub fn wants_tickets(&self, count: u8) -> TlsConnector {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_protocol_versions(&[&TLS13]).unwrap();
        let mut config = config.with_root_certificates(self.roots.clone()).with_no_client_auth();
        let wanted = TicketRequest { new_session_count: count, resumption_count: count };
        config.send_ticket_request = Some(wanted);
        TlsConnector::from(Arc::new(config))
    }

    pub async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        connect(&self.connector(), address).await
    }

    /// A new connection with HTTP/2.
    pub async fn http2(&self, world: &World) -> Http2 {
        self.http2_at(world.gateway).await
    }

    /// The same, to another address.
    pub async fn http2_at(&self, address: SocketAddr) -> Http2 {
        let connector = Self {
            protocols: vec!["h2"],
            shows: self.shows.clone(),
            roots: self.roots.clone(),
            versions: self.versions.clone(),
        };
        let stream = connector.connect(address).await.unwrap();
        let local = stream.get_ref().0.local_addr().unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        Http2 { local, sender, connection: tokio::spawn(connection) }
    }
}

/// One TLS connection.
pub async fn connect(
    connector: &TlsConnector,
    address: SocketAddr,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = connector.connect(name, stream);
    tokio::time::timeout(PATIENCE, connecting).await.expect("the handshake never ends")
}

/// Requests `/whoami` over HTTP/1.1; `None` if the peer closes instead.
pub async fn whoami(stream: &mut TlsStream<TcpStream>, caller: &Caller) -> Option<Answer> {
    let text = caller.text("GET", "/whoami", &[], None);
    let _ = stream.write_all(text.as_bytes()).await;
    client::read(stream).await
}

/// A connection with HTTP/2.
pub struct Http2 {
    /// The connection's local address.
    pub local: SocketAddr,
    pub sender: http2::SendRequest<Sent>,
    pub connection: JoinHandle<hyper::Result<()>>,
}

/// A request's body.
pub type Sent = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

impl Http2 {
    pub async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Body<Data = Bytes, Error = std::convert::Infallible> + Send + Sync + 'static,
    ) -> hyper::Result<Answer> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Sent::new(body)).unwrap();
        let asking = self.sender.send_request(request);
        let response = tokio::time::timeout(PATIENCE, asking).await.expect("no answer")?;
        Ok(answer(response).await)
    }

    pub async fn whoami(&mut self, caller: &Caller) -> hyper::Result<Answer> {
        self.get("/whoami", caller).await
    }

    pub async fn get(&mut self, path: &str, caller: &Caller) -> hyper::Result<Answer> {
        let target = format!("https://localhost{path}");
        let bearer = caller.bearer();
        self.ask("GET", &target, &[("authorization", &bearer)], Full::default()).await
    }
}

async fn answer(response: Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("a body without end");
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.unwrap().to_bytes().to_vec(),
    }
}
