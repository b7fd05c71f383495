//! Reads the header `traceparent`.

/// A caller's place in a distributed trace, as the header `traceparent` says it (W3C Trace Context,
/// level 1). It goes into the log, so that the gateway's events are found from the caller's trace, and
/// onto the spans that are exported; it decides nothing and is not passed on to ZEC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: String,
    parent_id: String,
    sampled: bool,
}

impl TraceParent {
    /// Takes `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, digits in lower case; a later version
    /// may have more behind it. Anything else is none: a caller's trace must not fail their request.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.splitn(4, '-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let parent_id = hex(parts.next()?, 16)?;
        let rest = parts.next()?;
        let (flags, more) = rest.split_at_checked(2)?;
        let flags = u8::from_str_radix(hex(flags, 2)?, 16).ok()?;
        let whole = more.is_empty() || (version != "00" && more.starts_with('-'));
        let zero = |id: &str| id.bytes().all(|digit| digit == b'0');
        if !whole || version == "ff" || zero(trace_id) || zero(parent_id) {
            return None;
        }
        // Level 1 knows this flag; what the others will mean is nobody's guess.
        let sampled = flags & 1 == 1;
        Some(Self { trace_id: trace_id.to_owned(), parent_id: parent_id.to_owned(), sampled })
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The caller's span in it.
    #[must_use]
    pub fn parent_id(&self) -> &str {
        &self.parent_id
    }

    /// Whether the caller keeps spans of this trace.
    #[must_use]
    pub fn sampled(&self) -> bool {
        self.sampled
    }
}

fn hex(text: &str, digits: usize) -> Option<&str> {
    let lower = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    (text.len() == digits && text.bytes().all(lower)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_traceparent_is_taken_in_its_one_form() {
        for (header, sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-fe"), false),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), true),
        ] {
            let parent = TraceParent::parse(&header).unwrap();
            assert_eq!((parent.trace_id(), parent.parent_id()), (TRACE, SPAN));
            assert_eq!(parent.sampled(), sampled, "{header}");
        }
        for header in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("cc-{TRACE}-{SPAN}-01more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}x-{SPAN}-01"),
            format!("00-{SPAN}-{TRACE}-01"),
            "00-é".to_owned(),
        ] {
            assert_eq!(TraceParent::parse(&header), None, "{header}");
        }
    }
}
