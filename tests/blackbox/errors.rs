//! Every refusal is a problem document that says what to do.

use serde_json::json;
use zec_gateway::error::Problem;

use crate::world::{NIC, Setup, World};

#[tokio::test]
async fn without_a_token_nobody_gets_in_and_the_answer_says_what_is_wanted() {
    let world = World::start().await;
    let answer = world.stranger().delete(&format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21")).await;
    let (status, slug, code) = answer.problem();
    assert_eq!((status, slug.as_str()), (401, "missing-token"));
    assert_eq!(code, "AUTHFAILURE_INVALID_AUTHORIZATION");
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="zec-gateway""#));
    assert!(answer.text().contains("Authorization: Bearer"));

    let answer = world.bearer("not.a.token").get("/whoami").await;
    assert_eq!(answer.problem().1, "invalid-token");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn tokens_in_other_places_do_not_count() {
    let world = World::start().await;
    let token = world.alice().text("GET", "/", &[], None);
    let token = token.split("Bearer ").nth(1).unwrap().split('\r').next().unwrap().to_owned();
    let stranger = world.stranger();
    assert_eq!(stranger.get(&format!("/whoami?access_token={token}")).await.status, 401);
    let cookie = format!("access_token={token}");
    let answer = stranger.send("GET", "/whoami", &[("Cookie", &cookie)], None).await;
    assert_eq!(answer.status, 401);
    let bearer = format!("Bearer {token}");
    let proxy = [("Proxy-Authorization", bearer.as_str()), ("X-Forwarded-Authorization", &bearer)];
    assert_eq!(stranger.send("GET", "/whoami", &proxy, None).await.status, 401);
    let second = world.alice().send("GET", "/whoami", &[("Authorization", &bearer)], None).await;
    assert_eq!(second.problem().1, "invalid-token");
    let drop = [("Connection", "authorization")];
    assert_eq!(world.alice().send("GET", "/whoami", &drop, None).await.problem().0, 400);
}

#[tokio::test]
async fn a_denial_names_the_addresses_the_policies_and_the_caller() {
    let world = World::start().await;
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.21&ipAddresses=10.9.0.1");
    let answer = world.alice().delete(&target).await;
    let (status, slug, code) = answer.problem();
    assert_eq!((status, slug.as_str()), (403, "policy-denied"));
    assert_eq!(code, "AUTHFAILURE_UNAUTHORIZED_OPERATION");
    let json = answer.json();
    assert_eq!(json["denied"], json!([{"address": "10.9.0.1", "policies": []}]));
    assert_eq!(json["caller"], world.alice().get("/whoami").await.json());
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn unknown_routes_and_methods_are_not_mistaken_for_zecs_answers() {
    let world = World::start().await;
    let stranger = world.stranger();
    for target in ["/", "/nic", "/nics/n/ipv6", "/metrics", "/livez", "/readyz", "/operations/"] {
        let (status, slug, code) = stranger.get(target).await.problem();
        assert_eq!((status, slug.as_str(), code.as_str()), (404, "not-found", "ROUTE_NOT_FOUND"));
    }
    for (method, target, allow) in [
        ("GET", "/nics/n/ipv4", "DELETE, POST"),
        ("PUT", "/nics/n/ipv4", "DELETE, POST"),
        ("POST", "/nics/n/ipv4/10.0.0.1", "DELETE"),
        ("DELETE", "/nics/n", "GET, HEAD"),
        ("DELETE", "/operations", "GET, HEAD"),
        ("PUT", "/operations/x", "GET, HEAD"),
        ("OPTIONS", "/whoami", "GET, HEAD"),
        ("BREW", "/whoami", "GET, HEAD"),
    ] {
        let answer = stranger.send(method, target, &[], None).await;
        assert_eq!(answer.problem().1, "method-not-allowed", "{method} {target}");
        assert_eq!(answer.header("allow"), Some(allow));
    }
}

#[tokio::test]
async fn every_problem_has_a_page_that_explains_it() {
    let world = World::start().await;
    for problem in Problem::ALL {
        let answer = world.stranger().get(&format!("/problems/{}", problem.slug())).await;
        assert_eq!(answer.status, 200);
        let json = answer.json();
        assert_eq!(json["status"], problem.status());
        assert!(json["explanation"].as_str().unwrap().len() > 50, "{json}");
    }
    let answer = world.stranger().get("/problems/unheard-of").await;
    assert_eq!(answer.problem().1, "not-found");
}

/// Users of an SDK see only `code` and `message`.
#[tokio::test]
async fn a_denials_message_names_the_first_address_the_policy_and_its_reason() {
    let policy = r#"
@id("lab") permit (principal, action in Zec::Action::"addresses", resource)
when { context.address.isInRange(ip("10.0.0.0/24")) };
@id("keep-21") @reason("the printer has it")
forbid (principal, action in Zec::Action::"addresses", resource)
when { context.address == ip("10.0.0.21") };
"#;
    let world = Setup { policy: policy.to_owned(), ..Setup::default() }.start().await;
    let message = async |query: &str| {
        let answer = world.alice().delete(&format!("/nics/{NIC}/ipv4?{query}")).await;
        assert_eq!(answer.problem().1, "policy-denied", "{query}");
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        message("ipAddresses=10.0.0.22&ipAddresses=10.0.0.21").await,
        "10.0.0.21: the policy `keep-21` forbids this (the printer has it); nothing was sent"
    );
    assert_eq!(
        message("ipAddresses=10.9.0.1&ipAddresses=10.9.0.2&ipAddresses=10.0.0.22").await,
        "10.9.0.1: no policy allows corp/alice `UnassignNetworkInterfaceIpv4`: ask the policy's authors, or for a \
         group that may do this; `GET /whoami` shows yours; a wrong id has this answer too; `denied` has 1 more; \
         nothing was sent"
    );
    assert!(world.nothing_was_sent());
}
