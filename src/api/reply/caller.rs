//! A caller as the policy sees them.

use serde_json::{Value, json};

use crate::domain::Caller;

/// The body of `/whoami`, and the `caller` of a 403.
pub(in crate::api) fn caller(caller: &Caller) -> Value {
    json!({
        "issuer": caller.issuer(),
        "subject": caller.subject(),
        "groups": caller.groups().collect::<Vec<_>>(),
    })
}
