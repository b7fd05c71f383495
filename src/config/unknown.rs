//! Unknown keys, and the keys that were probably meant.

use super::{
    findings::Findings,
    origin::ValueOrigin,
    tree::{TomlNode, Value, shown},
    variables,
};

/// Reports an unknown key of a table, and each variable that sets something in it.
pub(super) fn report(findings: &Findings, table: &str, key: &str, node: &TomlNode, known: &[&str]) {
    let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
    let nearest = nearest(key, known);
    if let ValueOrigin::Line(_) = node.origin {
        let advice = match nearest {
            Some(meant) => format!("did you mean `{meant}`"),
            None => format!("known here are {}", known.join(", ")),
        };
        findings.fault(&path, &node.origin, format!("unknown key: {advice}"));
    }
    variables_in(node, &mut |name| {
        let advice = match nearest {
            Some(meant) => {
                let rest = name.get(variables::name(table, key).len()..).unwrap_or_default();
                format!("did you mean {}", shown(&(variables::name(table, meant) + rest)))
            }
            None => format!("there is no key {}", shown(&path)),
        };
        let origin = ValueOrigin::Variable(name.to_owned());
        findings.fault("", &origin, format!("unknown variable: {advice}"));
    });
}

fn variables_in(node: &TomlNode, report: &mut dyn FnMut(&str)) {
    match (&node.value, &node.origin) {
        (Value::Table(entries), _) => {
            for node in entries.values() {
                variables_in(node, report);
            }
        }
        (Value::List(items), _) => {
            for node in items {
                variables_in(node, report);
            }
        }
        (_, ValueOrigin::Variable(name)) => report(name),
        _ => {}
    }
}

/// The known key with the smallest difference, if that difference is small enough.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|candidate| (distance(key, candidate), *candidate));
    let (distance, candidate) = scored.min()?;
    (distance <= 1 + candidate.len() / 5).then_some(candidate)
}

/// The number of letters to change, add or remove (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut left = line + 1;
        let mut next = vec![left];
        for (b, pair) in to.chars().zip(row.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(a != b)).min(left + 1).min(above + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("listen", "listen"), 0);
        assert_eq!(distance("listn", "listen"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("abc", ""), 3);
    }

    #[test]
    fn only_a_near_key_is_suggested() {
        let known = ["listen", "max_body", "max_connections"];
        assert_eq!(nearest("listne", &known), Some("listen"));
        assert_eq!(nearest("max_conections", &known), Some("max_connections"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
