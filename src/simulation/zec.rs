//! A ZEC that delays, cuts connections, answers late or with errors, does things twice and loses
//! read-your-writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::Ipv4Addr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, header::DATE};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::truth::{BEGINNING, Shared, Truth, lock};
use crate::net::{
    ExchangeError,
    simulated::{Later, Network},
};

/// The vNICs that exist, and how many addresses each may have.
pub(super) const NICS: [&str; 2] = ["nic-a", "nic-b"];
pub(super) const ADDRESSES: u8 = 5;

pub(super) fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 20 + last)
}

/// How many seconds a read may be behind: less than a change may take to show (`execute::guard::LAG`).
const MOST_BEHIND: u64 = 50;

/// One ZEC.
#[derive(Debug)]
pub(super) struct Zec {
    /// Each vNIC's secondary addresses over time, the newest last.
    nics: BTreeMap<&'static str, Vec<(Duration, BTreeSet<Ipv4Addr>)>>,
    /// Writes that are still on their way.
    coming: Vec<Coming>,
    answers: BTreeMap<u64, (u16, Value)>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Coming {
    number: u64,
    due: Duration,
    /// The index of its write in [`Truth::writes`].
    write: Option<usize>,
    signed_at: u64,
    nic: String,
    takes_off: bool,
    addresses: BTreeSet<Ipv4Addr>,
    trouble: Trouble,
}

/// Faults of ZEC itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Throttles,
    /// Answers with this status and code, and may make the change all the same.
    Fails(u16, &'static str, bool),
}

impl Zec {
    pub(super) fn new() -> Self {
        let addresses: BTreeSet<Ipv4Addr> = (0..ADDRESSES).map(address).collect();
        let nics = NICS.map(|nic| (nic, vec![(Duration::ZERO, addresses.clone())]));
        Self { nics: nics.into(), coming: Vec::new(), answers: BTreeMap::new(), next: 0 }
    }

    /// A vNIC's secondary addresses at a given time.
    fn had(&self, nic: &str, at: Duration) -> Option<&BTreeSet<Ipv4Addr>> {
        let history = self.nics.get(nic)?;
        history.iter().rev().find(|(since, _)| *since <= at).map(|(_, had)| had)
    }

    /// Adds or removes an address without the gateway.
    pub(super) fn change_outside(&mut self, nic: &'static str, address: Ipv4Addr, at: Duration) {
        let mut has = self.has(nic);
        if !has.remove(&address) {
            has.insert(address);
        }
        if let Some(history) = self.nics.get_mut(nic) {
            history.push((at, has));
        }
    }

    pub(super) fn has(&self, nic: &str) -> BTreeSet<Ipv4Addr> {
        self.had(nic, Duration::MAX).cloned().unwrap_or_default()
    }
}

impl Truth {
    /// Lets everything arrive at a ZEC that is due by then.
    pub(super) fn settle(&mut self, zec: usize, until: Duration) {
        loop {
            let coming = &mut self.zecs[zec].coming;
            let due = coming.iter().enumerate().filter(|(_, one)| one.due <= until);
            let Some((first, _)) = due.min_by_key(|(_, one)| (one.due, one.number)) else { return };
            let one = coming.swap_remove(first);
            let answer = self.arrive(zec, &one);
            self.zecs[zec].answers.insert(one.number, answer);
        }
    }

    fn arrive(&mut self, zec: usize, one: &Coming) -> (u16, Value) {
        let refuse =
            |status, code| (status, json!({"requestId": "T1", "code": code, "message": "no"}));
        let now = (BEGINNING + one.due).as_secs();
        if now.abs_diff(one.signed_at) > 300 {
            return refuse(401, "AUTHFAILURE_SIGNATURE_EXPIRED");
        }
        match one.trouble {
            Trouble::Throttles => return refuse(429, "REQUEST_LIMIT_EXCEEDED"),
            Trouble::Fails(status, code, false) => return refuse(status, code),
            Trouble::None | Trouble::Fails(_, _, true) => {}
        }
        let mut has = self.zecs[zec].has(&one.nic);
        let fits = if one.takes_off {
            one.addresses.is_subset(&has)
        } else {
            one.addresses.is_disjoint(&has)
        };
        if fits {
            for address in &one.addresses {
                if one.takes_off {
                    has.remove(address)
                } else {
                    has.insert(*address)
                };
            }
            if let Some(history) = self.zecs[zec].nics.get_mut(one.nic.as_str()) {
                history.push((one.due, has));
            }
            if let Some(write) = one.write.and_then(|at| self.writes.get_mut(at)) {
                write.took_place = true;
            }
        }
        match one.trouble {
            Trouble::Fails(status, code, _) => refuse(status, code),
            _ if fits => (200, json!({"requestId": "T1", "response": {}})),
            _ if one.takes_off => refuse(404, "OPERATION_FAILED_RESOURCE_NOT_FOUND"),
            _ => refuse(409, "INVALID_SUBNET_PRIVATE_IPV4_IN_USED"),
        }
    }

    fn shown(&mut self, zec: usize, nic: &str) -> Value {
        self.settle(zec, self.now());
        let behind = if self.plan.stale_reads && self.one_in(2) {
            self.random.u64(0..MOST_BEHIND)
        } else {
            0
        };
        let at = self.now().saturating_sub(Duration::from_secs(behind));
        let unseen = self.one_in(60);
        match self.zecs[zec].had(nic, at).filter(|_| !unseen) {
            None => json!({"totalCount": 0, "dataSet": []}),
            Some(had) => json!({"totalCount": 1, "dataSet": [{
                "nicId": nic, "name": "", "status": "USED", "nicType": "Secondary", "regionId": "r",
                "vpcId": "v", "subnetId": "s", "publicIpList": [], "resourceGroup": {}, "tags": null,
                "primaryIpv4": "10.0.0.9", "secondaryIpv4s": had,
            }]}),
        }
    }

    fn journey(&mut self) -> Journey {
        match (self.peace, self.random.u32(0..100)) {
            (true, _) | (false, 28..) => Journey::Well,
            (false, 0..6) => Journey::Lost,
            (false, 6..13) => Journey::Unheard,
            (false, 13..25) => Journey::Late,
            (false, 25..28) => Journey::Twice,
        }
    }

    fn trouble(&mut self) -> Trouble {
        match (self.peace, self.random.u32(0..100)) {
            (false, 0..2) => Trouble::Throttles,
            (false, 2..4) => Trouble::Fails(500, "INTERNAL_SERVER_ERROR", false),
            (false, 4..6) => Trouble::Fails(500, "INTERNAL_SERVER_ERROR", true),
            (false, 6) => Trouble::Fails(503, "SERVICE_TEMPORARY_UNAVAILABLE", false),
            (false, 7) => Trouble::Fails(503, "SERVICE_TEMPORARY_UNAVAILABLE", true),
            (false, 8) => Trouble::Fails(400, "REQUEST_TIMED_OUT", true),
            _ => Trouble::None,
        }
    }

    fn latency(&mut self) -> Duration {
        let most = if self.one_in(20) { 9000 } else { 300 };
        Duration::from_millis(self.random.u64(1..most))
    }
}

/// The network path to one ZEC.
pub(super) struct Way {
    pub(super) truth: Shared,
    pub(super) zec: usize,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Way")
    }
}

/// Never resolves: the network is dead.
async fn never<T>() -> T {
    std::future::pending().await
}

impl Network for Way {
    fn connect(&self) -> Later<()> {
        let truth = Arc::clone(&self.truth);
        Box::pin(async move {
            let (dead, wait, fails, stopped) = {
                let mut truth = lock(&truth);
                let stopped = truth.one_in(150).then(|| truth.random.u64(20..700));
                let fails = truth.one_in(30);
                (truth.dead, truth.latency(), fails, stopped)
            };
            if dead {
                never::<()>().await;
            }
            tokio::time::sleep(wait.min(Duration::from_secs(3))).await;
            if fails {
                return Err(ExchangeError::Unsent("simulated".to_owned()));
            }
            if let Some(seconds) = stopped {
                stand_still(Duration::from_secs(seconds));
            }
            Ok(())
        })
    }

    fn exchange(&self, request: Request<Full<Bytes>>) -> Later<Response<Bytes>> {
        let (truth, zec) = (Arc::clone(&self.truth), self.zec);
        Box::pin(async move {
            if lock(&truth).step() {
                never::<()>().await;
            }
            let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
            let (action, signed_at) = (header("x-zc-action"), header("x-zc-timestamp"));
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let (status, answer) = if action.starts_with("Describe") {
                read(&truth, zec, &body, signed_at.parse().unwrap()).await?
            } else {
                write(&truth, zec, &action, &body, signed_at.parse().unwrap()).await?
            };
            Ok(response(&lock(&truth), status, &answer))
        })
    }
}

/// Stops the whole process for this long, as SIGSTOP does: all clocks go on, and nothing runs.
fn stand_still(long: Duration) {
    let mut advancing = pin!(tokio::time::advance(long));
    // The first poll moves the clock; further polls would only let other tasks run.
    let _ = advancing.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(());
}

async fn read(
    truth: &Shared,
    zec: usize,
    body: &Value,
    signed_at: u64,
) -> Result<(u16, Value), ExchangeError> {
    let (there, back, cut, unavailable) = {
        let mut truth = lock(truth);
        (truth.latency(), truth.latency(), truth.one_in(30), truth.one_in(40))
    };
    tokio::time::sleep(there).await;
    if cut {
        return Err(ExchangeError::Unanswered("simulated".to_owned()));
    }
    let answer = {
        let mut truth = lock(truth);
        let now = (BEGINNING + truth.now()).as_secs();
        let refuse = |status: u16, code: &str| {
            (status, json!({"requestId": "T1", "code": code, "message": "no"}))
        };
        if now.abs_diff(signed_at) > 300 {
            refuse(401, "AUTHFAILURE_SIGNATURE_EXPIRED")
        } else if unavailable {
            refuse(503, "SERVICE_TEMPORARY_UNAVAILABLE")
        } else {
            let nic = body["nicIds"][0].as_str().unwrap().to_owned();
            let shown = truth.shown(zec, &nic);
            (200, json!({"requestId": "T1", "response": shown}))
        }
    };
    tokio::time::sleep(back).await;
    Ok(answer)
}

/// What happens to a write on its way to ZEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journey {
    Well,
    /// It never arrives.
    Lost,
    /// It arrives, and its answer is lost.
    Unheard,
    /// It arrives long after the gateway has given up or was disconnected.
    Late,
    /// A hop sends it a second time at once; the first answer is returned.
    Twice,
}

async fn write(
    truth: &Shared,
    zec: usize,
    action: &str,
    body: &Value,
    signed_at: u64,
) -> Result<(u16, Value), ExchangeError> {
    let addresses: BTreeSet<Ipv4Addr> =
        serde_json::from_value(body["ipAddresses"].clone()).unwrap();
    let (nic, takes_off) = (body["nicId"].as_str().unwrap(), action.starts_with("Unassign"));
    let (number, at, journey, there, back, hangs) = {
        let mut truth = lock(truth);
        let write = truth.sends(nic, takes_off, &addresses);
        let (journey, trouble) = (truth.journey(), truth.trouble());
        let (there, back, hangs) = (truth.latency(), truth.latency(), truth.one_in(2));
        let late = Duration::from_secs(truth.random.u64(5..330));
        let due = truth.now() + if journey == Journey::Late { late } else { there };
        let number = truth.zecs[zec].next;
        truth.zecs[zec].next += 2;
        let nic = nic.to_owned();
        let one = Coming { number, due, write, signed_at, nic, takes_off, addresses, trouble };
        if journey == Journey::Twice {
            let again = Coming { number: number + 1, ..one.clone() };
            truth.zecs[zec].coming.push(again);
        }
        if journey != Journey::Lost {
            truth.zecs[zec].coming.push(one);
        }
        (number, write, journey, there, back, hangs)
    };
    tokio::time::sleep(there).await;
    if !matches!(journey, Journey::Well | Journey::Twice) {
        if hangs {
            never::<()>().await;
        }
        return Err(ExchangeError::Unanswered("simulated".to_owned()));
    }
    let answer = {
        let mut truth = lock(truth);
        let now = truth.now();
        truth.settle(zec, now);
        truth.zecs[zec].answers.remove(&number)
    };
    tokio::time::sleep(back).await;
    // Not if ZEC says that something failed, or that it took too long.
    let says_what_happened = answer
        .as_ref()
        .is_some_and(|(status, body)| *status < 500 && body["code"] != "REQUEST_TIMED_OUT");
    if let (Some(at), true) = (at, says_what_happened) {
        lock(truth).writes[at].answered = true;
    }
    answer.ok_or_else(|| ExchangeError::Unanswered("simulated".to_owned()))
}

fn response(truth: &Truth, status: u16, answer: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(answer.to_string()));
    *response.status_mut() = status.try_into().unwrap();
    if truth.plan.dates {
        let time: SystemTime = truth.time();
        let date = httpdate::fmt_http_date(time).parse().unwrap();
        response.headers_mut().insert(DATE, date);
    }
    response
}
