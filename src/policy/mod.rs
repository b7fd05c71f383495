//! The allow-list: may this caller do this, to this vNIC, with these addresses?
//!
//! Policies are Cedar. Each address is a question of its own and the answer is all or nothing;
//! what no policy allows is denied, what one forbids is denied, and what cannot be evaluated is
//! denied. A [`Permit`] comes from here and from nowhere else.

mod answer;
mod authorization_request;
pub mod cases;
mod denial;
mod depth;
mod directory;
mod engine;
mod explain;
mod index;
mod literals;
mod load;
mod looks;
mod offline;
mod permit;
mod shadow_query;
mod rule;
mod settings;
mod vocabulary;

pub use authorization_request::AuthorizationRequest;
pub use denial::{Denial, Denied, Reason};
pub use directory::{Directory, ENDING};
pub use engine::{Engine, Pending, Verdict};
pub use explain::Explanation;
pub use load::Source;
pub use offline::{PolicyQuestion, Question, Told};
pub use permit::{Mismatch, Permit, Shown};
pub use settings::Settings;
pub use shadow_query::ShadowQuery;

/// The Cedar schema that policies are written against.
#[must_use]
pub fn schema() -> &'static str {
    vocabulary::SCHEMA
}

#[cfg(test)]
mod tests;
