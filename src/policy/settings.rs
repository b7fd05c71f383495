//! The settings of `[policy]`.

use std::path::PathBuf;

/// The location of the policy (`[policy]`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory with the `*.cedar` files.
    pub directory: PathBuf,
    /// The directory of a shadow policy, which is decided too and never enforced.
    pub shadow_directory: Option<PathBuf>,
}
