//! Reloads files when they change, or at once on request.
//!
//! A change is loaded once two polls with a pause between them have read the same bytes. Files that belong together,
//! for example a certificate and its key, are rarely written at the same moment. The unit gets the bytes that the poll
//! read; the files are not read a second time. A load that failed is retried at every poll: its reason may pass without
//! a change, for example when a certificate was not valid yet.

mod status;
mod snapshot;
#[cfg(test)]
mod tests;
mod watcher;

pub use snapshot::{FileState, Snapshot};
pub use status::{ReloadStatus, UnitState};
pub use watcher::{Due, FileReader, Hangs, WatchPace, Watcher};
