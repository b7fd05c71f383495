//! Tests of the emulator's signature check, with published and computed vectors.

use super::*;

const KEY_ID: &str = "0D9UtpyKYcHxms5v";
const PASSWORD: &str = "Gu5t9xGARNpq86cd98joQYCN3";
const JSON: &str = "application/json";
const V1_BODY: &str = r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.0.0.2"]}"#;

struct Vector {
    name: &'static str,
    timestamp: u64,
    host: &'static str,
    content_type: &'static str,
    body: &'static str,
    signature: &'static str,
}

/// P0 is ZEC's published example; the others were made by its Python SDK's own signing function.
#[rustfmt::skip]
const VECTORS: [Vector; 11] = [
    Vector { name: "P0", timestamp: 1_673_361_177, host: "console.zenlayer.com",
        content_type: "application/json; charset=utf-8",
        body: r#"{"pageSize":10,"pageNum":1,"zoneId":"HKG-A"}"#,
        signature: "efb356c32e55c781e10dc676da59462c22596d82e91c57803666243379555b2f" },
    Vector { name: "V1", timestamp: 1_767_225_600, host: "console.zenlayer.com", content_type: JSON,
        body: V1_BODY,
        signature: "43e6d395469a0c3efb985a06d7a4d16dea339f44ff3c225c2f3adc25e3f2808c" },
    Vector { name: "V2", timestamp: 1_767_225_601, host: "console.zenlayer.com", content_type: JSON,
        body: r#"{"nicIds": ["1612345678901234567", "1612345678901234568"], "pageSize": 20, "pageNum": 1}"#,
        signature: "37fb7a7349f1b8a991abed102f39af38324abbe898b876e16f41d1ab804f1381" },
    Vector { name: "V3", timestamp: 1_767_225_602, host: "127.0.0.1:18080", content_type: JSON,
        body: r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.0.0.2", "10.0.0.3"]}"#,
        signature: "fab4d4453b606116d3efec5129712feca6c567ae47f7fa8f003c6e7fa3563495" },
    Vector { name: "V4", timestamp: 1_767_225_603, host: "console.zenlayer.com", content_type: JSON,
        body: r#"{"name": "\u7f51\u5361-\u00e9", "pageSize": 20, "pageNum": 1}"#,
        signature: "a56b10c6aaab3c473e664c8cba720444d1132e879112f71a15155d658399eafe" },
    Vector { name: "V5", timestamp: 1_767_225_603, host: "console.zenlayer.com",
        content_type: "application/json; charset=utf-8",
        body: r#"{"name":"网卡-é","pageSize":20,"pageNum":1}"#,
        signature: "235f2eeb3c575020dca28722295ae5c6c100efac8ab8b01f48b4ce03c9eeb5a2" },
    Vector { name: "V6", timestamp: 1_767_225_604, host: "console.zenlayer.com", content_type: JSON,
        body: "{}",
        signature: "4a3bcce56b615d38879148e64a8544988eafa06c249e33d9c77ba0ef2ab34fad" },
    Vector { name: "V7", timestamp: 1_767_225_605, host: "Gateway.Example.COM:8443",
        content_type: "application/json; charset=UTF-8", body: V1_BODY,
        signature: "03aaeb93c7a260bcb50dd3b4e5ea4a0af2f1e573cee1a8bc765c57891b48eb9f" },
    Vector { name: "V7 lower-cased", timestamp: 1_767_225_605, host: "Gateway.Example.COM:8443",
        content_type: "application/json; charset=UTF-8", body: V1_BODY,
        signature: "bade6c81e24935c200282593c7103c744c1c0cbc84428a2a25400144777cd96c" },
    Vector { name: "V7 lower-cased on the wire", timestamp: 1_767_225_605,
        host: "gateway.example.com:8443", content_type: "application/json; charset=utf-8",
        body: V1_BODY,
        signature: "bade6c81e24935c200282593c7103c744c1c0cbc84428a2a25400144777cd96c" },
    Vector { name: "V8", timestamp: 1_767_225_606, host: "console.zenlayer.com", content_type: JSON,
        body: r#"{"nicId": "1612345678901234567"}"#,
        signature: "383124a11dc734bd5e0c12d8ca414683c023fb96717fcb7a41941f97bb2c7799" },
];

impl Vector {
    fn headers(&self) -> HeaderMap {
        let authorization = format!(
            "ZC2-HMAC-SHA256 Credential={KEY_ID}, SignedHeaders=content-type;host, Signature={}",
            self.signature
        );
        headers(&[
            ("host", self.host),
            ("content-type", self.content_type),
            ("x-zc-timestamp", &self.timestamp.to_string()),
            ("x-zc-signature-method", SCHEME),
            ("authorization", &authorization),
        ])
    }
}

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    list.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
}

fn access() -> Access {
    Access::new(KEY_ID.to_owned(), &PASSWORD.into(), vec!["pat_1".into(), "pat_2".into()])
}

fn code(result: Result<(), Failure>) -> String {
    result.map_or_else(|failure| failure.code, |()| "ok".to_owned())
}

/// The headers of V1 with one of them replaced or removed.
fn v1_with(name: &'static str, value: Option<&str>) -> String {
    let [_, v1, ..] = &VECTORS;
    let mut headers = v1.headers();
    headers.remove(name);
    if let Some(value) = value {
        headers.insert(name, value.parse().unwrap());
    }
    code(access().check(&headers, v1.body.as_bytes(), v1.timestamp))
}

#[test]
fn every_vector_is_accepted() {
    for vector in &VECTORS {
        let result = access().check(&vector.headers(), vector.body.as_bytes(), vector.timestamp);
        assert_eq!(result, Ok(()), "{}", vector.name);
    }
}

#[test]
fn one_bit_more_or_less_anywhere_is_refused() {
    for vector in &VECTORS {
        let (now, name) = (vector.timestamp, vector.name);
        for at in 0..vector.body.len() {
            let mut body = vector.body.as_bytes().to_vec();
            body[at] ^= 1;
            let result = access().check(&vector.headers(), &body, now);
            assert_eq!(code(result), "AUTHFAILURE_SIGNATURE_FAILURE", "{name}, byte {at}");
        }
        for (header, value) in [
            ("host", format!("{}.", vector.host)),
            ("content-type", format!("{} ;", vector.content_type)),
            ("x-zc-timestamp", (now + 1).to_string()),
        ] {
            let mut headers = vector.headers();
            headers.insert(header, value.parse().unwrap());
            let result = access().check(&headers, vector.body.as_bytes(), now);
            assert_eq!(code(result), "AUTHFAILURE_SIGNATURE_FAILURE", "{name}, {header}");
        }
        for digit in 0..64 {
            let mut signature = vector.signature.as_bytes().to_vec();
            signature[digit] = if signature[digit] == b'0' { b'1' } else { b'0' };
            let mut headers = vector.headers();
            let text = vector.headers()["authorization"].to_str().unwrap().to_owned();
            let text = text.replace(vector.signature, std::str::from_utf8(&signature).unwrap());
            headers.insert("authorization", text.parse().unwrap());
            let result = access().check(&headers, vector.body.as_bytes(), now);
            assert_eq!(code(result), "AUTHFAILURE_SIGNATURE_FAILURE", "{name}, digit {digit}");
        }
    }
}

#[test]
fn another_key_or_password_is_refused_alike() {
    let [_, v1, ..] = &VECTORS;
    for (id, password) in [("another", PASSWORD), (KEY_ID, "another")] {
        let access = Access::new(id.to_owned(), &password.into(), Vec::new());
        let failure = access.check(&v1.headers(), v1.body.as_bytes(), v1.timestamp).unwrap_err();
        assert_eq!(failure.code, "AUTHFAILURE_SIGNATURE_FAILURE");
    }
}

#[test]
fn five_minutes_either_way_are_allowed_and_no_second_more() {
    let [_, v1, ..] = &VECTORS;
    let at = |now| code(access().check(&v1.headers(), v1.body.as_bytes(), now));
    assert_eq!(at(v1.timestamp + 300), "ok");
    assert_eq!(at(v1.timestamp - 300), "ok");
    assert_eq!(at(v1.timestamp + 301), "AUTHFAILURE_SIGNATURE_EXPIRED");
    assert_eq!(at(v1.timestamp - 301), "AUTHFAILURE_SIGNATURE_EXPIRED");
}

#[test]
fn more_signed_headers_than_two_are_taken() {
    let values = [
        ("content-type", JSON.to_owned()),
        ("host", "h".to_owned()),
        ("x-zc-action", "A".to_owned()),
    ];
    let key = hmac::Key::new(hmac::HMAC_SHA256, PASSWORD.as_bytes());
    let tag = hmac::sign(&key, to_sign("100", &values, b"{}").as_bytes());
    let signature = authorization::to_hex(tag.as_ref());
    let authorization = format!(
        "ZC2-HMAC-SHA256 Credential={KEY_ID}, SignedHeaders=content-type;host;x-zc-action, Signature={signature}"
    );
    let with = |action: &str| {
        let headers = headers(&[
            ("host", "h"),
            ("content-type", JSON),
            ("x-zc-action", action),
            ("x-zc-timestamp", "100"),
            ("x-zc-signature-method", SCHEME),
            ("authorization", &authorization),
        ]);
        code(access().check(&headers, b"{}", 100))
    };
    assert_eq!(with("A"), "ok");
    assert_eq!(with("B"), "AUTHFAILURE_SIGNATURE_FAILURE");
}

#[test]
fn an_authorization_of_another_form_is_refused() {
    const FORM: &str = "AUTHFAILURE_INVALID_AUTHORIZATION";
    let [_, v1, ..] = &VECTORS;
    let right = v1.headers()["authorization"].to_str().unwrap().to_owned();
    assert_eq!(v1_with("authorization", Some(&right)), "ok");
    for wrong in [
        "",
        "Basic eDp5",
        "Bearer",
        "Bearer  ",
        "Bearer pat_3",
        "Bearer pat_",
        "ZC2-HMAC-SHA256",
        &right.replace("content-type;host", "host"),
        &right.replace("content-type;host", "content-type"),
        &right.replace("content-type;host", "host;content-type"),
        &right.replace("content-type;host", "content-type;host;host"),
        &right.replace("content-type;host", "Content-Type;Host"),
        &right.replace("content-type;host", "content-type;host;x-absent"),
        &right.replace("Credential=", "Credential"),
        &right.replace("ZC2-HMAC-SHA256", "zc2-hmac-sha256"),
        &right[..right.len() - 1],
        &format!("{right}0"),
        &format!("{right}, More=1"),
        &right.replace("43e6d3", "43E6D3"),
    ] {
        assert_eq!(v1_with("authorization", Some(wrong)), FORM, "{wrong}");
    }
    for header in
        ["authorization", "x-zc-timestamp", "x-zc-signature-method", "host", "content-type"]
    {
        assert_eq!(v1_with(header, None), FORM, "without {header}");
    }
    for wrong in ["", "+1767225600", "1767225600.0", "2026-01-01T00:00:00Z"] {
        assert_eq!(v1_with("x-zc-timestamp", Some(wrong)), FORM, "{wrong}");
    }
    assert_eq!(v1_with("x-zc-signature-method", Some("ZC1")), FORM);
    assert_eq!(v1_with("x-zc-signature-method", Some("ZC2-HMAC_SHA256")), "ok");
    let mut twice = v1.headers();
    twice.append("authorization", right.parse().unwrap());
    assert_eq!(code(access().check(&twice, v1.body.as_bytes(), v1.timestamp)), FORM);
}

#[test]
fn a_token_needs_neither_timestamp_nor_signature() {
    for token in ["Bearer pat_1", "Bearer pat_2"] {
        assert_eq!(access().check(&headers(&[("authorization", token)]), b"{}", 0), Ok(()));
    }
}
