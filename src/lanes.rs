//! Threads that serve connections, each with its own runtime. All tasks of a request run and wake on the thread of its
//! connection, and never wait for another thread. A connection stays in its lane; a new one goes to the lane with the
//! fewest connections.

use std::{
    cell::Cell,
    io,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::mutex::lock;
use crate::telemetry;

/// How long the end waits for the lanes to drop what is still in them. A lane that is stuck never does.
const LAST_TURN: Duration = Duration::from_secs(1);

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// A stream that can be moved from one runtime to another.
pub trait Movable: Sized + Send + 'static {
    /// The stream outside any runtime.
    type Loose: Send;

    /// Removes it from this thread's runtime.
    ///
    /// # Errors
    /// Fails if the system does not release it.
    fn loosen(self) -> io::Result<Self::Loose>;

    /// Adds it to this thread's runtime.
    ///
    /// # Errors
    /// Fails if the system does not accept it.
    fn settle(loose: Self::Loose) -> io::Result<Self>;
}

impl Movable for TcpStream {
    type Loose = std::net::TcpStream;

    fn loosen(self) -> io::Result<Self::Loose> {
        self.into_std()
    }

    fn settle(loose: Self::Loose) -> io::Result<Self> {
        Self::from_std(loose)
    }
}

/// The lanes of a process; clones share them. Without lanes, every connection is served by the runtime that accepted
/// it.
#[derive(Clone, Debug, Default)]
pub struct Lanes(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    lanes: Vec<Lane>,
    end: CancellationToken,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    /// Cloned by each connection, so that its reference count tells how many connections there are.
    connections: Arc<()>,
}

/// The largest number of lanes: one for each processor that this process may use.
#[must_use]
pub fn most() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The number of this thread's lane, from 1; 0 if the thread is not a lane.
#[must_use]
pub fn current() -> usize {
    CURRENT.get()
}

impl Lanes {
    /// Starts a lane for each processor. Do not call this on a runtime's thread: if a lane fails to start, its runtime
    /// is dropped by the calling thread, which a runtime's thread must not do.
    ///
    /// # Errors
    /// Fails if the system does not start a thread.
    pub fn start() -> io::Result<Self> {
        let end = CancellationToken::new();
        let mut inner = Inner { lanes: Vec::new(), end: end.clone(), threads: Mutex::default() };
        for number in 1..=most() {
            let (lane, thread) = Lane::start(number, end.clone())?;
            inner.lanes.push(lane);
            inner.threads().push(thread);
        }
        Ok(Self(Some(Arc::new(inner))))
    }

    /// Stops every lane, and waits up to a second until everything in them is dropped, because only then are the
    /// requests that were cut off logged.
    pub async fn end(&self) {
        let Some(inner) = &self.0 else { return };
        inner.end.cancel();
        let threads = std::mem::take(&mut *inner.threads());
        let ended = tokio::task::spawn_blocking(|| {
            for thread in threads {
                let _ = thread.join();
            }
        });
        if tokio::time::timeout(LAST_TURN, ended).await.is_err() {
            tracing::error!("a serving thread is stuck: its connections are abandoned");
            telemetry::flush_all_lines();
        }
    }

    /// Serves a connection in the lane with the fewest connections.
    pub fn serve<S, F>(
        &self,
        tracker: &TaskTracker,
        stream: S,
        serve: impl FnOnce(S) -> F + Send + 'static,
    ) where
        S: Movable,
        F: Future<Output = ()> + Send + 'static,
    {
        let lanes = self.0.iter().flat_map(|inner| &inner.lanes);
        let Some(lane) = lanes.min_by_key(|lane| Arc::strong_count(&lane.connections)) else {
            tracker.spawn(serve(stream));
            return;
        };
        let counted = Arc::clone(&lane.connections);
        // From this thread's reactor to the lane's.
        let stream = stream.loosen();
        let moved = async move {
            match stream.and_then(S::settle) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "a connection could not be served"),
            }
            drop(counted);
        };
        tracker.spawn_on(moved, &lane.runtime);
    }

    /// Waits until every lane has run a task. A lane that is stuck never does.
    pub async fn take_turns(&self) {
        // If a lane is stuck, the log lines that led to it must not stay in it.
        telemetry::flush_all_lines();
        let lanes = self.0.iter().flat_map(|inner| &inner.lanes);
        let turns: Vec<JoinHandle<()>> = lanes.map(|lane| lane.runtime.spawn(async {})).collect();
        for turn in turns {
            let _ = turn.await;
        }
    }
}

impl Inner {
    fn threads(&self) -> MutexGuard<'_, Vec<thread::JoinHandle<()>>> {
        lock(&self.threads)
    }
}

impl Lane {
    fn start(number: usize, end: CancellationToken) -> io::Result<(Self, thread::JoinHandle<()>)> {
        let mut runtime = Builder::new_current_thread();
        runtime.enable_all().on_thread_park(telemetry::flush_lines);
        let runtime = runtime.build()?;
        let lane = Self { runtime: runtime.handle().clone(), connections: Arc::new(()) };
        let name = format!("lane-{number}");
        let thread = thread::Builder::new().name(name).spawn(move || run(number, &end, runtime))?;
        Ok((lane, thread))
    }
}

fn run(number: usize, end: &CancellationToken, runtime: Runtime) {
    CURRENT.set(number);
    let _lines = telemetry::hold_lines();
    runtime.block_on(end.cancelled());
    // Does not wait for tasks that hang on a disk.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::net::TcpListener;

    use super::*;

    async fn streams(count: usize) -> Vec<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..count {
            let (near, far) =
                tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
            streams.extend([near.unwrap(), far.unwrap().0]);
        }
        streams
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn connections_are_spread_and_stay_where_they_are() {
        let (lanes, tracker) = (Lanes::start().unwrap(), TaskTracker::new());
        let (say, said) = mpsc::channel();
        let stop = CancellationToken::new();
        for stream in streams(most()).await {
            let (say, stop) = (say.clone(), stop.clone());
            lanes.serve(&tracker, stream, move |stream| async move {
                let before = current();
                tokio::task::yield_now().await;
                say.send((before, tokio::spawn(async { current() }).await.unwrap())).unwrap();
                stop.cancelled().await;
                drop(stream);
            });
        }
        lanes.take_turns().await;
        let mut each = vec![0; most() + 1];
        for _ in 0..2 * most() {
            let (before, after) = tokio::task::block_in_place(|| said.recv().unwrap());
            assert_eq!(before, after);
            each[before] += 1;
        }
        assert_eq!(each.remove(0), 0, "none is served here");
        assert!(each.iter().all(|count| *count == 2), "{each:?}");
        stop.cancel();
        tracker.close();
        tracker.wait().await;
    }

    struct Said(mpsc::Sender<()>);

    impl Drop for Said {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[tokio::test]
    async fn the_end_waits_for_what_is_cut_off() {
        let (lanes, tracker) = (Lanes::start().unwrap(), TaskTracker::new());
        let (say, said) = mpsc::channel();
        let stream = streams(1).await.remove(0);
        let cut_off = Said(say);
        lanes.serve(&tracker, stream, |_| async move {
            let _cut_off = cut_off;
            std::future::pending::<()>().await;
        });
        lanes.take_turns().await;
        assert!(said.try_recv().is_err());
        let other = lanes.clone();
        lanes.end().await;
        said.try_recv().expect("what is in a lane is dropped by the end");
        drop(other);
    }

    #[tokio::test]
    async fn a_lane_that_is_stuck_takes_no_turn() {
        let (lanes, tracker) = (Lanes::start().unwrap(), TaskTracker::new());
        let (free, stuck) = mpsc::channel::<()>();
        let (say, said) = tokio::sync::oneshot::channel();
        let stream = streams(1).await.remove(0);
        lanes.serve(&tracker, stream, |_| async move {
            say.send(()).unwrap();
            let _ = stuck.recv();
        });
        said.await.unwrap();
        let mut turns = std::pin::pin!(lanes.take_turns());
        let soon = tokio::time::timeout(Duration::from_millis(20), &mut turns);
        assert!(soon.await.is_err());
        drop(free);
        turns.await;
    }

    #[tokio::test]
    async fn without_lanes_a_connection_is_served_where_it_was_accepted() {
        let tracker = TaskTracker::new();
        let (say, said) = tokio::sync::oneshot::channel();
        let stream = streams(1).await.remove(0);
        Lanes::default().serve(&tracker, stream, |_| async {
            say.send(current()).unwrap();
        });
        assert_eq!(said.await.unwrap(), 0);
    }
}
