//! The settings of `[policy]`.

use std::path::PathBuf;

/// Where the policy is (`[policy]`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory with `*.cedar`.
    pub directory: PathBuf,
    /// A second one that is decided too and never enforced.
    pub shadow_directory: Option<PathBuf>,
}
