//! Bearer token in, [`Caller`] out.
//!
//! The issuer is found by the token's `iss`, the key by the token's `kid` within that issuer's
//! own set, and the algorithm is the key's: nothing that decides comes from the token alone.

mod algorithm;
mod claims;
#[cfg(fuzzing)]
pub(crate) mod door;
mod fetch;
mod keys;
mod refusal;
mod settings;
mod token;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use serde_json::Value;

pub use algorithm::Algorithm;
use fetch::Fetcher;
use keys::KeySet;
use refusal::Refusal;
pub use settings::{IssuerSettings, KeySource, Settings};
use token::Token;

use crate::{
    domain::Caller,
    error::{Error, Fault},
    metrics::{AuthResult, Metrics},
};

/// The trusted issuers and their keys.
#[derive(Debug)]
pub struct Authenticator {
    issuers: Vec<Arc<Issuer>>,
    fetcher: Fetcher,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Issuer {
    settings: IssuerSettings,
    keys: ArcSwapOption<Keys>,
}

/// A key set, and until when it may be used.
#[derive(Debug)]
struct Keys {
    set: KeySet,
    /// None for a file: it is as fresh as the operator keeps it.
    fetched: Option<Instant>,
}

impl Authenticator {
    /// Takes the issuers; key files are read, key addresses are fetched by [`Self::refresh`].
    ///
    /// # Errors
    /// Every fault of every key file.
    pub fn load(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, Vec<Fault>> {
        let fetcher = Fetcher::new(settings).map_err(|fault| vec![fault])?;
        let mut faults = Vec::new();
        let mut issuers = Vec::new();
        for (number, settings) in settings.issuers.iter().enumerate() {
            let issuer = Issuer { settings: settings.clone(), keys: ArcSwapOption::empty() };
            if let KeySource::File(path) = &settings.keys {
                match std::fs::read(path).map_err(|e| e.to_string()).and_then(|b| KeySet::parse(&b))
                {
                    Ok(set) => issuer.take(set, None, &metrics),
                    Err(error) => faults.push(
                        Fault::new(format!("no keys can be read from the file: {error}"))
                            .in_file(path)
                            .at_key(format!("auth.issuers[{number}].jwks_file")),
                    ),
                }
            }
            issuers.push(Arc::new(issuer));
        }
        if faults.is_empty() { Ok(Self { issuers, fetcher, metrics }) } else { Err(faults) }
    }

    /// Whether at least one issuer has keys.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.usable_keys().is_some())
    }

    /// The issuers' names with whether each has keys, for `/readyz`.
    pub fn issuers(&self) -> impl Iterator<Item = (&str, bool)> {
        self.issuers
            .iter()
            .map(|issuer| (issuer.settings.name.as_str(), issuer.usable_keys().is_some()))
    }

    /// Fetches every key address once, together; a failure is logged and counted.
    pub async fn refresh(&self) {
        self.fetcher.once(&self.issuers, &self.metrics).await;
    }

    /// Fetches every key address now and then anew, for ever.
    pub async fn refresh_forever(&self) {
        self.fetcher.forever(&self.issuers, &self.metrics).await;
    }

    /// Who calls, by the request's one bearer token.
    ///
    /// # Errors
    /// 401 where the token does not count, 503 where its issuer's keys are not at hand.
    pub fn authenticate(&self, headers: &HeaderMap, now: SystemTime) -> Result<Caller, Error> {
        let mut issuer = None;
        let result = self.verify(headers, now, &mut issuer);
        let (name, counted) =
            (issuer, result.as_ref().err().map_or(AuthResult::Ok, |no| no.result));
        self.metrics.token_checked(name, counted);
        result.map_err(Refusal::into_error)
    }

    fn verify<'a>(
        &'a self,
        headers: &HeaderMap,
        now: SystemTime,
        named: &mut Option<&'a str>,
    ) -> Result<Caller, Refusal> {
        let token = Token::parse(token::bearer(headers)?)?;
        let issuer = match token.claims.get("iss").and_then(Value::as_str) {
            Some(iss) if !iss.is_empty() => {
                self.issuers.iter().find(|issuer| issuer.settings.issuer == iss)
            }
            _ => return Err(Refusal::malformed("the token's `iss` is missing or not a text")),
        };
        let Some(issuer) = issuer else {
            return Err(Refusal::new(
                AuthResult::UnknownIssuer,
                "the token comes from an issuer that this gateway does not know",
            ));
        };
        *named = Some(&issuer.settings.name);
        issuer.verify_signature(&token)?;
        claims::check(&token.claims, &issuer.settings, now)
    }
}

impl Issuer {
    fn take(&self, set: KeySet, fetched: Option<Instant>, metrics: &Metrics) {
        for why in &set.left_out {
            tracing::warn!(
                auth.issuer = self.settings.name,
                why,
                "a key of the issuer is left out"
            );
        }
        match fetched {
            Some(_) => metrics.keys_fetched(&self.settings.name, set.len()),
            None => metrics.keys_read(&self.settings.name, set.len()),
        }
        self.keys.store(Some(Arc::new(Keys { set, fetched })));
    }

    /// The keys, unless there are none or they are too old to be trusted.
    fn usable_keys(&self) -> Option<Arc<Keys>> {
        let too_old = |at: Instant| at.elapsed() > self.settings.max_stale;
        self.keys.load_full().filter(|keys| !keys.fetched.is_some_and(too_old))
    }

    fn verify_signature(&self, token: &Token<'_>) -> Result<(), Refusal> {
        if let Some(kinds) = &self.settings.token_types {
            let kind = token.kind.as_deref().unwrap_or_default();
            if !kinds.iter().any(|taken| token::is_type(kind, taken)) {
                return Err(Refusal::claims(
                    "the token is of another type (`typ`): send an access token, not an ID token",
                ));
            }
        }
        if !self.settings.algorithms.contains(&token.algorithm) {
            return Err(Refusal::new(
                AuthResult::UnknownKey,
                format!("`{}` is not taken from this issuer", token.algorithm.name()),
            ));
        }
        let Some(keys) = self.usable_keys() else {
            return Err(Refusal::new(
                AuthResult::KeysUnavailable,
                "the keys of your token's issuer are not at hand: try again in a moment",
            ));
        };
        let key = keys.set.find(token.key_id.as_deref(), token.algorithm).ok_or_else(|| {
            Refusal::new(
                AuthResult::UnknownKey,
                "the token is signed with a key that its issuer does not publish: get a fresh one",
            )
        })?;
        let algorithm = keys::jwt_algorithm(token.algorithm);
        match jsonwebtoken::crypto::verify(token.signature, token.message, key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Refusal::new(
                AuthResult::BadSignature,
                "the token's signature is not its issuer's",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
