//! The faults of a configuration and of the files that it names, if not everything can be loaded.

use super::{
    parts::{issuer_names, metrics, token_issuers},
    spans::Spans,
    units::{access_key, keys, policy, tls},
};
use crate::{
    config::{Config, Partial},
    error::Fault,
    journal, zec,
};

/// Returns every fault of a faulty configuration, and of the files that the valid rest of it names. It does not read
/// files for a faulty key, because the intended file is unknown.
pub(super) fn of_all(partial: &Partial) -> Vec<Fault> {
    let mut faults = partial.faults.clone();
    let Some(config) = partial.rest() else { return faults };
    let directory = partial.has("policy.directory").then_some(&config.policy.directory);
    let issuers = issuer_names(config);
    // If one issuer's name is missing, any issuer that the policies name might be that one.
    let all = !issuers.is_empty() && !issuers.iter().any(String::is_empty);
    let issuers = all.then_some(issuers.as_slice());
    for directory in directory.into_iter().chain(&config.policy.shadow_directory) {
        faults.extend(policy::faults(directory, issuers));
    }
    let pair = ["zec.access_key_id_file", "zec.access_key_password_file"];
    if pair.iter().all(|key| partial.has(key)) {
        faults.extend(access_key::load(&config.zec).err().unwrap_or_default());
    }
    let journal = ["journal.path", "journal.enabled"].iter().all(|key| partial.has(key));
    faults.extend(of_the_others(config, journal));
    faults
}

/// Returns the faults of everything but the policy and the access key; those of the journal only if `journal` is set.
pub(super) fn of_the_others(config: &Config, journal: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    match metrics(&token_issuers(config)) {
        Ok(metrics) => {
            faults.extend(keys::load(&config.auth, metrics.clone()).err().unwrap_or_default());
            faults.extend(Spans::load(config, &metrics).err());
        }
        Err(fault) => faults.push(fault),
    }
    faults.extend(zec::check(&config.zec).err());
    faults.extend(tls::load(config).err().unwrap_or_default());
    faults.extend(journal.then(|| journal::check(&config.journal)).and_then(Result::err));
    faults
}
