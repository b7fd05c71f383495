//! Logging set-up.

mod settings;

pub use settings::{Format, Settings};
