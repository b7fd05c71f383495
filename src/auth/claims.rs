//! The claims of a verified token, and whether the token is valid here and now (RFC 7519, RFC 9068).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{ClaimPath, IssuerSettings, claim::NotAnObject, refusal::Refusal};
use crate::{
    domain::{
        Caller,
        json::{Members, Node},
    },
    metrics::AuthResult,
};

/// The time in which a token is valid, in seconds since 1970, leeway included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    from: f64,
    until: f64,
}

impl Validity {
    /// Whether the token is valid at that time.
    pub(super) fn holds(&self, now: SystemTime) -> bool {
        let now = unix_seconds(now);
        self.from <= now && now < self.until
    }
}

/// Checks every claim of a token after its signature and `iss` have passed. Returns the caller, the token's validity,
/// and which claims it had. Apart from the time, these checks always give the same result for the same token.
///
/// # Errors
/// The first reason why the token is not valid.
pub(super) fn check(
    claims: &Members<'_>,
    settings: &IssuerSettings,
    now: SystemTime,
) -> Result<(Caller, Validity, GoodClaims), Refusal> {
    let validity = times(claims, settings, now)?;
    audience(claims, settings)?;
    authorized_party(claims, settings)?;
    match claims.get("cnf") {
        None => {}
        Some(Node::Null) => return Err(null("cnf")),
        Some(_) => {
            return Err(Refusal::claims(
                "the token is bound to a key (`cnf`) and cannot be used as a plain bearer token",
            ));
        }
    }
    let subject = subject(claims, &settings.subject_claim)?;
    let groups = groups(claims, settings)?;
    let found = GoodClaims { groups_claim: groups.is_some() };
    let caller =
        Caller::vouch(&settings.name, subject, groups.unwrap_or_default()).map_err(|error| {
            Refusal::claims(format!("the token does not identify a caller: {error}"))
        })?;
    Ok((caller, validity, found))
}

/// Which optional claims a token had.
#[derive(Clone, Copy, Debug)]
pub(super) struct GoodClaims {
    /// Whether the issuer's groups claim was there, even without a group.
    pub(super) groups_claim: bool,
}

/// The refusal for a claim that is `null`, which is neither present nor absent.
fn null(name: &str) -> Refusal {
    Refusal::claims(format!("the token's `{name}` is null: have its issuer leave it out"))
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// The time in which the token is valid.
///
/// # Errors
/// When the token is not valid at `now`, or its times cannot be read.
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
            "the token is valid for longer than the {} that the gateway accepts: ask for a shorter-lived one",
            humantime::format_duration(longest)
        ))),
        Some(_) => Ok(()),
    }
}

/// A `NumericDate`. Text such as `"999"` makes the token invalid; it is not skipped (docs/threats.md, row 17).
fn seconds(claims: &Members<'_>, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Node::Number(number)) => Ok(number.as_f64()),
        Some(Node::Null) => Err(null(name)),
        Some(_) => Err(Refusal::claims(format!("the token's `{name}` is not a number"))),
    }
}

fn audience(claims: &Members<'_>, settings: &IssuerSettings) -> Result<(), Refusal> {
    let malformed = || Refusal::claims("the token's `aud` is not a string or list of strings");
    let named: Vec<&str> = match claims.get("aud") {
        Some(Node::Text(one)) => vec![one],
        Some(Node::List(list)) => {
            list.iter().map(Node::as_str).collect::<Option<_>>().ok_or_else(malformed)?
        }
        None => {
            return Err(Refusal::claims(format!(
                "the token has no `aud`, which says what it is meant for: ask for one with the \
                 audience `{}`",
                settings.audiences.join("` or `")
            )));
        }
        Some(Node::Null) => return Err(null("aud")),
        Some(_) => return Err(malformed()),
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
        Err(Refusal::claims(
            "the application that got the token (`azp`, `client_id`) is not in `authorized_parties`",
        ))
    }
}

/// The caller's subject.
fn subject<'a>(claims: &'a Members<'a>, path: &ClaimPath) -> Result<&'a str, Refusal> {
    let refuse = |why: &str| Err(Refusal::claims(format!("the token's `{path}` {why}")));
    match path.find(claims) {
        Ok(None) => refuse("is missing: it identifies the caller"),
        Ok(Some(Node::Text(subject))) if subject.is_empty() => {
            refuse("is empty: it identifies the caller")
        }
        Ok(Some(Node::Text(subject))) => Ok(subject),
        Ok(Some(Node::Null)) => refuse("is null: it identifies the caller"),
        Ok(Some(_)) | Err(NotAnObject) => refuse("is not a string"),
    }
}

/// The groups; `None` if the claim is absent. A claim that is malformed or cut short by the provider is refused,
/// because a missing group could lift a forbid (docs/threats.md, row 28).
fn groups<'a>(
    claims: &'a Members<'a>,
    settings: &IssuerSettings,
) -> Result<Option<Vec<&'a str>>, Refusal> {
    let (path, form) = (&settings.groups_claim, settings.groups_form);
    let moved = match claims.get("_claim_names") {
        None => false,
        Some(Node::Null) => return Err(null("_claim_names")),
        Some(Node::Object(names)) => path.begins_in(names) || names.has("groups"),
        Some(_) => true,
    };
    let hidden = match claims.get("hasgroups") {
        None | Some(Node::Bool(false)) => false,
        Some(Node::Null) => return Err(null("hasgroups")),
        Some(_) => true,
    };
    if moved || hidden {
        return Err(Refusal::claims(
            "the provider has cut the token's groups short: have it send only the groups that \
             concern this application",
        ));
    }
    let malformed =
        || Refusal::claims(format!("the token's groups (`{path}`) are not {}", form.wanted()));
    match path.find(claims).map_err(|NotAnObject| malformed())? {
        None => Ok(None),
        Some(Node::Null) => Err(null(&path.to_string())),
        Some(claim) => form.read(claim).map(Some).ok_or_else(malformed),
    }
}
