//! Slicing changes nothing: the candidates give the same result as the whole set.

use std::collections::BTreeSet;

use cedar_policy_core::{
    ast::{EntityUIDEntry, Request},
    authorizer::{AuthorizationError, Authorizer, Decision},
    entities::{Entities, TCComputation},
    extensions::Extensions,
    validator::CoreSchema,
};
use proptest::{prelude::*, sample::select};

use super::{looks::Needs, subject::Subject, *};

fn scopes() -> impl Strategy<Value = String> {
    let principal = select(vec![
        "principal",
        "principal is Zec::Caller",
        r#"principal == Zec::Caller::"corp/alice""#,
        r#"principal == Zec::Caller::"corp/bob""#,
        r#"principal in Zec::Caller::"corp/alice""#,
        r#"principal in Zec::Group::"corp/a""#,
        r#"principal in Zec::Group::"corp/b""#,
        r#"principal is Zec::Caller in Zec::Group::"corp/b""#,
        r#"principal is Zec::Caller in Zec::Caller::"corp/bob""#,
        r#"principal == Zec::Group::"corp/a""#,
        "principal is Zec::Group",
        r#"principal in Zec::Nic::"nic-1""#,
    ]);
    let action = select(vec![
        "action",
        r#"action == Zec::Action::"UnassignNetworkInterfaceIpv4""#,
        r#"action == Zec::Action::"write""#,
        r#"action in Zec::Action::"write""#,
        r#"action in [Zec::Action::"destructive", Zec::Action::"read"]"#,
        r#"action in Zec::Action::"read""#,
        r#"action in [Zec::Action::"BatchAssignNetworkInterfaceIpv4"]"#,
        r#"action == Zec::Action::"ReadOperations""#,
        r#"action in [Zec::Action::"ReadOperations", Zec::Action::"write"]"#,
    ]);
    let resource = select(vec![
        "resource",
        r#"resource == Zec::Nic::"nic-1""#,
        r#"resource == Zec::Nic::"nic-2""#,
        r#"resource == Zec::Journal::"operations""#,
        "resource is Zec::Journal",
        r#"resource in Zec::Subnet::"s""#,
        r#"resource is Zec::Nic in Zec::Vpc::"x""#,
    ]);
    (principal, action, resource).prop_map(|(p, a, r)| format!("({p}, {a}, {r})"))
}

fn conditions() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        r#"when { context has address && context.address.isInRange(ip("10.0.0.0/24")) }"#,
        r#"unless { context has addressCount && context.addressCount > 1 }"#,
        r#"when { principal in Zec::Group::"corp/b" }"#,
        r#"when { resource.hasTag("t") }"#,
        r#"when { resource.id == "nic-1" }"#,
        r#"when { principal.subject == "alice" }"#,
        r#"unless { action in Zec::Action::"destructive" }"#,
        r#"when { Zec::Caller::"corp/alice".issuer == "corp" }"#,
        r#"when { Zec::Nic::"nic-1" in Zec::Subnet::"s" }"#,
        r#"when { context has addressCount && context.addressCount + 9223372036854775806 > 0 }"#,
        r#"when { resource has primaryIpv4 }"#,
    ])
}

fn policies() -> impl Strategy<Value = String> {
    let one = (proptest::bool::weighted(0.7), scopes(), conditions());
    proptest::collection::vec(one, 0..9).prop_map(|list| {
        let write = |(number, (permit, scope, condition)): (usize, &(bool, String, &str))| {
            let effect = if *permit { "permit" } else { "forbid" };
            format!("@id(\"p{number}\") {effect} {scope} {condition};\n")
        };
        list.iter().enumerate().map(write).collect()
    })
}

/// The same request, checked against the schema.
fn checked(request: &Request) -> Request {
    let known = |one: &EntityUIDEntry| (one.uid().unwrap().clone(), None);
    Request::new(
        known(request.principal()),
        known(request.action()),
        known(request.resource()),
        request.context().unwrap().clone(),
        Some(schema::in_use().unwrap().as_ref()),
        Extensions::all_available(),
    )
    .unwrap()
}

/// The result of Cedar's own authorizer over every policy.
fn authorized(text: &str, request: &Request, entities: &Entities) -> [BTreeSet<String>; 3] {
    // This looks up every ancestor again and checks names and types against the schema. A name that the schema does not
    // have would make a policy about it silently false.
    let extensions = Extensions::all_available();
    let schema = schema::in_use().unwrap();
    let schema = CoreSchema::new(schema.as_ref());
    let entities = Entities::from_entities(
        entities.iter().cloned(),
        Some(&schema),
        TCComputation::ComputeNow,
        extensions,
    )
    .unwrap();
    let request = checked(request);
    let set = every_policy(text);
    let response = Authorizer::new().is_authorized(request, set.as_ref(), &entities);
    let failed = response.diagnostics.errors.iter().map(|error| {
        let AuthorizationError::PolicyEvaluationError { id, .. } = error;
        id.to_string()
    });
    let reasons: BTreeSet<String> =
        response.diagnostics.reason.iter().map(ToString::to_string).collect();
    let allowed = response.decision == Decision::Allow;
    let (by, against) = if allowed { (reasons, [].into()) } else { ([].into(), reasons) };
    [by, against, failed.collect()]
}

/// Cedar alone, over every policy and all the caller's groups.
fn unsliced(text: &str, who: &Caller, asked: &ChangeIpv4, nic: &Nic) -> Vec<[BTreeSet<String>; 3]> {
    let vocabulary = vocabulary::Vocabulary::in_use().unwrap();
    let action = asked.action();
    let subject = Subject::Nic(&asked.nic, Some(nic));
    let entities =
        vocabulary.entities(action, Needs::ALL, (who, |_: &str| true), subject, &[]).unwrap();
    let question = vocabulary.question(asked, who.into(), Needs::ALL).unwrap();
    let addresses = asked.addresses.as_slice();
    let one = |address: &std::net::Ipv4Addr| {
        let about = Some((*address, addresses.len()));
        let resource = vocabulary.subject_uid(subject).unwrap();
        let request = question.about(&resource, about).unwrap();
        authorized(text, &request, &entities)
    };
    addresses.iter().map(one).collect()
}

/// Cedar's set of all policies, each under its id.
fn every_policy(text: &str) -> cedar_policy::PolicySet {
    use cedar_policy::{PolicyId, PolicySet};
    let parsed: PolicySet = text.parse().unwrap();
    let named = parsed.policies().map(|p| p.new_id(PolicyId::new(p.annotation("id").unwrap())));
    PolicySet::from_policies(named).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a valid call holds, its questions are ones that the schema allows. Else a policy that was checked
    /// against the schema could meet a member that is missing or of another type.
    #[test]
    fn every_call_of_every_action_asks_what_the_schema_says(seed in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let call = generated::call(&mut random);
        let vocabulary = vocabulary::Vocabulary::in_use().unwrap();
        if vocabulary.number(call.action()).is_none() {
            prop_assert_eq!(call.action(), "AssignNetworkInterfaceIpv4");
            return Ok(());
        }
        let who = caller(&[]);
        let question = vocabulary.question(&call, (&who).into(), Needs::ALL).unwrap();
        // Actions on addresses have an address besides; they become other requests.
        let per_address = ["BatchAssignNetworkInterfaceIpv4", "UnassignNetworkInterfaceIpv4"];
        let address = (std::net::Ipv4Addr::LOCALHOST, 1);
        let address = per_address.contains(&call.action()).then_some(address);
        for target in AuthorizationRequest::targets(&call) {
            let subjects = match target {
                TargetRef::Account => vec![Subject::Account],
                TargetRef::OneOf(resources) => resources.iter().map(Subject::Unread).collect(),
                TargetRef::Nic(_) => unreachable!("a call names resources"),
            };
            for subject in subjects {
                let resource = vocabulary.subject_uid(subject).unwrap();
                checked(&question.about(&resource, address).unwrap());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same for seeing everyone's operations.
    #[test]
    fn slicing_shows_nobody_more_operations(
        text in policies(),
        groups in proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3),
    ) {
        let who = caller(&groups);
        let (request, entities) =
            vocabulary::Vocabulary::in_use().unwrap().about_the_journal(&who, |_| true).unwrap();
        let [by, _, failed] = authorized(&text, &request, &entities);
        let may = !by.is_empty() && failed.is_empty();
        prop_assert_eq!(Engine::unvalidated(&text).may_read_operations(&who), may);
    }

    /// The engine slices, skips groups, and first decides without the vNIC. Even so, it gives the same decision, the
    /// same determining ids and the same errors as Cedar over the full set.
    #[test]
    fn slicing_changes_nothing(
        text in policies(),
        groups in proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3),
        change in select(vec![Change::Assign, Change::Unassign]),
        addresses in select(vec![vec!["10.0.0.2"], vec!["10.9.0.2"], vec!["10.0.0.2", "10.9.0.2"]]),
        tagged in any::<bool>(),
    ) {
        let tags: &[(&str, &str)] = if tagged { &[("t", "")] } else { &[] };
        let (who, nic) = (caller(&groups), nic(tags));
        let asked = ChangeIpv4 { change, ..unassign(&addresses) };
        let full = unsliced(&text, &who, &asked, &nic);
        let allowed = full.iter().all(|[by, _, failed]| !by.is_empty() && failed.is_empty());
        let engine = Engine::unvalidated(&text);
        let verdict = match engine.ask(&who, asked.clone()) {
            Verdict::Allowed(permit) => Ok(permit),
            Verdict::Denied(denial) => {
                // Denied without a read: the full set must deny the same addresses.
                prop_assert!(!allowed);
                for denied in &denial.denied {
                    let at = asked.addresses.as_slice().iter().position(|a| Some(*a) == denied.address).unwrap();
                    let [by, against, failed] = &full[at];
                    prop_assert!(by.is_empty() || !failed.is_empty());
                    prop_assert!(denied.policies.iter().all(|reason| against.contains(&reason.id)));
                    prop_assert!(denied.failed.iter().all(|reason| failed.contains(&reason.id)));
                }
                return Ok(());
            }
            Verdict::DependsOnData(pending) => engine.decide(&who, pending, &nic),
        };
        match verdict {
            Ok(permit) => {
                prop_assert!(allowed);
                let by: BTreeSet<String> = full.iter().flat_map(|[by, ..]| by.clone()).collect();
                prop_assert_eq!(permit.policies().iter().cloned().collect::<BTreeSet<_>>(), by);
            }
            Err(denial) => {
                prop_assert!(!allowed);
                for (address, [by, against, failed]) in asked.addresses.as_slice().iter().zip(&full) {
                    let denied = denial.denied.iter().find(|denied| denied.address == Some(*address));
                    let is_denied = by.is_empty() || !failed.is_empty();
                    prop_assert_eq!(denied.is_some(), is_denied);
                    let Some(denied) = denied else { continue };
                    let names = |list: &[Reason]| list.iter().map(|r| r.id.clone()).collect::<BTreeSet<_>>();
                    prop_assert_eq!(&names(&denied.policies), against);
                    prop_assert_eq!(&names(&denied.failed), failed);
                }
            }
        }
    }
}
