//! Cuts the text of policies into pieces.

use super::depth::token;

/// The length at which a piece of a text ends with the next policy, in bytes.
const PIECE: usize = 16 << 10;

/// The text in pieces of whole policies, each with the offset at which it begins. Cedar's parser takes many times the memory
/// of its text, and the allocator keeps that.
pub(super) fn pieces(text: &str) -> Vec<(usize, &str)> {
    let (mut pieces, mut begin, mut rest) = (Vec::new(), 0, text);
    while !rest.is_empty() {
        let (token, after) = rest.split_at_checked(token(rest)).unwrap_or((rest, ""));
        let end = text.len() - after.len();
        // A semicolon ends a policy, and is in nothing else but texts and comments.
        if token == ";" && end - begin >= PIECE || after.is_empty() {
            pieces.extend(text.get(begin..end).map(|piece| (begin, piece)));
            begin = end;
        }
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_policies_and_all_of_the_text() {
        let policy = "@id(\"a;b\") // c;d\npermit (principal, action, resource) when { true };\n";
        let text = policy.repeat(1_000) + "// the end";
        let found = pieces(&text);
        assert!(
            found.len() > 3 && found.iter().all(|(_, piece)| piece.len() < PIECE + policy.len())
        );
        assert_eq!(found.iter().map(|(_, piece)| *piece).collect::<String>(), text);
        for (begin, piece) in &found {
            assert!(text[*begin..].starts_with(piece));
        }
        assert!(found.iter().rev().skip(1).all(|(_, piece)| piece.ends_with("};")));
        assert!(pieces("").is_empty());
    }
}
