//! The operators' listener: metrics, liveness and readiness.

use std::{
    convert::Infallible,
    fmt::Write as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;
use tower::{service_fn, util::BoxCloneSyncService};

use super::{
    Listeners, Stops, TrustedProxies, accept,
    connection::Terms,
    crowd::{ConnectionCounts, Crowd},
    drive::Timers,
};
use crate::{
    auth::Authenticator,
    journal::Journal,
    lanes::Lanes,
    limit::{AtOnce, Freeze},
    metrics::Metrics,
    reload::ReloadStatus,
    stack::Answer,
};

/// Scrapers and probes are few; more connections at once than this are a mistake somewhere.
const MAX_CONNECTIONS: usize = 64;

/// The idle time is above a minute, because scrapers return every minute at the latest.
const TIMERS: Timers = Timers { head: Duration::from_secs(10), idle: Duration::from_secs(90) };

/// How long a thread that serves may take to run a new task. No task in it takes that long.
const TURN: Duration = Duration::from_secs(5);

/// The readiness of the gateway, which does not depend on ZEC's state.
#[derive(Debug)]
pub struct Readiness {
    authenticator: Arc<Authenticator>,
    journal: Journal,
    board: ReloadStatus,
    freeze: Freeze,
    draining: AtomicBool,
    /// The connections of the callers' listener, set when it begins to serve.
    crowd: OnceLock<Arc<Crowd>>,
}

impl Readiness {
    /// Ready once an issuer has keys, and while the journal can be written. The policy was loaded before anything
    /// started. Failed reloads and frozen writes are reported and do not make the gateway unready, because reads go on.
    /// The same holds for a full listener, which closes an old connection for each new one.
    #[must_use]
    pub fn new(
        authenticator: Arc<Authenticator>,
        journal: Journal,
        board: ReloadStatus,
        freeze: Freeze,
    ) -> Self {
        let (draining, crowd) = (AtomicBool::new(false), OnceLock::new());
        Self { authenticator, journal, board, freeze, draining, crowd }
    }

    /// Reports these connections from now on.
    pub(super) fn watch(&self, crowd: Arc<Crowd>) {
        let _ = self.crowd.set(crowd);
    }

    /// Updates the metrics whose values are determined only when they are read.
    fn count(&self, metrics: &Metrics) {
        if let Some(crowd) = self.crowd.get() {
            let ConnectionCounts { active, idle, anonymous } = crowd.counts();
            metrics.http.connections(active, idle, anonymous);
        }
    }

    /// Makes the gateway unready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway is ready for requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed)
            && self.authenticator.is_ready()
            && self.journal.is_healthy()
    }

    /// The report of the current state. The caller has already waited for `frozen`, which tells whether writes are
    /// frozen.
    fn report(&self, frozen: &str) -> String {
        let sign = |ok: bool| if ok { "ok" } else { "not ok" };
        let mut report = String::from("policy: ok\n");
        for (issuer, has_keys) in self.authenticator.issuers() {
            let _ = writeln!(report, "keys of {issuer}: {}", sign(has_keys));
        }
        for (issuer, claim) in self.authenticator.without_groups() {
            let _ =
                writeln!(report, "groups of {issuer}: no token has had the claim `{claim}` yet");
        }
        let _ = writeln!(report, "journal: {}", sign(self.journal.is_healthy()));
        for (name, state) in self.board.all() {
            let _ = writeln!(report, "reload of {name}: {state}");
        }
        let (asked, done) = (self.board.asked(), self.board.answered());
        let _ = writeln!(report, "reloads asked for: {asked}, done: {done}");
        let _ = writeln!(report, "writes frozen: {frozen}");
        if let Some(crowd) = self.crowd.get() {
            let ConnectionCounts { active, idle, anonymous } = crowd.counts();
            let (open, most) = (active + idle + anonymous, crowd.most());
            let full = if open >= most { "yes" } else { "no" };
            let _ = writeln!(report, "listener full: {full}, {open} of {most} connections");
        }
        let draining = self.draining.load(Ordering::Relaxed);
        let _ = writeln!(report, "draining: {}", if draining { "yes" } else { "no" });
        report
    }
}

/// Serves `/metrics`, `/livez` and `/readyz` and never returns. It keeps serving while the public listener drains, so
/// that operators can watch the drain.
pub async fn serve_admin(
    listeners: Listeners,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    lanes: Lanes,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (metrics, readiness, lanes) =
            (Arc::clone(&metrics), Arc::clone(&readiness), lanes.clone());
        async move {
            let alive = request.uri().path() != "/livez"
                || tokio::time::timeout(TURN, lanes.take_turns()).await.is_ok();
            let stuck = || {
                let text = "a serving thread is stuck: restart the gateway\n";
                plain(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
            };
            Ok::<_, Infallible>(if alive {
                answer(&request, &metrics, &readiness).await
            } else {
                stuck()
            })
        }
    });
    let service = BoxCloneSyncService::new(service);
    let connections = TaskTracker::new();
    // Plain HTTP, because this listener is meant for a network of its own.
    let (handshake, strangers) = (Duration::ZERO, AtOnce::default());
    let proxies = TrustedProxies::default();
    let terms = Terms { timers: TIMERS, tls: None, handshake, strangers, proxies };
    let here = (listeners, &Lanes::default());
    accept(here, service, terms, &Crowd::new(MAX_CONNECTIONS), &connections, &Stops::default())
        .await;
}

async fn answer(request: &Request<Incoming>, metrics: &Metrics, readiness: &Readiness) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            readiness.count(metrics);
            exposition(metrics)
        }
        "/livez" => plain(StatusCode::OK, "alive\n".to_owned()),
        "/readyz" => {
            let verbose = request.uri().query().is_some_and(|query| query.starts_with("verbose"));
            let frozen = if verbose { Some(readiness.freeze.state().await) } else { None };
            let ready = readiness.is_ready();
            let text = match (frozen, ready) {
                (Some(frozen), _) => readiness.report(&frozen),
                (None, true) => "ready\n".to_owned(),
                (None, false) => "not ready: see /readyz?verbose\n".to_owned(),
            };
            plain(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
        }
        _ => plain(StatusCode::NOT_FOUND, "there are /metrics, /livez and /readyz\n".to_owned()),
    }
}

fn exposition(metrics: &Metrics) -> Answer {
    match metrics.render() {
        Ok(text) => {
            let mut response = plain(StatusCode::OK, text);
            let format = HeaderValue::from_static(crate::metrics::TEXT_FORMAT);
            response.headers_mut().insert(header::CONTENT_TYPE, format);
            response
        }
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn plain(status: StatusCode, text: String) -> Answer {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
        time::Instant,
    };

    use super::*;
    use crate::{auth::Settings, limit::Live};

    /// Serves operators beside these lanes, and returns the address.
    async fn served(lanes: Lanes) -> std::net::SocketAddr {
        let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
        let nobody = Settings {
            keys_cache_directory: None,
            proxy: None,
            issuers: Vec::new(),
            access_keys: None,
        };
        let authenticator = Authenticator::load(&nobody, Arc::clone(&metrics)).unwrap();
        let freeze = Freeze::new(Live::with(|_| {}));
        let readiness = Arc::new(Readiness::new(
            Arc::new(authenticator),
            Journal::off(),
            ReloadStatus::default(),
            freeze,
        ));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_admin(listener.into(), metrics, readiness, lanes));
        address
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_says_nothing_is_hung_up_on() {
        let address = served(Lanes::default()).await;
        let started = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes);
        let _ = tokio::time::timeout(Duration::from_mins(10), end).await;
        let waited = started.elapsed();
        assert!(waited <= Duration::from_mins(3), "{waited:?}");
    }

    #[tokio::test]
    async fn a_gateway_is_not_alive_while_a_thread_that_serves_is_stuck() {
        let lanes = Lanes::start().unwrap();
        let address = served(lanes.clone()).await;
        assert!(livez(address).await.starts_with("HTTP/1.1 200 "));
        let (free, stuck) = std::sync::mpsc::channel::<()>();
        let stream = TcpStream::connect(address).await.unwrap();
        lanes.serve(&TaskTracker::new(), stream, |_| async move {
            let _ = stuck.recv();
        });
        tokio::time::pause();
        assert!(livez(address).await.starts_with("HTTP/1.1 503 "));
        drop(free);
        tokio::time::resume();
        assert!(livez(address).await.starts_with("HTTP/1.1 200 "));
    }

    async fn livez(address: std::net::SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /livez HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }
}
