//! The outcomes of writes: callers see their own, and some callers see everyone's.

use std::fs;

use serde_json::{Value, json};
use zec_gateway::emulator::{Fault, FaultKind, NicSeed};

use crate::{
    client::Answer,
    world::{Caller, NIC, Setup, World},
};

const SPARE: &str = "1612345678901234570";
const UNASSIGN: &str = "UnassignNetworkInterfaceIpv4";
const NOBODYS: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

/// netops and lab may write, only netops may read vNICs, and audit sees everyone's operations.
const POLICY: &str = r#"
@id("write") permit (principal, action in Zec::Action::"write", resource)
when { principal in [Zec::Group::"corp/netops", Zec::Group::"corp/lab"] };
@id("look") permit (principal in Zec::Group::"corp/netops", action in Zec::Action::"read", resource);
@id("audit") permit (principal in Zec::Group::"corp/audit", action == Zec::Action::"ReadOperations", resource);
"#;

/// A world that reads the vNIC before a write, so that the record contains it.
async fn world() -> World {
    with(POLICY).await
}

async fn with(policy: &str) -> World {
    let setup = Setup { zec: String::new(), policy: policy.to_owned(), ..Setup::default() };
    setup.start().await
}

fn bob(world: &World) -> Caller {
    world.caller("bob", &["lab"])
}

/// Unassigns an address and returns the operation's id.
async fn take(caller: &Caller, address: &str) -> String {
    let answer = caller.delete(&format!("/nics/{NIC}/ipv4/{address}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["operationId"].as_str().unwrap().to_owned()
}

async fn show(caller: &Caller, id: &str) -> Answer {
    caller.get(&format!("/operations/{id}")).await
}

/// The ids in a list, and where the next page starts.
async fn list(caller: &Caller, query: &str) -> (Vec<String>, Option<String>) {
    let answer = caller.get(&format!("/operations{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let json = answer.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = json["operations"].as_array().unwrap();
    (all.iter().map(|one| text(&one["operationId"])).collect(), json.get("next").map(text))
}

#[tokio::test]
async fn a_write_is_found_under_its_id_with_all_that_is_known_of_it() {
    let world = world().await;
    let alice = world.alice();
    let before = alice.get(&format!("/nics/{NIC}")).await.json();
    let target = format!("/nics/{NIC}/ipv4?ipAddresses=10.0.0.22&ipAddresses=10.0.0.21");
    let done = alice.send("DELETE", &target, &[("X-Request-Id", "mine")], None).await.json();
    let answer = show(&alice, done["operationId"].as_str().unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let shown = answer.json();
    let version = &shown["policyVersion"];
    assert_eq!(version.as_str().unwrap().len(), 12);
    let (started, finished) = (&shown["startedAt"], &shown["finishedAt"]);
    assert!(started.as_str().unwrap().ends_with('Z') && finished.as_str() >= started.as_str());
    assert_eq!(
        shown,
        json!({
            "operationId": done["operationId"], "outcome": "done", "action": UNASSIGN,
            "apiVersion": "2025-09-01", "resources": [{"id": NIC, "type": "nic"}],
            "arguments": {"ipAddresses": ["10.0.0.22", "10.0.0.21"], "nicId": NIC},
            "nicId": NIC, "ipAddresses": ["10.0.0.22", "10.0.0.21"], "caller": "corp/alice",
            "policies": ["write"], "policyVersion": version, "before": before,
            "requestId": "mine", "zecRequestId": done["requestId"], "code": null,
            "startedAt": started, "finishedAt": finished,
        })
    );
}

#[tokio::test]
async fn anothers_operation_looks_like_none_at_all() {
    let world = world().await;
    let id = take(&world.alice(), "10.0.0.21").await;
    let own = take(&bob(&world), "10.0.0.22").await;
    let ask = async |id: &str| {
        let target = format!("/operations/{id}");
        bob(&world).send("GET", &target, &[("X-Request-Id", "same")], None).await
    };
    let (foreign, unknown) = (ask(&id).await, ask(NOBODYS).await);
    let expected = (404, "not-found".to_owned(), "ROUTE_NOT_FOUND".to_owned());
    assert_eq!(foreign.problem(), expected);
    assert_eq!(foreign.text(), unknown.text());
    // The start of a list does not reveal it either.
    let start = async |id: &str| {
        let target = format!("/operations?before={id}");
        bob(&world).send("GET", &target, &[("X-Request-Id", "same")], None).await
    };
    let (foreign, unknown) = (start(&id).await, start(NOBODYS).await);
    assert_eq!((foreign.status, foreign.text()), (400, unknown.text()));
    assert_eq!(list(&bob(&world), "").await, (vec![own.clone()], None));
    // Without a token, the answer is only 401.
    assert_eq!(world.stranger().get(&format!("/operations/{own}")).await.status, 401);
    assert_eq!(world.stranger().get("/operations").await.status, 401);
}

#[tokio::test]
async fn read_operations_opens_everyones() {
    let world = world().await;
    let first = take(&world.alice(), "10.0.0.21").await;
    let second = take(&bob(&world), "10.0.0.22").await;
    let carol = world.caller("carol", &["audit"]);
    for (id, whose) in [(&first, "corp/alice"), (&second, "corp/bob")] {
        let answer = show(&carol, id).await;
        assert_eq!((answer.status, &answer.json()["caller"]), (200, &json!(whose)));
    }
    assert_eq!(list(&carol, "").await.0, [second.clone(), first.clone()]);
    assert_eq!(list(&carol, &format!("?before={second}")).await.0, [first]);
    assert_eq!(show(&carol, NOBODYS).await.status, 404);
    // The right to see operations gives no right to see vNICs, neither their past nor their present state.
    assert_eq!(show(&carol, &second).await.json()["before"], Value::Null);
    assert_eq!(carol.get(&format!("/nics/{NIC}")).await.status, 403);
    // No other policy overrides a forbid.
    let forbidden = format!(
        r#"{POLICY} @id("no") forbid (principal == Zec::Caller::"corp/carol", action == Zec::Action::"ReadOperations", resource);"#
    );
    let world = with(&forbidden).await;
    let id = take(&world.alice(), "10.0.0.21").await;
    let carol = world.caller("carol", &["audit"]);
    assert_eq!(show(&carol, &id).await.status, 404);
    assert_eq!(show(&world.caller("dave", &["audit"]), &id).await.status, 200);
    assert!(list(&carol, "").await.0.is_empty());
}

#[tokio::test]
async fn the_vnic_as_it_was_is_shown_to_those_who_may_see_it() {
    let world = world().await;
    let (alice, bob) = (world.alice(), bob(&world));
    let id = take(&bob, "10.0.0.21").await;
    let answer = show(&bob, &id).await;
    assert_eq!(answer.json()["before"], Value::Null);
    assert!(!answer.text().contains("10.0.0.22"), "{}", answer.text());
    let listed = bob.get("/operations").await;
    assert_eq!(listed.json()["operations"], json!([answer.json()]));
    let both = world.caller("bob", &["netops"]);
    let before = show(&both, &id).await.json()["before"].clone();
    assert_eq!(before["nicId"], NIC);
    assert_eq!(both.get("/operations").await.json()["operations"][0]["before"], before);
    assert_eq!(show(&alice, &id).await.status, 404);

    // The vNIC's state at the time of the write decides, not its present state.
    let tagged = r#"
        @id("write") permit (principal, action in Zec::Action::"write", resource);
        @id("look") permit (principal, action in Zec::Action::"read", resource is Zec::Nic)
        when { resource.status == "AVAILABLE" || resource.status == "USED" };
        @id("no") forbid (principal, action in Zec::Action::"read", resource is Zec::Nic)
        when { resource.id == "1612345678901234570" };"#;
    let world = with(tagged).await;
    let id = take(&world.alice(), "10.0.0.21").await;
    let seed = NicSeed { id: NIC.to_owned(), status: "DETACHING".to_owned(), ..NicSeed::default() };
    world.zec.insert_nic(seed);
    assert_eq!(world.alice().get(&format!("/nics/{NIC}")).await.status, 403);
    assert_eq!(show(&world.alice(), &id).await.json()["before"]["nicId"], NIC);
    let given = format!("/nics/{SPARE}/ipv4");
    let answer = world.alice().post(&given, r#"{"ipAddresses":["10.0.0.90"]}"#).await;
    let id = answer.json()["operationId"].as_str().unwrap_or_default().to_owned();
    assert_eq!(show(&world.alice(), &id).await.json()["before"], Value::Null, "{}", answer.text());

    // The vNIC was not read, so none is shown.
    let blunt = Setup::without_preflight("it would be read for its state");
    let world = Setup { policy: POLICY.to_owned(), ..blunt }.start().await;
    let id = take(&world.alice(), "10.0.0.21").await;
    assert_eq!(show(&world.alice(), &id).await.json()["before"], Value::Null);
}

#[tokio::test]
async fn a_list_is_newest_first_and_each_filter_filters() {
    let world = world().await;
    let alice = world.alice();
    let first = take(&alice, "10.0.0.21").await;
    let headers = [("X-Request-Id", "the.second_one-2")];
    let target = format!("/nics/{NIC}/ipv4/10.0.0.22");
    let answer = alice.send("DELETE", &target, &headers, None).await;
    let second = answer.json()["operationId"].as_str().unwrap().to_owned();
    let given =
        alice.post(&format!("/nics/{SPARE}/ipv4"), r#"{"ipAddresses":["10.0.0.90"]}"#).await;
    let third = given.json()["operationId"].as_str().unwrap_or_default().to_owned();
    assert_eq!(given.status, 200, "{}", given.text());
    world.zec.inject(Fault::once(FaultKind::Throttle).on(UNASSIGN));
    assert_eq!(alice.delete(&format!("/nics/{NIC}/ipv4/10.0.0.23")).await.status, 429);
    let refused = list(&alice, "?outcome=rejected").await.0;
    assert_eq!(refused.len(), 1);
    let fourth = refused[0].clone();
    let all = [&fourth, &third, &second, &first];
    for (query, expected) in [
        (String::new(), all.to_vec()),
        (format!("?nic={NIC}"), vec![&fourth, &second, &first]),
        (format!("?nic={SPARE}"), vec![&third]),
        ("?nic=unknown".to_owned(), vec![]),
        ("?outcome=done".to_owned(), vec![&third, &second, &first]),
        ("?outcome=not-done".to_owned(), vec![]),
        ("?requestId=the.second_one-2".to_owned(), vec![&second]),
        ("?requestId=another".to_owned(), vec![]),
        (format!("?before={third}"), vec![&second, &first]),
        (format!("?nic={NIC}&outcome=done&before={fourth}&limit=2"), vec![&second, &first]),
        ("?limit=100".to_owned(), all.to_vec()),
    ] {
        let (ids, next) = list(&alice, &query).await;
        assert_eq!((ids.iter().collect::<Vec<_>>(), next), (expected, None), "{query}");
    }
}

#[tokio::test]
async fn a_list_goes_on_where_the_last_one_ended() {
    let world = world().await;
    let alice = world.alice();
    let mut all = Vec::new();
    for number in 0..11 {
        for method in ["POST", "DELETE"] {
            let target = format!("/nics/{NIC}/ipv4");
            let body = format!(r#"{{"ipAddresses":["10.0.0.{}"]}}"#, 100 + number);
            let headers = [("Content-Type", "application/json")];
            let answer = alice.send(method, &target, &headers, Some(&body)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            all.insert(0, answer.json()["operationId"].as_str().unwrap().to_owned());
        }
    }
    // Other callers' operations in between are neither shown nor counted.
    take(&bob(&world), "10.0.0.21").await;
    let (page, next) = list(&alice, "").await;
    assert_eq!((page.as_slice(), next.as_ref()), (&all[..20], Some(&all[19])), "20 are shown");
    let (page, next) = list(&alice, &format!("?before={}", all[19])).await;
    assert_eq!((page.as_slice(), next), (&all[20..], None));
    let (mut seen, mut query) = (Vec::new(), "?limit=7&outcome=done".to_owned());
    loop {
        let (page, next) = list(&alice, &query).await;
        seen.extend(page);
        let Some(next) = next else { break };
        query = format!("?limit=7&outcome=done&before={next}");
    }
    assert_eq!(seen, all);
    // A page that ends with the last operation says so.
    assert_eq!(list(&alice, "?limit=22").await, (all.clone(), None));
    assert_eq!(list(&alice, "?limit=21").await, (all[..21].to_vec(), Some(all[20].clone())));
}

#[tokio::test]
async fn what_is_not_exactly_right_is_400() {
    let world = world().await;
    let alice = world.alice();
    let id = take(&alice, "10.0.0.21").await;
    let upper = format!("/operations/{}", id.to_uppercase());
    let queried = format!("/operations/{id}?limit=1");
    let (before, long) = (format!("/operations?before={}", id.to_uppercase()), "x".repeat(65));
    let long = format!("/operations?requestId={long}");
    for (target, word) in [
        ("/operations/abc", "UUID"),
        (upper.as_str(), "UUID"),
        ("/operations/67e55044-10b1-426f-9247-bb680e5fe0c8", "UUID"),
        (&queried, "unknown query key `limit`"),
        ("/operations?x=1", "unknown query key `x`"),
        ("/operations?caller=corp/bob", "unknown query key `caller`"),
        ("/operations?ipAddresses=10.0.0.1", "unknown query key"),
        ("/operations?limit=1&limit=1", "twice"),
        ("/operations?nic=a&nic=b", "twice"),
        ("/operations?limit", "key=value"),
        ("/operations?limit=", "`limit` is ``"),
        ("/operations?limit=0", "1 to 100"),
        ("/operations?limit=101", "1 to 100"),
        ("/operations?limit=-1", "1 to 100"),
        ("/operations?limit=+5", "1 to 100"),
        ("/operations?limit=05", "1 to 100"),
        ("/operations?limit=99999999999999999999999", "1 to 100"),
        ("/operations?outcome=Done", "`not-sent`"),
        ("/operations?outcome=", "`unknown`"),
        ("/operations?nic=", "not a vNIC id"),
        ("/operations?nic=a%20b", "not a vNIC id"),
        ("/operations?requestId=", "`requestId` is ``"),
        ("/operations?requestId=a%20b", "X-Request-Id"),
        (&long, "X-Request-Id"),
        ("/operations?before=abc", "UUID"),
        ("/operations?resource=nic", "is not a resource"),
        ("/operations?resource=nic/1&nic=1", "send one of them"),
        (&before, "UUID"),
    ] {
        let answer = alice.get(target).await;
        let expected = (400, "invalid-request".into(), "INVALID_PARAMETER_VALUE".into());
        assert_eq!(answer.problem(), expected, "{target}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{target}: `{detail}` does not say `{word}`");
    }
    let body =
        alice.send("GET", "/operations", &[("Content-Type", "application/json")], Some("{}"));
    assert_eq!(body.await.problem().1, "invalid-request");
    assert_eq!(alice.delete(&format!("/operations/{id}")).await.header("allow"), Some("GET, HEAD"));
}

#[tokio::test]
async fn without_a_journal_there_is_nothing_to_look_at() {
    let setup = Setup { rest: "[journal]\nenabled = false".to_owned(), ..Setup::default() };
    let world = setup.start().await;
    for target in ["/operations".to_owned(), format!("/operations/{NOBODYS}")] {
        let answer = world.alice().get(&target).await;
        assert_eq!((answer.problem().0, answer.problem().1.as_str()), (404, "not-found"));
        assert!(answer.text().contains("keeps no journal"), "{}", answer.text());
    }
    assert_eq!(world.alice().get("/operations/abc").await.status, 400);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_503_and_nothing_was_changed() {
    let world = world().await;
    let id = take(&world.alice(), "10.0.0.21").await;
    let path = world.files.path().join("journal.db");
    let aside = world.files.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    let targets = ["/operations".to_owned(), format!("/operations/{id}")];
    for target in &targets {
        let answer = world.alice().get(target).await;
        let (status, slug, _) = answer.problem();
        assert_eq!((status, slug.as_str()), (503, "journal-unavailable"));
        assert!(answer.header("retry-after").is_some());
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("cannot be read") && detail.contains("nothing was changed"));
        assert!(!answer.text().contains("journal.db"), "no answer shows a path");
    }
    fs::rename(&aside, &path).unwrap();
    for target in &targets {
        assert_eq!(world.alice().get(target).await.status, 200);
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_shown_as_unknown() {
    let world = world().await;
    let alice = world.alice();
    world.zec.inject(Fault::once(FaultKind::CutAfter).on(UNASSIGN));
    let answer = alice.delete(&format!("/nics/{NIC}/ipv4/10.0.0.21")).await;
    assert_eq!(answer.problem().1, "outcome-unknown");
    let id = answer.json()["operationId"].as_str().unwrap().to_owned();
    let shown = show(&alice, &id).await.json();
    assert_eq!((&shown["outcome"], &shown["zecRequestId"]), (&json!("unknown"), &Value::Null));
    assert_eq!(list(&alice, "?outcome=unknown").await.0, [id]);
    assert!(list(&alice, "?outcome=done").await.0.is_empty());
}

#[tokio::test]
async fn a_look_needs_nothing_of_zec_and_is_counted_on_its_route() {
    let world = world().await;
    let id = take(&world.alice(), "10.0.0.21").await;
    let asked = world.zec.requests().len();
    show(&world.alice(), &id).await;
    list(&world.alice(), "").await;
    assert_eq!(world.zec.requests().len(), asked);
    for route in ["/operations", "/operations/{operationId}"] {
        let series = format!(r#"http_requests_total{{code="200",method="GET",route="{route}"}}"#);
        assert_eq!(world.metric(&series).await, 1.0);
    }
    assert_eq!(world.metric("journal_entries").await, 2.0, "a look leaves no entry");
}

#[tokio::test]
async fn a_list_is_of_one_resource_however_it_is_written() {
    let world = world().await;
    let id = take(&world.alice(), "10.0.0.21").await;
    for query in [
        format!("?resource=nic/{NIC}"),
        format!("?resource=nic%2F{NIC}"),
        format!("?resource=nic%2f{NIC}"),
        format!("?nic={NIC}"),
    ] {
        assert_eq!(list(&world.alice(), &query).await, (vec![id.clone()], None), "{query}");
    }
    for query in [format!("?resource=subnet/{NIC}"), "?resource=nic/1".to_owned()] {
        assert_eq!(list(&world.alice(), &query).await, (vec![], None), "{query}");
    }
}
