//! `[auth]`: the trusted issuers.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use super::{
    access_keys::access_keys,
    fields::{Fields, TextOrTexts},
    forms, sections, url,
};
use crate::auth::{self, Algorithm, ClaimPath, IssuerSettings, KeySource};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Clocks that differ by more than an hour are broken, and so much leeway would defeat expiry.
const LEEWAY: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
/// Long enough for any purpose, and short enough that no sum of times overflows.
const SPAN: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(366 * 24 * 60 * 60);

/// The names and issuers so far, each with its place.
#[derive(Default)]
struct NamesSoFar {
    names: BTreeMap<String, String>,
    issuers: BTreeMap<String, String>,
}

/// `[auth]`.
pub(super) fn auth(root: &mut Fields<'_>) -> auth::Settings {
    let mut fields = root.table("auth");
    let keys_cache_directory = fields.path("keys_cache_directory");
    let proxy = sections::proxy(&mut fields);
    let mut taken = NamesSoFar::default();
    let tables = fields.tables("issuers");
    let hint = "add an `[[auth.issuers]]`, or nobody can call";
    fields.demand("issuers", hint);
    if tables.as_ref().is_some_and(Vec::is_empty) {
        fields.fault("issuers", format!("is empty: {hint}"));
    }
    let issuers = tables.unwrap_or_default().into_iter();
    let issuers = issuers.map(|table| issuer(table, &mut taken)).collect();
    auth::Settings { keys_cache_directory, proxy, issuers, access_keys: access_keys(&mut fields) }
}

/// One issuer. A faulty issuer keeps its place in the list, because messages number the issuers. An unreadable name
/// becomes an empty one.
fn issuer(mut fields: Fields<'_>, taken: &mut NamesSoFar) -> IssuerSettings {
    let name = fields.required(
        "name",
        "give the issuer a short name for policies and metrics, as `corp`",
        forms::issuer_name,
    );
    let issuer = fields.required("issuer", "write what the tokens' `iss` must equal", forms::plain);
    unique(&fields, "name", name.as_deref(), &mut taken.names);
    unique(&fields, "issuer", issuer.as_deref(), &mut taken.issuers);
    let audiences = fields.texts("audiences", forms::plain);
    fields.demand("audiences", "name the audiences of the tokens, as `[\"zec-gateway\"]`");
    let algorithms = fields.texts("algorithms", forms::algorithm);
    let token_types = fields.texts("token_types", forms::plain);
    let authorized_parties = fields.texts("authorized_parties", forms::plain);
    no_empty(&fields, "audiences", audiences.as_deref());
    no_empty(&fields, "algorithms", algorithms.as_deref());
    no_empty(&fields, "token_types", token_types.as_deref());
    no_empty(&fields, "authorized_parties", authorized_parties.as_deref());
    let keys = keys(&mut fields, issuer.as_deref());
    IssuerSettings {
        subject_claim: claim(&mut fields, "subject_claim").unwrap_or("sub".into()),
        groups_claim: claim(&mut fields, "groups_claim").unwrap_or("groups".into()),
        groups_form: fields.text("groups_form", forms::groups_form).unwrap_or_default(),
        leeway: fields.duration("leeway", Duration::from_secs(30), &LEEWAY),
        refresh_interval: fields.duration("refresh_interval", 10 * MINUTE, &SPAN),
        max_stale: fields.duration("max_stale", DAY, &SPAN),
        max_lifetime: fields.optional_duration("max_lifetime", &SPAN),
        algorithms: algorithms
            .unwrap_or_else(|| vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]),
        token_types,
        authorized_parties,
        ca_file: fields.path("ca_file"),
        token_file: fields.path("token_file"),
        use_proxy: fields.boolean("use_proxy", true),
        // Missing values have been reported above.
        name: name.unwrap_or_default(),
        issuer: issuer.unwrap_or_default(),
        audiences: audiences.unwrap_or_default(),
        keys: keys.unwrap_or(KeySource::Discovery),
    }
}

/// The path of a claim: a text, or a list of names.
fn claim(fields: &mut Fields<'_>, key: &'static str) -> Option<ClaimPath> {
    match fields.text_or_texts(key, forms::claim, forms::plain)? {
        TextOrTexts::Text(text) => Some(ClaimPath::Text(text)),
        TextOrTexts::Texts(names) => {
            no_empty(fields, key, Some(&names));
            Some(ClaimPath::Names(names))
        }
    }
}

fn unique(
    fields: &Fields<'_>,
    key: &str,
    value: Option<&str>,
    taken: &mut BTreeMap<String, String>,
) {
    let Some(value) = value else { return };
    match taken.get(value) {
        Some(place) => {
            fields
                .fault(key, format!("`{value}` is already used {place}: give each issuer its own"));
        }
        None => {
            taken.insert(value.to_owned(), fields.place(key));
        }
    }
}

/// Reports an empty list, which would accept nothing or, misread, everything.
fn no_empty<T>(fields: &Fields<'_>, key: &str, items: Option<&[T]>) {
    if items.is_some_and(<[T]>::is_empty) {
        fields.fault(key, "is an empty list: name at least one, or leave the key out");
    }
}

/// The source of the keys. Exactly one must be set, so that it is clear which one applies.
fn keys(fields: &mut Fields<'_>, issuer: Option<&str>) -> Option<KeySource> {
    const WAYS: &str = "`jwks_file`, `jwks_url` and `discovery = true`";
    let file = fields.path("jwks_file").map(KeySource::File);
    let url = fields.text("jwks_url", url::key_set).map(KeySource::Url);
    let switch = fields.optional_boolean("discovery");
    let discovery = switch == Some(true);
    let mut ways = vec!["jwks_file", "jwks_url"];
    ways.retain(|key| fields.is_set(key));
    ways.extend(discovery.then_some("discovery"));
    match ways.as_slice() {
        [] if fields.is_set("discovery") && switch.is_none() => {} // faulty, and already reported
        [] => fields.table_fault(&format!("has no keys: set one of {WAYS}")),
        [_] => {}
        [first, .., last] => {
            fields.fault(last, format!("is set as well as `{first}`: keep one of {WAYS}"));
        }
    }
    if discovery && let Some(Err(said)) = issuer.map(url::discoverable) {
        fields.fault("issuer", format!("{said}, as `discovery` fetches from it"));
    }
    file.or(url).or(discovery.then_some(KeySource::Discovery))
}
