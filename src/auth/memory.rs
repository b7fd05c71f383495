//! Tokens that were verified already: verifying one costs more than all the rest of a request,
//! and a caller sends the same one for minutes.

use std::time::SystemTime;

use aws_lc_rs::digest;
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use super::claims::Validity;
use crate::domain::Caller;

/// How many bytes the tokens of one key set may take, roughly: some thousands of callers.
const MAX_BYTES: u64 = 2 * 1024 * 1024;

/// Parts of the memory with a lock each. It is not the number of cores, as it is by default: a part
/// takes no entry that is larger than itself, so on many cores callers in many groups would never
/// be remembered.
const SHARDS: usize = 8;

/// What an entry takes besides its caller's names.
const ENTRY: u64 = 192;

/// What a name takes besides its bytes.
const NAME: u64 = 48;

/// A token's SHA-256: whoever finds another text with the same one can forge signatures too.
pub(super) type TokenId = [u8; digest::SHA256_OUTPUT_LEN];

/// The whole token's id, its signature included.
pub(super) fn id(token: &str) -> TokenId {
    let mut id = [0; digest::SHA256_OUTPUT_LEN];
    id.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    id
}

/// The tokens that one key set has verified, bounded. A flood of tokens that come once does not
/// drive out those that come often.
#[derive(Debug)]
pub(super) struct Memory(Cache<TokenId, Verified, ByBytes>);

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
        // None is missing: capacities are all that there is to give.
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
        Self(cache)
    }

    /// Whose token it is, if it was verified before and counts at that time.
    pub(super) fn find(&self, token: &TokenId, now: SystemTime) -> Option<Caller> {
        let found = self.0.get(token)?;
        found.validity.holds(now).then_some(found.caller)
    }

    /// Remembers a token that has passed every check.
    pub(super) fn keep(&self, token: TokenId, caller: &Caller, validity: Validity) {
        self.0.insert(token, Verified { caller: caller.clone(), validity });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
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
