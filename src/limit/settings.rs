//! The settings of `[limits]`.

use std::path::PathBuf;

/// The limits of each caller, and of all callers together (`[limits]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most requests in flight, over all callers.
    pub max_concurrent_requests: usize,
    /// The most requests in flight for one caller.
    pub max_concurrent_per_caller: usize,
    /// The most addresses that one request may name.
    pub max_addresses: usize,
    /// The most requests per second and caller; the burst is as large. 0 means no limit.
    pub requests_per_second: u32,
    /// The most addresses that one caller may unassign per hour; 0 means no limit.
    pub addresses_per_hour: u32,
    /// The most resources that one caller may name in other destructive calls per hour; 0 means no limit.
    pub destructive_per_hour: u32,
    /// While this file exists, every write is refused.
    pub freeze_file: Option<PathBuf>,
}
