//! Random bytes, and hexadecimal digits of them and of hashes.

use crate::error::Fault;

/// The length of a SHA-256, of a signature and of a random secret, in bytes.
pub(super) const BYTES: usize = 32;

/// So many random bytes.
///
/// # Errors
/// When the system gives none.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Fault::new("the system gives no random bytes: try again"))?;
    Ok(bytes)
}

/// 32 bytes in hexadecimal digits, in lower case. Of more bytes, only the first 32.
pub(super) fn hex(bytes: &[u8]) -> [u8; 2 * BYTES] {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    debug_assert_eq!(bytes.len(), BYTES);
    let mut digits = [0; 2 * BYTES];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    digits
}

/// The bytes of 64 hexadecimal digits in lower case.
pub(super) fn from_hex(text: &str) -> Option<[u8; BYTES]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; BYTES];
    if text.len() != 2 * BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |byte: u8, digit| Some(byte << 4 | nibble(*digit)?))?;
    }
    Some(bytes)
}
