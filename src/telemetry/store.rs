//! Log lines on their way to standard error: a queue between the threads that log and the one thread that writes. It is
//! bounded in bytes, and logging never waits for room.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::mutex::lock;

/// How many bytes wait or are being written at most: about two thousand lines of requests.
pub(super) const CAPACITY: usize = 1024 * 1024;

/// Once lines were dropped, the queue must shrink to this size before it accepts lines again. This makes one gap in the
/// log, and one line about it, instead of many.
const RESUME: usize = CAPACITY / 2;

/// How many bytes are written at once at most, unless a single thread passes on more.
const BATCH: usize = 32 * 1024;

/// The queue of log lines.
#[derive(Debug)]
pub(super) struct LineQueue {
    state: Mutex<LineQueueState>,
    /// Notified when the idle writer has something to do.
    work: Condvar,
    /// Notified when the writer has become idle.
    idle: Condvar,
}

#[derive(Debug)]
struct LineQueueState {
    batches: VecDeque<LineBatch>,
    /// Bytes of all batches, including the one that is being written.
    bytes: usize,
    /// Lines dropped since the last batch was accepted, which the log does not report yet.
    gap: u64,
    /// Lines dropped since [`LineQueue::take_dropped`] was last called.
    dropped: u64,
    /// Whether the writer waits for work.
    idle: bool,
    /// The buffer of a written batch, for reuse.
    spare: Vec<u8>,
}

/// What the writer writes at once.
#[derive(Debug, Default)]
pub(super) struct LineBatch {
    /// Whole lines.
    pub(super) bytes: Vec<u8>,
    /// How many lines `bytes` holds.
    pub(super) lines: u64,
    /// How many lines were dropped between the previous batch and this one.
    pub(super) dropped_before: u64,
    /// How many bytes of the capacity this batch takes up.
    room: usize,
}

impl LineQueue {
    /// An empty queue.
    pub(super) const fn new() -> Self {
        let state = LineQueueState {
            batches: VecDeque::new(),
            bytes: 0,
            gap: 0,
            dropped: 0,
            idle: false,
            spare: Vec::new(),
        };
        Self { state: Mutex::new(state), work: Condvar::new(), idle: Condvar::new() }
    }

    /// Accepts whole lines, or drops and counts them if there is no room.
    pub(super) fn push(&self, bytes: &[u8], lines: u64) {
        let mut state = self.state();
        if !state.take_in(bytes, lines) {
            state.gap += lines;
            state.dropped += lines;
        }
        if std::mem::take(&mut state.idle) {
            self.work.notify_one();
        }
    }

    /// Waits for the next batch, when `written` has been written. Only the writer calls this.
    pub(super) fn next(&self, written: LineBatch) -> LineBatch {
        let mut state = self.state();
        state.give_back(written);
        loop {
            if let Some(batch) = state.hand_out() {
                state.idle = false;
                return batch;
            }
            state.idle = true;
            self.idle.notify_all();
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts the lines of a batch that could not be written.
    pub(super) fn lost(&self, lines: u64) {
        let mut state = self.state();
        state.gap += lines;
        state.dropped += lines;
    }

    /// Waits until everything is written, up to `longest`. Returns whether everything is written.
    pub(super) fn flush(&self, longest: Duration) -> bool {
        let waits = |state: &mut LineQueueState| !state.idle;
        let waited = self.idle.wait_timeout_while(self.state(), longest, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// How many lines were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.state().dropped)
    }

    /// The lock is held only briefly, and every change under it is complete.
    fn state(&self) -> MutexGuard<'_, LineQueueState> {
        lock(&self.state)
    }
}

impl LineQueueState {
    /// Accepts lines if there is room, and returns whether there was.
    fn take_in(&mut self, bytes: &[u8], lines: u64) -> bool {
        let most = if self.gap > 0 { RESUME } else { CAPACITY };
        if self.bytes + bytes.len() > most {
            return false;
        }
        self.bytes += bytes.len();
        match self.batches.back_mut() {
            Some(last) if self.gap == 0 && last.bytes.len() + bytes.len() <= BATCH => {
                last.bytes.extend_from_slice(bytes);
                last.lines += lines;
            }
            _ => {
                let mut buffer = std::mem::take(&mut self.spare);
                buffer.extend_from_slice(bytes);
                let dropped_before = std::mem::take(&mut self.gap);
                self.batches.push_back(LineBatch { bytes: buffer, lines, dropped_before, room: 0 });
            }
        }
        true
    }

    /// The oldest batch. If there is no batch, a gap at the very end is returned as a batch without lines.
    fn hand_out(&mut self) -> Option<LineBatch> {
        if let Some(mut batch) = self.batches.pop_front() {
            batch.room = batch.bytes.len();
            return Some(batch);
        }
        let dropped_before = std::mem::take(&mut self.gap);
        (dropped_before > 0).then(|| LineBatch { dropped_before, ..LineBatch::default() })
    }

    fn give_back(&mut self, written: LineBatch) {
        self.bytes -= written.room;
        if written.bytes.capacity() <= 2 * BATCH {
            self.spare = written.bytes;
            self.spare.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: [u8; 512] = [b'-'; 512];
    const FIT: u64 = (CAPACITY / LINE.len()) as u64;

    fn full() -> LineQueue {
        let store = LineQueue::new();
        (0..FIT).for_each(|_| store.push(&LINE, 1));
        store
    }

    /// The lines and gaps in the order in which a writer gets them.
    fn met(store: &LineQueue) -> Vec<(u64, u64)> {
        let (mut met, mut batch) = (Vec::new(), LineBatch::default());
        while !store.state().batches.is_empty() || store.state().gap > 0 {
            batch = store.next(batch);
            met.push((batch.dropped_before, batch.lines));
        }
        store.state().give_back(batch);
        met
    }

    #[test]
    fn lines_past_the_bound_are_dropped_and_counted_while_a_batch_is_written_too() {
        let store = full();
        assert_eq!(store.take_dropped(), 0);
        store.push(&LINE, 1);
        let under_way = store.next(LineBatch::default());
        store.push(&LINE, 2);
        assert_eq!((store.take_dropped(), store.take_dropped()), (3, 0));
        let held: usize = store.state().batches.iter().map(|batch| batch.bytes.len()).sum();
        assert_eq!(held + under_way.bytes.len(), CAPACITY);
    }

    #[test]
    fn a_gap_stands_where_it_was_and_is_one_until_there_is_room_for_many_lines() {
        let store = full();
        store.push(&LINE, 1);
        let mut batch = LineBatch::default();
        while store.state().bytes > RESUME {
            store.push(&LINE, 1);
            batch = store.next(batch);
            assert_eq!(batch.dropped_before, 0, "a gap begins behind what was taken in before");
        }
        store.state().give_back(batch);
        let dropped = store.take_dropped();
        store.push(&LINE, 1);
        store.push(&LINE, 1);
        let met = met(&store);
        let gaps: Vec<_> = met.iter().filter(|(gap, _)| *gap > 0).collect();
        assert_eq!(gaps, [&(dropped, 2)], "{met:?}");
        assert_eq!(met.last(), Some(&(dropped, 2)));
    }

    #[test]
    fn a_gap_at_the_end_is_told_without_another_line() {
        let store = full();
        store.push(&LINE, 7);
        assert_eq!(met(&store).last(), Some(&(7, 0)));
        assert_eq!(store.state().bytes, 0);
    }

    #[test]
    fn a_flush_ends_though_nobody_writes() {
        let store = full();
        assert!(!store.flush(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut batch = LineBatch::default();
                loop {
                    batch = store.next(batch);
                    if batch.bytes == b"end" {
                        break;
                    }
                }
            });
            let written = store.flush(Duration::from_mins(1));
            let left = store.state().bytes;
            store.push(b"end", 1);
            assert_eq!((written, left), (true, 0));
        });
    }
}
