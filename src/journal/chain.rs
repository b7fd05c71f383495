//! The entries and the chain that their hashes make.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// What a hash is over begins with this, so that it can never be another protocol's.
const DOMAIN: &[u8] = b"zec-gateway journal entry 1";

/// SHA-256 of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub(super) [u8; 32]);

impl Hash {
    /// What the first entry has for its previous one.
    pub const NONE: Self = Self([0; 32]);

    /// The first 16 hexadecimal digits: enough to recognise a head by, for people and labels.
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

/// The end of a chain. Whoever keeps one can tell later that nothing was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many entries there are.
    pub length: i64,
    /// The last one's hash; [`Hash::NONE`] where there are none.
    pub hash: Hash,
}

impl Head {
    /// That of a chain without entries.
    pub const EMPTY: Self = Self { length: 0, hash: Hash::NONE };
}

/// What an entry says, without its place in the chain. An intent names caller, vNIC, action and
/// request; an outcome only its operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Of which operation, by its id.
    pub operation: String,
    /// `intent` or `outcome`.
    pub kind: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Who asked.
    pub caller: Option<String>,
    /// On which vNIC.
    pub nic: Option<String>,
    /// Which of ZEC's actions.
    pub action: Option<String>,
    /// The gateway's id of the request.
    pub request_id: Option<String>,
    /// The outcome's label; an intent's is `pending`.
    pub outcome: String,
    /// The rest, as a JSON object.
    pub body: String,
}

/// One entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 1, without gaps.
    pub seq: i64,
    /// What it says.
    pub content: Content,
    /// The hash of the entry before.
    pub previous: Hash,
    /// Its own.
    pub hash: Hash,
}

impl Content {
    /// The hash of an entry that says this at this place.
    ///
    /// SHA-256 over: the 27 bytes of `zec-gateway journal entry 1`, the previous entry's hash,
    /// then seq, operation, kind, at, caller, nic, action, `request_id`, outcome and body, each as
    /// one byte 1, its length in bytes (64 bits, big-endian) and its bytes; numbers are 64 bits,
    /// big-endian; a column that is NULL is one byte 0. With the lengths before them no two
    /// different entries run together into the same bytes.
    #[must_use]
    pub fn hash(&self, seq: i64, previous: Hash) -> Hash {
        let mut context = Context::new(&SHA256);
        context.update(DOMAIN);
        context.update(&previous.0);
        let (seq, at) = (seq.to_be_bytes(), self.at.to_be_bytes());
        let columns: [Option<&[u8]>; 10] = [
            Some(&seq),
            Some(self.operation.as_bytes()),
            Some(self.kind.as_bytes()),
            Some(&at),
            self.caller.as_deref().map(str::as_bytes),
            self.nic.as_deref().map(str::as_bytes),
            self.action.as_deref().map(str::as_bytes),
            self.request_id.as_deref().map(str::as_bytes),
            Some(self.outcome.as_bytes()),
            Some(self.body.as_bytes()),
        ];
        for column in columns {
            match column {
                None => context.update(&[0]),
                Some(bytes) => {
                    context.update(&[1]);
                    context.update(&(bytes.len() as u64).to_be_bytes());
                    context.update(bytes);
                }
            }
        }
        // SHA-256 has 32 bytes, always.
        Hash(context.finish().as_ref().try_into().unwrap_or_default())
    }

    /// The entry that follows `head` with this content.
    #[must_use]
    pub fn follow(self, head: Head) -> Entry {
        let seq = head.length + 1;
        let hash = self.hash(seq, head.hash);
        Entry { seq, content: self, previous: head.hash, hash }
    }
}

impl Entry {
    /// The head of a chain that ends with this entry.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { length: self.seq, hash: self.hash }
    }

    /// Looks whether the entry follows `head` and says what it said when it was written.
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
        if self.content.hash(self.seq, self.previous) != self.hash {
            return broken(due, "it was changed: its hash is that of another content".to_owned());
        }
        Ok(())
    }
}

/// The first link of a chain that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}: {what}")]
pub struct Broken {
    /// At which place.
    pub seq: i64,
    /// What is wrong.
    pub what: String,
}
