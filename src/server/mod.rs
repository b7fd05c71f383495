//! Listeners.

mod settings;

pub use settings::{Settings, TlsSettings};
