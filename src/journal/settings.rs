use std::path::PathBuf;

/// Where writes are recorded (`[journal]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The journal's file.
    pub path: PathBuf,
    /// Whether writes are recorded at all.
    pub enabled: bool,
}
