//! The requests of ZEC's clients that cannot be installed here, as they are on the wire: `tests/wire`. They are sent over
//! HTTP/1.1, and over HTTP/2 with TLS.

use std::{fs, path::Path};

use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;

use crate::{
    client::{self, Answer},
    issued_keys::{self, Signer},
    secure::{Authority, Client, setup},
    world::{Setup, World},
};

const POLICY: &str =
    r#"@id("all") permit (principal in Zec::Group::"corp/admins", action, resource);"#;

/// One request of a client, and the status of its answer.
struct Recorded {
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
}

/// The requests in a file, in order. Each is a block of headers, a body, and a status.
fn recorded(client: &str) -> Vec<Recorded> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/wire/{client}.txt"));
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("\n\n").filter(|block| !block.starts_with('#'));
    let requests: Vec<Recorded> = blocks
        .map(|block| {
            let mut lines: Vec<&str> = block.trim().lines().collect();
            let status = lines.pop().unwrap().parse().unwrap();
            let body = lines.pop().unwrap().to_owned();
            let header = |line: &&str| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.to_owned(), value.to_owned())
            };
            Recorded { headers: lines.iter().map(header).collect(), body, status }
        })
        .collect();
    assert!(requests.len() > 1, "{client}");
    requests
}

/// A way to send one request: its headers and its body.
trait Wire {
    async fn send(&mut self, headers: &[(&str, &str)], body: &str) -> Answer;
}

/// Replays a client's requests, and checks that each answer is one that the client can read.
async fn replay(client: &str, wire: &mut impl Wire) {
    let mut vpc = String::new();
    for Recorded { headers, body, status } in recorded(client) {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = body.replace("{vpc}", &vpc);
        let answer = wire.send(&headers, &body).await;
        assert_eq!(answer.status, status, "{client} {headers:?} {body}: {}", answer.text());
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(json["requestId"].as_str().unwrap().starts_with('T'), "{client}: {json}");
        if status == 200 {
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(json["response"]["requestId"], json["requestId"], "{client}");
            if let Some(created) = json["response"]["vpcId"].as_str() {
                created.clone_into(&mut vpc);
            }
        } else {
            assert!(json["code"].is_string() && json["message"].is_string(), "{client}: {json}");
        }
    }
}

/// The path of a request: ZEC's clients have the service in it too.
fn path(headers: &[(&str, &str)]) -> String {
    let (_, service) = headers.iter().find(|(name, _)| *name == "x-zc-service").unwrap();
    format!("/api/v2/{service}")
}

struct Http1<'a>(&'a World);

impl Wire for Http1<'_> {
    async fn send(&mut self, headers: &[(&str, &str)], body: &str) -> Answer {
        let caller = self.0.caller("root", &["admins"]);
        caller.send("POST", &path(headers), headers, Some(body)).await
    }
}

struct OverTls {
    connection: crate::secure::Http2,
    bearer: String,
}

impl Wire for OverTls {
    async fn send(&mut self, headers: &[(&str, &str)], body: &str) -> Answer {
        let length = body.len().to_string();
        let own = [("authorization", self.bearer.as_str()), ("content-length", length.as_str())];
        let headers: Vec<_> = headers.iter().copied().chain(own).collect();
        let body = Full::new(Bytes::from(body.to_owned()));
        let target = format!("https://localhost{}", path(&headers));
        self.connection.ask("POST", &target, &headers, body).await.unwrap()
    }
}

/// The same over HTTP/2, signed with an access key, as the provider signs.
struct Signed {
    connection: crate::secure::Http2,
    signer: Signer,
}

impl Wire for Signed {
    async fn send(&mut self, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut signed = self.signer.headers("localhost:8443", body);
        signed.retain(|(name, _)| *name != "content-type");
        signed.push(("content-length", body.len().to_string()));
        let own = signed.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = headers.iter().copied().chain(own).collect();
        let body = Full::new(Bytes::from(body.to_owned()));
        let target = format!("https://localhost:8443{}", path(&headers));
        self.connection.ask("POST", &target, &headers, body).await.unwrap()
    }
}

async fn over_both(client: &str) {
    let world = Setup { policy: POLICY.to_owned(), ..Setup::default() }.start().await;
    replay(client, &mut Http1(&world)).await;

    let authority = Authority::new();
    let secure = Setup { policy: POLICY.to_owned(), ..setup("", &authority.server(2050)) };
    let world = secure.start().await;
    let connection = Client::new(&authority).http2(&world).await;
    let bearer = world.caller("root", &["admins"]).bearer();
    replay(client, &mut OverTls { connection, bearer }).await;
}

#[tokio::test]
async fn the_go_sdk_is_answered() {
    over_both("go").await;
}

#[tokio::test]
async fn the_command_line_is_answered() {
    over_both("zeno").await;
}

#[tokio::test]
async fn the_java_sdk_is_answered() {
    over_both("java").await;
}

#[tokio::test]
async fn terraform_makes_changes_and_destroys() {
    over_both("terraform").await;
}

/// The provider itself cannot be installed from where these tests get their parts, so its recorded requests are sent, each
/// with a signature of its own.
#[tokio::test]
async fn terraform_makes_changes_and_destroys_with_an_access_key() {
    let authority = Authority::new();
    let mut secure = setup("", &authority.server(2050));
    secure.files.extend(issued_keys::files());
    secure.rest = issued_keys::CONFIGURED.to_owned();
    secure.policy =
        r#"@id("all") permit (principal in Zec::Group::"keys/deployers", action, resource);"#
            .to_owned();
    let world = secure.start().await;
    let connection = Client::new(&authority).http2(&world).await;
    replay("terraform", &mut Signed { connection, signer: Signer::of("zgkci") }).await;
}

/// Terraform asks for the first page of a list, and then for all others at once. If one of them fails, it waits for ever.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_list_are_answered_though_they_are_asked_for_at_once() {
    let world = Setup { policy: POLICY.to_owned(), ..Setup::default() }.start().await;
    let caller = world.caller("root", &["admins"]);
    let page = |number: usize| {
        let caller = caller.clone();
        let body = format!(r#"{{"pageSize":100,"pageNum":{number}}}"#);
        async move {
            let headers = [("X-ZC-Action", "DescribeVpcs"), ("Content-Type", "application/json")];
            caller.send("POST", "/api/v2/zec", &headers, Some(&body)).await.status
        }
    };
    assert_eq!(page(1).await, 200);
    let mut pages = tokio::task::JoinSet::new();
    // More than a caller may send in a second, and as many as one may have in flight: those that are too soon wait.
    for number in 2..=61 {
        pages.spawn(page(number));
    }
    assert_eq!(pages.join_all().await, [200; 60]);
}

/// The Java SDK's HTTP client sends a request again by itself, without its body. Read as `{}`, it would have no filters.
#[tokio::test]
async fn a_request_that_lost_its_body_is_refused() {
    let world = Setup { policy: POLICY.to_owned(), ..Setup::default() }.start().await;
    let bearer = world.caller("root", &["admins"]).bearer();
    let request = format!(
        "POST /api/v2/zec HTTP/1.1\r\nHost: {}\r\nAuthorization: {bearer}\r\nX-ZC-Action: DescribeInstances\r\n\
         Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        world.gateway
    );
    let answer = client::raw(world.gateway, request.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.json()["message"].as_str().unwrap().contains("the body is empty"));
    assert!(world.nothing_was_sent());
}
