//! A request that is signed with an access key. It gets in exactly if the reference says that its signature is right.
//!
//! An input is five lines: the value of `Authorization` after the scheme, the time, the host, the content type and one
//! more header. The body follows. `{signature}` in the first line becomes the right signature of what the line names.

#![no_main]

use std::{
    io,
    path::Path,
    sync::{Arc, LazyLock},
    time::{Duration, UNIX_EPOCH},
};

use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use zec_gateway::{
    auth::{Authenticator, Identified, IssuedKeySettings, IssuedKeys, SignedHead},
    metrics::Metrics,
};

const ID: &str = "zgkfuzz";
const MASTER: &str = "0123456789abcdef0123456789abcdef";
const KEYS: &str = "[[key]]\nid = \"zgkfuzz\"\nname = \"fuzz\"\nends = 2099-01-01T00:00:00Z\n";
const NOW: u64 = 1_800_000_000;
const NAMES: [&str; 4] = ["x-zc-timestamp", "host", "content-type", "x-extra"];

fuzz_target!(|input: &[u8]| {
    let mut pieces = input.splitn(6, |byte| *byte == b'\n');
    let mut next = || pieces.next().unwrap_or_default();
    let Ok(authorization) = str::from_utf8(next()) else { return };
    let values: Vec<&[u8]> = NAMES.iter().map(|_| next()).collect();
    let body = next();
    let mut headers = HeaderMap::new();
    for (name, value) in NAMES.into_iter().zip(values) {
        let Ok(value) = HeaderValue::from_bytes(value.trim_ascii()) else { return };
        headers.insert(name, value);
    }
    let reading = Reading::of(authorization);
    let right = reading.as_ref().and_then(|reading| reading.signatures(&headers, body));
    let first = right.as_ref().map(|right| right[0].clone()).unwrap_or_default();
    let authorization = authorization.replacen("{signature}", &first, 1);
    let Ok(value) = HeaderValue::from_str(&format!("ZC2-HMAC-SHA256 {authorization}")) else {
        return;
    };
    headers.insert(AUTHORIZATION, value);
    let claimed = authorization.rsplit("Signature=").next().unwrap_or_default().trim_matches(' ');
    let time = headers["x-zc-timestamp"].to_str().unwrap_or_default();
    let in_time = !time.is_empty()
        && time.len() <= 20
        && time.bytes().all(|digit| digit.is_ascii_digit())
        && time.parse::<u64>().is_ok_and(|time| (NOW - 300..=NOW + 300).contains(&time));
    let good = in_time
        && reading.is_some_and(|reading| reading.id == ID)
        && right.is_some_and(|right| right.iter().any(|right| right == claimed));
    assert_eq!(gets_in(&headers, body), good, "{authorization:?}");
});

/// What a first line says, read back to front and without the gateway's code.
struct Reading<'a> {
    id: &'a str,
    names: Vec<&'a str>,
}

impl<'a> Reading<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let text = text.trim_matches(' ');
        let (rest, signature) = text.rsplit_once(',')?;
        let signature = signature.trim_matches(' ').strip_prefix("Signature=")?;
        let (id, names) = rest.rsplit_once(',')?;
        let names = names.trim_matches(' ').strip_prefix("SignedHeaders=")?;
        let id = id.trim_matches(' ').strip_prefix("Credential=")?;
        let digits = signature.len() == 64
            && signature.bytes().all(|digit| b"0123456789abcdef".contains(&digit));
        let names: Vec<&str> = names.split(';').collect();
        let plain = names.iter().all(|name| {
            !name.is_empty()
                && name.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
                })
        });
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let whole = ["content-type", "host"].iter().all(|name| names.contains(name));
        (plain
            && whole
            && sorted == names
            && names.len() <= 32
            && (digits || signature == "{signature}"))
            .then_some(Self { id, names })
    }

    /// The signatures of the values as they are, and in lower case.
    fn signatures(&self, headers: &HeaderMap, body: &[u8]) -> Option<[String; 2]> {
        let one = |lower: bool| {
            let mut text = b"POST\n/\n\n".to_vec();
            for name in &self.names {
                let name = HeaderName::try_from(*name).ok()?;
                let mut value = headers.get(&name)?.as_bytes().trim_ascii().to_vec();
                if lower {
                    value.make_ascii_lowercase();
                }
                text.extend([name.as_str().as_bytes(), b":", &value, b"\n"].concat());
            }
            let names = self.names.join(";");
            text.extend(format!("\n{names}\n{}", hex(&Sha256::digest(body))).bytes());
            let time = headers["x-zc-timestamp"].as_bytes();
            let hash = hex(&Sha256::digest(&text));
            let mut mac = Hmac::<Sha256>::new_from_slice(password().as_bytes()).unwrap();
            mac.update(&[b"ZC2-HMAC-SHA256\n", time, b"\n", hash.as_bytes()].concat());
            Some(hex(&mac.finalize().into_bytes()))
        };
        Some([one(false)?, one(true)?])
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key's password, derived once more.
fn password() -> &'static str {
    static PASSWORD: LazyLock<String> = LazyLock::new(|| {
        let mut mac = Hmac::<Sha256>::new_from_slice(MASTER.as_bytes()).unwrap();
        mac.update(format!("zec-gateway access key 1\n{ID}").as_bytes());
        format!("zgs{}", hex(&mac.finalize().into_bytes()))
    });
    &PASSWORD
}

fn gets_in(headers: &HeaderMap, body: &[u8]) -> bool {
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let head = SignedHead { headers, authority: None };
    match oracle::at_once(world().authenticate_or_begin(head, now)) {
        Ok(Identified::ByBody(signed)) => world().check_signature(&signed, body, None, now).is_ok(),
        Ok(Identified::Caller(caller)) => panic!("{caller:?} without a signature"),
        Err(_) => false,
    }
}

fn world() -> &'static Authenticator {
    static WORLD: LazyLock<Authenticator> = LazyLock::new(|| {
        let settings = IssuedKeySettings {
            file: "keys".into(),
            master_file: "master".into(),
            state_file: "/no/such/file".into(),
        };
        let read = |path: &Path| -> io::Result<Vec<u8>> {
            let text = if path == Path::new("keys") { KEYS } else { MASTER };
            Ok(text.as_bytes().to_vec())
        };
        let metrics = Arc::new(Metrics::new(&[], &[]).expect("metrics"));
        let keys = IssuedKeys::load(&settings, metrics, &read).expect("keys");
        oracle::authenticator().with_access_keys(Arc::new(keys))
    });
    &WORLD
}
