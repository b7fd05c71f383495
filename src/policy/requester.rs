//! Who asks the policy, how, and when.

use std::time::SystemTime;

use crate::domain::Caller;

/// Who asks the policy, how, and when.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// The caller.
    pub caller: &'a Caller,
    /// The form of the request: `context.via`.
    pub via: Via,
    /// The time: `context.now`. `None` is the time at which the policy is asked.
    pub now: Option<SystemTime>,
}

labels! {
    /// The form of a request.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Via by label {
        /// The gateway's own routes.
        Rest = "rest",
        /// ZEC's own form of its API.
        Api = "api",
    }
}

impl<'a> From<&'a Caller> for Requester<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self { caller, via: Via::Rest, now: None }
    }
}
