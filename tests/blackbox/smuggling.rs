//! Requests that two parties could split at different places. Each has a second request in its tail, a DELETE that the
//! policy allows. If any party takes the tail for a request, ZEC receives it.

use crate::{
    client::{self, End},
    world::{NIC, Setup, World},
};

/// The one accepted form of `Transfer-Encoding`, in every spelling.
const CHUNKED: &[&str] = &[
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "TRANSFER-ENCODING: CHUNKED",
    "transfer-encoding: chunked ",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding:chunked",
];

/// Chunked bodies that are not in the plainest form; none of them is complete.
const BAD_CHUNKS: &[&str] = &[
    "\r\n\r\n",
    "0\n\n",
    "0\r\n\n",
    "0\n\r\n",
    "0x0\r\n\r\n",
    " 0\r\n\r\n",
    "0 \r\n\r\n",
    "+0\r\n\r\n",
    "-1\r\n\r\n",
    "0;a=b\r\n\r\n",
    "0;\r\n\r\n",
    "0;a=\"\r\n\r\n\"\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "00000000\r\n\r\n",
    "100000000\r\n",
    "FFFFFFFFFFFFFFFF\r\n",
    "10000000000000000\r\n",
    "2\r\n{}0\r\n\r\n",
    "2\r\n{}\n0\r\n\r\n",
    "2\r\n{}\r\n\r\n0\r\n\r\n",
    "2\r\n{}\r0\r\n\r\n",
    "2\n{}\r\n0\r\n\r\n",
    "2\r\n{}\r\n0;a\r\n\r\n",
];

/// Header lines of a request whose body is an empty chunk, and the gateway's statuses for them.
const FRAMINGS: &[(&str, u16)] = &[
    // `Transfer-Encoding` in every form except the plain one; hyper itself refuses some of them.
    ("Transfer-Encoding: identity, chunked", 400),
    ("Transfer-Encoding: gzip, chunked", 400),
    ("Transfer-Encoding: , chunked", 400),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
    ("Transfer-Encoding: identity", 400),
    ("Transfer-Encoding: chunked, identity", 400),
    ("Transfer-Encoding: chunked,", 400),
    ("Transfer-Encoding: chunked;q=1", 400),
    ("Transfer-Encoding: xchunked", 400),
    ("Transfer-Encoding: chunkedx", 400),
    ("Transfer-Encoding: \"chunked\"", 400),
    ("Transfer-Encoding: \x0bchunked", 400),
    ("Transfer-Encoding: chunked\x0c", 400),
    ("Transfer-Encoding: chunked\0", 400),
    ("Transfer-Encoding: chun\rked", 400),
    ("Transfer-Encoding:", 400),
    ("Transfer-Encoding: ", 400),
    ("Transfer-Encoding : chunked", 400),
    ("Transfer-Encoding\t: chunked", 400),
    (" Transfer-Encoding: chunked", 400),
    ("X: y\r\n Transfer-Encoding: chunked", 400),
    ("Transfer-Encoding:\r\n chunked", 400),
    ("Transfer-Encoding: chunked\r\n , identity", 400),
    ("Transfer\0-Encoding: chunked", 400),
    ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
    ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
    ("Content-Length: 0\r\nTransfer-Encoding: chunked", 400),
    ("Content-Length: 5\r\nTransfer-Encoding: identity", 400),
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 9", 400),
    // `Content-Length` that is not one plain number.
    ("Content-Length: 5\r\nContent-Length: 6", 400),
    ("Content-Length: 5\r\nContent-Length: 0", 400),
    ("Content-Length: 5\r\ncontent-length: 05x", 400),
    ("Content-Length: +5", 400),
    ("Content-Length: -1", 400),
    ("Content-Length: 5, 5", 400),
    ("Content-Length: 5,6", 400),
    ("Content-Length: 0x5", 400),
    ("Content-Length: 5.0", 400),
    ("Content-Length: 5e0", 400),
    ("Content-Length: 5 5", 400),
    ("Content-Length: \"5\"", 400),
    ("Content-Length: \u{ff15}", 400),
    ("Content-Length:", 400),
    ("Content-Length: 18446744073709551616", 400),
    ("Content-Length: 18446744073709551615", 431),
    ("Content-Length: 99999999999999999999999999999999999", 400),
    ("Content-Length: 5\r\n 0", 400),
    ("Content-Length:\r\n 5", 400),
    ("Content-Length : 5", 400),
    ("Content-Length\t: 5", 400),
    ("Content\0-Length: 5", 400),
    ("Content-Length: 5\0", 400),
    // A line that ends in a bare LF or CR, or contains one.
    ("X: y\nTransfer-Encoding: chunked", 400),
    ("X: y\nContent-Length: 5", 400),
    ("X: y\rTransfer-Encoding: chunked", 400),
    ("Content-Length: 5\nX: y", 400),
    ("X: y\n", 400),
    // Two hops may each read a different request because of these.
    ("Connection: authorization", 400),
    ("Host: other", 400),
    ("Content-Type: application/json", 400),
];

/// A second request that another party might see in the tail; it names the address that it would unassign.
fn tail(world: &World, address: &str) -> String {
    let target = format!("/nics/{NIC}/ipv4/{address}");
    world.alice().text("DELETE", &target, &[("Connection", "close")], None)
}

/// A DELETE with these header lines besides the usual ones, followed by `rest`.
fn delete(world: &World, lines: &str, rest: &str) -> String {
    let json = [("Content-Type", "application/json")];
    let head = world.alice().text("DELETE", &format!("/nics/{NIC}/ipv4"), &json, None);
    format!("{}{lines}\r\n\r\n{rest}", head.strip_suffix("\r\n").unwrap())
}

/// The statuses on a connection until the gateway ends it, in order.
async fn statuses(world: &World, text: &str) -> Vec<u16> {
    let (answers, end) = client::exchange(world.gateway, text.as_bytes()).await;
    assert_eq!(end, End::Closed, "{text:?}");
    answers.iter().map(|answer| answer.status).collect()
}

#[tokio::test]
async fn an_ambiguous_framing_is_refused_and_its_tail_is_never_a_request() {
    let world = World::start().await;
    let tail = tail(&world, "10.0.0.21");
    for (lines, status) in FRAMINGS {
        let text = delete(&world, lines, &format!("0\r\n\r\n{tail}"));
        let (answers, end) = client::exchange(world.gateway, text.as_bytes()).await;
        let [answer] = answers.as_slice() else { panic!("{lines:?}: {answers:?}") };
        assert_eq!((answer.status, end), (*status, End::Closed), "{lines:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{lines:?}");
    }
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn a_plain_chunked_body_is_read_and_what_follows_is_a_request() {
    let world = World::start().await;
    for (number, lines) in CHUNKED.iter().enumerate() {
        let (first, second) = (21 + 2 * number % 4, 22 + 2 * number % 4);
        let body = format!(r#"{{"ipAddresses":["10.0.0.{first}"]}}"#);
        let (start, end) = body.split_at(5);
        let body = format!("{:x}\r\n{start}\r\n{:X}\r\n{end}\r\n0\r\n\r\n", start.len(), end.len());
        let text =
            delete(&world, lines, &format!("{body}{}", tail(&world, &format!("10.0.0.{second}"))));
        let before = world.sent("UnassignNetworkInterfaceIpv4").len();
        assert_eq!(statuses(&world, &text).await, [200, 200], "{lines:?}");
        assert_eq!(world.sent("UnassignNetworkInterfaceIpv4").len(), before + 2);
        let back = format!(r#"{{"ipAddresses":["10.0.0.{first}","10.0.0.{second}"]}}"#);
        assert_eq!(world.alice().post(&format!("/nics/{NIC}/ipv4"), &back).await.status, 200);
    }
    // An empty body counts as absent, both where a body is allowed and where it is not.
    let text = delete(&world, CHUNKED[0], "0\r\n\r\n");
    let look = [("Transfer-Encoding", "chunked")];
    let look = world.alice().text("GET", "/whoami", &look, None) + "0\r\n\r\n";
    let last = tail(&world, "10.0.0.21");
    assert_eq!(statuses(&world, &format!("{text}{look}{last}")).await, [400, 200, 200]);
}

#[tokio::test]
async fn a_chunked_body_in_any_other_form_is_refused_and_its_tail_is_never_a_request() {
    let world = World::start().await;
    let tail = tail(&world, "10.0.0.21");
    for body in BAD_CHUNKS {
        let text = delete(&world, CHUNKED[0], &format!("{body}{tail}"));
        let (answers, end) = client::exchange(world.gateway, text.as_bytes()).await;
        let [answer] = answers.as_slice() else { panic!("{body:?}: {answers:?}") };
        assert_eq!((answer.status, end), (400, End::Closed), "{body:?}");
        assert_eq!(answer.problem().1, "invalid-request", "{body:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{body:?}");
    }
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn a_chunked_body_is_bounded_as_every_other() {
    let world = Setup { server: "max_body = \"64B\"".to_owned(), ..Setup::default() }.start().await;
    let tail = tail(&world, "10.0.0.21");
    for body in [
        // The chunk never ends, so nothing after it is a request.
        format!("fffffff\r\n{}", "x".repeat(65)),
        format!("41\r\n{}\r\n0\r\n\r\n", "x".repeat(65)),
        "1\r\nx\r\n".repeat(65) + "0\r\n\r\n",
    ] {
        let whole = body.ends_with("\r\n");
        let text = delete(&world, CHUNKED[0], &format!("{body}{tail}"));
        let (answers, end) = client::exchange(world.gateway, text.as_bytes()).await;
        assert_eq!((answers[0].status, end), (413, End::Closed), "{body:?}");
        assert!(whole || world.nothing_was_sent(), "{body:?}");
    }
    // On a route without a body, even a single byte is refused.
    for (method, target) in [("GET", "/whoami"), ("GET", "/problems/internal")] {
        let headers = [("Transfer-Encoding", "chunked"), ("Connection", "close")];
        let head = world.alice().text(method, target, &headers, None);
        let (answers, end) =
            client::exchange(world.gateway, (head + "1\r\nx\r\n0\r\n\r\n").as_bytes()).await;
        assert_eq!((answers[0].problem().1.as_str(), end), ("invalid-request", End::Closed));
    }
}

#[tokio::test]
async fn a_fragment_is_refused() {
    let world = World::start().await;
    for target in ["/whoami#x", "/whoami?a=b#c", "/#/whoami"] {
        let answer = world.alice().get(target).await;
        assert_eq!(answer.problem().1, "invalid-request", "{target}");
        assert!(answer.text().contains("`#`"), "{}", answer.text());
    }
    // Elsewhere in a head, it is an ordinary character.
    let answer = world.alice().send("GET", "/whoami", &[("X", "a#b")], None).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_is_not_ambiguous_is_framed_as_it_says() {
    let world = World::start().await;
    let body = r#"{"ipAddresses":["10.0.0.21"]}"#;
    let tail = tail(&world, "10.0.0.22");
    // Equal lengths are merely redundant: hyper merges them, and the gateway passes nothing on.
    let length = format!("Content-Length: {0}\r\nContent-Length: {0}", body.len());
    let text = delete(&world, &length, &format!("{body}{tail}"));
    assert_eq!(statuses(&world, &text).await, [200, 200]);
    let sent = |address| format!(r#"{{"ipAddresses":["{address}"],"nicId":"{NIC}"}}"#);
    let both = [sent("10.0.0.21"), sent("10.0.0.22")];
    assert_eq!(world.sent("UnassignNetworkInterfaceIpv4"), both);

    // A body may look like a request, or end in the line ends of a head, and is still a body.
    let text = delete(&world, &format!("Content-Length: {}", tail.len()), &tail);
    // The tail alone is a request, for an address that has been unassigned by now.
    assert_eq!(statuses(&world, &format!("{text}{tail}")).await, [400, 409]);
    assert_eq!(world.sent("UnassignNetworkInterfaceIpv4").len(), 2);
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_never_the_next_request() {
    let world = Setup { server: "max_body = \"64B\"".to_owned(), ..Setup::default() }.start().await;
    let (alice, stranger) = (world.alice(), world.stranger());
    let (inside, behind) = (tail(&world, "10.0.0.21"), tail(&world, "10.0.0.22"));
    let (length, json) = (inside.len().to_string(), ("Content-Type", "application/json"));
    let body = [("Content-Length", length.as_str()), json];
    let waits = [body[0], json, ("Expect", "100-continue")];
    let target = format!("/nics/{NIC}/ipv4");
    for (text, status) in [
        (stranger.text("DELETE", &target, &body, None), 401),
        (stranger.text("DELETE", &target, &waits, None), 401),
        (alice.text("DELETE", &target, &body, None), 413),
        (alice.text("DELETE", &target, &waits, None), 413),
        (alice.text("DELETE", &format!("{target}/10.0.0.300"), &body, None), 400),
        (alice.text("GET", "/whoami", &body, None), 400),
        (alice.text("GET", "/problems/internal", &body, None), 400),
        (alice.text("GET", "/nowhere", &body, None), 404),
        (alice.text("PUT", &target, &body, None), 405),
        (alice.text("CONNECT", "gateway:443", &body, None), 400),
    ] {
        // Without its body, and with a part of it: then the start of the next request is unknown.
        for rest in ["", &inside[..20]] {
            let (answers, end) =
                client::exchange(world.gateway, (text.clone() + rest).as_bytes()).await;
            let [answer] = answers.as_slice() else { panic!("{text}: {answers:?}") };
            assert_eq!((answer.status, end), (status, End::Closed), "{text}");
            assert_eq!(answer.header("connection"), Some("close"), "{text}");
        }
        // With its body and another request behind it, which may be served if all of it came at once.
        let whole = format!("{text}{inside}{behind}");
        let (answers, end) = client::exchange(world.gateway, whole.as_bytes()).await;
        assert_eq!((answers[0].status, end), (status, End::Closed), "{text}");
        assert!(answers.len() <= 2, "{text}: {answers:?}");
    }
    let sent = world.sent("UnassignNetworkInterfaceIpv4");
    assert!(sent.iter().all(|body| body.contains("10.0.0.22")), "{sent:?}");
}

#[tokio::test]
async fn a_body_that_was_read_leaves_the_connection_as_it_was() {
    let world = World::start().await;
    let json = [("Content-Type", "application/json")];
    let target = format!("/nics/{NIC}/ipv4");
    let mut text = String::new();
    for body in [r#"{"ipAddresses":["10.9.0.1"]}"#, "{}", r#"{"ipAddresses":["10.0.0.21"]}"#] {
        text += &world.alice().text("DELETE", &target, &json, Some(body));
    }
    text += &tail(&world, "10.0.0.22");
    assert_eq!(statuses(&world, &text).await, [403, 400, 200, 200]);
}

#[tokio::test]
async fn what_follows_a_whole_request_is_a_request_or_the_end() {
    let world = World::start().await;
    let (alice, tail) = (world.alice(), tail(&world, "10.0.0.21"));
    let look = alice.text("GET", "/whoami", &[], None);
    let last = alice.text("GET", "/whoami", &[("Connection", "keep-alive, close")], None);
    let json = [("Content-Type", "application/json")];
    let change = alice.text("DELETE", "/nics/n.1/ipv4", &json, Some("{}"));
    for (text, want) in [
        (format!("{look}garbage\r\n\r\n{tail}"), &[200, 400][..]),
        (format!("{look}\0{tail}"), &[200, 400]),
        (format!("{look}\n{tail}"), &[200, 400]),
        (format!("{change}x{tail}"), &[400, 405]),
        (format!("{change}\0{tail}"), &[400, 400]),
        (format!("{last}{tail}"), &[200]),
        // An empty line before a request is ignored (RFC 9112, 2.2).
        (format!("\r\n\r\n{look}\r\n{last}{tail}"), &[200, 200]),
    ] {
        assert_eq!(statuses(&world, &text).await, want, "{text:?}");
    }
    assert!(world.nothing_was_sent());
}

#[tokio::test]
async fn the_operators_port_reads_no_further_behind_a_body() {
    let world = World::start().await;
    let last = client::request("GET", "/livez", &[("Connection", "close")], None);
    for (headers, body) in [
        (&[("Transfer-Encoding", "chunked")][..], "99\r\nx"),
        (&[("Content-Length", "99")], ""),
        (&[("Content-Length", "99")], "x"),
    ] {
        let text = client::request("GET", "/livez", headers, None) + body;
        let rest = if body.is_empty() { "" } else { &last };
        let (answers, end) = client::exchange(world.admin, (text + rest).as_bytes()).await;
        let [answer] = answers.as_slice() else { panic!("{headers:?}: {answers:?}") };
        assert_eq!((answer.status, end), (200, End::Closed), "{headers:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{headers:?}");
    }
}
