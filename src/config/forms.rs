//! The forms of texts in the file: durations, sizes, addresses, names.

use std::{ops::RangeInclusive, time::Duration};

use humantime::format_duration;
use ipnet::IpNet;

use super::tree::shown;
use crate::{
    auth::{Algorithm, GroupsForm, NetworkError, network},
    execute::EipCheck,
    server::Address,
    telemetry::Format,
    zec::UnknownFields,
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Any text that is not empty. Space around a text is nearly always an invisible mistake, so it is rejected.
pub(super) fn plain(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("is empty".to_owned())
    } else if text.trim() != text {
        Err(format!("{} has space around it: take it out", shown(text)))
    } else {
        Ok(text.to_owned())
    }
}

/// A log level, or a filter in the syntax of `RUST_LOG`.
pub(super) fn log_level(text: &str) -> Result<String, String> {
    let text = plain(text)?;
    crate::telemetry::check_level(&text).map_err(|_| {
        format!(
            "{} is neither a level, as `info`, nor a filter, as `zec_gateway=debug`",
            shown(&text)
        )
    })?;
    Ok(text)
}

/// A duration, for example `5s`, `10m` or `1h 30m`.
pub(super) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("{} is not a duration, as `5s`, `10m` or `24h`", shown(text)))?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
    Err(format!("{} is out of range: use {least} to {most}", shown(text)))
}

/// A size in bytes, for example `512B`, `64KiB` or `1MiB`.
pub(super) fn size(text: &str, largest: usize) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "B" => Some(1),
        "KiB" => Some(KIB),
        "MiB" => Some(MIB),
        _ => None,
    };
    let Some((number, unit)) = number.parse::<usize>().ok().zip(unit) else {
        return Err(format!("{} is not a size, as `512B`, `64KiB` or `1MiB`", shown(text)));
    };
    match number.checked_mul(unit) {
        Some(size) if (1..=largest).contains(&size) => Ok(size),
        _ => Err(format!("{} is out of range: use 1B to {}", shown(text), in_words(largest))),
    }
}

fn in_words(size: usize) -> String {
    match size {
        _ if size.is_multiple_of(MIB) => format!("{}MiB", size / MIB),
        _ if size.is_multiple_of(KIB) => format!("{}KiB", size / KIB),
        _ => format!("{size}B"),
    }
}

/// The longest path that a Unix socket can have, in bytes (`unix(7)`: 108 with the final zero byte).
const MAX_SOCKET_PATH: usize = 107;

/// An IP address with a port, or a path after `unix:`. A host name is rejected, because it could resolve to addresses
/// that the operator has not seen.
pub(super) fn address(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let fits = path.starts_with('/') && path.len() <= MAX_SOCKET_PATH && !path.contains('\0');
        return if fits {
            Ok(Address::Unix(path.into()))
        } else {
            Err(format!(
                "{} is not a socket: write a whole path of {MAX_SOCKET_PATH} bytes at most, as \
                 `unix:/run/zec-gateway.sock`",
                shown(text)
            ))
        };
    }
    text.parse().map(Address::Tcp).map_err(|_| {
        format!(
            "{} is neither an IP address with a port, as `127.0.0.1:8080` or `[::1]:8080`, nor a \
             socket, as `unix:/run/zec-gateway.sock`",
            shown(text)
        )
    })
}

/// A network from which proxies connect; `None` for proxies on a Unix socket.
pub(super) fn proxy_network(text: &str) -> Result<Option<IpNet>, String> {
    if text == "unix" {
        return Ok(None);
    }
    network(text).map(Some).map_err(|error| {
        let or_unix = if error == NetworkError::Other { ", nor `unix`" } else { "" };
        format!("{} {error}{or_unix}", shown(text))
    })
}

/// An issuer's name. It is the part before `/` in Cedar ids and a label of metrics, so few characters are allowed.
pub(super) fn issuer_name(text: &str) -> Result<String, String> {
    let narrow = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if (1..=32).contains(&text.len()) && text.bytes().all(narrow) {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not a name: use 1 to 32 of a-z, 0-9 and `-`", shown(text)))
    }
}

/// A claim's name, or a dotted path to it.
pub(super) fn claim(text: &str) -> Result<String, String> {
    let text = plain(text)?;
    if text.split('.').any(str::is_empty) {
        Err(format!("{} has an empty step: write it as `realm_access.roles`", shown(&text)))
    } else {
        Ok(text)
    }
}

/// The form of the groups claim.
pub(super) fn groups_form(text: &str) -> Result<GroupsForm, String> {
    match text {
        "list" => Ok(GroupsForm::List),
        "keys" => Ok(GroupsForm::Keys),
        "text" => Ok(GroupsForm::Text),
        _ => Err(format!("{} is not `list`, `keys` or `text`", shown(text))),
    }
}

/// An asymmetric signature algorithm.
pub(super) fn algorithm(text: &str) -> Result<Algorithm, String> {
    if let Some(algorithm) = Algorithm::from_name(text) {
        return Ok(algorithm);
    }
    let known = Algorithm::ALL.map(Algorithm::name).join(", ");
    let lower = text.to_ascii_lowercase();
    Err(if lower.starts_with("hs") {
        format!(
            "{} is symmetric and refused, because a public key could be used as its secret: use one of {known}",
            shown(text)
        )
    } else if lower == "none" {
        format!("{} means no signature and is refused: use one of {known}", shown(text))
    } else {
        format!("{} is not an algorithm that the gateway supports: use one of {known}", shown(text))
    })
}

/// The elastic IPs that block a write.
pub(super) fn eip_check(text: &str) -> Result<EipCheck, String> {
    match text {
        "nic" => Ok(EipCheck::Nic),
        "address" => Ok(EipCheck::Address),
        "off" => Ok(EipCheck::Off),
        _ => Err(format!("{} is not `nic`, `address` or `off`", shown(text))),
    }
}

/// What becomes of unknown arguments.
pub(super) fn unknown_fields(text: &str) -> Result<UnknownFields, String> {
    match text {
        "refuse" => Ok(UnknownFields::Refuse),
        "pass" => Ok(UnknownFields::Pass),
        _ => Err(format!("{} is not `refuse` or `pass`", shown(text))),
    }
}

/// The log format.
pub(super) fn log_format(text: &str) -> Result<Format, String> {
    match text {
        "auto" => Ok(Format::Auto),
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err(format!("{} is not `auto`, `text` or `json`", shown(text))),
    }
}
