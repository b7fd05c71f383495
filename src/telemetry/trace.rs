//! Reads the header `traceparent`.

/// A caller's position in a distributed trace, from the header `traceparent` (W3C Trace Context, level 1). It is
/// logged, so that the gateway's events can be found from the caller's trace, and it is set on exported spans. It
/// affects no decision and is not sent to ZEC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: String,
    parent_id: String,
    sampled: bool,
}

impl TraceParent {
    /// Parses `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, with digits in lower case; a later version may
    /// append more. Any other text gives `None`: a caller's trace must not make their request fail.
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
        // Level 1 defines this flag. The meaning of the others is not known yet.
        let sampled = flags & 1 == 1;
        Some(Self { trace_id: trace_id.to_owned(), parent_id: parent_id.to_owned(), sampled })
    }

    /// The id of the trace, as 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The id of the caller's span, as 16 hex digits.
    #[must_use]
    pub fn parent_id(&self) -> &str {
        &self.parent_id
    }

    /// Whether the caller records spans of this trace.
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
