//! What a caller can ask for, after parsing.

use super::{
    Action, ActionCall, CallRehearsal, FindNics, IdempotencyKey, ReadNic, Resource, Selection,
};

/// The most resources of a call that a line of the log names.
const MAX_SHOWN: usize = 5;

/// What a caller asks for, fully parsed: it holds no raw text of the request.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Show one vNIC.
    Read(ReadNic),
    /// Look for vNICs.
    Find(Box<FindNics>),
    /// Change a vNIC's addresses; with a key, once, however often the caller sends the request.
    Change(Selection, Option<IdempotencyKey>),
    /// Say what a change would do, without doing it.
    DryRun(Selection),
    /// Make a call of any other action; with a key, once, however often the caller sends the request.
    Call(Box<ActionCall>, Option<IdempotencyKey>),
    /// Say whether a call would be made, without making it.
    DryRunCall(CallRehearsal),
}

impl Operation {
    /// The ZEC action that performs the operation.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Read(_) | Self::Find(_) => Action::DescribeNetworkInterfaces.name(),
            Self::Change(selection, _) | Self::DryRun(selection) => {
                selection.change().action().name()
            }
            Self::Call(call, _) | Self::DryRunCall(CallRehearsal(call)) => call.action(),
        }
    }

    /// What the operation is about, for people: the vNIC's id, or a few of the resources that a call names.
    #[must_use]
    pub fn about(&self) -> String {
        match self {
            Self::Read(read) => read.nic.to_string(),
            Self::Find(_) => String::new(),
            Self::Change(selection, _) | Self::DryRun(selection) => selection.nic().to_string(),
            Self::Call(call, _) | Self::DryRunCall(CallRehearsal(call)) => {
                let first: Vec<String> =
                    call.resources().take(MAX_SHOWN).map(Resource::to_string).collect();
                let more = call.resources().count().saturating_sub(MAX_SHOWN);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                first.join(" ") + &more
            }
        }
    }

    /// How many addresses the caller names.
    #[must_use]
    pub fn named_addresses(&self) -> usize {
        match self {
            Self::Change(Selection::Listed(change), _)
            | Self::DryRun(Selection::Listed(change)) => change.addresses.as_slice().len(),
            Self::Read(_)
            | Self::Find(_)
            | Self::Call(..)
            | Self::DryRunCall(_)
            | Self::Change(Selection::All(_), _)
            | Self::DryRun(Selection::All(_)) => 0,
        }
    }
}
