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

use http::{HeaderValue, Uri, uri::Scheme};
use tokio::time::Instant;

use super::{
    AccessKeys, Settings,
    answer::{Failure, WhyNotSent, ZecAnswer},
    describe,
    request::{self, PATH},
};
use crate::{
    clock,
    domain::{Action, ChangeIpv4, Nic, NicId, json::Node},
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
    /// The change that ZEC made.
    pub change: ChangeIpv4,
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

    async fn read(
        &self,
        caller: &str,
        nic: &NicId,
        deadline: Instant,
    ) -> Result<FoundNic, Failure> {
        let action = Action::DescribeNetworkInterfaces.name();
        let who = self.0.breaker.asker(caller, nic.as_str());
        let body = request::describe(nic)
            .map_err(|e| Failure::NotSent(WhyNotSent::Because(e.to_string())))?;
        let keys = self.0.keys.now();
        let (mut key, mut other) = (&keys.current, keys.previous.as_ref());
        let mut retry = 0;
        loop {
            let pass = self.0.admit(Kind::Read, who)?;
            let take = |response: &Node<'_>, all: &[u8]| describe::nic(nic, response, all);
            let call = SignedCall { action, body: body.clone(), key };
            let attempt = self.0.attempt(call, || Ok(clock::now()), take, pass, deadline);
            let failure = match attempt.await {
                Ok(ZecAnswer { request_id, response: Ok(nic) }) => {
                    return Ok(FoundNic { nic, request_id, zec: self.0.identity(key) });
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
}

impl Writer {
    /// Asks for leave to send a write on a vNIC for a caller (`Caller::id`). If writes were stopped and may
    /// be tried again, the vNIC is read first. A write must not be used to find out whether ZEC is available.
    ///
    /// # Errors
    /// [`Failure::Spared`] while writes are stopped, for ZEC as a whole or for that vNIC.
    pub async fn admit(
        &self,
        caller: &str,
        nic: &NicId,
        deadline: Instant,
    ) -> Result<BreakerPass, Failure> {
        let who = self.0.breaker.asker(caller, nic.as_str());
        // One read serves all waiting writes. The breaker gets its result.
        if let Some(look) = self.0.breaker.look(who) {
            let reader = Reader(Arc::clone(&self.0));
            let seen = Box::pin(reader.nic_for(caller, nic, deadline)).await;
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

    /// Sends a permitted and recorded change, once. The ticket is spent when there is a connection; if the
    /// ticket is too old by then, nothing is sent.
    ///
    /// # Errors
    /// A [`Failure`]. After [`Failure::NoAnswer`], [`Failure::BadAnswer`] and [`Failure::Unavailable`] it is
    /// unknown whether ZEC made the change.
    pub async fn send(
        &self,
        ticket: Ticket,
        pass: BreakerPass,
        deadline: Instant,
    ) -> Result<Sent, Failure> {
        let _busy = Busy::begin(&self.0.busy);
        let not_sent =
            |error: &dyn StdError| Failure::NotSent(WhyNotSent::Because(error.to_string()));
        let body = request::change(ticket.change()).map_err(|error| not_sent(&error))?;
        let change = ticket.change().clone();
        // Never retried with the previous key: the write might be done twice.
        let key = &self.0.keys.now().current;
        let call = SignedCall { action: change.change.action().name(), body, key };
        let sign_at = || ticket.spend().map(|spent| spent.signed_at).map_err(|e| not_sent(&e));
        let answer = self.0.attempt(call, sign_at, |_, _| (), pass, deadline).await?;
        Ok(Sent { change, request_id: answer.request_id })
    }
}

#[cfg(test)]
mod tests;
