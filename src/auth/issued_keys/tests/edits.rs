//! Changes of the files by the command line.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use super::*;

fn new_key(name: &str) -> NewKey {
    NewKey {
        name: name.to_owned(),
        groups: vec!["a \"quoted\" group".to_owned(), "deployers".to_owned()],
        ends: at(NOW),
        from: vec![network("10.20.0.0/16").unwrap()],
    }
}

fn parse(text: &str) -> KeyFile {
    KeyFile::parse(Path::new("keys.toml"), text.to_owned()).unwrap()
}

#[test]
fn a_new_key_is_read_as_it_was_meant_and_the_rest_stays_as_it_was() {
    let before = "# Our keys.\n[[key]]\nid = \"zgkone\" # of 2026\nname = \"one\"\nends = 2027-02-01T00:00:00Z";
    let (text, id) = parse(before).with_new(&new_key("ci-terraform")).unwrap();
    assert!(text.starts_with(before) && id.starts_with("zgk") && id.len() == 23, "{text}");
    let after = parse(&text);
    let [_, made] = after.entries() else { panic!("{text}") };
    assert_eq!(
        (made.id.as_str(), made.name.as_str(), made.ends),
        (id.as_str(), "ci-terraform", at(NOW))
    );
    assert_eq!(made.groups, new_key("").groups);
    assert_eq!(made.from, new_key("").from);
    let (_, other) = parse("").with_new(&new_key("ci-terraform")).unwrap();
    assert_ne!(id, other);
    for (name, why) in [("", "empty"), ("a\nb", "control character")] {
        let faults = parse("").with_new(&new_key(name)).unwrap_err();
        assert!(faults[0].to_string().contains(why), "{faults:?}");
    }
}

#[test]
fn keys_end_and_nothing_else_changes() {
    let text = FILE.replace("ends = 2027-02-01T00:00:00Z", "ends = 2027-02-01T00:00:00Z # a note");
    let file = parse(&text);
    let ended = file.with_end(&[file.entries()[2].clone(), file.entries()[0].clone()], at(NOW));
    assert_eq!(ended, text.replace("2027-02-01T00:00:00Z", "2027-01-15T08:00:00Z"));
    assert_eq!(parse(&ended).entries()[0].state(at(NOW)), KeyState::Ended);
}

#[test]
fn a_file_is_replaced_whole_and_keeps_its_permissions() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let put = |path: &Path, text: &str| {
        replace_file(path, 0o600, |before| Ok((text.to_owned(), before))).unwrap()
    };
    assert_eq!(put(&path, "one"), None);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    // Through a link, which stays one.
    let link = directory.path().join("link");
    symlink("file", &link).unwrap();
    assert_eq!(put(&link, "two"), Some("one".to_owned()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    // Only root can give a file to somebody else, and it stays theirs.
    if std::os::unix::fs::chown(&path, Some(4242), Some(4243)).is_ok() {
        put(&path, "three");
        let owner = fs::metadata(&path).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (4242, 4243));
    }
    let kept = fs::read_to_string(&path).unwrap();
    let refused = replace_file::<()>(&path, 0o600, |_| Err(vec![Fault::new("no")]));
    assert_eq!((refused.unwrap_err().len(), fs::read_to_string(&path).unwrap()), (1, kept));
    // A link that leads nowhere is neither followed nor replaced.
    symlink("nowhere", directory.path().join("dangling")).unwrap();
    let refused =
        replace_file(&directory.path().join("dangling"), 0o600, |_| Ok((String::new(), ())));
    assert!(refused.unwrap_err()[0].to_string().contains("cannot be followed"));
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".file.lock", "dangling", "file", "link"], "nothing else is left behind");
}

#[test]
fn changes_at_the_same_time_follow_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    let add = |number: usize| {
        let change = |before: Option<String>| {
            let file = KeyFile::parse(&path, before.unwrap_or_default())?;
            file.with_new(&new_key(&format!("caller-{number}")))
        };
        replace_file(&path, 0o644, change).unwrap();
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let add = &add;
            scope.spawn(move || (0..25).for_each(|number| add(thread * 100 + number)));
        }
    });
    let file = KeyFile::parse(&path, fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(file.entries().len(), 100);
}

#[test]
fn a_change_waits_for_another_one_and_not_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    let held = edit::lock(&path, 1).unwrap();
    let error = edit::lock(&path, 2).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(held);
    assert!(edit::lock(&path, 1).is_ok());
}

#[test]
fn a_rotation_keeps_the_older_secrets_until_their_time() {
    let parse = |text: &str| MasterFile::parse(Path::new("master"), text).unwrap();
    let fresh = secrecy::SecretString::from("x".repeat(32));
    let text = format!(
        "{MASTER}\n{} until 2027-01-15T08:00:00Z\n{} until 2027-01-15T08:00:01Z\n",
        "a".repeat(32),
        "b".repeat(32)
    );
    let rotated = parse(&text).rotated(&fresh, Duration::from_secs(3600), at(NOW));
    let wanted = format!(
        "{}\n{MASTER} until 2027-01-15T09:00:00Z\n{} until 2027-01-15T08:00:01Z\n",
        "x".repeat(32),
        "b".repeat(32)
    );
    assert_eq!(rotated.expose_secret(), wanted);
    let shorter = parse(&text).rotated(&fresh, Duration::ZERO, at(NOW));
    assert_eq!(shorter.expose_secret(), format!("{}\n", "x".repeat(32)), "the older ones go too");
    let at_once = parse(MASTER).rotated(&fresh, Duration::ZERO, at(NOW));
    assert_eq!(at_once.expose_secret(), format!("{}\n", "x".repeat(32)));
}
