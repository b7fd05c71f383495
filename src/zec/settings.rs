//! The settings of `[zec]`.

use std::{path::PathBuf, time::Duration};

use http::uri::{Authority, Scheme};

pub use crate::domain::UnknownFields;
use crate::net::ProxySettings;

/// How to reach ZEC (`[zec]`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and optional port in lower case, exactly as signed and as sent in `Host`.
    pub authority: Authority,
    /// The file with the access key id; if `None`, the variable `ZEC_ACCESS_KEY_ID` is read.
    pub access_key_id_file: Option<PathBuf>,
    /// The file with its password; if `None`, the variable `ZEC_ACCESS_KEY_PASSWORD` is read.
    pub access_key_password_file: Option<PathBuf>,
    /// PEM certificates that are trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The file with actions that the gateway's own catalogue lacks.
    pub catalogue_file: Option<PathBuf>,
    /// What becomes of arguments that an action's row does not have.
    pub unknown_fields: UnknownFields,
    /// The timeout of TCP and TLS together.
    pub connect_timeout: Duration,
    /// The timeout of one attempt, from the connection to the last byte of the answer.
    pub request_timeout: Duration,
    /// An HTTP proxy on the way to ZEC.
    pub proxy: Option<ProxySettings>,
}

#[cfg(test)]
impl Settings {
    /// Plain HTTP to `authority`, with the key from the environment.
    pub(crate) fn for_tests(authority: &str) -> Self {
        Self {
            scheme: Scheme::HTTP,
            authority: authority.parse().unwrap(),
            access_key_id_file: None,
            access_key_password_file: None,
            ca_file: None,
            catalogue_file: None,
            unknown_fields: UnknownFields::Refuse,
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
            proxy: None,
        }
    }
}
