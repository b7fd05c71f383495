//! The settings of `[zec]`.

use std::{path::PathBuf, time::Duration};

use http::uri::{Authority, Scheme};

use crate::net::ProxySettings;

/// How to reach ZEC (`[zec]`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and optional port in lower case, exactly as it is signed and sent in `Host`.
    pub authority: Authority,
    /// The file with the access key id; the variable `ZEC_ACCESS_KEY_ID` if none.
    pub access_key_id_file: Option<PathBuf>,
    /// The file with its password; the variable `ZEC_ACCESS_KEY_PASSWORD` if none.
    pub access_key_password_file: Option<PathBuf>,
    /// PEM certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long TCP and TLS may take together.
    pub connect_timeout: Duration,
    /// How long one attempt may take, from the connection to the last byte of the answer.
    pub request_timeout: Duration,
    /// An HTTP proxy on the way to ZEC.
    pub proxy: Option<ProxySettings>,
}

#[cfg(test)]
impl Settings {
    /// Plain HTTP to `authority`, with the key out of the environment.
    pub(crate) fn for_tests(authority: &str) -> Self {
        Self {
            scheme: Scheme::HTTP,
            authority: authority.parse().unwrap(),
            access_key_id_file: None,
            access_key_password_file: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
            proxy: None,
        }
    }
}
