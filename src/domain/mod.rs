//! The gateway's vocabulary: values that can only be valid.
//!
//! Every value is parsed once, at the edge, and never checked again. This room has no HTTP, no TLS, no clock
//! and no policy language. Every other room may use it, and it uses only the catalogue.

mod action_call;
mod addresses;
mod arguments;
mod call;
mod caller;
mod denial;
mod described;
mod find;
mod idempotency_key;
mod ipv4;
#[cfg(test)]
pub(crate) mod generated;
pub mod json;
mod nic;
mod nic_id;
mod operation;
mod operation_id;
mod outcome;
mod peer;
mod resource;
pub mod text;
mod write_call;

pub use action_call::{ActionCall, CallRehearsal, Target};
pub use addresses::{Addresses, AddressesError};
pub use arguments::{Arguments, ArgumentsError, NamedResource, UnknownFields};
pub use call::{API_VERSION, Call};
pub use caller::{Caller, CallerError, KEYS_ISSUER, MAX_NAME_BYTES};
pub use denial::{Denial, Denied, Reason};
pub use described::{Described, DescribedError, Location};
pub use find::{Cursor, FindNics, NicFilter};
pub use idempotency_key::{IdempotencyKey, IdempotencyKeyError};
pub use ipv4::{Action, Change, ChangeIpv4, ReadNic, Rehearsal, Selection, UnassignAll};
pub use nic::{Nic, NicError};
pub use nic_id::{NicId, NicIdError};
pub use operation::Operation;
pub use operation_id::{OperationId, OperationIdError};
pub use outcome::Outcome;
pub use peer::{Origin, Peer};
pub use resource::{Resource, ResourceError, is_resource_id};
pub use write_call::{NotAWrite, WriteCall};
