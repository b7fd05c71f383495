//! Measures how deeply a policy is nested, without recursion. Cedar's parser and validator recurse, so without this
//! check a file with endless brackets or `||` would crash the process instead of being a fault.

/// The stack of a thread that parses policies accepted by [`too_deep`]; it has room to spare. In a build without
/// optimisation, 250 brackets took less than 16 MiB.
pub(super) const STACK: usize = 32 << 20;

/// The greatest depth that is accepted. An operator in a row counts 1, a bracket [`BRACKET`]. Rows of 400 could be
/// evaluated on threads with 2 MiB, which is what the serving threads have. At 490 Cedar reported too little stack, and
/// a policy that cannot be evaluated denies every request.
const DEEPEST: usize = 300;
/// For each bracket, the parser descends through every level of its grammar.
const BRACKET: usize = 4;

/// The depth of a place in the text.
#[derive(Default)]
struct Depth {
    /// The total depth.
    whole: usize,
    /// Within the place's own brackets: the operators in a row, and the dots since the last operator.
    here: (usize, usize),
    /// The same for each bracket around it.
    around: Vec<(usize, usize)>,
    /// How many conditions the policy has, because Cedar joins them into one row.
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
                    // The expression after an access contains the part before it, as after a dot.
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
            // Cedar allows no rows of comparisons, and at most four signs before a value.
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

    /// Text before this point no longer adds depth to what follows.
    fn leave(&mut self) {
        let (operators, dots) = std::mem::take(&mut self.here);
        self.whole = self.whole.saturating_sub(operators + dots);
    }
}

/// The byte offset at which a text becomes too deep; `None` if it never does.
///
/// The count is rather too high than too low. Every operator since the last comma or bracket adds depth to what
/// follows, whatever its precedence.
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

/// The length in bytes of the token at the start of the text. Anything that is no token counts as one character.
pub(super) fn token(text: &str) -> usize {
    let first = text.chars().next().map_or(1, char::len_utf8);
    let up_to = |end: Option<usize>| end.unwrap_or(text.len());
    if text.starts_with("//") {
        // As in Cedar, either character ends the line.
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
