//! A collector on a real socket that parses requests with the protocol's own crate.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

use crate::{client::PATIENCE, secure::Pair};

/// The way in which the collector answers.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    Takes,
    Answers(u16),
    Hangs,
}

/// A received request, accepted or not.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The head, as text.
    pub head: String,
    pub body: Bytes,
    pub message: ExportTraceServiceRequest,
    pub taken: bool,
}

#[derive(Clone)]
pub struct Collector {
    pub address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Collector {
    pub async fn start(manner: Manner) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), manner)
    }

    pub fn on(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().unwrap();
        let (manner, sent) = (Arc::new(Mutex::new(manner)), Arc::default());
        let this = Self { address, manner, sent };
        let serving = this.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        this
    }

    /// A collector that accepts spans only over TLS.
    pub async fn over_tls(pair: &Pair) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let this =
            Self { address, manner: Arc::new(Mutex::new(Manner::Takes)), sent: Arc::default() };
        let certificate = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let serving = this.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::spawn(serving.clone().serve(stream));
                }
            }
        });
        this
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(move |request| {
            let this = self.clone();
            async move { this.answer(request).await }
        });
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let message =
            ExportTraceServiceRequest::decode(body.clone()).expect("the protocol's message");
        let manner = *self.manner.lock().unwrap();
        let taken = matches!(manner, Manner::Takes);
        let head = format!("{} {} {:?}", head.method, head.uri, head.headers);
        self.sent.lock().unwrap().push(Sent { head, body, message, taken });
        let (status, body) = match manner {
            Manner::Takes => (200, ExportTraceServiceResponse::default().encode_to_vec()),
            Manner::Answers(status) => (status, b"busy".to_vec()),
            Manner::Hangs => std::future::pending().await,
        };
        let mut answer = Response::new(Full::new(body.into()));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(answer)
    }

    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// All spans that the collector accepted.
    pub fn spans(&self) -> Vec<Span> {
        let taken = self.sent().into_iter().filter(|sent| sent.taken);
        let resources = taken.flat_map(|sent| sent.message.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Waits until it has accepted this many spans, and returns them.
    pub async fn until_spans(&self, count: usize) -> Vec<Span> {
        self.until("spans", || self.spans().len() >= count).await;
        self.spans()
    }

    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect(what);
    }
}

/// An attribute as text; `None` if it is absent.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let mut found = attributes.iter().filter(|pair| pair.key == key);
    let value = found.next()?.value.clone().unwrap().value.unwrap();
    assert!(found.next().is_none(), "{key} is there twice");
    Some(shown(value))
}

fn shown(value: Value) -> String {
    match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(list) => {
            let items = list.values.into_iter().map(|item| shown(item.value.unwrap()));
            items.collect::<Vec<_>>().join(" ")
        }
        other => panic!("{other:?}"),
    }
}
