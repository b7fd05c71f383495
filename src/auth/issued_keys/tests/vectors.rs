//! ZEC's published example and the computed ones (docs/zec-api.md, section 2).

use super::*;

/// Timestamp, host, content type, body, signature.
#[rustfmt::skip] // one vector a block reads as the table that it is
const VECTORS: [(&str, &str, &str, &str, &str, &str); 11] = [
    ("P0", "1673361177", "console.zenlayer.com", "application/json; charset=utf-8",
        r#"{"pageSize":10,"pageNum":1,"zoneId":"HKG-A"}"#,
        "efb356c32e55c781e10dc676da59462c22596d82e91c57803666243379555b2f"),
    ("V1", "1767225600", "console.zenlayer.com", "application/json",
        r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.0.0.2"]}"#,
        "43e6d395469a0c3efb985a06d7a4d16dea339f44ff3c225c2f3adc25e3f2808c"),
    ("V2", "1767225601", "console.zenlayer.com", "application/json",
        r#"{"nicIds": ["1612345678901234567", "1612345678901234568"], "pageSize": 20, "pageNum": 1}"#,
        "37fb7a7349f1b8a991abed102f39af38324abbe898b876e16f41d1ab804f1381"),
    ("V3", "1767225602", "127.0.0.1:18080", "application/json",
        r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.0.0.2", "10.0.0.3"]}"#,
        "fab4d4453b606116d3efec5129712feca6c567ae47f7fa8f003c6e7fa3563495"),
    ("V4", "1767225603", "console.zenlayer.com", "application/json",
        r#"{"name": "\u7f51\u5361-\u00e9", "pageSize": 20, "pageNum": 1}"#,
        "a56b10c6aaab3c473e664c8cba720444d1132e879112f71a15155d658399eafe"),
    ("V5", "1767225603", "console.zenlayer.com", "application/json; charset=utf-8",
        r#"{"name":"网卡-é","pageSize":20,"pageNum":1}"#,
        "235f2eeb3c575020dca28722295ae5c6c100efac8ab8b01f48b4ce03c9eeb5a2"),
    ("V6", "1767225604", "console.zenlayer.com", "application/json", "{}",
        "4a3bcce56b615d38879148e64a8544988eafa06c249e33d9c77ba0ef2ab34fad"),
    ("V7", "1767225605", "Gateway.Example.COM:8443", "application/json; charset=UTF-8",
        r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.0.0.2"]}"#,
        "03aaeb93c7a260bcb50dd3b4e5ea4a0af2f1e573cee1a8bc765c57891b48eb9f"),
    ("V7 with values in lower case", "1767225605", "Gateway.Example.COM:8443", "application/json; charset=UTF-8",
        r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.0.0.2"]}"#,
        "bade6c81e24935c200282593c7103c744c1c0cbc84428a2a25400144777cd96c"),
    ("V7l", "1767225605", "gateway.example.com:8443", "application/json; charset=utf-8",
        r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.0.0.2"]}"#,
        "bade6c81e24935c200282593c7103c744c1c0cbc84428a2a25400144777cd96c"),
    ("V8", "1767225606", "console.zenlayer.com", "application/json", r#"{"nicId": "1612345678901234567"}"#,
        "383124a11dc734bd5e0c12d8ca414683c023fb96717fcb7a41941f97bb2c7799"),
];

#[test]
fn every_vector_is_accepted_and_none_with_another_byte() {
    let password = "Gu5t9xGARNpq86cd98joQYCN3";
    let passwords = [master::Password::new(&password.into(), None)];
    for (name, time, host, content_type, body, signature) in VECTORS {
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        headers.insert("content-type", content_type.parse().unwrap());
        let text = format!(
            "Credential=0D9UtpyKYcHxms5v, SignedHeaders=content-type;host, Signature={signature}"
        );
        let claimed = Claimed::parse(&text).unwrap();
        let head = SignedHead { headers: &headers, authority: None };
        let good = |time: &str, body: &[u8]| {
            let canonical = Canonical::new(&claimed, head, time).unwrap();
            canonical.is_signed(&passwords, &claimed.signature, body, at(NOW))
        };
        assert!(good(time, body.as_bytes()), "{name}");
        let mut other = body.as_bytes().to_vec();
        *other.last_mut().unwrap() ^= 1;
        assert!(!good(time, &other) && !good(time, b""), "{name}");
        assert!(!good("1767225599", body.as_bytes()), "{name}");
    }
}
