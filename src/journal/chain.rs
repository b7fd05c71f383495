//! The entries of the journal, and the chain that their hashes form.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// The first bytes under every hash, so that the hash can never be mistaken for another protocol's.
const DOMAIN: &[u8] = b"zec-gateway journal entry 2";

/// SHA-256 of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub(super) [u8; 32]);

impl Hash {
    /// The value that the first entry has for its previous hash.
    pub const NONE: Self = Self([0; 32]);

    /// The first 16 hexadecimal digits: enough for people and labels to recognise a head.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(16).collect()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The end of a chain. Anyone who keeps a head can check later that nothing was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many entries there are.
    pub length: i64,
    /// The last entry's hash; [`Hash::NONE`] if there are no entries.
    pub hash: Hash,
}

impl Head {
    /// The head of a chain without entries.
    pub const EMPTY: Self = Self { length: 0, hash: Hash::NONE };
}

/// One entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the chain, counted from 1, without gaps.
    pub seq: i64,
    /// Canonical JSON, as docs/journal-format.md describes it.
    pub content: String,
    /// The hash of the entry before it.
    pub previous: Hash,
    /// The hash of this entry.
    pub hash: Hash,
}

/// The hash of an entry with this content at this place. It is SHA-256 over the 27 bytes of `zec-gateway
/// journal entry 2`, the previous entry's hash, the place (64 bits, big-endian), and the content's bytes.
#[must_use]
pub(super) fn hash(seq: i64, previous: Hash, content: &str) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(DOMAIN);
    context.update(&previous.0);
    context.update(&seq.to_be_bytes());
    context.update(content.as_bytes());
    // SHA-256 always gives 32 bytes.
    Hash(context.finish().as_ref().try_into().unwrap_or_default())
}

impl Entry {
    /// The entry that follows `head` with this content.
    #[must_use]
    pub fn after(head: Head, content: String) -> Self {
        let seq = head.length + 1;
        let hash = hash(seq, head.hash, &content);
        Self { seq, content, previous: head.hash, hash }
    }

    /// The head of a chain that ends with this entry.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { length: self.seq, hash: self.hash }
    }

    /// Checks that the entry follows `head`, and that its content is the one that was written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, head: Head) -> Result<(), Broken> {
        let broken = |seq, what: String| Err(Broken { seq, what });
        let due = head.length + 1;
        if self.seq != due {
            return broken(due, format!("it is missing: the next one is entry {}", self.seq));
        }
        if self.previous != head.hash {
            return broken(due, "it does not follow the entry before it".to_owned());
        }
        if hash(self.seq, self.previous, &self.content) != self.hash {
            return broken(due, "it was changed: its hash is that of another content".to_owned());
        }
        Ok(())
    }
}

/// The first broken link of a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}: {what}")]
pub struct Broken {
    /// The place of the broken entry.
    pub seq: i64,
    /// What is wrong with it, for people.
    pub what: String,
}
