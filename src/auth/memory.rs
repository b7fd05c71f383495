//! Remembers verified tokens: verifying one costs more than the rest of a request, and a caller sends the same token
//! for minutes.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::SystemTime,
};

use aws_lc_rs::digest;
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use super::claims::Validity;
use crate::domain::Caller;

/// The approximate limit of the tokens of one key set, in bytes: enough for some thousands of callers.
const MAX_BYTES: u64 = 1024 * 1024;

/// The number of shards, each with its own lock. The default is the number of cores, but a shard rejects entries larger
/// than itself. On many cores, callers in many groups would then never be remembered.
const SHARDS: usize = 8;

/// The size of an entry without its caller's names, in bytes.
const ENTRY: u64 = 192;

/// The size of a name besides its text, in bytes.
const NAME: u64 = 16;

/// A token's SHA-256. To find another token with the same hash is as hard as to forge a signature.
pub(super) type TokenId = [u8; digest::SHA256_OUTPUT_LEN];

/// The id of the whole token, signature included.
pub(super) fn id(token: &str) -> TokenId {
    let mut id = [0; digest::SHA256_OUTPUT_LEN];
    id.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    id
}

/// The tokens that one key set has verified, bounded. The memory keeps a token when it comes for the second time. A
/// token that comes once therefore costs no more than without a memory, and evicts nothing.
#[derive(Debug)]
pub(super) struct Memory {
    kept: Cache<TokenId, Verified, ByBytes>,
    seen: SeenTokens,
}

/// Which tokens came before, by a few bits of their ids. If two tokens share these bits, the second is kept at first
/// sight, which is harmless.
#[derive(Debug)]
struct SeenTokens {
    bits: Box<[AtomicU64]>,
    set: AtomicUsize,
}

/// The number of bits. Once a quarter of them are set, all are cleared; otherwise every token would soon seem to have
/// come before.
const SEEN_BITS: usize = 1 << 16;

impl SeenTokens {
    fn new() -> Self {
        let bits = (0..SEEN_BITS / 64).map(|_| AtomicU64::new(0)).collect();
        Self { bits, set: AtomicUsize::new(0) }
    }

    /// Whether the token has probably come before; marks it as seen.
    fn before(&self, [high, low, ..]: &TokenId) -> bool {
        let place = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(word) = self.bits.get(place / 64) else { return true };
        let bit = 1 << (place % 64);
        if word.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return true;
        }
        if self.set.fetch_add(1, Ordering::Relaxed) == SEEN_BITS / 4 {
            self.set.store(0, Ordering::Relaxed);
            self.bits.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
        false
    }
}

#[derive(Clone, Debug)]
struct Verified {
    caller: Caller,
    validity: Validity,
}

impl Memory {
    pub(super) fn new() -> Self {
        let most = usize::try_from(MAX_BYTES / ENTRY).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(most)
            .weight_capacity(MAX_BYTES)
            .shards(SHARDS)
            .build();
        // No option is missing: the capacities are all that the builder needs.
        let cache = options.map_or_else(
            |_| Cache::with_weighter(most, MAX_BYTES, ByBytes),
            |options| {
                Cache::with_options(
                    options,
                    ByBytes,
                    DefaultHashBuilder::default(),
                    DefaultLifecycle::default(),
                )
            },
        );
        Self { kept: cache, seen: SeenTokens::new() }
    }

    /// The token's caller, if the token was verified before and is valid at that time.
    pub(super) fn find(&self, token: &TokenId, now: SystemTime) -> Option<Caller> {
        let found = self.kept.get(token)?;
        found.validity.holds(now).then_some(found.caller)
    }

    /// Remembers a token that has passed every check, unless this is its first time.
    pub(super) fn keep(&self, token: TokenId, caller: &Caller, validity: Validity) {
        if self.seen.before(&token) {
            self.kept.insert(token, Verified { caller: caller.clone(), validity });
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<TokenId, Verified> for ByBytes {
    fn weight(&self, _: &TokenId, token: &Verified) -> u64 {
        let groups: u64 = token.caller.group_ids().map(|id| id.len() as u64 + NAME).sum();
        ENTRY + token.caller.id().len() as u64 + groups
    }
}
