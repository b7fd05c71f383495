//! Turns what a request offers into a [`Caller`]: a bearer token, or a signature with an access key.
//!
//! `door.rs` finds the scheme by what the header says. A token's `iss` selects the issuer, its `kid` selects the key
//! within that issuer's own set, and the key determines the algorithm. Nothing that decides comes from the token alone.
//!
//! Keys are fetched and refreshed off the request path. Only a token with an unknown `kid` or a bad signature waits,
//! for a second at most, for the refresh that it triggers.

mod issued_keys;
mod algorithm;
mod bearer;
mod cache;
mod claim;
mod claims;
mod demand;
mod door;
mod discovery;
#[cfg(fuzzing)]
pub(crate) mod fuzz_entry;
mod fetch;
mod issuer;
mod keys;
mod memory;
mod refresh;
mod refusal;
mod settings;
mod token;

use std::{io, net::IpAddr, path::Path, sync::Arc, time::SystemTime};

use http::HeaderMap;

pub use crate::domain::KEYS_ISSUER;
pub use algorithm::Algorithm;
pub use claim::{ClaimPath, GroupsForm};
use door::Offered;
pub use issued_keys::{
    IssuedKeySettings, IssuedKeys, KeyEntry, KeyFile, KeyState, LastUses, MasterFile, NEED_TLS,
    NetworkError, NewKey, SignedHead, SignedRequest, fresh_master, network, replace_file,
};
use issuer::Issuer;
use keys::KeySet;
use refresh::Refresher;
use refusal::Refusal;
pub use settings::{IssuerSettings, KeySource, Settings};
use token::Headers;
#[cfg(fuzzing)]
use token::{Compact, Token};

use crate::{
    domain::Caller,
    error::{Error, Fault},
    files,
    metrics::{AuthResult, Metrics},
};

fn no_keys(number: usize, path: &Path, error: &str) -> Fault {
    Fault::new(format!("no keys can be read from the file: {error}"))
        .in_file(path)
        .at_key(format!("auth.issuers[{number}].jwks_file"))
}

fn cut_off(number: usize, path: &Path) -> Fault {
    let text = "the key set is empty: every token of this issuer is refused";
    Fault::new(text).in_file(path).at_key(format!("auth.issuers[{number}].jwks_file"))
}

/// The trusted issuers and their keys.
#[derive(Debug)]
pub struct Authenticator {
    issuers: Vec<Arc<Issuer>>,
    refresher: Refresher,
    warnings: Vec<Fault>,
    headers: Headers,
    issued_keys: Option<Arc<IssuedKeys>>,
    metrics: Arc<Metrics>,
}

/// What identifies a caller.
#[derive(Debug)]
pub enum Identified {
    /// The head of the request was enough.
    Caller(Caller),
    /// The request is signed: its body must be read, and passed to [`Authenticator::check_signature`].
    ByBody(Box<SignedRequest>),
}

impl Authenticator {
    /// Creates the authenticator from the settings. It reads the key files, and the key sets that were kept on disk.
    /// [`Self::refresh`] fetches all other keys.
    ///
    /// # Errors
    /// Every fault of every key file.
    pub fn load(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, Vec<Fault>> {
        Self::load_with(settings, metrics, &mut files::read)
    }

    /// As [`Self::load`], with key files read by `read`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(
        settings: &Settings,
        metrics: Arc<Metrics>,
        read: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, Vec<Fault>> {
        let refresher = Refresher::new(settings, Arc::clone(&metrics))?;
        let (mut faults, mut warnings, mut issuers) = (Vec::new(), Vec::new(), Vec::new());
        for (number, settings) in settings.issuers.iter().enumerate() {
            let issuer = Issuer::new(settings.clone());
            match &settings.keys {
                KeySource::File(path) => {
                    let read = read(path).map_err(|error| error.to_string());
                    let taken = read.and_then(|document| issuer.take_file(&document, &metrics));
                    warnings.extend((taken == Ok(0)).then(|| cut_off(number, path)));
                    faults.extend(taken.err().map(|error| no_keys(number, path, &error)));
                }
                KeySource::Url(_) | KeySource::Discovery => {
                    warnings.extend(refresher.recall(&issuer));
                }
            }
            issuers.push(Arc::new(issuer));
        }
        if faults.is_empty() {
            let headers = Headers::new();
            Ok(Self { issuers, refresher, warnings, headers, issued_keys: None, metrics })
        } else {
            Err(faults)
        }
    }

    /// The issuers whose keys are in a file: each one's name and file.
    pub fn key_files(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.issuers.iter().filter_map(|issuer| match &issuer.settings().keys {
            KeySource::File(path) => Some((issuer.name(), path.as_path())),
            KeySource::Url(_) | KeySource::Discovery => None,
        })
    }

    /// Replaces an issuer's keys with the keys that are now in its file. Returns how many of them can be used; 0 only
    /// if the file has an explicitly empty list.
    ///
    /// # Errors
    /// Why no key can be read; the previous keys stay in use.
    pub fn replace_keys(
        &self,
        issuer: &str,
        document: io::Result<&[u8]>,
    ) -> Result<usize, Vec<Fault>> {
        for (number, known) in self.issuers.iter().enumerate() {
            if let KeySource::File(path) = &known.settings().keys
                && known.name() == issuer
            {
                let read = document.map_err(|error| error.to_string());
                let taken = read.and_then(|document| known.take_file(document, &self.metrics));
                if taken == Ok(0) {
                    tracing::warn!("{}", cut_off(number, path));
                }
                return taken.map_err(|error| vec![no_keys(number, path, &error)]);
            }
        }
        Err(vec![Fault::new(format!("no issuer `{issuer}` has its keys in a file"))])
    }

    /// Findings at the start that are no faults but that the operator should know.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Whether somebody can call: at least one issuer has keys, or there is an access key.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.has_keys())
            || self.issued_keys.as_ref().is_some_and(|keys| keys.any())
    }

    /// The issuers' names, and whether each has keys, for `/readyz`.
    pub fn issuers(&self) -> impl Iterator<Item = (&str, bool)> {
        self.issuers.iter().map(|issuer| (issuer.name(), issuer.has_keys()))
    }

    /// The issuers whose tokens have all come without the groups claim, with the path where the claim should be. A
    /// group that the gateway cannot find lifts a `forbid`.
    pub fn without_groups(&self) -> impl Iterator<Item = (&str, &ClaimPath)> {
        let without = self.issuers.iter().filter(|issuer| issuer.has_no_groups());
        without.map(|issuer| (issuer.name(), &issuer.settings().groups_claim))
    }

    /// Fetches every key set once, concurrently; a failure is logged and counted.
    pub async fn refresh(&self) {
        self.refresher.once(&self.issuers).await;
    }

    /// Waits up to one second for the first keys, which [`Self::refresh_forever`] fetches.
    pub async fn first_keys(&self) {
        Refresher::first(&self.issuers).await;
    }

    /// Refreshes every key set periodically, for ever.
    pub async fn refresh_forever(&self) {
        self.refresher.forever(&self.issuers).await;
    }

    /// Takes signatures with these access keys too.
    #[must_use]
    pub fn with_access_keys(mut self, keys: Arc<IssuedKeys>) -> Self {
        self.warnings.extend(keys.warnings_at_start());
        self.issued_keys = Some(keys);
        self
    }

    /// The access keys, if there are any.
    #[must_use]
    pub const fn issued_keys(&self) -> Option<&Arc<IssuedKeys>> {
        self.issued_keys.as_ref()
    }

    /// Identifies the caller by a token, on a route that takes no signatures.
    ///
    /// Waits only if the current keys do not verify the token, and then for a second at most.
    ///
    /// # Errors
    /// 401 if the token is not accepted, 503 if its issuer's keys are not available.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<Caller, Error> {
        let mut issuer = None;
        let verified = match door::offered(headers) {
            Ok(Offered::Token(text)) => self.verify(text, now, &mut issuer).await,
            Ok(Offered::Signature(_)) => Err(self.access_keys().err().unwrap_or_else(elsewhere)),
            Err(refusal) => Err(refusal),
        };
        self.counted(issuer, verified)
    }

    /// Identifies the caller by a token, or reads what a signature with an access key says, on a route that takes both.
    ///
    /// Waits as [`Self::authenticate`] does.
    ///
    /// # Errors
    /// As [`Self::authenticate`]; also when the head of a signed request shows that it cannot be accepted.
    pub async fn authenticate_or_begin(
        &self,
        head: SignedHead<'_>,
        now: SystemTime,
    ) -> Result<Identified, Error> {
        let mut issuer = None;
        let identified = match door::offered(head.headers) {
            Ok(Offered::Token(text)) => {
                self.verify(text, now, &mut issuer).await.map(Identified::Caller)
            }
            Ok(Offered::Signature(text)) => match self.access_keys() {
                Ok(_) => {
                    issuer = Some(KEYS_ISSUER);
                    match IssuedKeys::begin(text, head, now) {
                        // It is counted when its signature is checked.
                        Ok(signed) => return Ok(Identified::ByBody(Box::new(signed))),
                        Err(refusal) => Err(refusal),
                    }
                }
                Err(refusal) => Err(refusal),
            },
            Err(refusal) => Err(refusal),
        };
        self.counted(issuer, identified)
    }

    /// Checks the signature of a request whose body has been read. `client` is where it came from.
    ///
    /// # Errors
    /// 401 if the signature is not accepted.
    pub fn check_signature(
        &self,
        signed: &SignedRequest,
        body: &[u8],
        client: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Caller, Error> {
        let checked = self.access_keys().and_then(|keys| keys.check(signed, body, client, now));
        self.counted(Some(KEYS_ISSUER), checked)
    }

    async fn verify<'a>(
        &'a self,
        token: &str,
        now: SystemTime,
        named: &mut Option<&'a str>,
    ) -> Result<Caller, Refusal> {
        bearer::verify(&self.issuers, &self.headers, token, now, named).await
    }

    fn access_keys(&self) -> Result<&IssuedKeys, Refusal> {
        self.issued_keys.as_deref().ok_or_else(|| {
            Refusal::new(
                AuthResult::Missing,
                "the call is signed with an access key, which this gateway does not take: give the client your token \
                 instead, as docs/clients.md says",
            )
        })
    }

    fn counted<T>(&self, issuer: Option<&str>, result: Result<T, Refusal>) -> Result<T, Error> {
        let counted = result.as_ref().err().map_or(AuthResult::Ok, |refusal| refusal.result);
        self.metrics.token_checked(issuer, counted);
        result.map_err(Refusal::into_error)
    }
}

/// The refusal of a signature where no client of ZEC's calls.
fn elsewhere() -> Refusal {
    Refusal::new(
        AuthResult::Missing,
        "only calls of `/api/v2/...` may be signed with an access key: send a token here, in one header \
         `Authorization: Bearer <JWT>`",
    )
}

#[cfg(test)]
mod tests;
