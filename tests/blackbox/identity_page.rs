//! docs/identity.md is accurate: every block of it loads, and tokens with each provider's documented claims identify
//! the callers that the page names. Only the source of the keys is replaced.

use std::{path::Path, time::SystemTime};

use serde_json::{Value, json};
use zec_gateway::{config::Config, issuer::Signer};

use crate::{
    client::Answer,
    world::{NIC, Setup, World},
};

const PAGE: &str = include_str!("../../docs/identity.md");

/// The fenced blocks in a language, in the order of a text.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let rest = text.split(begin.as_str()).skip(1);
    rest.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The one block in a language under a heading.
fn block(heading: &str, language: &str) -> String {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let mut found = blocks(section, language);
    assert_eq!(found.len(), 1, "{heading}");
    found.remove(0)
}

/// A world with a provider's configuration and policy from the page.
async fn world(heading: &str) -> World {
    let block = block(heading, "toml");
    let issuers = block.replace("discovery = true", "jwks_file = \"jwks.json\"");
    assert_ne!(block, issuers, "{heading}");
    let signer = Signer::rs256().unwrap();
    // The tests' signer has no P-384; its verification has separate tests.
    let issuers = issuers.replace("\"ES384\"", "\"ES384\", \"RS256\"");
    let policy = self::block(heading, "cedar");
    Setup { issuers: Some(issuers), policy, signer, ..Setup::default() }.start().await
}

/// A token with these claims and current times; the claims contain no times.
fn token(world: &World, claims: &Value) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let mut claims = claims.as_object().unwrap().clone();
    claims.insert("iat".to_owned(), json!(now));
    claims.insert("exp".to_owned(), json!(now + 300));
    world.signer.sign(&claims).unwrap()
}

/// Claims with some of them replaced.
fn with(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

async fn get(world: &World, claims: &Value, target: &str) -> Answer {
    world.bearer(&token(world, claims)).get(target).await
}

/// The caller that the claims identify; the page's policy must let that caller read.
async fn permitted(world: &World, claims: &Value) -> Value {
    let answer = get(world, claims, &format!("/nics/{NIC}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    get(world, claims, "/whoami").await.json()
}

async fn denied(world: &World, claims: &Value) {
    let answer = get(world, claims, &format!("/nics/{NIC}")).await;
    assert_eq!(answer.problem().1, "policy-denied", "{}", answer.text());
}

async fn refused(world: &World, claims: &Value, why: &str) {
    let answer = get(world, claims, "/whoami").await;
    assert_eq!(answer.problem().1, "invalid-token", "{}", answer.text());
    assert!(answer.text().contains(why), "{why}: {}", answer.text());
}

#[test]
fn every_block_of_the_page_loads_alone_and_beside_the_others() {
    let rest = "[policy]\ndirectory = \"policy\"\n[zec]\nendpoint = \"https://zec.example.com\"\n";
    let mut blocks = blocks(PAGE, "toml");
    assert_eq!(blocks.len(), 9);
    blocks.push(blocks.concat());
    for block in blocks {
        let parsed = Config::parse(Path::new("page"), &(block.clone() + rest), std::iter::empty());
        let config = parsed.unwrap_or_else(|faults| panic!("{faults:?} in {block}"));
        // None of the page's recommendations causes a warning or has no effect.
        let said = format!("{:?}", config.warnings);
        assert!(!said.contains("auth"), "{said}");
    }
}

#[tokio::test]
async fn keycloak_gives_realm_roles_and_its_id_tokens_are_refused() {
    let world = world("Keycloak").await;
    let access = json!({
        "jti": "19b582b8-28c5-4a7e-ae0b-0500e11c6bd4",
        "iss": "https://sso.example.com/realms/corp",
        "aud": ["zec-gateway", "account"],
        "sub": "d952cf23-bf92-4c8f-a3ff-4972b4f2bc5b",
        "typ": "Bearer",
        "azp": "billing",
        "acr": "1",
        "allowed-origins": ["*"],
        "realm_access": { "roles": ["offline_access", "default-roles-corp", "netops"] },
        "resource_access": { "account": { "roles": ["view-profile"] } },
        "scope": "email profile",
        "email_verified": false,
        "preferred_username": "service-account-billing",
    });
    let caller = json!({
        "issuer": "corp",
        "subject": "d952cf23-bf92-4c8f-a3ff-4972b4f2bc5b",
        "groups": ["default-roles-corp", "netops", "offline_access"],
    });
    assert_eq!(permitted(&world, &access).await, caller);
    let roles = |roles: Value| with(&access, &json!({ "realm_access": roles }));
    denied(&world, &roles(json!({ "roles": ["offline_access"] }))).await;
    denied(&world, &roles(json!({}))).await;
    refused(&world, &roles(json!({ "roles": "netops" })), "not a list").await;
    // Roles of a client, or of the token itself, are not the realm's roles.
    denied(&world, &with(&roles(json!({})), &json!({ "roles": ["netops"] }))).await;
    // An ID token is meant for the client, and so is an access token without the mapper.
    let id = json!({ "typ": "ID", "aud": "billing" });
    refused(&world, &with(&access, &id), "another service").await;
    refused(&world, &with(&access, &json!({ "aud": "account" })), "another service").await;
    let realm = json!({ "iss": "https://sso.example.com/realms/other" });
    refused(&world, &with(&access, &realm), "does not know").await;
}

#[tokio::test]
async fn entra_gives_app_roles_and_a_cut_groups_claim_is_refused() {
    let world = world("Microsoft Entra ID").await;
    let access = json!({
        "aud": "00001111-aaaa-2222-bbbb-3333cccc4444",
        "iss": "https://login.microsoftonline.com/bbbbcccc-1111-dddd-2222-eeee3333ffff/v2.0",
        "nbf": 1_669_657_224,
        "aio": "AXQAi/8IAAAA",
        "azp": "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
        "azpacr": "0",
        "name": "Kyle Marsh",
        "oid": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
        "preferred_username": "kylemar@example.com",
        "roles": ["Approver", "Reviewer"],
        "scp": "access_as_user",
        "sub": "3OBtLXUC2ZrN_ADLNjW9X4o0lcd61py7lgHw3Skh77s",
        "tid": "bbbbcccc-1111-dddd-2222-eeee3333ffff",
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "ver": "2.0",
    });
    let caller = json!({
        "issuer": "entra",
        "subject": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
        "groups": ["Approver", "Reviewer"],
    });
    assert_eq!(permitted(&world, &access).await, caller);
    denied(&world, &with(&access, &json!({ "roles": ["Reviewer"] }))).await;
    // A pairwise `sub` alone names no user that the policy could know.
    refused(&world, &with(&access, &json!({ "oid": null })), "`oid`").await;
    let pointer = json!({
        "_claim_names": { "groups": "src1" },
        "_claim_sources": { "src1": { "endpoint": "https://graph.microsoft.com/v1.0/users/x" } },
    });
    refused(&world, &with(&access, &pointer), "cut the token's groups short").await;
    let implicit = json!({ "hasgroups": true });
    refused(&world, &with(&access, &implicit), "cut the token's groups short").await;
    let first = json!({
        "iss": "https://sts.windows.net/bbbbcccc-1111-dddd-2222-eeee3333ffff/",
        "ver": "1.0",
    });
    refused(&world, &with(&access, &first), "does not know").await;
    let address = json!({ "aud": "api://00001111-aaaa-2222-bbbb-3333cccc4444" });
    refused(&world, &with(&access, &address), "another service").await;
    let tenant = "https://login.microsoftonline.com/99999999-1111-dddd-2222-eeee3333ffff/v2.0";
    refused(&world, &with(&access, &json!({ "iss": tenant })), "does not know").await;
}

#[tokio::test]
async fn google_names_accounts_by_number_and_tells_audiences_apart() {
    let world = world("Google").await;
    let id = json!({
        "iss": "https://accounts.google.com",
        "aud": "zec-gateway",
        "azp": "113289723416554971153",
        "sub": "113289723416554971153",
        "email": "backup@project.iam.gserviceaccount.com",
        "email_verified": true,
    });
    let caller = json!({ "issuer": "google", "subject": "113289723416554971153", "groups": [] });
    assert_eq!(permitted(&world, &id).await, caller);
    // A foreign service account can have the same audience, but not the same number.
    denied(&world, &with(&id, &json!({ "sub": "100000000000000000001" }))).await;
    let people = json!({ "aud": "32555940559.apps.googleusercontent.com" });
    refused(&world, &with(&id, &people), "another service").await;
    refused(&world, &with(&id, &json!({ "iss": "accounts.google.com" })), "does not know").await;
}

#[tokio::test]
async fn github_names_the_repository_and_the_branch() {
    let world = world("GitHub Actions").await;
    let main = "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main";
    let id = json!({
        "jti": "6a4bfeeb-3f7c-4e21-9d3a-8a1b6f6c2f10",
        "sub": main,
        "aud": "zec-gateway",
        "ref": "refs/heads/main",
        "sha": "4ef445ef4a941510221fccb2e4ef346cbd8e315a",
        "repository": "octo-org/octo-repo",
        "repository_owner": "octo-org",
        "repository_id": "456789",
        "run_id": "1",
        "actor": "octocat",
        "event_name": "push",
        "ref_type": "branch",
        "job_workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main",
        "iss": "https://token.actions.githubusercontent.com",
        "nbf": 1_669_657_224,
    });
    let caller = json!({ "issuer": "github", "subject": main, "groups": [] });
    assert_eq!(permitted(&world, &id).await, caller);
    // These tokens are as valid as ours; only the policy knows which repositories are allowed.
    for other in [
        "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/feature",
        "repo:octo-org@123456/octo-repo@456789:pull_request",
        "repo:octo-org@654321/octo-repo@987654:ref:refs/heads/main",
        "repo:octo-org/octo-repo:ref:refs/heads/main",
    ] {
        denied(&world, &with(&id, &json!({ "sub": other }))).await;
    }
    // The default audience of a workflow that requests none.
    let default = json!({ "aud": "https://github.com/octo-org" });
    refused(&world, &with(&id, &default), "another service").await;
}

#[tokio::test]
async fn okta_gives_the_groups_that_a_claim_of_the_authorization_server_names() {
    let world = world("Okta").await;
    let access = json!({
        "ver": 1,
        "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "iss": "https://example.okta.com/oauth2/default",
        "aud": "api://zec-gateway",
        "sub": "alice@example.com",
        "cid": "0oa1b2c3",
        "uid": "00u1b2c3",
        "scp": ["zec"],
        "groups": ["zec-netops"],
    });
    let caller = json!({
        "issuer": "okta", "subject": "alice@example.com", "groups": ["zec-netops"],
    });
    assert_eq!(permitted(&world, &access).await, caller);
    denied(&world, &with(&access, &json!({ "groups": [] }))).await;
    refused(&world, &with(&access, &json!({ "aud": "api://default" })), "another service").await;
}

#[tokio::test]
async fn auth0_gives_roles_under_a_name_with_dots() {
    let world = world("Auth0").await;
    let access = json!({
        "https://example.com/roles": ["netops"],
        "iss": "https://example.eu.auth0.com/",
        "sub": "auth0|507f1f77bcf86cd799439011",
        "aud": ["https://zec-gateway.example.com", "https://example.eu.auth0.com/userinfo"],
        "azp": "a1b2c3",
        "scope": "openid profile",
    });
    let caller = json!({
        "issuer": "auth0", "subject": "auth0|507f1f77bcf86cd799439011", "groups": ["netops"],
    });
    assert_eq!(permitted(&world, &access).await, caller);
    let program = json!({ "sub": "a1b2c3@clients", "https://example.com/roles": [] });
    denied(&world, &with(&access, &program)).await;
    let bare = json!({ "iss": "https://example.eu.auth0.com" });
    refused(&world, &with(&access, &bare), "does not know").await;
}

#[tokio::test]
async fn cognito_gives_groups_in_id_tokens_and_its_access_tokens_are_refused() {
    let world = world("Amazon Cognito").await;
    let id = json!({
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "cognito:groups": ["netops"],
        "email_verified": true,
        "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI",
        "cognito:username": "alice",
        "aud": "1example23456789",
        "token_use": "id",
    });
    let caller = json!({
        "issuer": "cognito",
        "subject": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "groups": ["netops"],
    });
    assert_eq!(permitted(&world, &id).await, caller);
    let mut access = with(&id, &json!({ "token_use": "access", "client_id": "1example23456789" }));
    access.as_object_mut().unwrap().remove("aud");
    refused(&world, &access, "has no `aud`").await;
}

#[tokio::test]
async fn a_role_of_aws_is_its_arn_and_its_tag_a_group() {
    let world = world("Amazon Web Services").await;
    let own = |tags: Value| {
        json!({
            "aws_account": "123456789012",
            "source_region": "us-east-1",
            "org_id": "o-abc1234567",
            "principal_tags": tags,
            "request_tags": { "team": "data-engineering" },
        })
    };
    let token = json!({
        "iss": "https://abc12345-def4-5678-90ab-cdef12345678.tokens.sts.global.api.aws",
        "aud": "zec-gateway",
        "sub": "arn:aws:iam::123456789012:role/DataProcessingRole",
        "jti": "xyz123",
        "https://sts.amazonaws.com/": own(json!({ "team": "data-engineering" })),
    });
    let caller = json!({
        "issuer": "aws",
        "subject": "arn:aws:iam::123456789012:role/DataProcessingRole",
        "groups": ["data-engineering"],
    });
    assert_eq!(permitted(&world, &token).await, caller);
    for tags in [json!({ "team": "billing" }), json!({})] {
        denied(&world, &with(&token, &json!({ "https://sts.amazonaws.com/": own(tags) }))).await;
    }
}

#[tokio::test]
async fn a_service_account_of_kubernetes_is_a_caller_by_its_name() {
    let world = world("Kubernetes").await;
    let token = json!({
        "aud": ["zec-gateway"],
        "iss": "https://kubernetes.default.svc.cluster.local",
        "jti": "7ee52be0-9045-4653-aa5e-0da57b8dccdc",
        "kubernetes.io": {
            "namespace": "ops",
            "pod": { "name": "cleaner-1", "uid": "33333333-4444-5555-6666-777777777777" },
            "serviceaccount": { "name": "cleaner", "uid": "11111111-2222-3333-4444-555555555555" },
        },
        "sub": "system:serviceaccount:ops:cleaner",
    });
    let subject = "system:serviceaccount:ops:cleaner";
    let caller = json!({ "issuer": "kubernetes", "subject": subject, "groups": [] });
    assert_eq!(permitted(&world, &token).await, caller);
    let other = json!({ "sub": "system:serviceaccount:default:cleaner" });
    denied(&world, &with(&token, &other)).await;
    let default = json!({ "aud": ["https://kubernetes.default.svc.cluster.local"] });
    refused(&world, &with(&token, &default), "another service").await;
}
