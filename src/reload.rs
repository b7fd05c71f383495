//! Files that are loaded anew when they change, without a word from anybody.
//!
//! A change is loaded once the same bytes have been seen twice with a pause between: files that
//! belong together, a certificate and its key say, are rarely written in one moment. What is
//! loaded are the bytes that were looked at, never the files a second time.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};

/// How often files are looked at, and how long they must have stayed as they are.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks.
    pub every: Duration,
    /// Between a look that shows a change and the look that confirms it.
    pub settle: Duration,
}

impl Default for Pace {
    /// Slow enough to cost nothing, quick enough for whoever waits for a certificate to go live.
    fn default() -> Self {
        Self { every: Duration::from_secs(10), settle: Duration::from_secs(2) }
    }
}

/// Files as they were at one moment; one that cannot be read is a state like any other.
pub struct Snapshot {
    files: Vec<(PathBuf, io::Result<Vec<u8>>)>,
}

/// The paths only: the bytes may be a key.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files.iter().map(|(path, _)| path)).finish()
    }
}

impl Snapshot {
    /// Reads the files.
    #[must_use]
    pub fn take(paths: &[PathBuf]) -> Self {
        Self { files: paths.iter().map(|path| (path.clone(), fs::read(path))).collect() }
    }

    /// The bytes of one of the files.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn read(&self, path: &Path) -> io::Result<&[u8]> {
        match self.files.iter().find(|(one, _)| one == path) {
            Some((_, Ok(bytes))) => Ok(bytes),
            Some((_, Err(error))) => Err(io::Error::new(error.kind(), error.to_string())),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// What is kept of the files between two looks: keys are not left lying in memory.
    fn print(&self) -> Print {
        let print = |(_, state): &(PathBuf, io::Result<Vec<u8>>)| match state {
            Ok(bytes) => Ok(digest(&SHA256, bytes).as_ref().to_vec()),
            Err(error) => Err(error.kind()),
        };
        self.files.iter().map(print).collect()
    }
}

type Print = Vec<Result<Vec<u8>, io::ErrorKind>>;

/// Looks at files again and again.
#[derive(Debug)]
pub struct Watcher {
    paths: Vec<PathBuf>,
    pace: Pace,
    known: Print,
}

impl Watcher {
    /// Watches the files of a snapshot, which is what was loaded of them.
    #[must_use]
    pub fn new(loaded: &Snapshot, pace: Pace) -> Self {
        let paths = loaded.files.iter().map(|(path, _)| path.clone()).collect();
        Self { paths, pace, known: loaded.print() }
    }

    /// Resolves when the files are no longer what they were when this resolved last, and have
    /// settled. Whether they are any good is the caller's to find out, once per change.
    pub async fn changed(&mut self) -> Snapshot {
        loop {
            tokio::time::sleep(self.pace.every).await;
            let mut seen = self.look().await.print();
            while seen != self.known {
                tokio::time::sleep(self.pace.settle).await;
                let again = self.look().await;
                let print = again.print();
                if print == seen {
                    self.known = print;
                    return again;
                }
                seen = print;
            }
        }
    }

    /// Reads off the threads that serve: a file may lie on a disk that hangs.
    async fn look(&self) -> Snapshot {
        let paths = self.paths.clone();
        let read = tokio::task::spawn_blocking(move || Snapshot::take(&paths));
        read.await.unwrap_or_else(|error| {
            let failed = |path: &PathBuf| (path.clone(), Err(io::Error::other(error.to_string())));
            Snapshot { files: self.paths.iter().map(failed).collect() }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

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
            let loaded = Snapshot::take(&[self.path("cert"), self.path("key")]);
            Watcher::new(&loaded, Pace::default())
        }
    }

    /// Far longer than any number of looks; the clock is a test's own.
    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn files_that_stay_as_they_are_are_not_loaded_again() {
        let files = Files::new();
        let mut watcher = files.watcher();
        files.write("cert", "1");
        assert!(timeout(LONG, watcher.changed()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_loaded_when_it_was_seen_twice_two_seconds_apart() {
        let files = Files::new();
        let mut watcher = files.watcher();
        files.write("cert", "2");
        let started = Instant::now();
        let seen = watcher.changed().await;
        assert_eq!(started.elapsed().as_secs(), 12);
        assert_eq!(seen.read(&files.path("cert")).unwrap(), b"2");
        assert_eq!(seen.read(&files.path("key")).unwrap(), b"1");
        assert!(seen.read(&files.path("other")).is_err());
        assert!(timeout(LONG, watcher.changed()).await.is_err(), "it is said once");
    }

    #[test]
    fn what_is_in_the_files_is_not_shown() {
        let files = Files::new();
        files.write("key", "secret");
        let shown = format!("{:?}", Snapshot::take(&[files.path("key")]));
        let bytes = format!("{:?}", b"secret");
        assert!(shown.contains("key") && !shown.contains("secret") && !shown.contains(&bytes));
    }

    #[tokio::test(start_paused = true)]
    async fn what_changed_before_the_watch_began_is_seen_too() {
        let files = Files::new();
        let loaded = Snapshot::take(&[files.path("cert")]);
        files.write("cert", "2");
        let mut watcher = Watcher::new(&loaded, Pace::default());
        assert_eq!(watcher.changed().await.read(&files.path("cert")).unwrap(), b"2");
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_still_change_are_waited_for() {
        let files = Arc::new(Files::new());
        let mut watcher = files.watcher();
        let last = Arc::new(Mutex::new(String::new()));
        let writing = tokio::spawn({
            let (files, last) = (Arc::clone(&files), Arc::clone(&last));
            async move {
                // Every look sees something else, and none comes in the middle of a write.
                tokio::time::sleep(Duration::from_millis(500)).await;
                for number in 0..30 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let text = format!("new {number}");
                    files.write("key", &text);
                    *last.lock().unwrap() = text;
                }
            }
        });
        let seen = watcher.changed().await;
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
        let seen = watcher.changed().await;
        assert_eq!(seen.read(&files.path("key")).unwrap_err().kind(), io::ErrorKind::NotFound);
        files.write("key", "1");
        assert_eq!(watcher.changed().await.read(&files.path("key")).unwrap(), b"1");
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
        assert!(timeout(LONG, watcher.changed()).await.is_err());
    }
}
