//! The settings of `[auth]`: issuers, their keys, and what their tokens must hold.

use std::{path::PathBuf, time::Duration};

use http::Uri;

use super::{Algorithm, ClaimPath, GroupsForm};
use crate::net::ProxySettings;

/// Who may say who a caller is (`[auth]`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the last good key sets are kept.
    pub keys_cache_directory: Option<PathBuf>,
    /// The proxy on the way to discovery documents and key sets.
    pub proxy: Option<ProxySettings>,
    /// The trusted issuers, at least one, each with its own name and its own `issuer`.
    pub issuers: Vec<IssuerSettings>,
}

/// One trusted issuer (`[[auth.issuers]]`).
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The name in policies, logs and metrics: `[a-z0-9-]{1,32}`.
    pub name: String,
    /// What a token's `iss` must equal.
    pub issuer: String,
    /// Any one of these must be in a token's `aud`; never empty.
    pub audiences: Vec<String>,
    /// The signature algorithms that are taken; never empty.
    pub algorithms: Vec<Algorithm>,
    /// Where the issuer's public keys come from.
    pub keys: KeySource,
    /// PEM certificates that alone are trusted for the issuer's addresses, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// A file with a bearer token that the issuer's addresses want.
    pub token_file: Option<PathBuf>,
    /// Whether the issuer is asked through the proxy of all, where there is one.
    pub use_proxy: bool,
    /// The claim that holds the subject.
    pub subject_claim: ClaimPath,
    /// The claim that holds the groups.
    pub groups_claim: ClaimPath,
    /// How it holds them.
    pub groups_form: GroupsForm,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// How often a fetched key set is fetched anew.
    pub refresh_interval: Duration,
    /// How long a key set may be used after it was last fetched.
    pub max_stale: Duration,
    /// The longest life, `exp - iat`, that a token may have.
    pub max_lifetime: Option<Duration>,
    /// The `typ` values that are taken; any if none.
    pub token_types: Option<Vec<String>>,
    /// The `azp` (or `client_id`) values that are taken; any if none.
    pub authorized_parties: Option<Vec<String>>,
}

/// Where an issuer's public keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS file.
    File(PathBuf),
    /// A JWKS address: https, or plain http on loopback.
    Url(Uri),
    /// The issuer's OIDC discovery document.
    Discovery,
}
