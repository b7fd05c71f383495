//! A trusted issuer: its keys, how long they may be used, and the signature checks.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    IssuerSettings, KeySet, KeySource,
    claims::{self, GoodClaims},
    demand::Demand,
    keys::{MAX_TRIED, NoKey},
    memory::{Memory, TokenId},
    refusal::Refusal,
    token::{self, Token},
};
use crate::{
    domain::Caller,
    metrics::{AuthResult, Metrics},
};

/// A trusted issuer with its current keys.
#[derive(Debug)]
pub(super) struct Issuer {
    settings: IssuerSettings,
    keys: ArcSwapOption<KeysInUse>,
    groups: Groups,
    /// Carries the callers' demand to the task that refreshes the keys.
    pub(super) demand: Demand,
    /// The one permit for writing the keys to disk.
    pub(super) writing: Arc<Semaphore>,
    /// The one permit for reading the issuer's files, so that a disk that hangs blocks one thread only.
    pub(super) reading: Arc<Semaphore>,
}

/// Whether good tokens had the groups claim.
#[derive(Debug, Default)]
struct Groups {
    found: AtomicBool,
    missed: AtomicBool,
}

/// A key set with the time until which it may be used.
#[derive(Debug)]
struct KeysInUse {
    live: Arc<VerifiedSet>,
    /// `None` for a file: the operator decides how fresh it is.
    usable_until: Option<Instant>,
}

/// A key set with the tokens that it has verified. Both are dropped together, so a token is never remembered longer
/// than its key.
#[derive(Debug)]
pub(super) struct VerifiedSet {
    set: KeySet,
    pub(super) memory: Memory,
}

impl KeysInUse {
    fn are_usable(&self) -> bool {
        self.usable_until.is_none_or(|until| Instant::now() < until)
    }
}

impl Issuer {
    pub(super) fn new(settings: IssuerSettings) -> Self {
        let (keys, demand) = (ArcSwapOption::empty(), Demand::default());
        let (groups, place) = (Groups::default(), || Arc::new(Semaphore::new(1)));
        Self { settings, keys, groups, demand, writing: place(), reading: place() }
    }

    pub(super) fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Whether tokens with this `iss` belong to this issuer; the two texts must be identical.
    pub(super) fn is(&self, iss: &str) -> bool {
        self.settings.issuer == iss
    }

    /// Records whether a good token had the groups claim.
    pub(super) fn note(&self, found: GoodClaims) {
        let claim = &self.settings.groups_claim;
        if found.groups_claim {
            // Most requests find the flag set and so write no shared memory.
            if !self.groups.found.load(Ordering::Relaxed)
                && !self.groups.found.swap(true, Ordering::Relaxed)
                && self.groups.missed.load(Ordering::Relaxed)
            {
                tracing::info!(auth.issuer = self.name(), %claim, "a token had the groups claim");
            }
        } else if !self.groups.found.load(Ordering::Relaxed)
            && !self.groups.missed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                auth.issuer = self.name(),
                %claim,
                "no token of the issuer has had the groups claim yet: if this continues, set \
                 `groups_claim`, because a `forbid` for a group does not apply if the group is not \
                 found"
            );
        }
    }

    /// Whether there were good tokens and none of them had the groups claim.
    pub(super) fn has_no_groups(&self) -> bool {
        self.groups.missed.load(Ordering::Relaxed) && !self.groups.found.load(Ordering::Relaxed)
    }

    /// Whether the issuer has keys that may be used.
    pub(super) fn has_keys(&self) -> bool {
        self.usable_keys().is_some_and(|live| live.set.len() > 0)
    }

    /// Takes the keys from a file's content and returns how many of them can be used.
    pub(super) fn take_file(&self, document: &[u8], metrics: &Metrics) -> Result<usize, String> {
        let set = KeySet::parse_file(document)?;
        let keys = set.len();
        metrics.keys_read(self.name(), keys);
        self.put(set, None);
        Ok(keys)
    }

    /// Takes a key set of this age. A set older than `max_stale` is never used.
    pub(super) fn take(&self, set: KeySet, age: Duration) {
        let usable_until = Instant::now() + self.settings.max_stale.saturating_sub(age);
        self.put(set, Some(usable_until));
    }

    fn put(&self, set: KeySet, usable_until: Option<Instant>) {
        let before = self.keys.load_full().map(|keys| Arc::clone(&keys.live));
        let live = match before {
            // Only the time has changed, so verified tokens stay verified.
            Some(live) if live.set.is_same(&set) => live,
            before => {
                self.warn_of_unusable_keys(before.as_deref(), &set);
                Arc::new(VerifiedSet { set, memory: Memory::new() })
            }
        };
        self.keys.store(Some(Arc::new(KeysInUse { live, usable_until })));
    }

    /// Logs only when the unusable keys change: some providers publish encryption keys beside the others for years.
    fn warn_of_unusable_keys(&self, before: Option<&VerifiedSet>, set: &KeySet) {
        if before.is_none_or(|live| live.set.left_out != set.left_out) {
            for why in &set.left_out {
                tracing::warn!(auth.issuer = self.name(), %why, "a key of the issuer is left out");
            }
        }
    }

    #[cfg(test)]
    pub(super) fn live(&self) -> Arc<VerifiedSet> {
        self.usable_keys().unwrap()
    }

    /// The keys, unless the issuer has none or they are too old to be trusted.
    fn usable_keys(&self) -> Option<Arc<VerifiedSet>> {
        let keys = self.keys.load();
        let keys = keys.as_ref().filter(|keys| keys.are_usable())?;
        Some(Arc::clone(&keys.live))
    }

    /// The caller of this token, if the current keys have verified it before and it is still valid.
    pub(super) fn remembered(&self, token: &TokenId, now: SystemTime) -> Option<Caller> {
        let keys = self.keys.load();
        let keys = keys.as_ref().filter(|keys| keys.are_usable())?;
        keys.live.memory.find(token, now)
    }

    /// Checks that one of the issuer's keys signed the token, and returns the key set that verified it.
    ///
    /// # Errors
    /// When none of them did, or the gateway cannot find out.
    pub(super) async fn verify_signature(
        &self,
        token: &Token<'_>,
        now: SystemTime,
    ) -> Result<Arc<VerifiedSet>, Refusal> {
        self.takes(token)?;
        let keys = self.keys_at_hand()?;
        let Err(unverified) = check(token, &keys.set) else { return Ok(keys) };
        // An expired token is invalid under any key, so there is no need to ask the issuer.
        if let Err(over) = claims::times(&token.claims, &self.settings, now) {
            return Err(if unverified == Unverified::NoKey(NoKey::Unknown) {
                over
            } else {
                unverified.into_refusal()
            });
        }
        // The issuer may sign with a new key since the last fetch, under a new key id or under the old one.
        let fetched = match self.settings.keys {
            KeySource::File(_) => true,
            KeySource::Url(_) | KeySource::Discovery => self.demand.fresh_keys().await,
        };
        let fresh = self.keys_at_hand()?;
        let still = if Arc::ptr_eq(&keys, &fresh) {
            unverified
        } else {
            match check(token, &fresh.set) {
                Ok(()) => return Ok(fresh),
                Err(still) => still,
            }
        };
        // A bad signature stays a 401, even though the provider may have given an old key id to a new key while it was
        // unreachable. Otherwise forged tokens would look like an outage of the provider.
        Err(if still == Unverified::NoKey(NoKey::Unknown) && !fetched {
            Refusal::new(
                AuthResult::KeysUnavailable,
                "the token's key is not known, and its issuer cannot be asked for it now: try \
                 again in a moment",
            )
        } else {
            still.into_refusal()
        })
    }

    /// Whether the issuer's settings allow this `typ` and algorithm.
    fn takes(&self, token: &Token<'_>) -> Result<(), Refusal> {
        if let Some(kinds) = &self.settings.token_types {
            let kind = token.header.kind.as_deref().unwrap_or_default();
            if !kinds.iter().any(|taken| token::is_type(kind, taken)) {
                return Err(Refusal::claims(
                    "the token is of another type (`typ`): send an access token, not an ID token",
                ));
            }
        }
        if !self.settings.algorithms.contains(&token.header.algorithm) {
            return Err(Refusal::new(
                AuthResult::UnknownKey,
                format!(
                    "`{}` is not an accepted algorithm for this issuer (`algorithms`)",
                    token.header.algorithm.name()
                ),
            ));
        }
        Ok(())
    }

    fn keys_at_hand(&self) -> Result<Arc<VerifiedSet>, Refusal> {
        self.usable_keys().ok_or_else(|| {
            // No request waits for a provider that is down, but this makes the next retry come sooner.
            self.demand.raise();
            Refusal::new(
                AuthResult::KeysUnavailable,
                "the keys of your token's issuer are not at hand: try again in a moment",
            )
        })
    }
}

/// Why a key set does not verify a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unverified {
    /// No key in the set can have signed it.
    NoKey(NoKey),
    /// None of the keys that fit has signed it.
    BadSignature,
    /// None of the keys tried has signed it, and more keys fit.
    TooManyFit,
}

/// Tries each key that fits, up to [`MAX_TRIED`], which bounds the cost of a token.
fn check(token: &Token<'_>, set: &KeySet) -> Result<(), Unverified> {
    let (names, algorithm) = (&token.header.key, token.header.algorithm);
    let signature = URL_SAFE_NO_PAD.decode(token.signature).unwrap_or_default();
    let mut tried = 0;
    for key in set.fitting(names, algorithm) {
        if tried == MAX_TRIED {
            return Err(Unverified::TooManyFit);
        }
        tried += 1;
        if key.verify_sig(token.message, &signature).is_ok() {
            return Ok(());
        }
    }
    Err(match tried {
        0 => Unverified::NoKey(set.why_none_fits(names)),
        _ => Unverified::BadSignature,
    })
}

impl Unverified {
    fn into_refusal(self) -> Refusal {
        let unknown = |detail: Cow<'static, str>| Refusal::new(AuthResult::UnknownKey, detail);
        let bad = |detail| Refusal::new(AuthResult::BadSignature, detail);
        match self {
            Self::NoKey(NoKey::LeftOut(why)) => unknown(
                format!(
                    "the token's issuer publishes the key that signed it, and the gateway cannot use \
                     that key ({why}): tell the operators"
                )
                .into(),
            ),
            Self::NoKey(NoKey::OfAnotherAlgorithm) => unknown(
                "the key that the token names signs with another algorithm: get a fresh token".into(),
            ),
            Self::NoKey(NoKey::Unknown) => unknown(
                "the token is signed with a key that its issuer does not publish: get a fresh one"
                    .into(),
            ),
            Self::BadSignature => bad("the token's signature is not its issuer's"),
            Self::TooManyFit => bad(
                "more than four keys of the issuer fit the token, and none of the first four signed \
                 it: have the issuer name the key in the token (`kid`)",
            ),
        }
    }
}
