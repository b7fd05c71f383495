//! The allow-list.

mod settings;

pub use settings::Settings;
