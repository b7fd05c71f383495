//! An event as one line of JSON: when, how grave, what is said of it, and where.

use std::fmt::{self, Debug, Write as _};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Lines of JSON, their fields at the top level. The library's own form of them goes by way of a
/// serializer and takes three times as long, for each request.
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
        line.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut line)?;
        write!(line, "\",\"level\":\"{}\"", event.metadata().level())?;
        let mut fields = Fields { line: &mut line, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        line.write_str(",\"target\":")?;
        string(&mut line, event.metadata().target())?;
        line.write_str("}\n")
    }
}

/// Writes fields as they come, until one cannot be written.
struct Fields<'a, 'w> {
    line: &'a mut Writer<'w>,
    result: fmt::Result,
}

impl Fields<'_, '_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.member(field.name(), value);
        }
    }

    fn member(
        &mut self,
        name: &str,
        value: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.line.write_char(',')?;
        string(self.line, name)?;
        self.line.write_char(':')?;
        value(self.line)
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |line| string(line, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |line| write!(line, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, |line| write!(line, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |line| write!(line, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no other numbers.
        let finite = value.is_finite();
        self.put(
            field,
            |line| if finite { write!(line, "{value}") } else { line.write_str("null") },
        );
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |line| {
            line.write_char('"')?;
            write!(Escaped(line), "{value:?}")?;
            line.write_char('"')
        });
    }
}

fn string(line: &mut Writer<'_>, text: &str) -> fmt::Result {
    line.write_char('"')?;
    Escaped(line).write_str(text)?;
    line.write_char('"')
}

/// Writes the inside of a JSON string (RFC 8259, 7): what must not stand there is escaped.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let special = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
        // Without an early end, which lets the compiler look at many bytes at once.
        if !text.bytes().fold(false, |any, byte| any | special(byte)) {
            return self.0.write_str(text);
        }
        let mut rest = text;
        while let Some(at) = rest.bytes().position(special) {
            // Each of these is one byte, and so a character of its own.
            let (plain, from) = rest.split_at_checked(at).ok_or(fmt::Error)?;
            let (one, after) = from.split_at_checked(1).ok_or(fmt::Error)?;
            self.0.write_str(plain)?;
            match one {
                "\"" => self.0.write_str("\\\"")?,
                "\\" => self.0.write_str("\\\\")?,
                "\n" => self.0.write_str("\\n")?,
                control => {
                    for byte in control.bytes() {
                        write!(self.0, "\\u{byte:04x}")?;
                    }
                }
            }
            rest = after;
        }
        self.0.write_str(rest)
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
