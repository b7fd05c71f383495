//! Months of the calendar, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// The beginning of the month that is this many whole months before the month of `now`. Anything older has
/// expired. `None` before 1970.
pub(super) fn begun_before(now: SystemTime, months: u32) -> Option<SystemTime> {
    let text = humantime::format_rfc3339_seconds(now.max(UNIX_EPOCH)).to_string();
    let mut parts = text.split('-');
    let year: u32 = parts.next()?.parse().ok()?;
    let month: u32 = parts.next()?.parse().ok()?;
    let count = (year * 12 + month).checked_sub(1)?.checked_sub(months)?;
    let (year, month) = (count / 12, count % 12 + 1);
    humantime::parse_rfc3339(&format!("{year:04}-{month:02}-01T00:00:00Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_months_are_kept_over_the_turn_of_the_year() {
        let at = |text: &str| humantime::parse_rfc3339(text).unwrap();
        for (now, months, begun) in [
            ("2026-11-25T05:00:00Z", 1, "2026-10-01T00:00:00Z"),
            ("2026-11-01T00:00:00Z", 1, "2026-10-01T00:00:00Z"),
            ("2026-10-31T23:59:59Z", 1, "2026-09-01T00:00:00Z"),
            ("2026-01-31T12:00:00Z", 1, "2025-12-01T00:00:00Z"),
            ("2026-12-31T12:00:00Z", 12, "2025-12-01T00:00:00Z"),
            ("2028-03-31T12:00:00Z", 25, "2026-02-01T00:00:00Z"),
        ] {
            assert_eq!(begun_before(at(now), months), Some(at(begun)), "{now} {months}");
        }
        assert_eq!(begun_before(at("1970-02-01T00:00:00Z"), 30), None);
    }
}
