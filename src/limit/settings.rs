//! The settings of `[limits]`.

use std::path::PathBuf;

/// What one caller, and all together, may ask for (`[limits]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Requests that may run at once.
    pub max_concurrent_requests: usize,
    /// Requests that may run at once for one caller.
    pub max_concurrent_per_caller: usize,
    /// Addresses that one request may name.
    pub max_addresses: usize,
    /// Requests per second and caller, burst the same; 0 is no limit.
    pub requests_per_second: u32,
    /// Addresses unassigned per hour and caller; 0 is no limit.
    pub addresses_per_hour: u32,
    /// While this file exists, every write is refused.
    pub freeze_file: Option<PathBuf>,
}
