//! How deeply a policy is nested, found without recursion: Cedar's parser and validator recurse, and
//! a file without end to its brackets or `||` would end the process instead of being faulty.

/// How much stack a thread needs for policies that pass [`too_deep`], twice over: 1000 operators or
/// 250 brackets took less than 16 MiB in a build without optimisation.
pub(super) const STACK: usize = 32 << 20;

/// The deepest that is taken. An operator in a row counts 1, a bracket [`BRACKET`].
const DEEPEST: usize = 1000;
/// The parser passes every level of its grammar for a bracket.
const BRACKET: usize = 4;

/// Where a text goes too deep, as an offset in bytes; none: nowhere.
///
/// Counted too high rather than too low: every operator since the last comma or bracket deepens
/// what stands there, whatever binds how.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    // The operators in a row at each level of brackets, and the whole depth of the place.
    let (mut outer, mut row, mut depth) = (Vec::new(), 0, 0_usize);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = token(rest);
        match first {
            '(' | '[' | '{' => {
                outer.push(row);
                row = 0;
                depth += BRACKET;
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(row + BRACKET);
                row = outer.pop().unwrap_or_default();
            }
            ',' | ';' => {
                depth = depth.saturating_sub(row);
                row = 0;
            }
            '&' | '|' | '+' | '-' | '*' | '.' | '=' | '<' | '>' | '!' => {
                row += 1;
                depth += 1;
            }
            'i' if rest.get(..length) == Some("if") => {
                row += 1;
                depth += 1;
            }
            _ => {}
        }
        if depth > DEEPEST {
            return Some(text.len() - rest.len());
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    None
}

/// How many bytes the token has that the text begins with; whatever is not one is one character.
fn token(text: &str) -> usize {
    let first = text.chars().next().map_or(1, char::len_utf8);
    let up_to = |end: Option<usize>| end.unwrap_or(text.len());
    if text.starts_with("//") {
        return up_to(text.find('\n'));
    }
    if text.starts_with("&&") || text.starts_with("||") {
        return 2;
    }
    if text.starts_with('"') {
        let mut escaped = false;
        let end = text.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            is_end
        });
        return up_to(end.map(|(at, _)| at + 1));
    }
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    if text.starts_with(in_word) { up_to(text.find(|c| !in_word(c))) } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wide_is_not_deep() {
        let set = format!("[{}1]", "ip(\"10.0.0.1\"), ".repeat(10_000));
        let policies =
            "permit (principal, action, resource) when { 1 == 1 && 2 == 2 };".repeat(5_000);
        let words = "// (((((\n\"((((\\\"((((\"".repeat(1000);
        let mixed = format!("({} || {})", "(1 + 1),".repeat(900), "[1].contains(2),".repeat(900));
        for wide in [set, policies, words, mixed, "if_ ".repeat(5000), "ää\"ä".to_owned()] {
            assert_eq!(too_deep(&wide), None, "{wide:.60}");
        }
    }

    #[test]
    fn what_is_deep_is_found_where_it_gets_so() {
        let cases = ["(", "[", "{", "true || ", "1 + ", "if true then true else ", "context.a.b"];
        for piece in cases {
            let at = too_deep(&piece.repeat(5_000)).unwrap();
            assert!((250..30_000).contains(&at), "{piece}: {at}");
            assert_eq!(too_deep(&piece.repeat(100)), None, "{piece}");
        }
    }
}
