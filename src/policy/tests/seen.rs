//! What a policy sees of a call is what goes to ZEC.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy_core::{ast::Context, entities::CedarValueJson};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::{
    catalogue::{Catalogue, IfAbsent, Meaning, Parameter},
    domain::generated,
    policy::{looks::Needs, subject::Subject},
};

/// Values by their paths. Those of all items of a list are together.
type Leaves = BTreeMap<String, BTreeSet<String>>;

/// Adds a value's leaves. Numbers are written alike, whichever text they had.
fn leaves(value: &Json, path: &str, all: &mut Leaves) {
    let mut add = |text: String| _ = all.entry(path.to_owned()).or_default().insert(text);
    match value {
        Json::Null => {}
        Json::Array(items) => items.iter().for_each(|item| leaves(item, path, all)),
        Json::Object(members) => {
            for (name, value) in members {
                leaves(value, &format!("{path}.{name}"), all);
            }
        }
        Json::String(text) => add(text.clone()),
        Json::Number(number) if number.is_i64() => add(number.to_string()),
        Json::Number(number) => add(format!("{:.4}", number.as_f64().unwrap())),
        Json::Bool(value) => add(value.to_string()),
    }
}

/// The same of Cedar's value, in the JSON form that its documentation gives: entities are ids, and calls are their texts.
fn of_cedar(value: Json) -> Json {
    match value {
        Json::Array(items) => items.into_iter().map(of_cedar).collect(),
        Json::Object(mut members) => {
            if let Some(mut entity) = members.remove("__entity") {
                return entity["id"].take();
            }
            if let Some(mut call) = members.remove("__extn") {
                let text = call["arg"].as_str().unwrap().to_owned();
                return match call["fn"].as_str().unwrap() {
                    "decimal" => Json::from(text.parse::<f64>().unwrap()),
                    _ => call["arg"].take(),
                };
            }
            members.into_iter().map(|(name, value)| (name, of_cedar(value))).collect()
        }
        other => other,
    }
}

/// The secrets among a row's parameters, the texts that hold several addresses, and the defaults, by their paths.
fn special(
    parameters: &[Parameter],
    path: &str,
    secrets: &mut BTreeSet<String>,
    defaults: &mut BTreeMap<String, String>,
    lists: &mut BTreeSet<String>,
) {
    for one in parameters {
        let path = format!("{path}.{}", one.name);
        match (&one.meaning, &one.if_absent) {
            (Meaning::Secret, _) => _ = secrets.insert(path.clone()),
            (Meaning::Addresses, _) => _ = lists.insert(path.clone()),
            (_, IfAbsent::Value(text)) => _ = defaults.insert(path.clone(), text.clone()),
            _ => {}
        }
        special(one.members(), &path, secrets, defaults, lists);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every id and every value that goes out was in front of the policy, but for secrets, and nothing else was, but for
    /// ZEC's defaults of what is absent.
    #[test]
    fn what_goes_out_is_what_the_policy_saw(seed in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let call = generated::call(&mut random);
        let vocabulary = vocabulary::Vocabulary::in_use().unwrap();
        if vocabulary.number(call.action()).is_none() {
            return Ok(());
        }
        let sent: Json = serde_json::from_str(&call.arguments().canonical()).unwrap();
        let who = caller(&[]);
        let question = vocabulary.question(&call, (&who).into(), Needs::ALL).unwrap();
        let account = vocabulary.subject_uid(Subject::Account).unwrap();
        let asked = question.about(&account, None).unwrap();
        let Some(Context::Value(context)) = asked.context() else { panic!("no context") };
        let seen = CedarValueJson::from_value(context["request"].clone()).unwrap();
        let seen = of_cedar(serde_json::to_value(seen).unwrap());

        let (mut out, mut policy) = (Leaves::new(), Leaves::new());
        leaves(&sent, "", &mut out);
        leaves(&seen, "", &mut policy);
        let (mut secrets, mut defaults, mut lists) = Default::default();
        // A policy does not see the version, so a version without a parameter counts as one that leaves it out.
        let rows = Catalogue::built_in().unwrap().actions().iter();
        for row in rows.filter(|row| row.name == call.action()) {
            special(&row.parameters, "", &mut secrets, &mut defaults, &mut lists);
        }
        for path in &lists {
            if let Some(texts) = out.get_mut(path) {
                *texts = texts.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect();
            }
        }
        out.retain(|path, _| !secrets.contains(path));
        for (path, seen) in &policy {
            let sent = out.remove(path).unwrap_or_default();
            let more: Vec<_> = seen.difference(&sent).collect();
            prop_assert!(sent.is_subset(seen), "{path}: the policy did not see all of {sent:?}");
            let default = defaults.get(path);
            let is_default = |one: &&String| default.is_some_and(|default| same(default, one));
            prop_assert!(more.iter().all(is_default), "{path}: {more:?} was not sent");
        }
        prop_assert!(out.is_empty(), "no policy saw {out:?}");

        // Every id of a resource of this API is decided by itself.
        let decided: BTreeSet<&str> =
            call.resources().map(|resource| resource.id.as_str()).collect();
        for named in call.arguments().named() {
            let own = named.types.iter().any(|kind| !kind.is_of_another_product());
            prop_assert_eq!(decided.contains(named.id.as_str()), own, "{}", named.parameter);
        }
    }
}

/// Whether a default's text means this value.
fn same(default: &str, value: &str) -> bool {
    default == value || default.parse::<f64>().ok() == value.parse::<f64>().ok()
}
