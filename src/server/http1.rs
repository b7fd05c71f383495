//! Serves one HTTP/1.1 connection, and releases its memory while it is idle.

use std::{pin::Pin, time::Duration};

use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::{
    MAX_HEAD, Stops,
    drive::{FAREWELL, Farewell, Kept, Protocol, Rest, Timers, counted, keep, look},
    phase::Phase,
    wire::{Left, Wire},
};
use crate::stack::Stack;

/// After this time without a request, a connection keeps nothing but its socket. hyper's state for it, above all two
/// buffers of 8 KiB, is released and created again when something arrives.
const REST: Duration = Duration::from_secs(1);

/// When the gateway stops, how long a connection without any request so far may wait for its first one. The gateway
/// answers that request by saying that it stops, which is better than a cut connection.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// Serves one HTTP/1.1 connection.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stack: Stack<Incoming>,
    timers: Timers,
    phase: &Phase,
    stops: &Stops,
) {
    let left = Left::default();
    let mut wire = Wire::new(stream, left.clone(), phase.clone());
    let mut fresh = true;
    let farewell = loop {
        let begun = async {
            stops.begun.cancelled().await;
            // Its first request may be on its way, and nothing has told the caller to use another gateway.
            if std::mem::take(&mut fresh) {
                tokio::time::sleep(FIRST_WORDS).await;
            }
        };
        match something_comes(&mut wire, phase, timers, begun).await {
            Next::Serve => fresh = false,
            Next::End(farewell) => break farewell,
        }
        // Boxed, so that its memory is released when the connection rests.
        let active = active(wire, (phase, &left), stack.clone(), timers, stops);
        match Box::pin(active).await {
            Some(resting) => wire = resting,
            None => return,
        }
    };
    // A regular close, which takes no time, because no message is in progress.
    let _ = tokio::time::timeout(farewell, wire.shutdown()).await;
}

/// What follows a rest.
enum Next {
    /// Something has arrived.
    Serve,
    /// The connection ends. The peer's remaining bytes are read for this long at most.
    End(Duration),
}

/// Waits until something arrives, and keeps nothing but the stream meanwhile.
async fn something_comes<S: AsyncRead + Unpin>(
    wire: &mut Wire<S>,
    phase: &Phase,
    timers: Timers,
    begun: impl Future<Output = ()>,
) -> Next {
    tokio::select! {
        biased;
        more = wire.fill() => if more { Next::Serve } else { Next::End(FAREWELL) },
        // What had arrived by then is served.
        () = begun => Next::End(FAREWELL),
        () = phase.asked_to_end() => Next::End(Duration::ZERO),
        _ = look(phase, timers, None, false) => {
            tracing::debug!("a connection was silent for too long");
            Next::End(FAREWELL)
        }
    }
}

/// Serves until the connection ends or rests. If it rests, returns its stream.
async fn active<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    wire: Wire<S>,
    (phase, left): (&Phase, &Left),
    stack: Stack<Incoming>,
    timers: Timers,
    stops: &Stops,
) -> Option<Wire<S>> {
    // hyper's own timer for heads runs between requests too and would end idle connections early. So `look` keeps both
    // times.
    let protocol = Protocol::Http1(left.clone(), stops.leaving.clone());
    // If hyper were told to close the connection between two requests, it could cut off the next request on its way. So
    // while the gateway leaves, its answers carry `Connection: close` instead.
    let told_by_answers = Stops { leaving: CancellationToken::new(), begun: stops.begun.clone() };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD as usize)
        .max_buf_size(2 * MAX_HEAD as usize)
        // Without `writev` an answer is sent in one piece: it is small.
        .writev(false)
        .serve_connection(TokioIo::new(wire), counted(stack, phase, timers.idle, protocol));
    // Between requests the connection is closed regularly, which takes no time; in the middle of a head there is no
    // regular close.
    let at_once = Timers { head: Duration::ZERO, idle: Duration::ZERO };
    let unread = Timers { head: timers.head, idle: timers.idle.min(FAREWELL) };
    let farewell = Farewell { overdue: at_once, draining: unread };
    let rest = Some(Rest { after: REST, left });
    match keep(Pin::new(&mut connection), phase, timers, farewell, &told_by_answers, rest).await {
        Kept::Over => None,
        // hyper has no bytes left that arrived, because the next head has not begun.
        Kept::Resting => Some(connection.into_parts().io.into_inner()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use bytes::Bytes;
    use http::{Request, Response};
    use tokio::{
        io::{AsyncReadExt, DuplexStream, duplex},
        task::JoinHandle,
        time::Instant,
    };
    use tower::{service_fn, util::BoxCloneSyncService};

    use super::*;
    use crate::stack::AnswerBody;

    const TIMERS: Timers = Timers { head: Duration::from_secs(10), idle: Duration::from_secs(75) };
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n";

    struct Served {
        far: DuplexStream,
        /// The targets of the requests so far.
        asked: Arc<Mutex<Vec<String>>>,
        draining: CancellationToken,
        /// Held by the service, of which hyper has a clone while it keeps any state.
        held: Arc<()>,
        end: JoinHandle<()>,
    }

    impl Served {
        /// `room` is how many bytes fit into each direction of the stream.
        fn with_room(room: usize) -> Self {
            let (near, far) = duplex(room);
            let (draining, held) = (CancellationToken::new(), Arc::new(()));
            let asked = Arc::<Mutex<Vec<String>>>::default();
            let (kept, seen) = (Arc::clone(&held), Arc::clone(&asked));
            let stack = BoxCloneSyncService::new(service_fn(move |request: Request<Incoming>| {
                let _kept = Arc::clone(&kept);
                seen.lock().unwrap().push(request.uri().to_string());
                async {
                    Ok::<_, Infallible>(Response::new(AnswerBody::from(Bytes::from_static(b"yes"))))
                }
            }));
            let drained = Stops { begun: draining.clone(), ..Stops::default() };
            let serve = async move { serve(near, stack, TIMERS, &Phase::new(), &drained).await };
            let end = tokio::spawn(serve);
            Self { far, asked, draining, held, end }
        }

        async fn ask(&mut self) {
            self.far.write_all(REQUEST).await.unwrap();
            let mut answer = vec![0; 512];
            let length = self.far.read(&mut answer).await.unwrap();
            let text = String::from_utf8_lossy(&answer[..length]).into_owned();
            assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\nyes"), "{text}");
        }

        /// Whether hyper has no clone of the service: the count is 2 for the test's own and that of `serve`.
        fn rests(&self) -> bool {
            Arc::strong_count(&self.held) == 2
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_rests_holds_nothing_and_serves_again() {
        let mut served = Served::with_room(1024);
        tokio::task::yield_now().await;
        assert!(served.rests(), "nothing has come yet");
        for _ in 0..2 {
            served.ask().await;
            assert!(!served.rests());
            tokio::time::sleep(2 * REST).await;
            assert!(served.rests());
        }
        served.ask().await;
        // A request that arrives soon finds all state still in memory.
        tokio::time::sleep(REST / 2).await;
        assert!(!served.rests());
        let (asked, mut rest) = (Instant::now(), Vec::new());
        served.far.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
        let idle = asked.elapsed() + REST / 2;
        assert!(idle >= TIMERS.idle && idle < TIMERS.idle + TIMERS.head, "{idle:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed() {
        let mut served = Served::with_room(1024);
        let connected = Instant::now();
        assert_eq!(served.far.read(&mut [0; 9]).await.unwrap(), 0);
        let waited = connected.elapsed();
        assert!(waited >= TIMERS.head && waited < 2 * TIMERS.head, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_closes_idle_connections_and_answers_requests_that_have_begun() {
        let mut resting = Served::with_room(1024);
        resting.ask().await;
        tokio::time::sleep(2 * REST).await;
        assert!(resting.rests());
        let asked = Instant::now();
        resting.draining.cancel();
        assert_eq!(resting.far.read(&mut [0; 9]).await.unwrap(), 0);
        resting.end.await.unwrap();
        assert_eq!(asked.elapsed(), Duration::ZERO);

        let mut fresh = Served::with_room(1024);
        fresh.draining.cancel();
        fresh.ask().await;
        fresh.end.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_has_read_yet_is_not_lost() {
        let mut served = Served::with_room(64);
        served.far.write_all(REQUEST).await.unwrap();
        tokio::time::sleep(5 * REST).await;
        assert!(!served.rests());
        let mut answer = vec![0; 512];
        let mut length = 0;
        while !answer[..length].ends_with(b"yes") {
            length += served.far.read(&mut answer[length..]).await.unwrap();
        }
        tokio::time::sleep(2 * REST).await;
        assert!(served.rests());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_after_its_answer_is_never_the_next_request() {
        const INNER: &str = "GET /smuggled HTTP/1.1\r\nhost: gateway\r\n\r\n";
        let length = format!("content-length: {}", INNER.len());
        for framing in [&length, "transfer-encoding: chunked"] {
            let mut served = Served::with_room(4096);
            let head = format!("POST /first HTTP/1.1\r\nhost: gateway\r\n{framing}\r\n\r\n");
            let begun = Instant::now();
            served.far.write_all(head.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            served.far.read_to_end(&mut answer).await.unwrap();
            assert!(String::from_utf8_lossy(&answer).contains("connection: close"));
            tokio::time::sleep(3 * REST).await;
            let _ = served.far.write_all(INNER.as_bytes()).await;
            served.end.await.unwrap();
            assert_eq!(*served.asked.lock().unwrap(), ["/first"], "{framing}");
            assert!(begun.elapsed() <= 4 * REST, "{:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_beginning_of_the_next_head_is_not_lost() {
        let mut served = Served::with_room(4096);
        served.far.write_all(REQUEST).await.unwrap();
        served.far.write_all(b"GET /second HT").await.unwrap();
        let mut answer = [0; 512];
        assert!(served.far.read(&mut answer).await.unwrap() > 0);
        tokio::time::sleep(4 * REST).await;
        served.far.write_all(b"TP/1.1\r\nhost: gateway\r\n\r\n").await.unwrap();
        assert!(served.far.read(&mut answer).await.unwrap() > 0);
        assert_eq!(*served.asked.lock().unwrap(), ["/", "/second"]);
    }
}
