//! The two halves of the client: one that reads, and one that writes.

mod exchange;

use std::{
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Uri, uri::Scheme};
use tokio::time::Instant;

use super::{
    AccessKeys, Settings,
    answer::{Failure, WhyNotSent, ZecAnswer},
    describe,
    request::{self, PATH},
};
use crate::{
    catalogue::ResourceRow,
    clock,
    domain::{
        API_VERSION, Action, ActionCall, Described, Location, Nic, NicId, WriteCall, json::Node,
    },
    error::Fault,
    journal::Ticket,
    limit::{Breaker, BreakerPass},
    metrics::{Kind, Metrics},
    net::{self, HttpClient, Trust},
};
use exchange::{Client, SignedCall};

/// How often a read is retried after a harmless failure.
const READ_RETRIES: u32 = 2;

/// The longest wait before the first retry of a read. The wait before the next one is up to twice as long.
const RETRY_WAIT: Duration = Duration::from_millis(200);

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
    /// ZEC's whole answer, byte for byte.
    pub body: Bytes,
    /// ZEC's id of the request.
    pub request_id: String,
}

/// A call that only reads, as it is sent.
#[derive(Clone, Copy, Debug)]
struct Read<'a> {
    action: &'static str,
    version: &'static str,
    body: &'a Bytes,
    /// What it is about, by which the breaker tells calls apart.
    about: &'a str,
}

/// A call that can always be made and shows nothing of anybody's. It tells whether ZEC answers.
const PROBE: (&str, &[u8]) = ("DescribeZones", b"{}");

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
        path: Uri::from_static(PATH),
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

impl Reader {
    /// The earliest time that ZEC's clock can show now: the time in its last answer, plus the time that has
    /// passed since. `None` before the first answer.
    #[must_use]
    pub fn time(&self) -> Option<SystemTime> {
        self.0.skew.time()
    }

    /// A function that returns what [`Reader::time`] does.
    pub fn clock(&self) -> impl Fn() -> Option<SystemTime> + Send + Sync + 'static {
        let skew = Arc::clone(&self.0.skew);
        move || skew.time()
    }

    /// As [`Reader::nic_for`], for the gateway itself.
    ///
    /// # Errors
    /// As there.
    pub async fn nic(&self, nic: &NicId, deadline: Instant) -> Result<FoundNic, Failure> {
        self.read("", nic, deadline).await
    }

    /// Reads one vNIC for a caller (`Caller::id`), by `deadline` at the latest. The result is exactly the
    /// vNIC asked for, or none. The read is retried at most twice, if nothing was sent or ZEC answered 503 or
    /// 429. If ZEC refuses the access key in use, it is retried once with the previous key, if there is one.
    ///
    /// # Errors
    /// The last attempt's failure, or [`Failure::Spared`] at once.
    pub async fn nic_for(
        &self,
        caller: &str,
        nic: &NicId,
        deadline: Instant,
    ) -> Result<FoundNic, Failure> {
        let _busy = Busy::begin(&self.0.busy);
        self.read(caller, nic, deadline).await
    }

    /// Whether a caller's request to ZEC is in flight.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.0.busy.load(Ordering::Relaxed) > 0
    }

    /// Makes a call that only reads, for a caller. It is retried as [`Reader::nic_for`].
    ///
    /// # Errors
    /// As there.
    pub async fn call(
        &self,
        caller: &str,
        call: &ActionCall,
        deadline: Instant,
    ) -> Result<Answered, Failure> {
        let _busy = Busy::begin(&self.0.busy);
        let body = Bytes::from(call.arguments().canonical());
        let row = call.row();
        let (action, version) = (row.name.as_str(), row.version.as_str());
        let read = Read { action, version, body: &body, about: request::about(call) };
        let answer = self.retry(caller, read, |_, all| Ok(all.clone()), deadline).await?;
        Ok(Answered { body: answer.response, request_id: answer.request_id })
    }

    /// Reads resources of one type by their ids, for a caller. What ZEC does not show is left out. There may be at most as
    /// many ids as the action takes in one call.
    ///
    /// # Errors
    /// As [`Reader::nic_for`], and [`Failure::NotSent`] if no action reads resources of this type by their ids.
    pub async fn describe(
        &self,
        caller: &str,
        row: &'static ResourceRow,
        ids: &[&str],
        deadline: Instant,
    ) -> Result<Vec<(Described, Location)>, Failure> {
        let _busy = Busy::begin(&self.0.busy);
        let unreadable =
            || Failure::NotSent(WhyNotSent::Because(format!("no `{}` can be read", row.kind)));
        let read_by = row.read_by.as_ref().ok_or_else(unreadable)?;
        let body = request::describe_all(read_by, ids)
            .map_err(|error| Failure::NotSent(WhyNotSent::Because(error.to_string())))?;
        let about = ids.first().copied().unwrap_or_default();
        let read = Read { action: &read_by.action, version: API_VERSION, body: &body, about };
        let take = |response: &Node<'_>, _: &Bytes| describe::resources(row, ids, response);
        Ok(self.retry(caller, read, take, deadline).await?.response)
    }

    async fn read(
        &self,
        caller: &str,
        nic: &NicId,
        deadline: Instant,
    ) -> Result<FoundNic, Failure> {
        let body = request::describe(nic)
            .map_err(|e| Failure::NotSent(WhyNotSent::Because(e.to_string())))?;
        let action = Action::DescribeNetworkInterfaces.name();
        let read = Read { action, version: API_VERSION, body: &body, about: nic.as_str() };
        let take = |response: &Node<'_>, all: &Bytes| describe::nic(nic, response, all);
        let Found { response: nic, request_id, zec } =
            self.retry(caller, read, take, deadline).await?;
        Ok(FoundNic { nic, request_id, zec })
    }

    /// Makes a call until it is answered, or must not be made again. `take` is what the answer must hold.
    async fn retry<T>(
        &self,
        caller: &str,
        read: Read<'_>,
        take: impl Fn(&Node<'_>, &Bytes) -> Result<T, String>,
        deadline: Instant,
    ) -> Result<Found<T>, Failure> {
        let Read { action, version, body, about } = read;
        let who = self.0.breaker.asker(caller, about);
        let keys = self.0.keys.now();
        let (mut key, mut other) = (&keys.current, keys.previous.as_ref());
        let mut retry = 0;
        loop {
            let pass = self.0.admit(Kind::Read, who)?;
            let call = SignedCall { action, version, body: body.clone(), key };
            let attempt = self.0.attempt(call, || Ok(clock::now()), &take, pass, deadline);
            let failure = match attempt.await {
                Ok(ZecAnswer { request_id, response: Ok(response) }) => {
                    return Ok(Found { response, request_id, zec: self.0.identity(key) });
                }
                Ok(ZecAnswer { request_id, response: Err(cause) }) => {
                    return Err(Failure::BadAnswer { cause, request_id: Some(request_id) });
                }
                Err(failure) => failure,
            };
            if let Failure::CredentialsRefused { code, .. } = &failure
                && let Some(previous) = other.take()
            {
                tracing::warn!(code, "ZEC refused the access key: trying the previous one");
                key = previous;
                continue;
            }
            let harmless = matches!(
                failure,
                Failure::NotSent(_) | Failure::Unavailable { .. } | Failure::Throttled { .. }
            );
            let longest = RETRY_WAIT * 2_u32.pow(retry);
            if !harmless || retry == READ_RETRIES || Instant::now() + longest >= deadline {
                return Err(failure);
            }
            retry += 1;
            // Jitter, so that callers that failed together do not retry in step.
            tokio::time::sleep(longest.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
    }

    /// Whether ZEC answers at all.
    async fn probe(&self, caller: &str, about: &str, deadline: Instant) -> Result<(), Failure> {
        let (action, body) = (PROBE.0, Bytes::from_static(PROBE.1));
        let read = Read { action, version: API_VERSION, body: &body, about };
        self.retry(caller, read, |_, _| Ok(()), deadline).await.map(drop)
    }
}

/// The part of an answer that a read needs.
struct Found<T> {
    response: T,
    request_id: String,
    /// The ZEC and the access key with which it was read.
    zec: Arc<str>,
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
        let about = match write {
            WriteCall::Ipv4(change) => change.nic.as_str(),
            WriteCall::Other(call) => request::about(call),
        };
        let who = self.0.breaker.asker(caller, about);
        // One read serves all waiting writes. The breaker gets its result.
        if let Some(look) = self.0.breaker.look(who) {
            let reader = Reader(Arc::clone(&self.0));
            let seen = match write {
                WriteCall::Ipv4(change) => {
                    Box::pin(reader.nic_for(caller, &change.nic, deadline)).await.map(drop)
                }
                WriteCall::Other(_) => Box::pin(reader.probe(caller, about, deadline)).await,
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
        let (version, body) = match &write {
            WriteCall::Ipv4(change) => {
                (API_VERSION, request::change(change).map_err(|error| not_sent(&error))?)
            }
            WriteCall::Other(call) => {
                (call.row().version.as_str(), Bytes::from(call.arguments().canonical()))
            }
        };
        // Never retried with the previous key: the write might be done twice.
        let key = &self.0.keys.now().current;
        let call = SignedCall { action: write.action(), version, body, key };
        let sign_at = || ticket.spend().map(|spent| spent.signed_at).map_err(|e| not_sent(&e));
        let take = |response: &Node<'_>, all: &Bytes| {
            let kept = describe::kept(&write, response);
            (describe::failed(&write, response), kept, all.clone())
        };
        let answer = self.0.attempt(call, sign_at, take, pass, deadline).await?;
        let ((failed, kept, body), request_id) = (answer.response, answer.request_id);
        Ok(Sent { write, request_id, body, failed, kept })
    }
}

#[cfg(test)]
mod tests;
