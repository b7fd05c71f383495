//! How deeply a policy is nested, found without recursion: Cedar's parser and validator recurse, and
//! a file without end to its brackets or `||` would end the process instead of being faulty.

/// How much stack a thread needs for policies that pass [`too_deep`], several times over: 250 brackets
/// took less than 16 MiB in a build without optimisation.
pub(super) const STACK: usize = 32 << 20;

/// The deepest that is taken. An operator in a row counts 1, a bracket [`BRACKET`]. Rows of 400 were
/// evaluated on threads with 2 MiB, as those that serve have; for 490 Cedar found too little stack
/// left, and a policy that cannot be evaluated lets nobody do anything.
const DEEPEST: usize = 300;
/// The parser passes every level of its grammar for a bracket.
const BRACKET: usize = 4;

/// How deep a place is.
#[derive(Default)]
struct Depth {
    /// In all.
    whole: usize,
    /// Within its own brackets: the operators in a row, and the dots since the last of them.
    here: (usize, usize),
    /// The same around each of its brackets.
    around: Vec<(usize, usize)>,
    /// How many conditions the policy has: Cedar makes one row of them.
    conditions: usize,
}

impl Depth {
    fn pass(&mut self, first: char, word: &str) {
        match first {
            '(' | '[' | '{' => {
                self.around.push(std::mem::take(&mut self.here));
                self.whole += BRACKET;
            }
            ')' | ']' | '}' => {
                self.leave();
                self.whole = self.whole.saturating_sub(BRACKET);
                self.here = self.around.pop().unwrap_or_default();
                if first == ']' {
                    // What stands behind an access has it inside, as behind a dot.
                    self.dot();
                }
            }
            ';' => {
                self.leave();
                self.whole = self.whole.saturating_sub(std::mem::take(&mut self.conditions));
            }
            ',' => self.leave(),
            '.' => self.dot(),
            'w' | 'u' if matches!(word, "when" | "unless") => {
                self.conditions += 1;
                self.whole += 1;
            }
            // Cedar takes comparisons in no row, and at most four signs before a value.
            '&' | '|' | '+' | '-' | '*' => self.operator(),
            'i' if word == "if" => self.operator(),
            _ => {}
        }
    }

    fn dot(&mut self) {
        self.here.1 += 1;
        self.whole += 1;
    }

    fn operator(&mut self) {
        self.whole = self.whole.saturating_sub(self.here.1) + 1;
        self.here = (self.here.0 + 1, 0);
    }

    /// Nothing before this deepens what comes after.
    fn leave(&mut self) {
        let (operators, dots) = std::mem::take(&mut self.here);
        self.whole = self.whole.saturating_sub(operators + dots);
    }
}

/// Where a text goes too deep, as an offset in bytes; none: nowhere.
///
/// Counted too high rather than too low: every operator since the last comma or bracket deepens
/// what stands there, whatever binds how.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut rest) = (Depth::default(), text);
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at_checked(token(rest)).unwrap_or((rest, ""));
        depth.pass(first, token);
        if depth.whole > DEEPEST {
            return Some(text.len() - rest.len());
        }
        rest = after;
    }
    None
}

/// How many bytes the token has that the text begins with; whatever is not one is one character.
fn token(text: &str) -> usize {
    let first = text.chars().next().map_or(1, char::len_utf8);
    let up_to = |end: Option<usize>| end.unwrap_or(text.len());
    if text.starts_with("//") {
        // As Cedar has it: either ends the line.
        return up_to(text.find(['\n', '\r']));
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
        let row = "a.b.c == d.e && ".repeat(290);
        for wide in [set, policies, words, mixed, row, "if_ ".repeat(5000), "ää\"ä".to_owned()] {
            assert_eq!(too_deep(&wide), None, "{wide:.60}");
        }
    }

    #[test]
    fn what_is_deep_is_found_where_it_gets_so() {
        let hidden = "// not at the end of a line\r(";
        let cases = [
            "(",
            "[",
            "{",
            "true || ",
            "1 + ",
            "if true then true else ",
            ".a",
            "[\"a\"]",
            "when { true }",
            "unless { a }",
            hidden,
        ];
        for piece in cases {
            let at = too_deep(&piece.repeat(5_000)).unwrap();
            assert!((70..10_000).contains(&at), "{piece}: {at}");
            assert_eq!(too_deep(&piece.repeat(70)), None, "{piece}");
        }
    }
}
