//! The references for the targets, written in a different way than the gateway's own checks.

use serde_json::Value;

/// Whether an object anywhere in this valid JSON text names a key twice, after unescaping.
///
/// Walks the text byte by byte, with a stack of the open objects.
pub fn names_a_key_twice(text: &[u8]) -> bool {
    let mut open: Vec<Option<Vec<String>>> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'{' => open.push(Some(Vec::new())),
            b'[' => open.push(None),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                let start = at;
                at += 1;
                while text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                let after = text[at + 1..].iter().find(|byte| !byte.is_ascii_whitespace());
                if let (Some(b':'), Some(Some(keys))) = (after, open.last_mut()) {
                    let key: String = serde_json::from_slice(&text[start..=at]).unwrap();
                    if keys.contains(&key) {
                        return true;
                    }
                    keys.push(key);
                }
            }
            _ => {}
        }
        at += 1;
    }
    false
}

/// The value of a text that is valid JSON for serde and names no key twice.
pub fn strict(text: &[u8]) -> Option<Value> {
    let value = serde_json::from_slice(text).ok()?;
    (!names_a_key_twice(text)).then_some(value)
}

/// Without nulls in objects, as canonical text.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut kept: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
            kept.sort_by_key(|(name, _)| name.as_str());
            let member = |(name, value): &(&String, &Value)| {
                format!("{}:{}", Value::from(name.as_str()), canonical(value))
            };
            format!("{{{}}}", kept.iter().map(member).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// The authenticator of a gateway with one issuer, whose private key is unknown.
pub fn authenticator() -> zec_gateway::auth::Authenticator {
    use zec_gateway::{auth, issuer, metrics::Metrics};
    let file = std::env::temp_dir().join(format!("zec-gateway-fuzz-{}.json", std::process::id()));
    let signer = issuer::Signer::es256().unwrap();
    std::fs::write(&file, issuer::key_set(&[&signer])).unwrap();
    let issuers = vec![settings(auth::KeySource::File(file.clone()))];
    let settings =
        auth::Settings { keys_cache_directory: None, proxy: None, issuers, access_keys: None };
    let metrics = Metrics::new(&[], &["corp".to_owned()]).unwrap();
    let authenticator = auth::Authenticator::load(&settings, metrics.into()).unwrap();
    std::fs::remove_file(file).unwrap();
    authenticator
}

/// The output of a future that does not wait: a key from a file is at hand, or never will be.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    use std::task::{Context, Poll, Waker};
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// An issuer in the usual configuration.
pub fn settings(keys: zec_gateway::auth::KeySource) -> zec_gateway::auth::IssuerSettings {
    use std::time::Duration;
    zec_gateway::auth::IssuerSettings {
        name: "corp".to_owned(),
        issuer: "https://sso.example.com".to_owned(),
        audiences: vec!["zec-gateway".to_owned(), "second".to_owned()],
        algorithms: zec_gateway::auth::Algorithm::ALL.to_vec(),
        keys,
        ca_file: None,
        token_file: None,
        use_proxy: true,
        subject_claim: "sub".into(),
        groups_claim: "groups".into(),
        groups_form: zec_gateway::auth::GroupsForm::List,
        leeway: Duration::from_secs(30),
        refresh_interval: Duration::from_secs(600),
        max_stale: Duration::from_secs(86_400),
        max_lifetime: None,
        token_types: None,
        authorized_parties: None,
    }
}
