//! Reads for unknown outcomes take turns, and callers' own requests go first.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::zec::Reader;

/// The least time between two reads, whichever writes they are for: five a second at most.
const APART: Duration = Duration::from_millis(200);

/// Reads in flight. If ZEC does not answer one of them, the others still run at half the rate.
const AT_ONCE: usize = 2;

/// How often a read yields while ZEC is busy with callers' requests, `APART` each time. Then it goes ahead:
/// callers may never pause, and many writes may wait for their reads.
const STEPS_BACK: u32 = 3;

/// The turns of reads. Clones share them.
#[derive(Clone, Debug)]
pub(in crate::execute) struct Turns {
    places: Arc<Semaphore>,
    /// When the next read may begin.
    next: Arc<Mutex<Instant>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            next: Arc::new(Mutex::new(Instant::now())),
        }
    }
}

impl Turns {
    /// Waits until a read may begin. The turn ends when the returned permit is dropped. An `urgent` read,
    /// which can prove something by now, does not yield.
    pub(super) async fn wait(&self, reader: &Reader, urgent: bool) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let mut next = self.next.lock().await;
        tokio::time::sleep_until(*next).await;
        for _ in 0..STEPS_BACK {
            if urgent || !reader.is_busy() {
                break;
            }
            tokio::time::sleep(APART).await;
        }
        *next = Instant::now() + APART;
        place
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use secrecy::SecretString;

    use super::*;
    use crate::{
        domain::NicId,
        metrics::Metrics,
        net::simulated::{Later, Network},
        zec::{self, AccessKey, Settings},
    };

    /// Accepts every request and never answers.
    #[derive(Debug)]
    struct Silent;

    impl Network for Silent {
        fn connect(&self) -> Later<()> {
            Box::pin(async { Ok(()) })
        }

        fn exchange(&self, _: Request<Full<Bytes>>) -> Later<Response<Bytes>> {
            Box::pin(std::future::pending())
        }
    }

    fn reader() -> Reader {
        let key = AccessKey::new("id".to_owned(), &SecretString::from("password")).unwrap();
        let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
        let settings =
            Settings { request_timeout: Duration::from_secs(60), ..Settings::for_tests("zec") };
        zec::connect_over(Arc::new(Silent), &settings, key.into(), metrics).unwrap().0
    }

    fn looks(count: usize, turns: &Turns, reader: &Reader) -> Arc<AtomicUsize> {
        let begun = Arc::new(AtomicUsize::new(0));
        for _ in 0..count {
            let (turns, reader, begun) = (turns.clone(), reader.clone(), Arc::clone(&begun));
            tokio::spawn(async move {
                let turn = turns.wait(&reader, false).await;
                begun.fetch_add(1, Ordering::Relaxed);
                drop(turn);
            });
        }
        begun
    }

    #[tokio::test(start_paused = true)]
    async fn many_looks_at_once_begin_five_in_a_second() {
        let (turns, reader) = (Turns::default(), reader());
        let begun = looks(260, &turns, &reader);
        tokio::time::sleep(Duration::from_millis(990)).await;
        assert_eq!(begun.load(Ordering::Relaxed), 5);
        tokio::time::sleep(Duration::from_secs(52)).await;
        assert_eq!(begun.load(Ordering::Relaxed), 260);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_is_not_answered_holds_up_the_others_by_half_only() {
        let (turns, reader) = (Turns::default(), reader());
        let hanging = turns.wait(&reader, false).await;
        let begun = looks(10, &turns, &reader);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(begun.load(Ordering::Relaxed), 10);
        let both = (hanging, turns.wait(&reader, false).await);
        let begun = looks(1, &turns, &reader);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(begun.load(Ordering::Relaxed), 0);
        drop(both);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_steps_back_behind_callers_and_not_for_ever() {
        let (turns, reader) = (Turns::default(), reader());
        let (busy, nic) = (reader.clone(), NicId::parse("nic-1").unwrap());
        tokio::spawn(async move {
            let deadline = Instant::now() + Duration::from_secs(50);
            let _ = busy.nic_for("corp/alice", &nic, deadline).await;
        });
        tokio::task::yield_now().await;
        assert!(reader.is_busy());
        let begun = looks(1, &turns, &reader);
        tokio::time::sleep(APART * (STEPS_BACK - 1)).await;
        assert_eq!(begun.load(Ordering::Relaxed), 0);
        tokio::time::sleep(APART * 2).await;
        assert_eq!(begun.load(Ordering::Relaxed), 1, "callers may never pause");
    }
}
