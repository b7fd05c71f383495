//! The durable record of every write: what was going to be sent, before it is sent, and what came
//! of it.
//!
//! Entries are only ever appended, and each holds the hash of the one before. `writer` appends,
//! on a thread of its own; reads have their own connections and never wait for it. `store` is what
//! a journal is kept in: a file of `sqlite`, or in tests `memory`.

mod chain;
mod clock;
mod content;
mod handle;
#[cfg(test)]
mod memory;
mod months;
mod offline;
mod queue;
mod reads;
mod record;
mod settings;
#[cfg(test)]
pub(crate) mod simulated;
mod sqlite;
mod store;
mod ticket;
mod writer;

#[cfg(test)]
mod tests;

pub use chain::{Broken, Entry, Hash, Head};
pub use handle::{BeginError, Journal, NotYet};
pub use offline::{Expected, Offline, check};
pub use reads::Unreadable;
pub use record::{
    Ending, Filter, HeldKey, Holder, Intent, KeyClaim, ToldProblem, Unassigned, View,
};
pub use settings::Settings;
pub use ticket::{SIGNED_WITHIN, Spent, TICKET_LIFETIME, Ticket, TooOld};
