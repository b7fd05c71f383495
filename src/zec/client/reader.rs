//! Reads, which are retried if that is harmless.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    super::{
        answer::{Failure, WhyNotSent, ZecAnswer},
        describe::{self, NicPage},
        request,
    },
    Answered, Busy, FoundNic, FoundResources, Reader,
    exchange::{SignedCall, Take, Unchanged},
};
use crate::{
    catalogue::{ResourceRow, ZEC},
    clock,
    domain::{API_VERSION, Action, ActionCall, NicFilter, NicId, json::Node},
    metrics::Kind,
};

/// How often a read is retried after a harmless failure.
const READ_RETRIES: u32 = 2;

/// The longest wait before the first retry of a read. The wait before the next one is up to twice as long.
const RETRY_WAIT: Duration = Duration::from_millis(200);

/// A call that only reads, as it is sent.
#[derive(Clone, Copy, Debug)]
struct Read<'a> {
    service: &'static str,
    action: &'static str,
    version: &'static str,
    body: &'a Bytes,
    /// What it is about, by which the breaker tells calls apart.
    about: &'a str,
}

impl<'a> Read<'a> {
    /// A read of ZEC's own API.
    const fn of_zec(action: &'static str, body: &'a Bytes, about: &'a str) -> Self {
        Self { service: ZEC, action, version: API_VERSION, body, about }
    }
}

/// A call that can always be made and shows nothing of anybody's. It tells whether ZEC answers.
const PROBE: (&str, &[u8]) = ("DescribeZones", b"{}");

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

    /// Makes a call that only reads, for a caller. It is retried as [`Reader::nic_for`]. The answer must begin by the first
    /// time. If it is long and `ends_at` is given, it is passed on piece by piece and ends by then.
    ///
    /// # Errors
    /// As there.
    pub async fn call(
        &self,
        caller: &str,
        call: &ActionCall,
        deadline: Instant,
        ends_at: Option<Instant>,
    ) -> Result<Answered, Failure> {
        let _busy = Busy::begin(&self.0.busy);
        let body = Bytes::from(call.arguments().canonical());
        let row = call.row();
        let (action, version) = (row.name.as_str(), row.version.as_str());
        let service = row.service.as_str();
        let read = Read { service, action, version, body: &body, about: call.about() };
        let answer = self.retry(caller, read, Unchanged { ends_at }, deadline).await?;
        let Found { response: body, request_id, .. } = answer;
        Ok(Answered { body, request_id })
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
    ) -> Result<FoundResources, Failure> {
        let _busy = Busy::begin(&self.0.busy);
        let unreadable =
            || Failure::NotSent(WhyNotSent::Because(format!("no `{}` can be read", row.kind)));
        let read_by = row.read_by.as_ref().ok_or_else(unreadable)?;
        let body = request::describe_all(read_by, ids)
            .map_err(|error| Failure::NotSent(WhyNotSent::Because(error.to_string())))?;
        let about = ids.first().copied().unwrap_or_default();
        let read = Read::of_zec(&read_by.action, &body, about);
        let take = |response: &Node<'_>, _: &Bytes| describe::resources(row, ids, response);
        let Found { response: resources, zec, .. } =
            self.retry(caller, read, take, deadline).await?;
        Ok(FoundResources { resources, zec })
    }

    /// Reads a page of the vNICs that pass ZEC's filters, for a caller. The pages count from 1.
    ///
    /// # Errors
    /// As [`Reader::nic_for`].
    pub async fn nics(
        &self,
        caller: &str,
        filter: &NicFilter,
        page: u32,
        deadline: Instant,
    ) -> Result<NicPage, Failure> {
        let _busy = Busy::begin(&self.0.busy);
        let body = request::nics(filter, page)
            .map_err(|error| Failure::NotSent(WhyNotSent::Because(error.to_string())))?;
        let action = Action::DescribeNetworkInterfaces.name();
        let read = Read::of_zec(action, &body, action);
        let take = |response: &Node<'_>, all: &Bytes| describe::nics(response, all);
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
        let read = Read::of_zec(action, &body, nic.as_str());
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
        take: impl Take<T> + Copy,
        deadline: Instant,
    ) -> Result<Found<T>, Failure> {
        let Read { service, action, version, body, about } = read;
        let who = self.0.breaker.asker(caller, about);
        let keys = self.0.keys.now();
        let (mut key, mut other) = (&keys.current, keys.previous.as_ref());
        let mut retry = 0;
        loop {
            let pass = self.0.admit(Kind::Read, who)?;
            let call = SignedCall { service, action, version, body: body.clone(), key };
            let attempt = self.0.attempt(call, || Ok(clock::now()), take, pass, deadline);
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
    pub(super) async fn probe(
        &self,
        caller: &str,
        about: &str,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let (action, body) = (PROBE.0, Bytes::from_static(PROBE.1));
        let read = Read::of_zec(action, &body, about);
        let take = |_: &Node<'_>, _: &Bytes| Ok(());
        self.retry(caller, read, take, deadline).await.map(drop)
    }
}

/// The part of an answer that a read needs.
struct Found<T> {
    response: T,
    request_id: String,
    /// The ZEC and the access key with which it was read.
    zec: Arc<str>,
}
