//! Tests that the document is complete: references, routes and problems.

use std::collections::HashSet;

use super::*;
use crate::error::Problem;

fn pointers(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(text) if name == "$ref" => into.push(text.to_owned()),
                    _ => pointers(value, into),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| pointers(value, into)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = document(50);
    let mut found = Vec::new();
    pointers(&document, &mut found);
    for pointer in &found {
        let path = pointer.strip_prefix('#').unwrap();
        assert!(document.pointer(path).is_some(), "{pointer} leads nowhere");
    }
    for kind in ["schemas", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/{kind}/{name}")), "{name} is unused");
        }
    }
}

#[test]
fn every_route_is_described_under_an_id_of_its_own() {
    let ids: HashSet<_> = routes::all().iter().map(|route| (route.describe)().id).collect();
    assert_eq!(ids.len(), routes::all().len());
    let document = document(50);
    for route in routes::all() {
        let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let names: Vec<_> = in_path.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        let wanted: Vec<_> =
            route.path.split(['{', '}']).enumerate().filter(|(at, _)| at % 2 == 1).collect();
        assert_eq!(names, wanted.iter().map(|(_, name)| *name).collect::<Vec<_>>(), "{route:?}");
        assert_eq!(operation.get("requestBody").is_some(), route.takes_body, "{route:?}");
    }
}

#[test]
fn every_problem_but_a_wrong_method_is_some_routes() {
    for problem in Problem::ALL {
        let listed = routes::all().iter().any(|route| route.problems().any(|one| one == problem));
        assert_eq!(listed, problem != Problem::MethodNotAllowed, "{problem:?}");
    }
}
