//! The metrics of the journal.

use std::time::Duration;

use prometheus::{Histogram, IntCounterVec, IntGauge, IntGaugeVec};

use super::{DURATION_BUCKETS, register::Maker};
use crate::domain::Outcome;

/// The series of the journal.
#[derive(Debug)]
pub struct JournalMetrics {
    entries: IntGauge,
    head: IntGaugeVec,
    commits: IntCounterVec,
    commit_seconds: Histogram,
    operations: IntCounterVec,
    bytes: IntGaugeVec,
    log_bytes: IntGaugeVec,
    free_bytes: IntGaugeVec,
}

impl JournalMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        let made = Self {
            entries: make.gauge("journal_entries", "Entries in the journal's chain.")?,
            head: make.gauges(
                "journal_head_info",
                "1 for the first 16 digits of the hash of the journal's last entry.",
                &["hash"],
            )?,
            commits: make.counters(
                "journal_commits_total",
                "Transactions of the journal; one may hold many entries.",
                &["result"],
            )?,
            commit_seconds: make.histogram(
                "journal_commit_seconds",
                "Seconds until a transaction of the journal was on disk, or had failed.",
                &DURATION_BUCKETS,
            )?,
            operations: make.counters(
                "operations_total",
                "Writes recorded, by outcome; every one is pending first.",
                &["outcome"],
            )?,
            // Without a journal these series do not exist, because 0 would mean a full disk.
            bytes: make.gauges("journal_bytes", "Bytes of the journal's file and its log.", &[])?,
            log_bytes: make.gauges(
                "journal_wal_bytes",
                "Bytes of the journal's log, its `-wal` file: over 16 MiB, a reader has held it for long.",
                &[],
            )?,
            free_bytes: make.gauges(
                "journal_free_bytes",
                "Bytes that are free for the journal on its disk.",
                &[],
            )?,
        };
        for result in ["ok", "failed"] {
            made.commits.with_label_values(&[result]);
        }
        for outcome in Outcome::ALL {
            made.operations.with_label_values(&[outcome.label()]);
        }
        Ok(made)
    }

    /// Sets the number of entries in the chain, and the first digits of the last entry's hash.
    pub fn head(&self, length: i64, hash: &str) {
        self.entries.set(length);
        self.head.reset();
        self.head.with_label_values(&[hash]).set(1);
    }

    /// Sets how many bytes the journal takes, how many of these are its log's, and how many its disk has left.
    pub fn space(&self, log: u64, bytes: u64, free: u64) {
        let whole = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.log_bytes.with_label_values::<&str>(&[]).set(whole(log));
        self.bytes.with_label_values::<&str>(&[]).set(whole(bytes));
        self.free_bytes.with_label_values::<&str>(&[]).set(whole(free));
    }

    /// Counts a transaction that ended, and how long it took.
    pub fn committed(&self, ok: bool, took: Duration) {
        self.commits.with_label_values(&[if ok { "ok" } else { "failed" }]).inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// Counts an outcome that is on disk; the outcome of an intent is pending.
    pub fn recorded(&self, outcome: Outcome) {
        self.operations.with_label_values(&[outcome.label()]).inc();
    }
}
