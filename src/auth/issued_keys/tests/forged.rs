//! Forged and broken requests: each is refused for its own reason. Those whose signature is compared cost the same work,
//! whether the key exists or not.

use super::{super::signature::work::COMPARED, *};

/// Changes the text of `Authorization`.
fn rewritten(change: impl Fn(&str) -> String) -> Request {
    let mut request = Request::of(ID);
    request.authorization = change(&request.authorization);
    request
}

/// Changes a good request after it was signed.
fn changed(change: impl FnOnce(&mut Request)) -> Request {
    let mut request = Request::of(ID);
    change(&mut request);
    request
}

/// Signs with another text in place of the one that ZEC's clients sign.
fn of_text(text: &str) -> Request {
    changed(|request| {
        let password = MasterFile::parse(Path::new("master"), MASTER).unwrap().password(ID);
        request.sign_text(ID, password.expose_secret(), "content-type;host", text);
    })
}

/// Signs these headers.
fn of_names(names: &[&str]) -> Request {
    let password = MasterFile::parse(Path::new("master"), MASTER).unwrap().password(ID);
    Request::signed(ID, password.expose_secret(), names)
}

fn replaced(from: &'static str, to: &'static str) -> Request {
    rewritten(|text| {
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1)
    })
}

/// The last digit of the signature, and the first.
fn with_digit(place: usize) -> Request {
    rewritten(|text| {
        let at = text.find("Signature=").unwrap() + "Signature=".len() + place;
        let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
        format!("{}{digit}{}", &text[..at], &text[at + 1..])
    })
}

const GOOD: &str =
    "POST\n/\n\ncontent-type:application/json\nhost:127.0.0.1:8080\n\ncontent-type;host\n";

/// Those that never come to a comparison: the form, or the time, is wrong.
#[expect(clippy::too_many_lines, reason = "a table")]
#[rustfmt::skip] // one form a line reads as the table that it is
fn malformed() -> Vec<(&'static str, Request)> {
    let mut all = vec![
        ("nothing after the scheme", rewritten(|_| String::new())),
        ("words", rewritten(|_| "please let me in".to_owned())),
        ("no credential", replaced("Credential=zgkabcdefghjkmnpqrstuv, ", "")),
        ("an empty id", replaced("Credential=zgkabcdefghjkmnpqrstuv", "Credential=")),
        ("an id with a path", replaced("=zgkabc", "=../abc")),
        ("an id with spaces", replaced("=zgkabc", "=zgk abc")),
        ("an id of 65 letters", rewritten(|text| text.replacen("zgk", &"z".repeat(65), 1))),
        (
            "the parts in another order",
            rewritten(|text| {
                let parts: Vec<_> = text.split(", ").collect();
                format!("{}, {}, {}", parts[1], parts[0], parts[2])
            }),
        ),
        ("the parts without commas", rewritten(|text| text.replace(',', ""))),
        ("a fourth part", rewritten(|text| format!("{text}, Extra=1"))),
        (
            "two signatures",
            rewritten(|text| {
                let signature = text.rsplit(", ").next().unwrap().to_owned();
                format!("{text}, {signature}")
            }),
        ),
        ("names of parts in lower case", replaced("Credential=", "credential=")),
        ("no signed headers", replaced("SignedHeaders=content-type;host", "SignedHeaders=")),
        ("without the host", replaced("content-type;host", "content-type")),
        ("without the content type", replaced("content-type;host", "host")),
        ("signed headers in another order", replaced("content-type;host", "host;content-type")),
        ("a signed header twice", replaced("content-type;host", "content-type;host;host")),
        ("signed headers with capitals", replaced("content-type;host", "Content-Type;Host")),
        ("signed headers with commas", replaced("content-type;host", "content-type,host")),
        ("an empty name", replaced("content-type;host", "content-type;;host")),
        ("a name with a space", replaced("content-type;host", "content-type;host;x y")),
        ("a name with a line feed", replaced("content-type;host", "content-type;host;x\ny")),
        (
            "a signed header that is not there",
            replaced("content-type;host", "content-type;host;x-gone"),
        ),
        (
            "33 signed headers",
            rewritten(|text| {
                let more: Vec<_> = (0..31).map(|n| format!("x{n:02}")).collect();
                let all = format!("content-type;host;{}", more.join(";"));
                text.replacen("content-type;host", &all, 1)
            }),
        ),
        ("no signature", rewritten(|text| text.split(", Signature").next().unwrap().to_owned())),
        (
            "an empty signature",
            rewritten(|text| text.split_inclusive("Signature=").next().unwrap().to_owned()),
        ),
        ("63 digits", rewritten(|text| text[..text.len() - 1].to_owned())),
        ("65 digits", rewritten(|text| format!("{text}0"))),
        (
            "digits in capitals",
            rewritten(|text| {
                let (start, digits) = text.split_once("Signature=").unwrap();
                format!("{start}Signature=A{}", &digits[1..].to_uppercase())
            }),
        ),
        ("a letter that is no digit", rewritten(|text| format!("{}g", &text[..text.len() - 1]))),
        ("no timestamp", changed(|request| drop(request.headers.remove("x-zc-timestamp")))),
        (
            "two timestamps",
            changed(|request| {
                let _ = request.headers.append("x-zc-timestamp", NOW.into());
            }),
        ),
        ("another method", changed(|request| request.put("x-zc-signature-method", "HMAC-SHA1"))),
        (
            "two methods",
            changed(|request| {
                let _ = request
                    .headers
                    .append("x-zc-signature-method", HeaderValue::from_static(SCHEME));
            }),
        ),
        (
            "two content types",
            changed(|request| {
                let _ =
                    request.headers.append("content-type", HeaderValue::from_static("text/plain"));
            }),
        ),
        (
            "two hosts",
            changed(|request| {
                let _ = request.headers.append("host", HeaderValue::from_static("elsewhere"));
            }),
        ),
        ("no host", changed(|request| drop(request.headers.remove("host")))),
        ("no content type", changed(|request| drop(request.headers.remove("content-type")))),
    ];
    for time in
        ["", "now", "-1", "+1", "1e9", "1800000000.0", "0x6b49d200", "99999999999999999999999"]
    {
        all.push(("a time that is none", changed(|request| request.put("x-zc-timestamp", time))));
    }
    all
}

/// Those whose signature is compared, and is not the right one.
#[expect(clippy::too_many_lines, reason = "a table")]
#[rustfmt::skip] // one form a line reads as the table that it is
fn forged() -> Vec<(&'static str, Request)> {
    let password = |id: &str| MasterFile::parse(Path::new("master"), MASTER).unwrap().password(id);
    vec![
        ("another first digit", with_digit(0)),
        ("another last digit", with_digit(63)),
        (
            "zeros",
            rewritten(|text| {
                let (start, _) = text.split_once("Signature=").unwrap();
                format!("{start}Signature={}", "0".repeat(64))
            }),
        ),
        ("a key that does not exist", Request::of("zgknobody")),
        ("a key's id in capitals", rewritten(|text| text.replacen("zgkabc", "ZGKABC", 1))),
        ("the id of another key", rewritten(|text| text.replacen(ID, "zgkbound", 1))),
        (
            "the password of another key",
            Request::signed(ID, password("zgkbound").expose_secret(), &["content-type", "host"]),
        ),
        ("no password", Request::signed(ID, "", &["content-type", "host"])),
        ("the master secret itself", Request::signed(ID, MASTER, &["content-type", "host"])),
        ("the id as the password", Request::signed(ID, ID, &["content-type", "host"])),
        ("a byte of the body", changed(|request| request.body[0] = b'[')),
        ("a byte behind the body", changed(|request| request.body.push(b'\n'))),
        ("without its body", changed(|request| request.body.clear())),
        ("another time", changed(|request| request.put("x-zc-timestamp", &(NOW + 1).to_string()))),
        (
            "the same time in other digits",
            changed(|request| request.put("x-zc-timestamp", &format!("0{NOW}"))),
        ),
        ("another host", changed(|request| request.put("host", "gateway.example.com"))),
        ("the host without its port", changed(|request| request.put("host", "127.0.0.1"))),
        (
            "another content type",
            changed(|request| request.put("content-type", "application/json; charset=utf-8")),
        ),
        (
            "a further header that was not signed",
            replaced("content-type;host", "content-type;host;x-extra"),
        ),
        ("a further header that has changed", {
            let mut request = of_names(&["content-type", "host", "x-extra"]);
            request.put("x-extra", "other");
            request
        }),
        ("fewer headers than were signed", {
            let mut request = of_names(&["content-type", "host", "x-extra"]);
            request.authorization = request.authorization.replacen(";x-extra", "", 1);
            request
        }),
        ("another method in the text", of_text(&GOOD.replacen("POST", "GET", 1))),
        ("the path in the text", of_text(&GOOD.replacen("/\n", "/api/v2/zec\n", 1))),
        ("a query in the text", of_text(&GOOD.replacen("/\n\n", "/\na=b\n", 1))),
        (
            "no empty line in the text",
            of_text(&GOOD.replacen("\n\ncontent-type;host", "\ncontent-type;host", 1)),
        ),
        (
            "a signature of AWS's kind",
            of_text(&GOOD.replacen(
                "content-type;host\n",
                "content-type;host\nUNSIGNED-PAYLOAD",
                1,
            )),
        ),
    ]
}

#[test]
fn each_is_refused_for_its_own_reason() {
    let world = World::new();
    let (malformed, forged) = (malformed(), forged());
    assert!(malformed.len() + forged.len() >= 70, "{} {}", malformed.len(), forged.len());
    for (what, request) in &malformed {
        let refusal = world.check(request).expect_err(what);
        assert_eq!(refusal.result, AuthResult::Malformed, "{what}: {refusal:?}");
        assert_eq!(refusal.into_error().code(), "AUTHFAILURE_INVALID_AUTHORIZATION", "{what}");
    }
    let said = world.check(&Request::of("zgknobody")).unwrap_err().into_error();
    for (what, request) in &forged {
        let refusal = world.check(request).expect_err(what);
        assert_eq!(refusal.result, AuthResult::BadSignature, "{what}: {refusal:?}");
        let error = refusal.into_error();
        assert_eq!((error.code(), error.detail()), (BAD_SIGNATURE, said.detail()), "{what}");
    }
    for seconds in [NOW - 301, NOW + 301, 0, u64::MAX] {
        let mut request = Request::of(ID);
        request.put("x-zc-timestamp", &seconds.to_string());
        let error = world.check(&request).unwrap_err();
        assert_eq!(error.result, AuthResult::WrongTime, "{seconds}");
        assert_eq!(error.into_error().code(), WRONG_TIME);
    }
    let mut request = Request::of(ID);
    request.put("x-zc-timestamp", &format!("{NOW}000"));
    let error = world.check(&request).unwrap_err().into_error();
    assert!(error.detail().contains("not in milliseconds"), "{}", error.detail());
    // The log, and only the log, says which key it was and what the gateway saw.
    let error = world.check(&Request::of("zgknobody")).unwrap_err().into_error();
    let seen = "(access key zgknobody; the gateway saw content-type:application/json, host:127.0.0.1:8080)";
    assert!(error.cause().unwrap().ends_with(seen), "{:?}", error.cause());
    assert!(!error.detail().contains("zgknobody"));
}

/// Only a caller with the password learns that the key has ended, or that it is for another network.
#[test]
fn more_is_said_only_with_the_right_signature() {
    let world = World::new();
    for (id, result) in [("zgkended", AuthResult::Expired), ("zgkbound", AuthResult::WrongNetwork)]
    {
        let mut request = Request::of(id);
        assert_eq!(world.check(&request).unwrap_err().result, result);
        request.client = Some("10.21.0.1".parse().unwrap());
        assert_eq!(world.check(&request).unwrap_err().result, result);
        request.body.push(b' ');
        assert_eq!(world.check(&request).unwrap_err().result, AuthResult::BadSignature);
    }
}

/// The work is counted in signatures that are computed; `tests/bench/count` counts instructions.
#[test]
fn all_of_them_cost_the_same_work() {
    let until = humantime::format_rfc3339_seconds(at(NOW + 10));
    let older = format!("{MASTER}\nan-older-master-secret-0123456789-abc until {until}\n");
    for (master, passwords) in [(format!("{MASTER}\n"), 1), (older, 2)] {
        let world = World::of(FILE, &master);
        let good =
            [("a good one", Request::of(ID)), ("one that has ended", Request::of("zgkended"))];
        for (what, request) in good.into_iter().chain(forged()) {
            COMPARED.set(0);
            let _ = world.check(&request);
            assert_eq!(COMPARED.get(), passwords, "{what}");
        }
        for (what, request) in malformed() {
            COMPARED.set(0);
            let _ = world.check(&request);
            assert_eq!(COMPARED.get(), 0, "{what}");
        }
    }
}

/// A hundred thousand headers, made of what the parser looks for and of noise.
#[test]
fn random_headers_are_refused_without_a_panic() {
    const PIECES: [&str; 16] = [
        "Credential=",
        "SignedHeaders=",
        "Signature=",
        ID,
        "content-type;host",
        ", ",
        ",",
        ";",
        "=",
        " ",
        "0123456789abcdef",
        "é",
        "\u{0}",
        "\n",
        "zgk",
        "host",
    ];
    let world = World::new();
    let mut random = fastrand::Rng::with_seed(20);
    for _ in 0..100_000 {
        let mut text = String::new();
        for _ in 0..random.usize(0..24) {
            text.push_str(PIECES[random.usize(..PIECES.len())]);
            if random.u8(..4) == 0 {
                text.push(random.char(..));
            }
        }
        let request = rewritten(|_| text.clone());
        assert!(world.check(&request).is_err(), "{text:?}");
    }
}
