//! Where groups are found, and when they are not believed.

use super::*;

#[test]
fn groups_that_are_malformed_or_cut_short_are_refused_not_ignored() {
    let world = world();
    for (claims, why) in [
        (world.with("groups", json!("netops")), "list of texts"),
        (world.with("groups", json!(["netops", 7])), "list of texts"),
        (world.with("groups", json!({"netops": true})), "list of texts"),
        (world.with("groups", json!(null)), "list of texts"),
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
    let world = world_with(|issuer| issuer.groups_claim = "realm_access.roles".to_owned());
    let nested = world.with("realm_access", json!({"roles": ["ops"]}));
    let caller = world.check(&world.es.sign(&nested).unwrap()).unwrap();
    assert_eq!(caller.groups().collect::<Vec<_>>(), ["ops"]);
    world.refuses_claims(&world.with("realm_access", json!("x")), "list of texts");
    let dotted = world.with("realm_access.roles", json!(["whole"]));
    let caller = world.check(&world.es.sign(&dotted).unwrap()).unwrap();
    assert_eq!(caller.groups().collect::<Vec<_>>(), ["whole"]);
}
