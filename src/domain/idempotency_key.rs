//! The `Idempotency-Key` of a request, checked.

/// The most characters of a key.
const MAX_CHARS: usize = 255;

/// A caller's own name for a request, so that the gateway does it once however often the caller sends it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Why some bytes cannot become an [`IdempotencyKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an `Idempotency-Key` is 1 to 255 visible ASCII characters: a fresh UUID is a good one")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Takes 1 to 255 visible ASCII characters (docs/api.md, "Forms and limits"); a space is not visible.
    ///
    /// # Errors
    /// If the bytes have any other form.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdempotencyKeyError> {
        let visible = bytes.iter().all(u8::is_ascii_graphic);
        if !visible || !(1..=MAX_CHARS).contains(&bytes.len()) {
            return Err(IdempotencyKeyError);
        }
        let text = str::from_utf8(bytes).map_err(|_| IdempotencyKeyError)?;
        Ok(Self(text.to_owned()))
    }

    /// The key as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_and_of_bounded_length() {
        let longest = "k".repeat(255);
        for good in ["a", "0195e3d0-aaaa-7bbb-8ccc-ddddeeeeffff", "!~\"", longest.as_str()] {
            assert_eq!(IdempotencyKey::parse(good.as_bytes()).unwrap().as_str(), good);
        }
        let too_long = "k".repeat(256);
        for bad in ["", " ", "a b", "a\t", "\u{7f}", "ä", too_long.as_str()] {
            assert_eq!(IdempotencyKey::parse(bad.as_bytes()), Err(IdempotencyKeyError), "{bad}");
        }
    }
}
