//! The durable record of every write: its intent before it is sent, and its outcome afterwards.
//!
//! Entries are only ever appended, and each holds the hash of the one before it. `writer` appends, on a
//! thread of its own. Reads have their own connections and never wait for it. `store` is the interface to
//! what keeps a journal: a file of `sqlite`, or `memory` in tests.

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
mod secrets;
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
pub use handle::{Journal, NotYet};
pub use offline::{Expected, Offline, check};
pub use queue::BeginError;
pub use reads::Unreadable;
pub use record::{Ending, Filter, HeldKey, Holder, Intent, KeyClaim, Page, ToldProblem, View};
pub use secrets::digest as secret_digest;
pub use settings::Settings;
pub use ticket::{SIGNED_WITHIN, Spent, TICKET_LIFETIME, Ticket, TooOld};
