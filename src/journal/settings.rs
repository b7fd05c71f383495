//! The settings of `[journal]`.

use std::path::PathBuf;

/// Where writes are recorded (`[journal]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The journal's file.
    pub path: PathBuf,
    /// Whether writes are recorded at all.
    pub enabled: bool,
    /// How many whole months entries are kept besides the current one; 0 keeps them for ever.
    pub keep_months: u32,
}
