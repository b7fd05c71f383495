//! ZEC's own form of its API at the gateway: for the official SDK unchanged, and what is refused.

use std::{path::PathBuf, process::Command};

use zec_gateway::emulator::{Fault, FaultKind};

use crate::{
    client::Answer,
    real_parts::{left_out, need, output},
    world::{Caller, NIC, Setup, World},
};

const PATH: &str = "/api/v2/zec";

const DESCRIBE: &str = "DescribeNetworkInterfaces";
const ASSIGN: &str = "BatchAssignNetworkInterfaceIpv4";
const UNASSIGN: &str = "UnassignNetworkInterfaceIpv4";

/// A call with these headers besides the token, and this body.
async fn call(caller: &Caller, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
    let json = body.map(|_| ("Content-Type", "application/json; charset=utf-8"));
    let headers: Vec<_> = headers.iter().copied().chain(json).collect();
    caller.send("POST", PATH, &headers, body).await
}

async fn act(caller: &Caller, action: &str, body: &str) -> Answer {
    call(caller, &[("X-ZC-Action", action)], Some(body)).await
}

/// The code and the message, after a check of the form in which ZEC's SDKs read an error.
fn refusal(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    let id = text("requestId");
    let hex = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c) || c == '-';
    assert!(id.len() == 37 && id.starts_with('T') && id[1..].chars().all(hex), "{id}");
    (answer.status, text("code"), text("message"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_sdk_works_through_the_gateway() {
    if left_out("sdk") {
        return;
    }
    let world = World::start().await;
    let python = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-parts/venv/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/through_gateway.py");
    let token = world.alice().bearer().replacen("Bearer ", "", 1);
    let mut command = Command::new(need(&python));
    command.args([script, &world.gateway.to_string(), NIC, "10.0.0.21"]).env("TOKEN", token);
    let (ok, text) = output(&mut command).await;
    assert!(ok && text.contains("the SDK works through the gateway"), "{text}");
    // Each of them was decided, recorded and sent as the other routes' are.
    let listed = world.alice().get(&format!("/operations?nic={NIC}")).await.json();
    let done = listed["operations"].as_array().unwrap().iter();
    let done: Vec<_> = done.map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(done, [ASSIGN, UNASSIGN, ASSIGN, UNASSIGN]);
    let software = listed["operations"][0]["clientSoftware"].as_str().unwrap();
    assert!(software.contains("SDK_PYTHON_2.0.077"), "{software}");
}

#[tokio::test]
async fn an_answer_has_zecs_form() {
    let world = World::start().await;
    let alice = world.alice();
    let answer = act(&alice, DESCRIBE, &format!(r#"{{"nicIds":["{NIC}"]}}"#)).await;
    let json = answer.json();
    assert_eq!(json["requestId"], json["response"]["requestId"]);
    assert_eq!(json["response"]["totalCount"], 1);
    let shown = alice.get(&format!("/nics/{NIC}")).await.json();
    assert_eq!(json["response"]["dataSet"][0], shown);

    // A vNIC that does not exist is no error at ZEC.
    let answer = act(&alice, DESCRIBE, r#"{"nicIds":["none"],"pageNum":1,"pageSize":100}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["response"]["dataSet"].as_array().unwrap().len(), 0);
    assert_eq!(answer.json()["response"]["totalCount"], 0);

    let body = format!(r#"{{"nicId":"{NIC}","ipAddresses":["10.0.0.21"]}}"#);
    let keyed = [("X-ZC-Action", UNASSIGN), ("Idempotency-Key", "k-1"), ("X-ZC-Service", "zec")];
    let first = call(&alice, &keyed, Some(&body)).await;
    let again = call(&alice, &keyed, Some(&body)).await;
    assert_eq!((first.status, first.json()), (200, again.json()));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.json()["response"]["requestId"], first.json()["requestId"]);
    assert_eq!(world.sent(UNASSIGN).len(), 1);
}

const INVALID: &str = "INVALID_PARAMETER_VALUE";
const MISSING: &str = "MISSING_PARAMETER";
const UNKNOWN: &str = "AUTHFAILURE_UNAUTHORIZED_OPERATION";

const GOOD: &str = r#"{"nicId":"1612345678901234567","ipAddresses":["10.0.0.21"]}"#;
const NAMED: &[(&str, &str)] = &[("X-ZC-Action", UNASSIGN)];

type BadCall =
    (&'static [(&'static str, &'static str)], &'static str, u16, &'static str, &'static str);

/// Headers, a body, and the status, the code and a text that the answer must have.
const BAD: &[BadCall] = &[
    (&[], GOOD, 400, MISSING, "`X-ZC-Action` is missing"),
    (
        &[("X-ZC-Action", "unassignNetworkInterfaceIpv4")],
        GOOD,
        403,
        UNKNOWN,
        "`unassignNetworkInterfaceIpv4` in version `2025-09-01`, but `UnassignNetworkInterfaceIpv4`",
    ),
    (
        &[("X-ZC-Action", "DescribeVpcs"), ("X-ZC-Version", "2023-01-01")],
        GOOD,
        403,
        UNKNOWN,
        "in version `2023-01-01`, but in version `2025-09-01`",
    ),
    (
        &[("X-ZC-Action", "ModifyResourceTags"), ("X-ZC-Version", "2025-10-14")],
        GOOD,
        403,
        UNKNOWN,
        "in version `2025-10-14`, but at the service `zrm`",
    ),
    (
        &[("X-ZC-Action", UNASSIGN), ("X-ZC-Version", "2023-01-01")],
        GOOD,
        403,
        UNKNOWN,
        "in version `2023-01-01`",
    ),
    (
        &[("X-ZC-Action", UNASSIGN), ("X-ZC-Service", "user")],
        GOOD,
        403,
        UNKNOWN,
        "the path names `zec`",
    ),
    (&[("X-ZC-Action", UNASSIGN), ("X-ZC-Action", DESCRIBE)], GOOD, 400, INVALID, "appears twice"),
    (
        &[("X-ZC-Action", "DeleteNetworkInterface")],
        r#"{"nicId":"1"}"#,
        403,
        UNKNOWN,
        "no policy allows corp/alice `DeleteNetworkInterface`: ask the policy's authors, or for a group that may do this; \
         `GET /whoami` shows yours; a wrong id has this answer too; nothing was sent",
    ),
    // A client that sends a request again may have lost the body.
    (NAMED, "", 400, INVALID, "the body is empty"),
    (NAMED, "[]", 400, INVALID, "not a JSON object"),
    (NAMED, "{}", 400, MISSING, "`nicId` is missing"),
    (NAMED, r#"{"nicId":"n"}"#, 400, MISSING, "no address is named"),
    (NAMED, r#"{"nicId":"n","ipAddresses":[]}"#, 400, MISSING, "no address is named"),
    (NAMED, r#"{"nicId":"n","ipaddresses":["10.0.0.2"]}"#, 400, INVALID, "write `ipAddresses`"),
    (NAMED, r#"{"nicId":"n","ipAddresses":["::1"]}"#, 400, INVALID, "not an IPv4 address"),
    (NAMED, r#"{"nicId":7,"ipAddresses":["10.0.0.2"]}"#, 400, INVALID, "`nicId` is not a string"),
    (
        &[("X-ZC-Action", ASSIGN)],
        r#"{"nicId":"n","ipAddressCount":2}"#,
        400,
        INVALID,
        "no policy can decide",
    ),
    (
        &[("X-ZC-Action", DESCRIBE), ("Idempotency-Key", "k")],
        r#"{"nicIds":["1"]}"#,
        400,
        INVALID,
        "a read takes no `Idempotency-Key`",
    ),
];

#[tokio::test]
async fn a_call_that_is_not_exactly_right_is_refused_and_reaches_nobody() {
    let world = World::start().await;
    let alice = world.alice();
    for (headers, body, status, code, said) in BAD {
        let body = Some(*body).filter(|body| !body.is_empty());
        let (found, found_code, message) = refusal(&call(&alice, headers, body).await);
        assert_eq!(
            (found, found_code.as_str()),
            (*status, *code),
            "{headers:?} {body:?}: {message}"
        );
        assert!(message.contains(said), "{headers:?} {body:?}: {message}");
    }
    assert!(world.nothing_was_sent());
    // Whatever the gateway answers at this path, an SDK can read it.
    for (method, path, status) in [("GET", PATH, 405), ("POST", "/api/v2/zec/", 404)] {
        let answer = alice.send(method, path, &[], Some("{}").filter(|_| method == "POST")).await;
        assert_eq!(refusal(&answer).0, status, "{method} {path}");
    }
    assert_eq!(refusal(&act(&world.stranger(), DESCRIBE, "{}").await).0, 401);
}

/// By the operator's choice. The three actions on addresses are sent as the gateway writes them, so they pass nothing on.
#[tokio::test]
async fn with_leave_an_unknown_argument_is_sent_as_it_is() {
    let policy = r#"@id("all") permit (principal in Zec::Group::"corp/admins", action, resource);"#;
    let (policy, zec) = (policy.to_owned(), "unknown_fields = \"pass\"".to_owned());
    let world = Setup { policy, zec, ..Setup::default() }.start().await;
    let admin = world.caller("root", &["admins"]);
    let body = r#"{"cidrBlock":"10.0.0.0/16","name":"n","newField":{"b":1.5,"a":[]}}"#;
    assert_eq!(act(&admin, "CreateVpc", body).await.status, 200);
    assert_eq!(world.sent("CreateVpc"), [body]);
    let spelt = r#"{"cidrBlock":"10.0.0.0/16","name":"n","ResourceGroupID":"7"}"#;
    assert_eq!(act(&admin, "CreateVpc", spelt).await.status, 400);
    let unassign = format!(r#"{{"nicId":"{NIC}","ipAddresses":["10.0.0.21"],"newField":1}}"#);
    assert_eq!(act(&admin, UNASSIGN, &unassign).await.status, 400);
    assert_eq!(world.sent("CreateVpc").len() + world.sent(UNASSIGN).len(), 1);
}

#[tokio::test]
async fn the_policy_and_the_vnics_state_decide_as_for_the_other_routes() {
    let world = Setup::default().start().await;
    let mallory = world.caller("mallory", &["sales"]);
    let read = format!(r#"{{"nicIds":["{NIC}"]}}"#);
    let (status, code, _) = refusal(&act(&mallory, DESCRIBE, &read).await);
    assert_eq!((status, code.as_str()), (403, "AUTHFAILURE_UNAUTHORIZED_OPERATION"));
    // Only callers who may know it learn whether a vNIC exists.
    let absent = refusal(&act(&mallory, DESCRIBE, r#"{"nicIds":["none"]}"#).await);
    assert_eq!((absent.0, absent.1.as_str()), (403, "AUTHFAILURE_UNAUTHORIZED_OPERATION"));
    let write = format!(r#"{{"nicId":"{NIC}","ipAddresses":["10.0.0.21"]}}"#);
    assert_eq!(refusal(&act(&mallory, UNASSIGN, &write).await).0, 403);
    assert!(world.sent(UNASSIGN).is_empty());
    let primary = format!(r#"{{"nicId":"{NIC}","ipAddresses":["10.0.0.11"]}}"#);
    let (status, code, message) = refusal(&act(&world.alice(), UNASSIGN, &primary).await);
    assert_eq!((status, code.as_str()), (409, "INVALID_NIC_PRIMARY_IP_CANT_DETACH"));
    assert!(message.contains("primary address"), "{message}");
    assert!(world.sent(UNASSIGN).is_empty());
}

/// An SDK shows its user the code and the message, and nothing else.
#[tokio::test]
async fn after_an_unknown_outcome_the_message_names_the_operation_to_look_up() {
    let world = World::start().await;
    let alice = world.alice();
    let lost = Fault { action: Some(UNASSIGN.to_owned()), ..Fault::once(FaultKind::CutAfter) };
    world.zec.inject(lost);
    let (status, code, message) = refusal(&act(&alice, UNASSIGN, GOOD).await);
    assert_eq!((status, code.as_str()), (504, "REQUEST_TIMED_OUT"));
    let listed = alice.get("/operations").await.json();
    let id = listed["operations"][0]["operationId"].as_str().unwrap();
    assert!(message.contains(&format!("GET /operations/{id}")), "{message}");
}

#[tokio::test]
async fn the_request_id_of_an_answer_finds_its_operation() {
    let world = World::start().await;
    let alice = world.alice();
    let frozen = act(&alice, UNASSIGN, GOOD).await;
    assert_eq!(frozen.status, 200);
    let own = frozen.header("x-request-id").unwrap().to_owned();
    let zecs = format!("T{}", own.to_ascii_uppercase());
    for id in [own, zecs] {
        let listed = alice.get(&format!("/operations?requestId={id}")).await.json();
        assert_eq!(listed["operations"].as_array().unwrap().len(), 1, "{id}");
    }
}

#[tokio::test]
async fn whatever_layer_refuses_an_sdk_can_read_it() {
    let setup = Setup { limits: "freeze_file = \"freeze\"".to_owned(), ..Setup::default() };
    let world = setup.start().await;
    let alice = world.alice();
    let large = format!(r#"{{"nicId":"{}"}}"#, "1".repeat(1_100_000));
    let (status, code, _) = refusal(&act(&alice, UNASSIGN, &large).await);
    assert_eq!((status, code.as_str()), (413, "INVALID_REQUEST"));
    let plain = alice.send("POST", PATH, NAMED, Some(GOOD)).await;
    assert_eq!(refusal(&plain).0, 415, "no content type");
    let queried = format!("{PATH}?a=b");
    let headers = [NAMED[0], ("Content-Type", "application/json")];
    assert_eq!(refusal(&alice.send("POST", &queried, &headers, Some(GOOD)).await).0, 400);
    world.put("freeze", "maintenance");
    let (status, code, message) = refusal(&act(&alice, UNASSIGN, GOOD).await);
    assert_eq!((status, code.as_str()), (503, "SERVICE_TEMPORARY_UNAVAILABLE"));
    assert!(message.contains("maintenance"), "{message}");
    assert!(world.sent(UNASSIGN).is_empty());
}

#[tokio::test]
async fn the_single_address_is_given_and_taken_as_at_zec() {
    let world = World::start().await;
    let alice = world.alice();
    let single = |address: &str| format!(r#"{{"nicId":"{NIC}","ipAddress":"{address}"}}"#);
    let taken = act(&alice, UNASSIGN, &single("10.0.0.21")).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    let given = act(&alice, "AssignNetworkInterfaceIpv4", &single("10.0.0.21")).await;
    assert_eq!(given.status, 200, "{}", given.text());
    // The list has precedence, and an empty one counts for none.
    let both =
        format!(r#"{{"nicId":"{NIC}","ipAddress":"10.0.0.22","ipAddresses":["10.0.0.21"]}}"#);
    assert_eq!(act(&alice, UNASSIGN, &both).await.status, 200);
    assert!(world.addresses(NIC).contains(&"10.0.0.22".to_owned()));
    let empty = format!(r#"{{"nicId":"{NIC}","ipAddress":"10.0.0.22","ipAddresses":[]}}"#);
    assert_eq!(act(&alice, UNASSIGN, &empty).await.status, 200);
    let nulls = format!(r#"{{"nicIds":["{NIC}"],"name":null,"tagKeys":[]}}"#);
    assert_eq!(act(&alice, DESCRIBE, &nulls).await.status, 200);
}
