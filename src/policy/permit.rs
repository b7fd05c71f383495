//! The permit that only a decision of the policy makes.

use std::sync::Arc;

/// This caller may do exactly this. Only this room's decision makes one, it cannot be copied,
/// and what may be done is got out of it by spending it.
#[derive(Debug)]
#[must_use = "a permit is worth nothing until it is spent"]
pub struct Permit<O> {
    operation: O,
    policies: Vec<String>,
    version: Arc<str>,
}

impl<O> Permit<O> {
    pub(super) fn grant(operation: O, policies: Vec<String>, version: Arc<str>) -> Self {
        Self { operation, policies, version }
    }

    /// What is permitted.
    #[must_use]
    pub fn operation(&self) -> &O {
        &self.operation
    }

    /// The ids of the policies that allow it, in alphabetical order.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// The version of the policy that decided.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Uses the permit up.
    #[must_use]
    pub fn spend(self) -> O {
        self.operation
    }
}
