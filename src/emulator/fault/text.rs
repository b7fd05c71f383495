//! The text form of a fault, for flags and the control path: `KIND[:ARGUMENT][@ACTION][xTIMES]`. Examples are
//! `delay:500ms`, `cut@UnassignNetworkInterfaceIpv4` and `throttlex2`. Without times, the fault strikes every request.

use std::{fmt, str::FromStr, time::Duration};

use super::{Fault, FaultKind};
use crate::domain::text::excerpt;

/// The kinds without an argument, by name.
const PLAIN: [(&str, FaultKind); 17] = [
    ("hang", FaultKind::Hang),
    ("hang-after", FaultKind::HangAfter),
    ("cut", FaultKind::Cut),
    ("cut-after", FaultKind::CutAfter),
    ("throttle", FaultKind::Throttle),
    ("unavailable", FaultKind::Unavailable),
    ("status500", FaultKind::Status500),
    ("refuse-credentials", FaultKind::RefuseCredentials),
    ("html", FaultKind::Html),
    ("challenge", FaultKind::Challenge),
    ("redirect", FaultKind::Redirect),
    ("not-json", FaultKind::NotJson200),
    ("no-envelope", FaultKind::NoEnvelope),
    ("truncated", FaultKind::Truncated),
    ("huge", FaultKind::Huge),
    ("twice", FaultKind::Twice),
    ("wrong-nic", FaultKind::WrongNic),
];

/// Why a text is not a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseFaultError {
    /// There is no such kind.
    #[error(
        "`{}` is not a fault: KIND[:ARGUMENT][@ACTION][xTIMES], where KIND is one of {}, \
         delay:DURATION, late-after:DURATION, stale:DURATION, clock-skew:[-]DURATION, \
         status:STATUS,CODE",
        excerpt(.0),
        PLAIN.map(|(name, _)| name).join(", ")
    )]
    Kind(String),
    /// The kind takes no argument, or a different one.
    #[error("the fault `{kind}` takes {wanted}, not `{}`", excerpt(.found))]
    Argument {
        /// The kind.
        kind: String,
        /// The argument that it takes.
        wanted: &'static str,
        /// The argument in the text.
        found: String,
    },
    /// The part after `@` is not an action's name.
    #[error("`{}` is not an action's name: letters and digits", excerpt(.0))]
    Action(String),
    /// The number of times is 0 or too large.
    #[error("`{0}` is not a number of times: 1 to {max}", max = u32::MAX)]
    Times(String),
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        let (rest, times) = split_times(text.trim())?;
        let (rest, action) = match rest.split_once('@') {
            None => (rest, None),
            Some((_, action))
                if action.is_empty() || !action.bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                return Err(ParseFaultError::Action(action.to_owned()));
            }
            Some((rest, action)) => (rest, Some(action.to_owned())),
        };
        let (name, argument) = match rest.split_once(':') {
            None => (rest, None),
            Some((name, argument)) => (name, Some(argument)),
        };
        Ok(Self { kind: kind(name, argument)?, action, times })
    }
}

/// Splits `x` and a number off the end. No kind, action or argument ends like that.
fn split_times(text: &str) -> Result<(&str, Option<u32>), ParseFaultError> {
    match text.rsplit_once('x') {
        Some((rest, times))
            if !times.is_empty() && times.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            match times.parse() {
                Ok(number) if number > 0 => Ok((rest, Some(number))),
                _ => Err(ParseFaultError::Times(times.to_owned())),
            }
        }
        _ => Ok((text, None)),
    }
}

fn kind(name: &str, argument: Option<&str>) -> Result<FaultKind, ParseFaultError> {
    let wrong = |wanted| ParseFaultError::Argument {
        kind: name.to_owned(),
        wanted,
        found: argument.unwrap_or_default().to_owned(),
    };
    let duration = || argument.and_then(|text| humantime::parse_duration(text).ok());
    match name {
        "delay" => {
            duration().map(FaultKind::Delay).ok_or_else(|| wrong("a duration, as `delay:500ms`"))
        }
        "late-after" => duration()
            .map(FaultKind::LateAfter)
            .ok_or_else(|| wrong("a duration, as `late-after:2s`")),
        "stale" => {
            duration().map(FaultKind::Stale).ok_or_else(|| wrong("a duration, as `stale:5s`"))
        }
        "clock-skew" => argument
            .and_then(skew)
            .map(FaultKind::ClockSkew)
            .ok_or_else(|| wrong("a duration in whole seconds, as `clock-skew:-10m`")),
        "status" => argument
            .and_then(status)
            .ok_or_else(|| wrong("a status and a code, as `status:418,SOME_CODE`")),
        _ => match (PLAIN.into_iter().find(|(known, _)| *known == name), argument) {
            (Some((_, kind)), None) => Ok(kind),
            (Some(_), Some(_)) => Err(wrong("no argument")),
            (None, _) => Err(ParseFaultError::Kind(name.to_owned())),
        },
    }
}

fn skew(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let duration = humantime::parse_duration(text).ok()?;
    let seconds = i64::try_from(duration.as_secs()).ok()?;
    (duration.subsec_nanos() == 0).then_some(sign * seconds)
}

fn status(text: &str) -> Option<FaultKind> {
    let (status, code) = text.split_once(',')?;
    // The status of an error: 200 is ZEC's only success.
    let status = status.parse().ok().filter(|status| (201..600).contains(status))?;
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (!code.is_empty() && code.bytes().all(plain))
        .then(|| FaultKind::UnknownStatus(status, code.to_owned()))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if let Some(action) = &self.action {
            write!(f, "@{action}")?;
        }
        self.times.map_or(Ok(()), |times| write!(f, "x{times}"))
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(time) => write!(f, "delay:{}", humantime::format_duration(*time)),
            Self::LateAfter(time) => write!(f, "late-after:{}", humantime::format_duration(*time)),
            Self::Stale(time) => write!(f, "stale:{}", humantime::format_duration(*time)),
            Self::ClockSkew(seconds) => {
                let sign = if *seconds < 0 { "-" } else { "" };
                let time = Duration::from_secs(seconds.unsigned_abs());
                write!(f, "clock-skew:{sign}{}", humantime::format_duration(time))
            }
            Self::UnknownStatus(status, code) => write!(f, "status:{status},{code}"),
            plain => {
                let name = PLAIN.into_iter().find(|(_, kind)| kind == plain);
                f.write_str(name.map_or("", |(name, _)| name))
            }
        }
    }
}
