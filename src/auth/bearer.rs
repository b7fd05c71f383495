//! Bearer tokens: signed JWTs of the configured issuers.

use std::{sync::Arc, time::SystemTime};

use super::{
    claims,
    issuer::Issuer,
    memory,
    refusal::Refusal,
    token::{Compact, Headers, Token},
};
use crate::{
    domain::{Caller, json::Node},
    metrics::AuthResult,
};

/// Identifies the caller by a token. `named` becomes the name of its issuer, once that is known.
///
/// Waits only if the current keys do not verify the token, and then for a second at most.
///
/// # Errors
/// When the token is not accepted, or its issuer's keys are not available.
pub(super) async fn verify<'a>(
    issuers: &'a [Arc<Issuer>],
    known: &Headers,
    text: &str,
    now: SystemTime,
    named: &mut Option<&'a str>,
) -> Result<Caller, Refusal> {
    let id = memory::id(text);
    for issuer in issuers {
        if let Some(caller) = issuer.remembered(&id, now) {
            *named = Some(issuer.name());
            return Ok(caller);
        }
    }
    let compact = Compact::split(text)?;
    let token = Token::read(&compact, known)?;
    let issuer = match token.claims.get("iss").and_then(Node::as_str) {
        Some(iss) if !iss.is_empty() => issuers.iter().find(|issuer| issuer.is(iss)),
        _ => return Err(Refusal::malformed("the token's `iss` is missing or not a string")),
    };
    let Some(issuer) = issuer else {
        return Err(Refusal::new(
            AuthResult::UnknownIssuer,
            "the token comes from an issuer that this gateway does not know",
        ));
    };
    *named = Some(issuer.name());
    let keys = issuer.verify_signature(&token, now).await?;
    let (caller, validity, found) = claims::check(&token.claims, issuer.settings(), now)?;
    issuer.note(found);
    keys.memory.keep(id, &caller, validity);
    known.keep(&token);
    Ok(caller)
}
