//! The pool of idle connections.

use std::{
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use http::Uri;
use tokio::{task::JoinHandle, time::Instant};

use super::link::Link;

use crate::mutex::lock;

/// Idle connections are closed after this time, before servers and load balancers usually close them (60 to 90
/// seconds). So fewer requests are written to a connection that is closing.
const LONGEST_IDLE: Duration = Duration::from_secs(50);

/// A connection that was idle for longer may have been closed without the client noticing.
const FRESH: Duration = Duration::from_secs(1);

/// How often ended connections are removed from the idle ones.
const LOOK: Duration = Duration::from_secs(10);

/// Connections without a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool(Arc<Mutex<Inner>>);

/// What the pool has for a request.
#[derive(Debug)]
pub(super) enum Taken {
    /// A free connection.
    Link(Box<Link>),
    /// A connection that was idle for a while. The runtime has to poll the sockets before it can be used.
    Stale,
    /// No connection.
    None,
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order of their last use. The last one is used first.
    idle: Vec<Idle>,
    /// The task that removes ended connections. It runs while there are idle ones.
    sweeper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Idle {
    to: Uri,
    link: Box<Link>,
    since: Instant,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(sweeper) = &self.sweeper {
            sweeper.abort();
        }
    }
}

impl Pool {
    /// Takes a connection to `to` that is free as far as is known. A connection that was idle for a while is taken only
    /// with `looked`: the runtime has polled the sockets since.
    pub(super) fn take(&self, to: &Uri, looked: bool) -> Taken {
        loop {
            let mut inner = self.inner();
            let Some(at) = inner.idle.iter().rposition(|idle| idle.is_to(to)) else {
                return Taken::None;
            };
            let now = Instant::now();
            let idle_for = |idle: &Idle| now.saturating_duration_since(idle.since);
            let stale = |idle: &Idle| idle_for(idle) >= FRESH;
            if !looked && inner.idle.get(at).is_some_and(stale) {
                return Taken::Stale;
            }
            let mut idle = inner.idle.remove(at);
            drop(inner);
            if idle_for(&idle) < LONGEST_IDLE && idle.link.is_free() {
                return Taken::Link(idle.link);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, to: Uri, link: Box<Link>) {
        let mut inner = self.inner();
        inner.idle.push(Idle { to, link, since: Instant::now() });
        if inner.sweeper.as_ref().is_none_or(JoinHandle::is_finished) {
            inner.sweeper = Some(tokio::spawn(sweep(Arc::downgrade(&self.0))));
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }
}

impl Idle {
    fn is_to(&self, to: &Uri) -> bool {
        self.to.scheme() == to.scheme() && self.to.authority() == to.authority()
    }
}

/// Removes ended connections until the pool is empty.
async fn sweep(pool: Weak<Mutex<Inner>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(pool) = pool.upgrade().map(Pool) else { return };
        let mut inner = pool.inner();
        inner.idle.retain_mut(|idle| idle.since.elapsed() < LONGEST_IDLE && idle.link.is_free());
        if inner.idle.is_empty() {
            inner.sweeper = None;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;

    use super::*;
    use crate::net::{ExchangeError, HttpClient, Options, Trust, client};

    struct Server {
        listener: TcpListener,
        to: Uri,
        client: HttpClient,
    }

    impl Server {
        fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let to = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
            let client = client(Options {
                connect_timeout: Duration::from_secs(5),
                https: false,
                trust: Trust::System,
                proxy: None,
                section: "zec",
            });
            Self { listener, to, client: client.unwrap() }
        }

        /// Does one exchange, on the connection `there` or on a new one, and returns that connection.
        async fn exchange(
            &self,
            there: Option<TcpStream>,
            answer: &'static str,
        ) -> Result<TcpStream, ExchangeError> {
            let link = self.client.link(&self.to).await?;
            // A new connection is complete by now, so this does not wait.
            let mut stream = there.unwrap_or_else(|| self.listener.accept().unwrap().0);
            let request = Request::get("/").header("host", "server").body(Full::new(Bytes::new()));
            let serving = tokio::task::spawn_blocking(move || {
                assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
                stream.write_all(answer.as_bytes()).unwrap();
                stream
            });
            link.exchange(request.unwrap(), 8).await?;
            Ok(serving.await.unwrap())
        }

        fn pool(&self) -> MutexGuard<'_, Inner> {
            self.client.pools.last().unwrap().inner()
        }

        fn idle(&self) -> usize {
            self.pool().idle.len()
        }

        async fn swept(&self) {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(self.idle(), 0);
        }
    }

    const YES: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    async fn pass(time: Duration) {
        // Let the task that was just spawned begin to wait.
        tokio::task::yield_now().await;
        tokio::time::pause();
        // Timers fire at whole milliseconds, and never early.
        tokio::time::advance(time + Duration::from_millis(2)).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn a_connection_is_used_again_for_a_while() {
        let server = Server::new();
        let first = server.exchange(None, YES).await.unwrap();
        let same = server.exchange(Some(first), YES).await.unwrap();
        assert_eq!(server.idle(), 1);
        server.pool().sweeper.take().unwrap().abort();
        pass(LONGEST_IDLE).await;
        let _other = server.exchange(None, YES).await.unwrap();
        drop(same);
    }

    #[tokio::test]
    async fn closed_connections_are_dropped_without_a_request() {
        let server = Server::new();
        let first = server.exchange(None, YES).await.unwrap();
        assert_eq!(server.idle(), 1);
        drop(first);
        pass(LOOK).await;
        server.swept().await;
        let second = server.exchange(None, YES).await.unwrap();
        assert_eq!(server.idle(), 1);
        pass(LONGEST_IDLE).await;
        server.swept().await;
        drop(second);
    }

    #[tokio::test]
    async fn an_answer_that_ends_the_connection_leaves_none_behind() {
        let server = Server::new();
        let end = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
        let first = server.exchange(None, end).await.unwrap();
        let _second = server.exchange(None, YES).await.unwrap();
        drop(first);
        assert_eq!(server.idle(), 1);
    }

    #[tokio::test]
    async fn an_answer_may_come_in_pieces_but_not_be_longer_than_wanted() {
        let server = Server::new();
        let pieces = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nlong\r\n4\r\nlong\r\n0\r\n\r\n";
        let first = server.exchange(None, pieces).await.unwrap();
        assert_eq!(server.idle(), 1);
        let long = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ntoo long!";
        let error = server.exchange(Some(first), long).await.unwrap_err();
        assert!(
            matches!(&error, ExchangeError::Cut { status, .. } if status.is_success()),
            "{error}"
        );
        assert_eq!(server.idle(), 0, "what is left of it must not be the next answer");
        let pieces = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nlong\r\n5\r\nlong!\r\n0\r\n\r\n";
        let error = server.exchange(None, pieces).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Cut { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_a_server_says_beside_one_whole_answer_ends_the_connection() {
        let server = Server::new();
        let more = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n";
        let first = server.exchange(None, more).await.unwrap();
        let before = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        let second = server.exchange(None, before).await.unwrap();
        let third = server.exchange(Some(second), YES).await.unwrap();
        drop((first, third));
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_told_from_none_and_from_nothing_sent() {
        let server = Server::new();
        let request = || {
            let request = Request::get("/").header("host", "server");
            request.body(Full::new(Bytes::new())).unwrap()
        };
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhal";
        for (answer, sent) in [(Some(half), true), (Some(""), true), (None, false)] {
            let link = server.client.link(&server.to).await.unwrap();
            let (mut stream, _) = server.listener.accept().unwrap();
            let serving = tokio::task::spawn_blocking(move || {
                let Some(answer) = answer else { return };
                assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let error = if sent {
                let (answer, _) = tokio::join!(link.exchange(request(), 8), serving);
                answer.unwrap_err()
            } else {
                // The server closes the connection first, and the client has noticed.
                serving.await.unwrap();
                tokio::task::yield_now().await;
                link.exchange(request(), 8).await.unwrap_err()
            };
            match (answer, &error) {
                (Some(""), ExchangeError::Unanswered(_))
                | (None, ExchangeError::Unsent(_))
                | (Some(_), ExchangeError::Cut { .. }) => {}
                _ => panic!("{answer:?}: {error:?}"),
            }
            assert_eq!(server.idle(), 0);
        }
    }

    #[tokio::test]
    async fn a_request_that_gives_up_closes_its_connection() {
        let server = Server::new();
        let first = server.exchange(None, YES).await.unwrap();
        let link = server.client.link(&server.to).await.unwrap();
        let request = Request::get("/").header("host", "server").body(Full::new(Bytes::new()));
        let mut exchange = Box::pin(link.exchange(request.unwrap(), 8));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(exchange.as_mut().poll(&mut cx).is_pending());
        drop(exchange);
        let _second = server.exchange(None, YES).await.unwrap();
        drop(first);
    }
}
