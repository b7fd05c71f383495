//! Tests of how changed files are noticed.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::*;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("cert", "1");
        files.write("key", "1");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn watcher(&self) -> Watcher {
        let places = ["cert", "key"].map(|name| FileState::File(self.path(name)));
        let loaded = Snapshot::take(&places);
        Watcher::new(places.to_vec(), &loaded)
    }
}

const PACE: WatchPace = WatchPace {
    every: Duration::from_secs(10),
    settle: Duration::from_secs(2),
    patience: Duration::from_secs(10),
};

/// Waits for a change that has settled, and returns it.
async fn changed(watcher: &mut Watcher) -> Snapshot {
    match watcher.due(PACE, false).await.unwrap() {
        Due::Changed(files) => files,
        Due::Again(files) => panic!("{files:?} are as they were"),
    }
}

/// Far longer than any number of polls. The test controls the clock.
const LONG: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn files_that_stay_as_they_are_are_not_loaded_again() {
    let files = Files::new();
    let mut watcher = files.watcher();
    files.write("cert", "1");
    assert!(timeout(LONG, watcher.due(PACE, false)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_change_is_loaded_when_it_was_seen_twice_two_seconds_apart() {
    let files = Files::new();
    let mut watcher = files.watcher();
    files.write("cert", "2");
    let started = Instant::now();
    let seen = changed(&mut watcher).await;
    assert_eq!(started.elapsed().as_secs(), 12);
    assert_eq!(seen.read(&files.path("cert")).unwrap(), b"2");
    assert_eq!(seen.read(&files.path("key")).unwrap(), b"1");
    assert!(seen.read(&files.path("other")).is_err());
    assert!(timeout(LONG, watcher.due(PACE, false)).await.is_err(), "it is said once");
}

#[test]
fn what_is_in_the_files_is_not_shown() {
    let files = Files::new();
    files.write("key", "secret");
    let shown = format!("{:?}", Snapshot::take(&[FileState::File(files.path("key"))]));
    let bytes = format!("{:?}", b"secret");
    assert!(shown.contains("key") && !shown.contains("secret") && !shown.contains(&bytes));
}

#[tokio::test(start_paused = true)]
async fn what_changed_before_the_watch_began_is_seen_too() {
    let files = Files::new();
    let places = vec![FileState::File(files.path("cert"))];
    let loaded = Snapshot::take(&places);
    files.write("cert", "2");
    let mut watcher = Watcher::new(places, &loaded);
    assert_eq!(changed(&mut watcher).await.read(&files.path("cert")).unwrap(), b"2");
}

#[tokio::test(start_paused = true)]
async fn files_that_still_change_are_waited_for() {
    let files = Arc::new(Files::new());
    let mut watcher = files.watcher();
    let last = Arc::new(Mutex::new(String::new()));
    let writing = tokio::spawn({
        let (files, last) = (Arc::clone(&files), Arc::clone(&last));
        async move {
            // Every poll reads different content, and no poll coincides with a write.
            tokio::time::sleep(Duration::from_millis(500)).await;
            for number in 0..30 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let text = format!("new {number}");
                files.write("key", &text);
                *last.lock().unwrap() = text;
            }
        }
    });
    let seen = changed(&mut watcher).await;
    let last = last.lock().unwrap().clone();
    assert_eq!(
        (seen.read(&files.path("key")).unwrap(), last.as_str()),
        (last.as_bytes(), "new 29")
    );
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_goes_and_one_that_comes_back_are_changes() {
    let files = Files::new();
    let mut watcher = files.watcher();
    fs::remove_file(files.path("key")).unwrap();
    let seen = changed(&mut watcher).await;
    assert_eq!(seen.read(&files.path("key")).unwrap_err().kind(), io::ErrorKind::NotFound);
    files.write("key", "1");
    assert_eq!(changed(&mut watcher).await.read(&files.path("key")).unwrap(), b"1");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_taken_back_at_once_is_none() {
    let files = Arc::new(Files::new());
    let mut watcher = files.watcher();
    files.write("key", "2");
    tokio::spawn({
        let files = Arc::clone(&files);
        async move {
            tokio::time::sleep(Duration::from_secs(11)).await;
            files.write("key", "1");
        }
    });
    assert!(timeout(LONG, watcher.due(PACE, false)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_comes_into_a_directory_or_leaves_it_is_a_change() {
    let files = Files::new();
    files.write("one.cedar", "1");
    let places = vec![FileState::Directory(files.0.path().to_owned(), "cedar")];
    let mut watcher = Watcher::new(places.clone(), &Snapshot::take(&places));
    files.write("cert", "2");
    assert!(timeout(LONG, watcher.due(PACE, false)).await.is_err(), "it is none of these files");
    files.write("two.cedar", "1");
    assert_eq!(changed(&mut watcher).await.files().count(), 2);
    fs::rename(files.path("two.cedar"), files.path("three.cedar")).unwrap();
    let seen = changed(&mut watcher).await;
    assert_eq!(seen.read(&files.path("three.cedar")).unwrap(), b"1");
    fs::remove_dir_all(files.0.path()).unwrap();
    let seen = changed(&mut watcher).await;
    assert!(seen.files().next().unwrap().1.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_looks_as_if_it_were_loaded_is_a_change_and_an_editors_is_none() {
    let files = Files::new();
    files.write("one.cedar", "1");
    let places = vec![FileState::Directory(files.0.path().to_owned(), "cedar")];
    let mut watcher = Watcher::new(places.clone(), &Snapshot::take(&places));
    files.write(".one.cedar.swp", "1");
    assert!(timeout(LONG, watcher.due(PACE, false)).await.is_err());
    files.write("two.CEDAR", "1");
    let seen = timeout(LONG, changed(&mut watcher)).await.unwrap();
    assert_eq!(seen.files().count(), 1);
    for name in [".one.cedar.swp", "two.CEDAR", "key"] {
        assert!(seen.others().contains(&files.path(name)), "{name}");
    }
    fs::create_dir(files.path("sub")).unwrap();
    files.write("sub/three.cedar", "1");
    let seen = timeout(LONG, changed(&mut watcher)).await.unwrap();
    assert!(seen.others().contains(&files.path("sub/three.cedar")));
}

#[tokio::test(start_paused = true)]
async fn what_is_loaded_at_once_is_not_loaded_a_second_time() {
    let files = Files::new();
    let mut watcher = files.watcher();
    assert_eq!(watcher.now(PACE).await.unwrap().read(&files.path("key")).unwrap(), b"1");
    files.write("key", "2");
    assert_eq!(watcher.now(PACE).await.unwrap().read(&files.path("key")).unwrap(), b"2");
    assert!(timeout(LONG, watcher.due(PACE, false)).await.is_err());
    files.write("key", "1");
    assert_eq!(changed(&mut watcher).await.read(&files.path("key")).unwrap(), b"1");
}

#[test]
fn all_is_well_only_where_nothing_is_failing() {
    let board = ReloadStatus::default();
    board.add("a");
    board.add("b");
    let note = |name, ok| {
        let mut all = None;
        board.note(name, ok, |well| all = Some(well));
        all.unwrap()
    };
    let failing = |at: usize| matches!(board.all()[at].1, UnitState::Failing(_));
    assert!(note("a", true));
    assert!(!note("a", false));
    let since = board.all()[0].1;
    assert!(!note("b", true), "a is failing still");
    assert!(!note("b", false) && !note("a", false));
    assert_eq!(board.all()[0].1, since, "it has been failing since the first time");
    assert!(!note("a", true) && !failing(0) && failing(1));
    assert!(note("b", true));
}
