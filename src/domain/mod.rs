//! The gateway's vocabulary: values that can only be valid.
//!
//! Every value is parsed once, at the edge, and never checked again. This room has no HTTP, no TLS, no clock
//! and no policy language. Every other room may use it, and it uses only the catalogue.

mod action_call;
mod addresses;
mod arguments;
#[cfg(test)]
pub(crate) use arguments::generated;
mod call;
mod caller;
mod denial;
mod described;
mod idempotency_key;
pub mod json;
mod nic;
mod nic_id;
mod operation;
mod operation_id;
mod outcome;
mod peer;
pub mod text;

pub use action_call::{ActionCall, Target};
pub use addresses::{Addresses, AddressesError};
pub use arguments::{Arguments, ArgumentsError, NamedResource};
pub use call::{API_VERSION, Call, Resource, ResourceError};
pub use caller::{Caller, CallerError, MAX_NAME_BYTES};
pub use denial::{Denial, Denied, Reason};
pub use described::{Described, DescribedError, Location};
pub use idempotency_key::{IdempotencyKey, IdempotencyKeyError};
pub use nic::{Nic, NicError};
pub use nic_id::{NicId, NicIdError};
pub use operation::{
    Action, Change, ChangeIpv4, Operation, ReadNic, Rehearsal, Selection, UnassignAll,
};
pub use operation_id::{OperationId, OperationIdError};
pub use outcome::Outcome;
pub use peer::{Origin, Peer};
