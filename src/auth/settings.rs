//! The settings of `[auth]`: issuers, their keys, and the requirements for their tokens.

use std::{path::PathBuf, time::Duration};

use http::Uri;

use super::{Algorithm, ClaimPath, GroupsForm, IssuedKeySettings};
use crate::net::ProxySettings;

/// Which issuers may identify callers (`[auth]`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory for the last good key sets; if `None`, they are not kept on disk.
    pub keys_cache_directory: Option<PathBuf>,
    /// The proxy for discovery documents and key sets.
    pub proxy: Option<ProxySettings>,
    /// The trusted issuers, at least one; each has a unique name and a unique `issuer`.
    pub issuers: Vec<IssuerSettings>,
    /// The gateway's own access keys; if `None`, no caller may sign with one.
    pub access_keys: Option<IssuedKeySettings>,
}

/// One trusted issuer (`[[auth.issuers]]`).
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The name in policies, logs and metrics: `[a-z0-9-]{1,32}`.
    pub name: String,
    /// The value that a token's `iss` must equal.
    pub issuer: String,
    /// A token's `aud` must contain at least one of these; never empty.
    pub audiences: Vec<String>,
    /// The accepted signature algorithms; never empty.
    pub algorithms: Vec<Algorithm>,
    /// Where the issuer's public keys come from.
    pub keys: KeySource,
    /// A file with PEM certificates to trust for the issuer's addresses, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// A file with a bearer token that the issuer's addresses require.
    pub token_file: Option<PathBuf>,
    /// Whether requests to the issuer use the common proxy, if there is one.
    pub use_proxy: bool,
    /// The claim that holds the subject.
    pub subject_claim: ClaimPath,
    /// The claim that holds the groups.
    pub groups_claim: ClaimPath,
    /// The form of the groups in that claim.
    pub groups_form: GroupsForm,
    /// How far the issuer's clock and ours may differ.
    pub leeway: Duration,
    /// The time between two fetches of a key set.
    pub refresh_interval: Duration,
    /// How long a key set may be used after its last fetch.
    pub max_stale: Duration,
    /// The longest lifetime, `exp - iat`, that a token may have.
    pub max_lifetime: Option<Duration>,
    /// The accepted `typ` values; any if `None`.
    pub token_types: Option<Vec<String>>,
    /// The accepted `azp` (or `client_id`) values; any if `None`.
    pub authorized_parties: Option<Vec<String>>,
}

/// The source of an issuer's public keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS file.
    File(PathBuf),
    /// A JWKS address: https, or plain http on loopback.
    Url(Uri),
    /// The issuer's OIDC discovery document.
    Discovery,
}
