//! ZEC's language.

mod settings;

pub use settings::{EipCheck, Settings};
