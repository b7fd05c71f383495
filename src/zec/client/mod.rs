//! The two halves of the client: one that reads, and one that writes.

mod exchange;
mod reader;

use std::{
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderValue, Uri, uri::Scheme};
use tokio::time::Instant;

use super::{
    AccessKeys, Settings, ZecBody,
    answer::{Failure, WhyNotSent},
    describe,
};
use crate::{
    domain::{Described, Location, Nic, WriteCall, json::Node},
    error::Fault,
    journal::Ticket,
    limit::{Breaker, BreakerPass},
    metrics::{Kind, Metrics},
    net::{self, HttpClient, Trust},
};
use exchange::{Client, SignedCall};

/// The half of the client that can only read.
#[derive(Clone, Debug)]
pub struct Reader(Arc<Client>);

/// The half of the client that can make changes; a dry run never gets one.
#[derive(Clone, Debug)]
pub struct Writer(Arc<Client>);

/// A vNIC that ZEC showed.
#[derive(Debug)]
pub struct FoundNic {
    /// The vNIC; `None` if ZEC has no vNIC with that id.
    pub nic: Option<Box<Nic>>,
    /// ZEC's id of the request.
    pub request_id: String,
    /// The ZEC and the access key with which it was read, as [`Writer::identity`].
    pub zec: Arc<str>,
}

/// The resources that ZEC showed of those asked for.
#[derive(Debug)]
pub struct FoundResources {
    /// Each with where it lies.
    pub resources: Vec<(Described, Location)>,
    /// As [`FoundNic::zec`].
    pub zec: Arc<str>,
}

/// A write that ZEC reports as done.
#[derive(Debug)]
pub struct Sent {
    /// The write that ZEC made.
    pub write: WriteCall,
    /// ZEC's id of the request.
    pub request_id: String,
    /// ZEC's whole answer, byte for byte.
    pub body: Bytes,
    /// What ZEC did not do of it, as JSON, if it was done in part.
    pub failed: Option<String>,
    /// What the record keeps of the answer, as JSON.
    pub kept: Option<String>,
}

/// ZEC's answer to a call that only reads.
#[derive(Debug)]
pub struct Answered {
    /// ZEC's answer, byte for byte.
    pub body: ZecBody,
    /// ZEC's id of the request.
    pub request_id: String,
}

/// Counts a request of a caller as in flight until it is dropped.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Checks whether a client could be made, without an access key.
///
/// # Errors
/// When the trusted certificates cannot be used.
pub fn check(settings: &Settings) -> Result<(), Fault> {
    http_client(settings).map(drop)
}

fn http_client(settings: &Settings) -> Result<HttpClient, Fault> {
    let https = settings.scheme == Scheme::HTTPS;
    net::client(net::Options {
        connect_timeout: settings.connect_timeout,
        https,
        trust: settings.ca_file.as_deref().map_or(Trust::System, Trust::SystemAnd),
        proxy: settings.proxy.as_ref(),
        section: "zec",
    })
}

/// Makes both halves of a client. It does not connect yet.
///
/// # Errors
/// When the endpoint or the trusted certificates cannot be used.
pub fn connect(
    settings: &Settings,
    keys: impl Into<AccessKeys>,
    metrics: Arc<Metrics>,
) -> Result<(Reader, Writer), Fault> {
    connect_by(http_client(settings)?, settings, keys.into(), metrics)
}

/// As [`connect`], over a simulated network.
#[cfg(test)]
pub(crate) fn connect_over(
    network: Arc<dyn net::simulated::Network>,
    settings: &Settings,
    keys: AccessKeys,
    metrics: Arc<Metrics>,
) -> Result<(Reader, Writer), Fault> {
    connect_by(http_client(settings)?.over(network), settings, keys, metrics)
}

fn connect_by(
    http: HttpClient,
    settings: &Settings,
    keys: AccessKeys,
    metrics: Arc<Metrics>,
) -> Result<(Reader, Writer), Fault> {
    let bad_endpoint = |error: &dyn StdError| {
        Fault::new(format!("the endpoint cannot be used: {error}")).at_key("zec.endpoint")
    };
    let host_text = settings.authority.as_str().to_owned();
    let client = Arc::new(Client {
        http,
        endpoint: Uri::builder()
            .scheme(settings.scheme.clone())
            .authority(settings.authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|e| bad_endpoint(&e))?,
        host: HeaderValue::from_str(&host_text).map_err(|e| bad_endpoint(&e))?,
        host_text,
        keys,
        request_timeout: settings.request_timeout,
        skew: Arc::default(),
        breaker: Breaker::new(Arc::clone(&metrics)),
        busy: AtomicUsize::new(0),
        metrics,
    });
    Ok((Reader(Arc::clone(&client)), Writer(client)))
}

impl Writer {
    /// Asks for leave to send a write for a caller (`Caller::id`). If writes were stopped and may be tried again, something
    /// is read first: the vNIC, if the write is on one. A write must not be used to find out whether ZEC is available.
    ///
    /// # Errors
    /// [`Failure::Spared`] while writes are stopped, for ZEC as a whole or for that vNIC.
    pub async fn admit(
        &self,
        caller: &str,
        write: &WriteCall,
        deadline: Instant,
    ) -> Result<BreakerPass, Failure> {
        let about = write.about();
        let who = self.0.breaker.asker(caller, about);
        // One read serves all waiting writes. The breaker gets its result.
        if let Some(look) = self.0.breaker.look(who) {
            let reader = Reader(Arc::clone(&self.0));
            let seen = match write.change() {
                Some(change) => {
                    Box::pin(reader.nic_for(caller, &change.nic, deadline)).await.map(drop)
                }
                None => Box::pin(reader.probe(caller, about, deadline)).await,
            };
            match seen {
                Err(Failure::Spared { .. }) => look.spared(),
                _ => drop(look),
            }
        }
        self.0.admit(Kind::Write, who)
    }

    /// The ZEC and the access key with which the next write is sent, as a digest. What is read from another
    /// ZEC, or with another key, proves nothing about that write.
    #[must_use]
    pub fn identity(&self) -> Arc<str> {
        self.0.identity(&self.0.keys.now().current)
    }

    /// Sends a permitted and recorded write, once. The ticket is spent when there is a connection; if the
    /// ticket is too old by then, nothing is sent.
    ///
    /// # Errors
    /// A [`Failure`]. After [`Failure::NoAnswer`], [`Failure::BadAnswer`] and [`Failure::Unavailable`] it is
    /// unknown whether ZEC did it.
    pub async fn send(
        &self,
        ticket: Ticket,
        pass: BreakerPass,
        deadline: Instant,
    ) -> Result<Sent, Failure> {
        let _busy = Busy::begin(&self.0.busy);
        let not_sent =
            |error: &dyn StdError| Failure::NotSent(WhyNotSent::Because(error.to_string()));
        let write = ticket.write().clone();
        let (row, body) = (write.row(), Bytes::from(write.body()));
        // Never retried with the previous key: the write might be done twice.
        let key = &self.0.keys.now().current;
        let (service, action, version) = (&*row.service, &*row.name, &*row.version);
        let call = SignedCall { service, action, version, body, key };
        let sign_at = || ticket.spend().map(|spent| spent.signed_at).map_err(|e| not_sent(&e));
        let take = |response: &Node<'_>, all: &Bytes| {
            let kept = describe::kept(&write, response);
            Ok((describe::failed(&write, response), kept, all.clone()))
        };
        let answer = self.0.attempt(call, sign_at, take, pass, deadline).await?;
        let request_id = answer.request_id;
        let (failed, kept, body) = answer
            .response
            .map_err(|cause| Failure::BadAnswer { cause, request_id: Some(request_id.clone()) })?;
        Ok(Sent { write, request_id, body, failed, kept })
    }
}

#[cfg(test)]
mod tests;
