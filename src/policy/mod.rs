//! The allow-list: may this caller do this, to this vNIC, with these addresses?
//!
//! Policies are Cedar. Each address is decided by itself, and the request is allowed only if all of them are. The
//! answer is a denial if no policy permits, if any policy forbids, or if any policy cannot be evaluated. Only this
//! module makes a [`Permit`].

mod answer;
mod authorization_request;
pub mod cases;
mod context;
mod depth;
mod directory;
mod engine;
mod explain;
mod has;
mod index;
mod literals;
mod load;
mod looks;
mod matrix;
mod may;
mod names;
mod offline;
mod permit;
mod pieces;
mod requester;
mod rule;
mod schema;
mod settings;
mod shadow_query;
mod subject;
mod unsaid;
mod vocabulary;

use crate::catalogue::{Catalogue, CatalogueError};
pub use authorization_request::{AuthorizationRequest, NicRequest, TargetRef};
pub use directory::{Directory, ENDING};
pub use engine::{Engine, Pending, Verdict};
pub use explain::Explanation;
pub use load::Source;
pub use matrix::UnknownAction;
pub use offline::{PolicyQuestion, Question, Told};
pub use permit::{Mismatch, Permit, Shown};
pub use requester::{Requester, Via};
pub use settings::Settings;
pub use shadow_query::ShadowQuery;
pub use subject::ResourceData;

/// The Cedar schema for policies, of the catalogue in use.
///
/// # Errors
/// When the catalogue is broken.
pub fn schema() -> Result<String, CatalogueError> {
    Catalogue::in_use().map(schema::text)
}

#[cfg(test)]
mod tests;
