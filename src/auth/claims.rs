//! What a verified token says, and whether it counts here and now (RFC 7519, RFC 9068).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{IssuerSettings, refusal::Refusal};
use crate::{
    domain::{
        Caller,
        json::{Members, Node},
    },
    metrics::AuthResult,
};

/// When a token counts, in seconds since 1970, the leeway included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    from: f64,
    until: f64,
}

impl Validity {
    /// Whether the token counts at that time.
    pub(super) fn holds(&self, now: SystemTime) -> bool {
        let now = unix_seconds(now);
        self.from <= now && now < self.until
    }
}

/// Checks every claim of a token whose signature is good and whose `iss` is this issuer's. Says
/// who calls, and when the token counts: all else about it never changes.
///
/// # Errors
/// The first reason for which the token does not count.
pub(super) fn check(
    claims: &Members<'_>,
    settings: &IssuerSettings,
    now: SystemTime,
) -> Result<(Caller, Validity), Refusal> {
    let validity = times(claims, settings, now)?;
    audience(claims, settings)?;
    authorized_party(claims, settings)?;
    if claims.has("cnf") {
        return Err(Refusal::claims(
            "the token is bound to a key (`cnf`) and cannot be used as a plain bearer token",
        ));
    }
    required_text(claims, "sub")?;
    let subject = match at_path(claims, &settings.subject_claim) {
        Ok(Some(Node::Text(subject))) if !subject.is_empty() => subject,
        _ => {
            let name = &settings.subject_claim;
            return Err(Refusal::claims(format!(
                "the token's `{name}` is missing, empty or not a text"
            )));
        }
    };
    let groups = groups(claims, &settings.groups_claim)?;
    let caller = Caller::vouch(&settings.name, subject, groups)
        .map_err(|error| Refusal::claims(format!("the token names nobody: {error}")))?;
    Ok((caller, validity))
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// When the token counts.
///
/// # Errors
/// When that is not now, or cannot be told.
pub(super) fn times(
    claims: &Members<'_>,
    settings: &IssuerSettings,
    now: SystemTime,
) -> Result<Validity, Refusal> {
    let leeway = settings.leeway.as_secs_f64();
    let now = unix_seconds(now);
    let Some(expires) = seconds(claims, "exp")? else {
        return Err(Refusal::claims("the token has no `exp`: it would never expire"));
    };
    if expires + leeway <= now {
        return Err(Refusal::new(AuthResult::Expired, "the token has expired: get a fresh one"));
    }
    let begins = seconds(claims, "nbf")?;
    if begins.is_some_and(|from| from - leeway > now) {
        return Err(Refusal::new(
            AuthResult::NotYetValid,
            "the token is not valid yet (`nbf`): wait, or set the issuer's clock",
        ));
    }
    let issued = seconds(claims, "iat")?;
    if issued.is_some_and(|at| at - leeway > now) {
        return Err(Refusal::new(
            AuthResult::NotYetValid,
            "the token was issued in the future (`iat`): set the issuer's clock",
        ));
    }
    if let Some(longest) = settings.max_lifetime {
        lifetime(expires, issued, longest)?;
    }
    let from = begins.unwrap_or(0.0).max(issued.unwrap_or(0.0)) - leeway;
    Ok(Validity { from, until: expires + leeway })
}

fn lifetime(expires: f64, issued: Option<f64>, longest: Duration) -> Result<(), Refusal> {
    match issued {
        None => Err(Refusal::claims("the token has no `iat`, so its lifetime is not known")),
        Some(at) if expires - at > longest.as_secs_f64() => Err(Refusal::claims(format!(
            "the token lives longer than the {} that are taken: ask for a shorter one",
            humantime::format_duration(longest)
        ))),
        Some(_) => Ok(()),
    }
}

/// A `NumericDate`; text such as `"999"` is refused, not skipped (threats, row 17).
fn seconds(claims: &Members<'_>, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Node::Number(number)) => Ok(number.as_f64()),
        Some(_) => Err(Refusal::claims(format!("the token's `{name}` is not a number"))),
    }
}

fn audience(claims: &Members<'_>, settings: &IssuerSettings) -> Result<(), Refusal> {
    let malformed =
        || Refusal::claims("the token's `aud` is missing or not a text or list of texts");
    let named: Vec<&str> = match claims.get("aud") {
        Some(Node::Text(one)) => vec![one],
        Some(Node::List(list)) => {
            list.iter().map(Node::as_str).collect::<Option<_>>().ok_or_else(malformed)?
        }
        _ => return Err(malformed()),
    };
    if named.iter().any(|name| settings.audiences.iter().any(|audience| audience == name)) {
        Ok(())
    } else {
        Err(Refusal::new(
            AuthResult::WrongAudience,
            format!(
                "the token is meant for another service: ask for one with the audience `{}`",
                settings.audiences.join("` or `")
            ),
        ))
    }
}

fn authorized_party(claims: &Members<'_>, settings: &IssuerSettings) -> Result<(), Refusal> {
    let Some(allowed) = &settings.authorized_parties else { return Ok(()) };
    let party = claims.get("azp").or_else(|| claims.get("client_id")).and_then(Node::as_str);
    if party.is_some_and(|party| allowed.iter().any(|one| one == party)) {
        Ok(())
    } else {
        Err(Refusal::claims("the application that got the token (`azp`, `client_id`) is not taken"))
    }
}

fn required_text<'a>(claims: &'a Members<'a>, name: &str) -> Result<&'a str, Refusal> {
    match claims.get(name).and_then(Node::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Refusal::claims(format!("the token's `{name}` is missing, empty or not a text"))),
    }
}

/// The groups at a dotted path. An absent claim is no group at all; one that is malformed or cut
/// short by the provider is refused, for a missing group could lift a forbid (threats, row 28).
fn groups<'a>(claims: &'a Members<'a>, path: &str) -> Result<Vec<&'a str>, Refusal> {
    let first = path.split('.').next().unwrap_or(path);
    let moved = claims.get("_claim_names").is_some_and(|names| match names {
        Node::Object(names) => names.has(first) || names.has("groups"),
        _ => true,
    });
    if moved || claims.get("hasgroups").is_some_and(|has| *has != Node::Bool(false)) {
        return Err(Refusal::claims(
            "the provider has cut the token's groups short: have it send only the groups that \
             concern this application",
        ));
    }
    let malformed =
        || Refusal::claims(format!("the token's groups (`{path}`) are not a list of texts"));
    match at_path(claims, path).map_err(|NotAnObject| malformed())? {
        None => Ok(Vec::new()),
        Some(Node::List(list)) => {
            list.iter().map(Node::as_str).collect::<Option<_>>().ok_or_else(malformed)
        }
        Some(_) => Err(malformed()),
    }
}

/// A step of a path leads into something that has no members.
struct NotAnObject;

/// The claim at a dotted path; none where a step of it is absent. A claim whose very name has
/// dots comes first: some providers use URLs as names.
fn at_path<'a>(claims: &'a Members<'a>, path: &str) -> Result<Option<&'a Node<'a>>, NotAnObject> {
    if let Some(claim) = claims.get(path) {
        return Ok(Some(claim));
    }
    let mut segments = path.split('.');
    let mut found = segments.next().and_then(|name| claims.get(name));
    for name in segments {
        found = match found {
            Some(Node::Object(members)) => members.get(name),
            Some(_) => return Err(NotAnObject),
            None => return Ok(None),
        };
    }
    Ok(found)
}
