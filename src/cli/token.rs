//! `token`: signs a token for development, or prints its key set.

use std::{path::PathBuf, time::Duration};

use super::{Stop, runtime_files::RuntimeFiles, say};
use crate::{
    error::Fault,
    files,
    issuer::{Grant, Signer, key_set},
};

/// The audience of the tokens that `dev` accepts.
pub(super) const DEV_AUDIENCE: &str = "zec-gateway";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A private key in PEM (PKCS#8): EC P-256, Ed25519 or RSA
    ///
    /// Without it, the key of the most recently started `dev`.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    key: Option<PathBuf>,
    /// Print the key set with the public key, for an issuer's `jwks_file`, instead of a token
    #[arg(long, conflicts_with_all = ["issuer", "audience", "subject", "groups", "ttl"])]
    key_set: bool,
    /// The token's `iss`; needed with --key
    ///
    /// Without it and without --key, the issuer of that `dev`.
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    issuer: Option<String>,
    /// The token's `aud`
    #[arg(long, value_name = "TEXT", default_value = DEV_AUDIENCE)]
    audience: String,
    /// The token's `sub`
    #[arg(long, value_name = "TEXT", default_value = "alice")]
    subject: String,
    /// A group, for the claim `groups`; may be repeated
    ///
    /// Without one, the token names no group.
    #[arg(long = "group", value_name = "GROUP", verbatim_doc_comment)]
    groups: Vec<String>,
    /// How long the token lives, as `90s`, `15m` or `1h`
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    ttl: Duration,
}

pub(super) fn run(args: &Args) -> Result<(), Stop> {
    let (pem, dev_issuer) = if let Some(path) = &args.key {
        let pem = files::read_text(path)
            .map_err(|e| Fault::new(format!("cannot be read: {e}")).in_file(path))?;
        (pem, None)
    } else {
        let (pem, issuer) = RuntimeFiles::open()?.key()?;
        (pem, Some(issuer))
    };
    let signer = Signer::from_pem(&pem).map_err(|error| {
        let fault = Fault::new(error.to_string());
        match &args.key {
            Some(path) => fault.in_file(path),
            None => fault,
        }
    })?;
    if args.key_set {
        say(key_set(&[&signer]));
        return Ok(());
    }
    let Some(issuer) = args.issuer.clone().or(dev_issuer) else {
        return Err(Stop::Usage("name the issuer too: --issuer".to_owned()));
    };
    let grant = Grant {
        issuer,
        audience: args.audience.clone(),
        subject: args.subject.clone(),
        groups: args.groups.clone(),
        lifetime: args.ttl,
    };
    say(signer.token(&grant).map_err(|error| Fault::new(error.to_string()))?);
    Ok(())
}
