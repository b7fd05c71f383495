//! Files that are loaded anew when they change, without a word from anybody, or at once when
//! somebody says so.
//!
//! A change is loaded once the same bytes have been seen twice with a pause between: files that
//! belong together, a certificate and its key say, are rarely written in one moment. What is
//! loaded are the bytes that were looked at, never the files a second time. What could not be loaded
//! is tried again at each look: the reason may have passed without a change, as for a certificate that
//! was not valid yet.

mod status;
mod snapshot;
#[cfg(test)]
mod tests;
mod watcher;

pub use snapshot::{FileState, Snapshot};
pub use status::{ReloadStatus, State};
pub use watcher::{Disk, Due, Hangs, WatchPace, Watcher};
