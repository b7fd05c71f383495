//! What one caller, and all together, may ask for. Only the settings so far: rates, budgets and the
//! breaker on ZEC come here.

mod settings;

pub use settings::Settings;
