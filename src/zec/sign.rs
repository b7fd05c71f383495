//! ZC2-HMAC-SHA256, ZEC's request signature (docs/zec-api.md, section 2).

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};

use super::AccessKey;

/// The algorithm's name, in `Authorization`, in the string to sign and in
/// `X-ZC-Signature-Method`.
pub(super) const ALGORITHM: &str = "ZC2-HMAC-SHA256";

/// The content type of every request that the gateway sends. One constant ensures that the gateway sends what
/// it signs (docs/threats.md, row 3). It is all in lower case, so that both readings of ZEC's rules agree.
pub const CONTENT_TYPE: &str = "application/json";

/// The value of `Authorization` for a `POST` of `body` to `host`.
///
/// `timestamp` is the text of `X-ZC-Timestamp` (Unix seconds), `content_type` and `host` are the header
/// values exactly as they are sent. The result is a secret for five minutes, because it covers neither the
/// action nor the path.
#[must_use]
pub fn authorization(
    key: &AccessKey,
    timestamp: &str,
    content_type: &str,
    host: &str,
    body: &[u8],
) -> String {
    let signature = signature(key.hmac_key(), timestamp, content_type, host, body);
    let mut value =
        format!("{ALGORITHM} Credential={}, SignedHeaders=content-type;host, Signature=", key.id());
    push_hex(&mut value, signature.as_ref());
    value
}

fn signature(
    key: &hmac::Key,
    timestamp: &str,
    content_type: &str,
    host: &str,
    body: &[u8],
) -> hmac::Tag {
    let mut canonical = String::with_capacity(256);
    // The third line is the query string, always empty. The header block ends with its own line feed, which
    // makes the empty line before the list of signed headers.
    let _ = write!(
        canonical,
        "POST\n/\n\ncontent-type:{content_type}\nhost:{host}\n\ncontent-type;host\n"
    );
    push_hex(&mut canonical, sha256(body).as_ref());

    let mut to_sign = String::with_capacity(96);
    let _ = write!(to_sign, "{ALGORITHM}\n{timestamp}\n");
    push_hex(&mut to_sign, sha256(canonical.as_bytes()).as_ref());
    hmac::sign(key, to_sign.as_bytes())
}

fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

/// Writes a hash in lower case, all digits at once. Written one by one, they take a tenth of the time of a
/// signature.
fn push_hex(text: &mut String, hash: &[u8]) {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    debug_assert_eq!(hash.len(), digest::SHA256_OUTPUT_LEN);
    let mut digits = [0; 2 * digest::SHA256_OUTPUT_LEN];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text.push_str(str::from_utf8(&digits).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    const HOST: &str = "console.zenlayer.com";
    const JSON: &str = "application/json";
    const UTF8: &str = "application/json; charset=utf-8";
    const V1: &str = r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.0.0.2"]}"#;

    /// Timestamp, host, content type, body, hash of the body, signature. P0 is ZEC's published example;
    /// docs/zec-api.md, section 2 says where V1 to V8 come from.
    #[rustfmt::skip] // one vector a block reads as the table it is
    const VECTORS: [(&str, &str, &str, &str, &str, &str, &str); 10] = [
        ("P0", "1673361177", HOST, UTF8, r#"{"pageSize":10,"pageNum":1,"zoneId":"HKG-A"}"#,
            "5f714687ba91c606d503467766151206392474accd137ffea6dce2420b67c29a",
            "efb356c32e55c781e10dc676da59462c22596d82e91c57803666243379555b2f"),
        ("V1", "1767225600", HOST, JSON, V1,
            "41fd8dd2a71e5fd978183f0861c3b32f70814d1d5ed118a4ac0f0fdf2cb27448",
            "43e6d395469a0c3efb985a06d7a4d16dea339f44ff3c225c2f3adc25e3f2808c"),
        ("V2", "1767225601", HOST, JSON,
            r#"{"nicIds": ["1612345678901234567", "1612345678901234568"], "pageSize": 20, "pageNum": 1}"#,
            "ef71dfc288619e118dc054d161f53f232e49263798c61de2cfa1b107422c22ce",
            "37fb7a7349f1b8a991abed102f39af38324abbe898b876e16f41d1ab804f1381"),
        ("V3", "1767225602", "127.0.0.1:18080", JSON,
            r#"{"nicId": "1612345678901234567", "ipAddresses": ["10.0.0.2", "10.0.0.3"]}"#,
            "d56ea3b73cf56b2217bae677a53ef9ba6137850a24924b50c8ed2bd1b92f6371",
            "fab4d4453b606116d3efec5129712feca6c567ae47f7fa8f003c6e7fa3563495"),
        ("V4", "1767225603", HOST, JSON,
            r#"{"name": "\u7f51\u5361-\u00e9", "pageSize": 20, "pageNum": 1}"#,
            "4502751043682464fc8752fa6593ee8fb08f51c05e9887e6c11f799822b6bfbc",
            "a56b10c6aaab3c473e664c8cba720444d1132e879112f71a15155d658399eafe"),
        ("V5", "1767225603", HOST, UTF8, r#"{"name":"网卡-é","pageSize":20,"pageNum":1}"#,
            "98256af95e39afd48cfc3009726b43c33490ebd1dc7ca0a0aefc28af1dd5248c",
            "235f2eeb3c575020dca28722295ae5c6c100efac8ab8b01f48b4ce03c9eeb5a2"),
        ("V6", "1767225604", HOST, JSON, "{}",
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "4a3bcce56b615d38879148e64a8544988eafa06c249e33d9c77ba0ef2ab34fad"),
        ("V7", "1767225605", "Gateway.Example.COM:8443", "application/json; charset=UTF-8", V1,
            "41fd8dd2a71e5fd978183f0861c3b32f70814d1d5ed118a4ac0f0fdf2cb27448",
            "03aaeb93c7a260bcb50dd3b4e5ea4a0af2f1e573cee1a8bc765c57891b48eb9f"),
        ("V7l", "1767225605", "gateway.example.com:8443", UTF8, V1,
            "41fd8dd2a71e5fd978183f0861c3b32f70814d1d5ed118a4ac0f0fdf2cb27448",
            "bade6c81e24935c200282593c7103c744c1c0cbc84428a2a25400144777cd96c"),
        ("V8", "1767225606", HOST, JSON, r#"{"nicId": "1612345678901234567"}"#,
            "2660f76aa8b001d1fd6f085dee7b372a5ac1e096634df25142b24f277fa9a250",
            "383124a11dc734bd5e0c12d8ca414683c023fb96717fcb7a41941f97bb2c7799"),
    ];

    #[test]
    fn every_vector_gives_its_signature() {
        let key = AccessKey::new(
            "0D9UtpyKYcHxms5v".to_owned(),
            &SecretString::from("Gu5t9xGARNpq86cd98joQYCN3"),
        )
        .unwrap();
        for (name, timestamp, host, content_type, body, body_hash, signature) in VECTORS {
            let mut hash = String::new();
            push_hex(&mut hash, sha256(body.as_bytes()).as_ref());
            assert_eq!(hash, body_hash, "{name}: the body is not the vector's");
            assert_eq!(
                authorization(&key, timestamp, content_type, host, body.as_bytes()),
                format!(
                    "ZC2-HMAC-SHA256 Credential=0D9UtpyKYcHxms5v, \
                     SignedHeaders=content-type;host, Signature={signature}"
                ),
                "{name}"
            );
        }
    }
}
