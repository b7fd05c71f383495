//! The queue of finished requests, and the exporter that sends them as spans.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    post::{CollectorRefusal, Post, SpanBatch},
    span,
};
use crate::{
    error::Fault,
    metrics::Metrics,
    telemetry::{Collector, Finished, Sink, TraceParent},
};

/// How many requests the queue holds for a collector that is slow or away; a few megabytes.
const QUEUE: usize = 2048;

/// How many requests one batch holds at most.
const BATCH: usize = 256;

/// The longest wait between two tries while the collector accepts nothing.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How long sending the last spans may take when the gateway stops. The time that supervisors allow for a drain
/// includes it.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Takes finished requests for the exporter. Clones share one queue.
#[derive(Clone, Debug)]
pub struct SpanQueue {
    room: mpsc::Sender<Finished>,
    sample_percent: u8,
    metrics: Arc<Metrics>,
}

impl Sink for SpanQueue {
    fn wants(&self, trace: Option<&TraceParent>) -> bool {
        match trace {
            Some(trace) => trace.sampled(),
            None => fastrand::u8(0..100) < self.sample_percent,
        }
    }

    /// Never waits: a request without room in the queue is dropped and counted.
    fn finished(&self, request: Finished) {
        if let Err(full) = self.room.try_send(request) {
            self.metrics.spans(0, span::count(&full.into_inner()));
        }
    }
}

/// Sends the requests in the queue, batch by batch, until it is stopped.
#[derive(Debug)]
pub struct Exporter {
    waiting: mpsc::Receiver<Finished>,
    post: Post,
    zec: (String, u16),
    period: Duration,
    metrics: Arc<Metrics>,
    /// Requests from the queue that are not in a batch yet.
    gathered: Vec<Finished>,
    /// The batch that the collector has not accepted yet.
    batch: Option<SpanBatch>,
    /// Whether the log already says that the collector accepts nothing.
    failing: bool,
}

impl Exporter {
    /// Makes a queue and its exporter. `zec` is ZEC's host and port. Does not connect yet.
    ///
    /// # Errors
    /// Fails if the collector needs TLS and there is no trusted certificate.
    pub fn new(
        collector: &Collector,
        zec: (String, u16),
        metrics: Arc<Metrics>,
    ) -> Result<(SpanQueue, Self), Fault> {
        // Both series exist from now on.
        metrics.spans(0, 0);
        let (room, waiting) = mpsc::channel(QUEUE);
        let sample_percent = collector.sample_percent;
        let queue = SpanQueue { room, sample_percent, metrics: Arc::clone(&metrics) };
        let (post, period) = (Post::new(collector)?, collector.period);
        let (gathered, batch, failing) = (Vec::new(), None, false);
        Ok((queue, Self { waiting, post, zec, period, metrics, gathered, batch, failing }))
    }

    /// Exports until `stop`, then exports the rest, for three seconds at most.
    pub async fn run(mut self, stop: CancellationToken) {
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_SPANS).await;
        };
        tokio::select! {
            () = self.export(&stop) => {}
            () = late => {}
        }
        self.forget_the_rest();
    }

    /// Gathers batches and sends them. `stop` ends a wait but not a try: the collector may have accepted the batch, and
    /// would get the same spans twice.
    async fn export(&mut self, stop: &CancellationToken) {
        // A batch that was not accepted is left for the last try.
        while self.batch.is_none() && stop.run_until_cancelled(self.gather()).await.is_some() {
            self.pack();
            self.until_taken(stop).await;
        }
        self.last().await;
    }

    /// Waits for a first request, then until the batch is full or `period` has passed.
    async fn gather(&mut self) {
        let mut until = None;
        while self.gathered.len() < BATCH {
            let next = match until {
                None => Ok(self.waiting.recv().await),
                Some(until) => tokio::time::timeout_at(until, self.waiting.recv()).await,
            };
            match next {
                Ok(Some(request)) => self.gathered.push(request),
                // No sender is left.
                Ok(None) => return std::future::pending().await,
                Err(_) => return,
            }
            until = until.or(Some(Instant::now() + self.period));
        }
    }

    fn pack(&mut self) {
        let spans: Vec<_> =
            self.gathered.drain(..).flat_map(|request| span::of(&request, &self.zec)).collect();
        self.batch = (!spans.is_empty()).then(|| SpanBatch::new(spans));
    }

    /// Tries until the batch is accepted or refused for good. Meanwhile the queue fills, and requests without room are
    /// dropped.
    async fn until_taken(&mut self, stop: &CancellationToken) {
        let mut wait = self.period;
        while self.send().await.is_err() {
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
            wait = (wait * 2).min(LONGEST_WAIT.max(self.period));
        }
    }

    /// Sends what is left when the gateway stops. Each batch has one try.
    async fn last(&mut self) {
        while self.send().await.is_ok() {
            let free = BATCH.saturating_sub(self.gathered.len());
            let waiting = std::iter::from_fn(|| self.waiting.try_recv().ok()).take(free);
            self.gathered.extend(waiting);
            self.pack();
            if self.batch.is_none() {
                return;
            }
        }
    }

    /// Sends the batch, if there is one, and drops it unless the collector may accept it later.
    async fn send(&mut self) -> Result<(), ()> {
        let Some(SpanBatch { message, spans }) = self.batch.clone() else { return Ok(()) };
        let (dropped, cause) = match self.post.send(message).await {
            Ok(()) => (0, None),
            Err(CollectorRefusal::Some(some)) => {
                let dropped = some.min(spans);
                (dropped, Some(format!("it refused {dropped} of {spans} spans")))
            }
            Err(CollectorRefusal::Never(cause)) => (spans, Some(cause)),
            Err(CollectorRefusal::Later(cause)) => {
                self.note(Some(&cause));
                return Err(());
            }
        };
        self.note(cause.as_deref());
        self.metrics.spans(spans - dropped, dropped);
        self.batch = None;
        Ok(())
    }

    /// Logs when the collector begins to refuse spans and when it accepts them again, not each time.
    fn note(&mut self, cause: Option<&str>) {
        match (cause, self.failing) {
            (Some(cause), false) => {
                tracing::warn!(
                    cause,
                    "the collector does not accept spans; requests are not affected"
                );
            }
            (None, true) => tracing::info!("the collector accepts spans again"),
            _ => {}
        }
        self.failing = cause.is_some();
    }

    /// Takes a request from the queue, and returns whether there was one.
    #[cfg(test)]
    pub(super) fn took_one(&mut self) -> bool {
        self.waiting.try_recv().is_ok()
    }

    fn forget_the_rest(&mut self) {
        let waiting = std::iter::from_fn(|| self.waiting.try_recv().ok());
        let unpacked: u64 =
            self.gathered.drain(..).chain(waiting).map(|request| span::count(&request)).sum();
        let spans = unpacked + self.batch.take().map_or(0, |batch| batch.spans);
        if spans > 0 {
            self.metrics.spans(0, spans);
            tracing::warn!(spans, "stopped before the collector had accepted the last spans");
        }
    }
}
