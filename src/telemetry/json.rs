//! Formats an event as one line of JSON: time, level, fields and target.

use std::{
    fmt::{self, Debug, Display, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Formats lines of JSON with their fields at the top level. The library's own JSON format uses a serializer and takes
/// three times as long, for each request.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Built here and passed on as a whole, because every write to the writer is a dynamic call.
        let mut text = String::with_capacity(USUAL_BYTES);
        write!(text, "{{\"timestamp\":\"{}", moment(SystemTime::now()))?;
        text.push_str("\",\"level\":\"");
        text.push_str(event.metadata().level().as_str());
        text.push('"');
        event.record(&mut JsonFields(&mut text));
        text.push_str(",\"target\":");
        string(&mut text, event.metadata().target());
        text.push_str("}\n");
        line.write_str(&text)
    }
}

/// A time in the form of RFC 3339; `humantime` panics for times before 1970.
fn moment(at: SystemTime) -> impl Display {
    humantime::format_rfc3339_micros(at.max(UNIX_EPOCH))
}

/// The usual length of a request's line, in bytes.
const USUAL_BYTES: usize = 512;

/// Writes fields in the order in which they arrive.
struct JsonFields<'a>(&'a mut String);

impl JsonFields<'_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut String)) {
        self.0.push(',');
        string(self.0, field.name());
        self.0.push(':');
        value(self.0);
    }

    fn show(&mut self, field: &Field, value: impl Display) {
        self.put(field, |text| {
            let _ = write!(text, "{value}");
        });
    }
}

impl Visit for JsonFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |text| string(text, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.show(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.show(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.show(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has only finite numbers.
        if value.is_finite() {
            self.show(field, value);
        } else {
            self.show(field, "null");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |text| {
            text.push('"');
            // Fails only if the value's own `Debug` does. The text then ends there, and the line goes on.
            let _ = write!(Escaped(text), "{value:?}");
            text.push('"');
        });
    }
}

fn string(text: &mut String, value: &str) {
    text.push('"');
    escape(text, value);
    text.push('"');
}

/// Escapes what is written for a JSON string.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, value: &str) -> fmt::Result {
        escape(self.0, value);
        Ok(())
    }
}

/// Writes the inside of a JSON string (RFC 8259, 7): characters that must not appear there are escaped.
fn escape(text: &mut String, value: &str) {
    let special = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
    // Without an early exit, so that the compiler can check many bytes at once.
    if !value.bytes().fold(false, |any, byte| any | special(byte)) {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            control if control < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            plain => text.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{fmt::layer, layer::SubscriberExt, registry};

    use super::*;
    use crate::telemetry::Heard;

    fn line(say: impl FnOnce()) -> String {
        let heard = Heard::default();
        let writer = heard.clone();
        let layer = layer().event_format(Json).with_writer(move || writer.clone());
        tracing::subscriber::with_default(registry().with(layer), say);
        heard.text()
    }

    #[test]
    fn an_event_is_one_line_of_json() {
        let line = line(|| {
            tracing::info!(
                a.text = "plain",
                none = None::<u8>,
                number = 7_u64,
                below = -7_i64,
                time = 0.25_f64,
                no_number = f64::NAN,
                yes = true,
                shown = %"b\"c",
                debug = ?"d\\e",
                "said {}",
                1
            );
        });
        let (text, rest) = line.split_once('\n').unwrap();
        assert_eq!(rest, "");
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let timestamp = value["timestamp"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(timestamp).is_ok(), "{timestamp}");
        let rest = text.split_once("\",\"level\":").unwrap().1;
        assert_eq!(
            rest,
            r#""INFO","message":"said 1","a.text":"plain","number":7,"below":-7,"time":0.25,"no_number":null,"yes":true,"shown":"b\"c","debug":"\"d\\\\e\"","target":"zec_gateway::telemetry::json::tests"}"#
        );
    }

    #[test]
    fn a_clock_that_is_before_1970_silences_nothing() {
        let early = UNIX_EPOCH - std::time::Duration::from_secs(1);
        assert_eq!(moment(early).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn no_text_breaks_out_of_its_string() {
        let all: String =
            (0..0x100).filter_map(char::from_u32).chain("\u{2028}€😀".chars()).collect();
        let line = line(|| tracing::warn!(text = all, debug = ?all, "{all}"));
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["text"], all);
        assert_eq!(value["message"], all);
        assert_eq!(value["debug"], format!("{all:?}"));
    }
}
