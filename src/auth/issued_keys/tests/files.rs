//! The file of keys and the master secret: what they may hold, and what is said of faults.

use super::*;

fn faults(text: &str) -> Vec<String> {
    let faults = KeyFile::parse(Path::new("keys.toml"), text.to_owned()).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

fn key(lines: &str) -> String {
    format!("[[key]]\nid = \"zgkone\"\nname = \"one\"\nends = 2027-02-01T00:00:00Z\n{lines}\n")
}

#[test]
fn every_fault_of_the_file_of_keys_is_said_with_its_line() {
    let long = "x".repeat(257);
    for (text, line, why) in [
        ("[[key]]\n".to_owned(), 1, "missing field"),
        ("keys = []\n".to_owned(), 1, "unknown field"),
        (key("password = \"x\""), 5, "unknown field"),
        (key("").replace("zgkone", "zgk-one"), 2, "no id of a key"),
        (key("").replace("zgkone", ""), 2, "no id of a key"),
        (key("").replace("\"one\"", "\"\""), 3, "the subject is empty"),
        (key("").replace("\"one\"", &format!("\"{long}\"")), 3, "longer than 256 bytes"),
        (key("groups = [\"a\\u0007\"]"), 3, "control character"),
        (key("").replace("\"one\"", "\"keys/one\""), 3, "without `keys/`"),
        (key("").replace("\"one\"", "\"one \""), 3, "without space around it"),
        (key("groups = [\"keys/deployers\"]"), 3, "write `keys/deployers` without"),
        (key("").replace("00:00:00Z", "00:00:00"), 4, "a time in UTC"),
        (key("").replace("00:00:00Z", "00:00:00+01:00"), 4, "a time in UTC"),
        (key("").replace("2027-02-01T00:00:00Z", "\"2027-02-01\""), 4, "without quotes"),
        (key("from = [\"10.20.0.1/16\"]"), 5, "bits set beyond its mask"),
        (key("from = [\"office\"]"), 5, "neither an address"),
        (key("from = []"), 5, "`from` is empty"),
    ] {
        let faults = faults(&text);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with(&format!("keys.toml:{line}: ")), "{line} {why}: {faults:?}");
        assert!(faults[0].contains(why), "{why}: {faults:?}");
    }
    let several = format!("{}{}", key("from = [\"a\", \"b\"]"), key("").replace("\"one\"", "\"\""));
    let faults = faults(&several);
    assert_eq!(faults.len(), 4, "all at once: {faults:?}");
    assert!(faults[2].contains("`zgkone` is already on line 2"), "{faults:?}");
}

#[test]
fn a_file_holds_ten_thousand_keys_and_no_more() {
    let text = |count: usize| -> String {
        (0..count).map(|n| key("").replace("zgkone", &format!("zgk{n}"))).collect()
    };
    assert_eq!(KeyFile::parse(Path::new("k"), text(10_000)).unwrap().entries().len(), 10_000);
    assert!(faults(&text(10_001))[0].contains("more than 10000 keys"));
}

#[test]
fn the_master_secret_is_long_and_older_ones_have_a_last_time() {
    let older = "0123456789abcdef0123456789abcdef";
    let parse = |text: &str| {
        let parsed = MasterFile::parse(Path::new("master"), text);
        parsed.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    for good in [
        MASTER.to_owned(),
        format!("# of production\n\n{MASTER}\n"),
        format!("{MASTER}\n{older} until 2027-03-01T00:00:00Z\n"),
    ] {
        assert!(parse(&good).is_ok(), "{good}");
    }
    for (text, line, why) in [
        (String::new(), None, "holds no secret"),
        ("# none\n".to_owned(), None, "holds no secret"),
        ("short\n".to_owned(), Some(1), "shorter than 32"),
        (format!("{MASTER} until 2027-03-01T00:00:00Z"), Some(1), "the first line is the current"),
        (format!("{MASTER}\n{older}\n"), Some(2), "an older secret needs its last time"),
        (format!("{MASTER}\n{older} until 2027-03-01\n"), Some(2), "the time in UTC"),
        (format!("{MASTER}\n{older} until\n"), Some(2), "an older secret needs its last time"),
    ] {
        let faults = parse(&text).unwrap_err();
        let place = line.map_or("master: ".to_owned(), |line| format!("master:{line}: "));
        assert!(faults[0].starts_with(&place) && faults[0].contains(why), "{why}: {faults:?}");
        assert!(
            !faults.concat().contains(MASTER) && !faults.concat().contains(older),
            "{faults:?}"
        );
    }
    let line = format!("{older} until 2027-03-01T00:00:00Z\n");
    assert!(parse(&format!("{MASTER}\n{}", line.repeat(3))).is_ok());
    assert!(
        parse(&format!("{MASTER}\n{}", line.repeat(4))).unwrap_err()[0].contains("more than 4")
    );
    let parsed = MasterFile::parse(Path::new("master"), MASTER).unwrap();
    assert_eq!(format!("{parsed:?}"), "MasterFile(redacted)");
}

#[test]
fn a_password_depends_on_the_secret_and_on_the_id_alone() {
    let password = |secret: &str, id: &str| {
        let master = MasterFile::parse(Path::new("master"), secret).unwrap();
        master.password(id).expose_secret().to_owned()
    };
    let one = password(MASTER, ID);
    // Kept in the world's configurations: another derivation would end every key that was given out.
    assert_eq!(one, "zgseb588d70c22501552bf335c69a3357755c22789f6062a9b438d813ff5c91c8ba");
    assert_ne!(one, password(MASTER, "zgkother"));
    assert_ne!(one, password(&MASTER.to_uppercase(), ID));
}

#[test]
fn a_faulty_file_leaves_what_it_held_in_force_and_the_other_is_taken() {
    let world = World::new();
    let reload = || world.keys.reload(&|path| read(&world.files, path)).unwrap_err();
    world.files.borrow_mut().insert("keys.toml", key("from = [\"x\"]"));
    world.files.borrow_mut().insert("master", "short".to_owned());
    assert_eq!(reload().len(), 2);
    assert!(world.check(&Request::of(ID)).is_ok());
    world.files.borrow_mut().clear();
    assert_eq!(reload().len(), 2);
    assert!(world.check(&Request::of(ID)).is_ok());
    // A key ends, whatever has become of the master secret.
    world.files.borrow_mut().insert("keys.toml", FILE.replacen("2027-02-01", "2020-02-01", 1));
    assert_eq!(reload().len(), 1);
    assert_eq!(world.check(&Request::of(ID)).unwrap_err().result, AuthResult::Expired);
    // And a leaked secret goes, whatever has become of the file of keys.
    world.files.borrow_mut().insert("keys.toml", "[[key]]".to_owned());
    world.files.borrow_mut().insert("master", "another-master-secret-0123456789-abc".to_owned());
    assert_eq!(reload().len(), 1);
    assert_eq!(world.check(&Request::of(ID)).unwrap_err().result, AuthResult::BadSignature);
}

#[test]
fn a_key_is_warned_of_before_it_ends_unless_its_caller_has_another() {
    let ends = |id: &str, name: &str, ends: &str| {
        format!("[[key]]\nid = \"{id}\"\nname = \"{name}\"\nends = {ends}\n")
    };
    let text = [
        ends("zgk0", "replaced too", "2027-01-16T00:00:00Z"),
        ends("zgk7", "replaced too", "2027-06-01T00:00:00Z"),
        ends("zgk1", "soon", "2027-01-28T08:00:00Z"),
        ends("zgk2", "sooner", "2027-01-20T00:00:00Z"),
        ends("zgk3", "replaced", "2027-01-20T00:00:00Z"),
        ends("zgk4", "replaced", "2027-06-01T00:00:00Z"),
        ends("zgk5", "ended", "2027-01-01T00:00:00Z"),
        ends("zgk6", "later", "2027-01-29T08:00:01Z"),
    ]
    .concat();
    // 1,800,000,000 is 2027-01-15T08:00:00Z.
    let world = World::of(&text, MASTER);
    let warnings: Vec<_> = world.keys.warnings(at(NOW)).iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].starts_with("keys.toml:13: the last access key of `sooner` ends at 2027-01-20")
    );
    assert!(warnings[1].starts_with("keys.toml:9: the last access key of `soon`"), "{warnings:?}");
    let counts = world.keys.issued.load().counts(at(NOW));
    assert_eq!((counts.valid, counts.ending, counts.ended), (3, 4, 1));
    let next = humantime::parse_rfc3339("2027-01-20T00:00:00Z").unwrap();
    assert_eq!(UNIX_EPOCH + counts.next_end.unwrap(), next);
}
