//! `[auth.access_keys]`: access keys of the gateway's own.

use super::{Config, fields::Fields, findings::Findings, origin::ValueOrigin};
use crate::auth::{IssuedKeySettings, KEYS_ISSUER, NEED_TLS};

/// The name of the file of last uses, beside the journal, if the configuration names no other.
const STATE_FILE: &str = "access-keys-used.json";

/// The table, if it is there and has both files.
pub(super) fn access_keys(auth: &mut Fields<'_>) -> Option<IssuedKeySettings> {
    let mut fields = auth.optional_table("access_keys")?;
    let file = fields.required_path("file", "name the file that `zec-gateway key new` writes");
    let hint = "name the file with the master secret, which `zec-gateway key rotate-master` makes";
    let master_file = fields.required_path("master_file", hint);
    // Completed by `check`, because it depends on another table.
    let state_file = fields.path("state_file").unwrap_or_default();
    Some(IssuedKeySettings { file: file?, master_file: master_file?, state_file })
}

/// Checks what depends on other tables: the listener, and the issuers' names.
pub(super) fn check(config: &mut Config, findings: &Findings) {
    let Some(keys) = &mut config.auth.access_keys else { return };
    if keys.state_file.as_os_str().is_empty() {
        keys.state_file = config.journal.path.with_file_name(STATE_FILE);
    }
    let fault = |key: &str, text: String| {
        findings.fault(key, &findings.origin(key).unwrap_or(ValueOrigin::Nowhere), text);
    };
    if config.server.tls.is_none() && !config.server.listen.is_local() {
        fault("server.listen", NEED_TLS.to_owned());
    }
    for (index, issuer) in config.auth.issuers.iter().enumerate() {
        if issuer.name == KEYS_ISSUER {
            let text = format!(
                "`{KEYS_ISSUER}` is the name of callers with access keys (`[auth.access_keys]`): give the issuer another"
            );
            fault(&format!("auth.issuers[{index}].name"), text);
        }
    }
}
