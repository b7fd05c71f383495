//! The document of a search for vNICs.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::execute::FoundNics;

#[derive(Serialize)]
struct SearchDocument<'a> {
    nics: Vec<&'a RawValue>,
    examined: usize,
    complete: bool,
    cursor: Option<String>,
}

/// The document of what a search found, with ZEC's objects as they are.
pub(in crate::api) fn found(found: &FoundNics) -> String {
    let nics = found.nics.iter().map(|shown| shown.nic().raw()).collect();
    let document = SearchDocument {
        nics,
        examined: found.examined,
        complete: found.next.is_none() && !found.left_out,
        cursor: found.next.map(|next| next.to_string()),
    };
    // Texts and numbers can always be serialised.
    serde_json::to_string(&document).unwrap_or_default()
}
