//! Pieces of foreign text, bounded and made harmless, for messages and logs.

/// The most characters of a foreign text in a message.
const EXCERPT: usize = 64;

/// The first 64 characters, with control characters escaped.
#[must_use]
pub fn excerpt(text: &str) -> String {
    excerpt_of(text, EXCERPT)
}

/// The first `most` characters, with control characters escaped.
#[must_use]
pub fn excerpt_of(text: &str, most: usize) -> String {
    text.chars().take(most).flat_map(char::escape_debug).collect()
}

/// The first `most` characters that are not control characters.
#[must_use]
pub fn plain(text: &str, most: usize) -> String {
    // Most texts are printable ASCII, of which each byte is a character.
    let is_printable = text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    if is_printable {
        return text.get(..most.min(text.len())).unwrap_or_default().to_owned();
    }
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_bounded_and_harmless() {
        assert_eq!(excerpt(&"\n".repeat(9000)), "\\n".repeat(64));
        assert_eq!(excerpt_of("a\u{1b}[2Jb", 4), "a\\u{1b}[2");
        assert_eq!(plain("a\u{1b}[2J\nbc", 5), "a[2Jb");
        assert_eq!((plain("abc", 2), plain("abc", 9)), ("ab".to_owned(), "abc".to_owned()));
    }
}
