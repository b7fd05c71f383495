//! Signatures: which are accepted, which are refused, and why; the files of keys; their changes.

mod edits;
mod files;
mod forged;
mod vectors;

use std::{cell::RefCell, collections::BTreeMap, path::Path, time::UNIX_EPOCH};

use http::{HeaderValue, header::HOST};
use secrecy::ExposeSecret;

use super::*;

pub(super) const ID: &str = "zgkabcdefghjkmnpqrstuv";
const MASTER: &str = "master-secret-of-the-tests-0123456789";
const BODY: &[u8] = br#"{"nicId": "1612345678901234567"}"#;
const NOW: u64 = 1_800_000_000;

/// A key of each kind: a good one, one that has ended, one that is bound to a network.
const FILE: &str = r#"
[[key]]
id = "zgkabcdefghjkmnpqrstuv"
name = "ci-terraform"
groups = ["deployers"]
ends = 2027-02-01T00:00:00Z

[[key]]
id = "zgkended"
name = "old"
ends = 2020-01-01T00:00:00Z

[[key]]
id = "zgkbound"
name = "bound"
ends = 2027-02-01T00:00:00Z
from = ["10.20.0.0/16"]
"#;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Keys whose files a test changes.
struct World {
    keys: IssuedKeys,
    files: RefCell<BTreeMap<&'static str, String>>,
}

impl World {
    fn new() -> Self {
        Self::of(FILE, &format!("{MASTER}\n"))
    }

    fn of(file: &str, master: &str) -> Self {
        let settings = IssuedKeySettings {
            file: "keys.toml".into(),
            master_file: "master".into(),
            state_file: "/no/such/directory".into(),
        };
        let files = RefCell::new(BTreeMap::from([
            ("keys.toml", file.to_owned()),
            ("master", master.to_owned()),
        ]));
        let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
        let keys = IssuedKeys::load(&settings, metrics, &|path| read(&files, path)).unwrap();
        Self { keys, files }
    }

    fn put(&self, name: &'static str, text: &str) {
        self.files.borrow_mut().insert(name, text.to_owned());
        self.keys.reload(&|path| read(&self.files, path)).unwrap();
    }

    /// Whether the request's caller is let in, and if not, why not.
    fn check(&self, request: &Request) -> Result<String, Refusal> {
        let head = SignedHead { headers: &request.headers, authority: request.authority };
        let signed = IssuedKeys::begin(&request.authorization, head, request.now)?;
        let caller = self.keys.check(&signed, &request.body, request.client, request.now)?;
        Ok(caller.id().to_owned())
    }
}

fn read(files: &RefCell<BTreeMap<&'static str, String>>, path: &Path) -> io::Result<Vec<u8>> {
    let text = files.borrow().get(path.to_str().unwrap()).cloned();
    text.map(String::into_bytes).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A signed request, which a test may change before or after it is signed.
#[derive(Clone)]
struct Request {
    headers: HeaderMap,
    authority: Option<&'static str>,
    authorization: String,
    body: Vec<u8>,
    client: Option<IpAddr>,
    now: SystemTime,
}

impl Request {
    /// A good request of that key.
    fn of(id: &str) -> Self {
        let password = MasterFile::parse(Path::new("master"), MASTER).unwrap().password(id);
        Self::signed(id, password.expose_secret(), &["content-type", "host"])
    }

    fn signed(id: &str, password: &str, names: &[&str]) -> Self {
        let mut request = Self {
            headers: HeaderMap::new(),
            authority: None,
            authorization: String::new(),
            body: BODY.to_vec(),
            client: None,
            now: at(NOW),
        };
        request.put("host", "127.0.0.1:8080");
        request.put("content-type", "application/json");
        request.put("x-zc-timestamp", &NOW.to_string());
        request.put("x-zc-signature-method", SCHEME);
        request.put("x-extra", "value");
        request.sign(id, password, names);
        request
    }

    fn put(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
    }

    /// Signs the request as ZEC's clients do.
    fn sign(&mut self, id: &str, password: &str, names: &[&str]) {
        let value = |name: &str| match self.headers.get(name) {
            Some(value) => value.to_str().unwrap().to_owned(),
            None => self.authority.unwrap().to_owned(),
        };
        let lines: Vec<_> = names.iter().map(|name| format!("{name}:{}", value(name))).collect();
        let (lines, names) = (lines.join("\n"), names.join(";"));
        self.sign_text(id, password, &names, &format!("POST\n/\n\n{lines}\n\n{names}\n"));
    }

    /// Signs that text, and the hash of the body behind it.
    fn sign_text(&mut self, id: &str, password: &str, names: &str, text: &str) {
        use aws_lc_rs::{digest, hmac};
        let hex = |bytes: &[u8]| {
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            digits.concat()
        };
        let sha = |text: &[u8]| hex(digest::digest(&digest::SHA256, text).as_ref());
        let canonical = sha(format!("{text}{}", sha(&self.body)).as_bytes());
        let time = self.headers["x-zc-timestamp"].to_str().unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, password.as_bytes());
        let tag = hmac::sign(&key, format!("{SCHEME}\n{time}\n{canonical}").as_bytes());
        self.authorization =
            format!("Credential={id}, SignedHeaders={names}, Signature={}", hex(tag.as_ref()));
    }
}

#[test]
fn a_good_signature_names_its_caller() {
    let world = World::new();
    assert_eq!(world.check(&Request::of(ID)).unwrap(), "keys/ci-terraform");
    let mut bound = Request::of("zgkbound");
    bound.client = Some("10.20.1.2".parse().unwrap());
    assert_eq!(world.check(&bound).unwrap(), "keys/bound");
    let issued = world.keys.issued.load();
    let caller = &issued.find(ID).unwrap().caller;
    assert_eq!(caller.group_ids().collect::<Vec<_>>(), ["keys/deployers"]);
}

#[test]
fn values_may_be_signed_in_lower_case_and_further_headers_too() {
    let world = World::new();
    let password = MasterFile::parse(Path::new("master"), MASTER).unwrap().password(ID);
    let mut request = Request::of(ID);
    request.put("host", "Gateway.Example.COM:8443");
    request.put("content-type", "application/json; charset=UTF-8");
    request.put("x-extra", "Some Value");
    request.put("x-zc-action", "DescribeNetworkInterfaces");
    let names = ["content-type", "host", "x-extra", "x-zc-action"];
    request.sign(ID, password.expose_secret(), &names);
    assert!(world.check(&request).is_ok(), "as sent");
    let lowered = "POST\n/\n\ncontent-type:application/json; charset=utf-8\nhost:gateway.example.com:8443\n\
                   x-extra:some value\nx-zc-action:describenetworkinterfaces\n\ncontent-type;host;x-extra;x-zc-action\n";
    request.sign_text(ID, password.expose_secret(), &names.join(";"), lowered);
    assert!(world.check(&request).is_ok(), "in lower case");
    // Over HTTP/2 the host is in `:authority`.
    let mut request = Request::of(ID);
    request.headers.remove(HOST);
    request.authority = Some("gateway.example.com:443");
    request.sign(ID, password.expose_secret(), &["content-type", "host"]);
    assert!(world.check(&request).is_ok(), "over HTTP/2");
}

#[test]
fn a_signature_covers_32_headers_and_no_more() {
    let world = World::new();
    let password = MasterFile::parse(Path::new("master"), MASTER).unwrap().password(ID);
    for (more, good) in [(30, true), (31, false)] {
        let mut request = Request::of(ID);
        let extra: Vec<String> = (0..more).map(|number| format!("x{number:02}")).collect();
        for name in &extra {
            let name = http::HeaderName::try_from(name.as_str()).unwrap();
            request.headers.insert(name, HeaderValue::from_static("value"));
        }
        let names = ["content-type", "host"].into_iter().chain(extra.iter().map(String::as_str));
        request.sign(ID, password.expose_secret(), &names.collect::<Vec<_>>());
        assert_eq!(world.check(&request).is_ok(), good, "{more}");
    }
}

#[test]
fn the_clocks_may_differ_by_five_minutes_either_way() {
    let world = World::new();
    for (away, good) in [(-300, true), (300, true), (-301, false), (301, false)] {
        let mut request = Request::of(ID);
        request.now = at(NOW.checked_add_signed(away).unwrap());
        assert_eq!(world.check(&request).is_ok(), good, "{away}");
    }
}

#[test]
fn the_passwords_before_a_rotation_are_taken_until_their_time_is_over() {
    let world = World::new();
    let old = Request::of(ID);
    let before = MasterFile::parse(Path::new("master"), MASTER).unwrap();
    let fresh = secrecy::SecretString::from("another-master-secret-0123456789-abc");
    let rotated = before.rotated(&fresh, Duration::from_secs(60), at(NOW));
    let after = MasterFile::parse(Path::new("master"), rotated.expose_secret()).unwrap();
    let new = Request::signed(ID, after.password(ID).expose_secret(), &["content-type", "host"]);
    assert!(world.check(&old).is_ok() && world.check(&new).is_err());
    world.put("master", rotated.expose_secret());
    for (later, is_old_taken) in [(0, true), (59, true), (60, false)] {
        let (mut old, mut new) = (old.clone(), new.clone());
        (old.now, new.now) = (at(NOW + later), at(NOW + later));
        assert_eq!(world.check(&old).is_ok(), is_old_taken, "{later}");
        assert!(world.check(&new).is_ok(), "{later}");
    }
}

#[test]
fn a_key_that_is_taken_out_or_ends_is_refused_from_then_on() {
    let world = World::new();
    assert!(world.check(&Request::of(ID)).is_ok());
    let mut late = Request::of(ID);
    let end = humantime::parse_rfc3339("2027-02-01T00:00:00Z").unwrap();
    late.now = end;
    let seconds = end.duration_since(UNIX_EPOCH).unwrap().as_secs();
    late.put("x-zc-timestamp", &seconds.to_string());
    let password = MasterFile::parse(Path::new("master"), MASTER).unwrap().password(ID);
    late.sign(ID, password.expose_secret(), &["content-type", "host"]);
    assert_eq!(world.check(&late).unwrap_err().result, AuthResult::Expired);
    late.now = end - Duration::from_secs(1);
    assert!(world.check(&late).is_ok());
    world.put("keys.toml", "");
    assert_eq!(world.check(&Request::of(ID)).unwrap_err().result, AuthResult::BadSignature);
}

/// Whoever holds a request back until its key has ended, or until its master secret is replaced, is refused.
#[test]
fn the_keys_count_that_are_in_force_when_the_body_is_there() {
    let world = World::new();
    let request = Request::of(ID);
    let begin = || {
        let head = SignedHead { headers: &request.headers, authority: None };
        IssuedKeys::begin(&request.authorization, head, request.now).unwrap()
    };
    let check = |signed| world.keys.check(&signed, &request.body, None, request.now);
    let (before_end, before_rotation) = (begin(), begin());
    world.put("keys.toml", &FILE.replacen("2027-02-01", "2020-02-01", 1));
    assert_eq!(check(before_end).unwrap_err().result, AuthResult::Expired);
    world.put("keys.toml", FILE);
    world.put("master", "another-master-secret-0123456789-abc");
    assert_eq!(check(before_rotation).unwrap_err().result, AuthResult::BadSignature);
}

#[test]
fn the_last_use_is_kept_in_a_file_and_over_reloads_and_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("keys.toml"), FILE).unwrap();
    std::fs::write(path("master"), MASTER).unwrap();
    let settings = IssuedKeySettings {
        file: path("keys.toml"),
        master_file: path("master"),
        state_file: path("used.json"),
    };
    let load = || {
        let metrics = Arc::new(Metrics::new(&[], &[]).unwrap());
        let keys = IssuedKeys::load(&settings, metrics, &crate::files::read).unwrap();
        World { keys, files: RefCell::default() }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = load();
    runtime.block_on(world.keys.keep_uses()).unwrap();
    assert!(!path("used.json").exists(), "nothing to keep");
    world.check(&Request::of(ID)).unwrap();
    assert!(world.check(&Request::of("zgkended")).is_err());
    world.keys.reload(&crate::files::read).unwrap();
    runtime.block_on(world.keys.keep_uses()).unwrap();
    let uses = LastUses::read(&path("used.json")).unwrap();
    assert_eq!(
        (uses.of(ID), uses.of("zgkended"), uses.of("zgkbound")),
        (Some(at(NOW)), None, None)
    );
    let last_uses = |world: World| world.keys.issued.load().last_uses().collect::<LastUses>();
    assert_eq!(last_uses(load()), uses);
    // A file that cannot be read costs nothing but what it knew.
    std::fs::write(path("used.json"), "{").unwrap();
    assert_eq!(last_uses(load()), LastUses::default());
    std::fs::write(path("used.json"), format!("{{\"used\":{{\"{ID}\":{}}}}}", u64::MAX)).unwrap();
    assert_eq!(LastUses::read(&path("used.json")).unwrap().of(ID), None, "no such time");
    // A place that cannot be written is said.
    let world = load();
    world.check(&Request::of(ID)).unwrap();
    std::fs::remove_file(path("used.json")).unwrap();
    std::fs::create_dir(path("used.json")).unwrap();
    assert!(runtime.block_on(world.keys.keep_uses()).is_err());
}

#[tokio::test(start_paused = true)]
async fn the_last_uses_are_kept_every_minute() {
    let directory = tempfile::tempdir().unwrap();
    let state_file = directory.path().join("used.json");
    let World { keys, .. } = World::new();
    let settings = IssuedKeySettings { state_file: state_file.clone(), ..keys.settings };
    let keys = Arc::new(IssuedKeys { settings, ..keys });
    let watching = Arc::clone(&keys);
    let watch = tokio::spawn(async move { watching.watch_forever().await });
    for time in [at(NOW), at(NOW + 1)] {
        keys.issued.load().find(ID).unwrap().note_use(time);
        let kept = || LastUses::read(&state_file).unwrap().of(ID) == Some(time);
        for _ in 0..1000 {
            if kept() {
                break;
            }
            tokio::time::sleep(TICK).await;
        }
        assert!(kept(), "{time:?}");
    }
    watch.abort();
}

#[test]
fn the_counts_follow_the_time_and_without_a_key_to_end_there_is_no_next_end() {
    let world = World::new();
    let metrics = || world.keys.metrics.render().unwrap();
    world.keys.count(at(NOW));
    assert!(metrics().contains("access_keys{state=\"ended\"} 1\n"), "{}", metrics());
    assert!(
        metrics().contains("access_key_next_end_timestamp_seconds 1801440000\n"),
        "{}",
        metrics()
    );
    world.keys.count(at(NOW + 366 * 24 * 3600));
    assert!(metrics().contains("access_keys{state=\"ended\"} 3\n"), "{}", metrics());
    assert!(!metrics().contains("access_key_next_end_timestamp_seconds 1"), "{}", metrics());
}
