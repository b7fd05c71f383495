//! Where groups are found, and when the gateway does not believe them.

use super::*;

#[test]
fn groups_that_are_malformed_or_cut_short_are_refused_not_ignored() {
    let world = world();
    for (claims, why) in [
        (world.with("groups", json!("netops")), "list of strings"),
        (world.with("groups", json!(["netops", 7])), "list of strings"),
        (world.with("groups", json!({"netops": true})), "list of strings"),
        (world.with("groups", json!(null)), "`groups` is null"),
        (world.with("_claim_names", json!(null)), "`_claim_names` is null"),
        (world.with("hasgroups", json!(null)), "`hasgroups` is null"),
        (world.with("groups", json!(["a\nb"])), "control character"),
        (world.with("groups", json!(["x".repeat(257)])), "256 bytes"),
        (world.with("_claim_names", json!({"groups": "src1"})), "cut"),
        (world.with("_claim_names", json!("groups")), "cut"),
        (world.with("hasgroups", json!(true)), "cut"),
        (world.with("hasgroups", json!("true")), "cut"),
    ] {
        world.refuses_claims(&claims, why);
    }
    let none = world.check(&world.es.sign(&world.without("groups")).unwrap()).unwrap();
    assert_eq!(none.groups().len(), 0);
}

#[test]
fn groups_are_found_by_a_dotted_path() {
    let world = world_with(|issuer| issuer.groups_claim = "realm_access.roles".into());
    let nested = world.with("realm_access", json!({"roles": ["ops"]}));
    let caller = world.check(&world.es.sign(&nested).unwrap()).unwrap();
    assert_eq!(caller.groups().collect::<Vec<_>>(), ["ops"]);
    world.refuses_claims(&world.with("realm_access", json!("x")), "list of strings");
    let dotted = world.with("realm_access.roles", json!(["whole"]));
    let caller = world.check(&world.es.sign(&dotted).unwrap()).unwrap();
    assert_eq!(caller.groups().collect::<Vec<_>>(), ["whole"]);
}

#[test]
fn groups_are_found_by_a_list_of_names_that_have_dots() {
    let path = ["resource_access", "zec.gateway", "roles"].map(str::to_owned).to_vec();
    let world = world_with(|issuer| issuer.groups_claim = ClaimPath::Names(path));
    let client = json!({"zec.gateway": {"roles": ["ops"]}, "zec": {"gateway": {"roles": ["no"]}}});
    let claims = world.with("resource_access", client);
    let caller = world.check(&world.es.sign(&claims).unwrap()).unwrap();
    assert_eq!(caller.groups().collect::<Vec<_>>(), ["ops"]);
    let elsewhere = world.with("resource_access.zec.gateway.roles", json!(["whole"]));
    assert_eq!(world.check(&world.es.sign(&elsewhere).unwrap()).unwrap().groups().len(), 0);
    let moved = world.with("_claim_names", json!({"resource_access": "src1"}));
    world.refuses_claims(&moved, "cut");
}

#[test]
fn groups_that_are_elsewhere_are_missed_under_a_name_with_dots_too() {
    let name = "https://corp.example/groups";
    let world = world_with(|issuer| issuer.groups_claim = name.into());
    world.refuses_claims(&world.with("_claim_names", json!({name: "src1"})), "cut");
}

#[test]
fn an_issuer_whose_tokens_never_have_the_groups_claim_is_told_of() {
    let world = world_with(|issuer| issuer.groups_claim = "roles".into());
    let without = || world.auth.without_groups().map(|(name, _)| name).collect::<Vec<_>>();
    assert!(without().is_empty(), "no token has come");
    assert!(world.check("a.b.c").is_err());
    assert!(without().is_empty(), "no good token has come");
    world.check(&world.es.sign(&world.claims()).unwrap()).unwrap();
    assert_eq!(without(), ["corp"]);
    // The claim is there, although it has no group.
    world.check(&world.es.sign(&world.with("roles", json!([]))).unwrap()).unwrap();
    assert!(without().is_empty());
    world.check(&world.es.sign(&world.claims()).unwrap()).unwrap();
    assert!(without().is_empty());
}
