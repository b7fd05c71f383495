//! The faults of what a configuration names, where not everything can be loaded.

use super::{
    parts::{issuer_names, metrics},
    spans::Spans,
    units::{access_key, keys, policy, tls},
};
use crate::{
    config::{Config, Partial},
    error::Fault,
    journal, zec,
};

/// Every fault of a faulty configuration, with those of the files that the rest of it names. What a
/// faulty key should have named is not looked at: nobody knows what is meant.
pub(super) fn of_all(partial: &Partial) -> Vec<Fault> {
    let mut faults = partial.faults.clone();
    let Some(config) = partial.rest() else { return faults };
    let directory = partial.has("policy.directory").then_some(&config.policy.directory);
    let issuers = issuer_names(config);
    // One that is missing might be any that the policies name.
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

/// The faults of everything but the policy and the access key.
pub(super) fn of_the_others(config: &Config, journal: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    match metrics(&issuer_names(config)) {
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
