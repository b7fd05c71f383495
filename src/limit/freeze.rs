//! The freeze file, with which operators stop all writes.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::sync::Semaphore;

use super::Live;
use crate::{
    domain::text::plain,
    error::{Error, Problem},
    files,
};

/// How many bytes of the file are read; its first line is within them.
const MAX_BYTES: u64 = 4096;
/// The longest reason that is shown, in characters.
const MAX_CHARS: usize = 200;
/// The reason if the file gives none.
const NO_REASON: &str = "they gave no reason";
/// The timeout of a check: a disk that has not answered by then counts as hanging.
const PATIENCE: Duration = Duration::from_secs(1);

/// The operators' freeze file: while it exists, nothing is changed.
#[derive(Clone, Debug)]
pub struct Freeze {
    limits: Live,
    /// Bounds the checks in flight: on a disk that hangs each one occupies a thread, and reads need threads
    /// too.
    looks: Arc<Semaphore>,
}

/// How many checks one [`Freeze`] may have in flight.
const MAX_LOOKS: usize = 8;

/// What is at the path.
#[derive(Debug, PartialEq, Eq)]
enum FreezeState {
    Nothing,
    /// Something is there, with this reason.
    Reason(String),
}

impl Freeze {
    /// Checks the path of `limits.freeze_file`; without one, writes are never frozen.
    #[must_use]
    pub fn new(limits: Live) -> Self {
        Self { limits, looks: Arc::new(Semaphore::new(MAX_LOOKS)) }
    }

    /// Checks whether writes are stopped at this moment, off the async threads. It runs for every write that
    /// would be sent; reads and dry runs continue.
    ///
    /// # Errors
    /// 503 `frozen` with the operators' reason while anything is at the path. Also if the gateway cannot find
    /// out: operators who stop writes must be able to rely on it.
    pub async fn check(&self) -> Result<(), Error> {
        match self.look().await {
            Ok(FreezeState::Nothing) => Ok(()),
            Ok(FreezeState::Reason(reason)) => Err(frozen(&reason)),
            Err(cause) => Err(unclear().with_cause(format!("freeze file: {cause}"))),
        }
    }

    /// Whether writes are stopped at this moment, and why; for operators.
    pub async fn state(&self) -> String {
        match self.look().await {
            Ok(FreezeState::Nothing) => "no".to_owned(),
            Ok(FreezeState::Reason(reason)) => format!("yes, {reason}"),
            Err(cause) => format!("yes, because the freeze file could not be checked: {cause}"),
        }
    }

    async fn look(&self) -> Result<FreezeState, String> {
        let Some(path) = self.limits.now().settings.freeze_file.clone() else {
            return Ok(FreezeState::Nothing);
        };
        let turn = Arc::clone(&self.looks).acquire_owned();
        let look = async {
            let turn = turn.await;
            tokio::task::spawn_blocking(move || {
                // Released when the disk has answered, not when the caller has given up.
                let _turn = turn;
                look(&path)
            })
            .await
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(found)) => found.map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the disk does not respond".to_owned()),
        }
    }
}

fn frozen(reason: &str) -> Error {
    Error::new(
        Problem::Frozen,
        format!("the gateway's operators have stopped all writes: {reason}; nothing was sent"),
    )
}

fn unclear() -> Error {
    Error::new(
        Problem::Frozen,
        "the gateway could not check whether the operators have stopped all writes, so writes stay \
         stopped; nothing was sent: tell the gateway's operators",
    )
}

/// Anything at the path counts. Only a regular file is read, and nothing blocks.
fn look(path: &Path) -> io::Result<FreezeState> {
    let file = match files::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return look_at_link(path),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Ok(FreezeState::Reason(NO_REASON.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(FreezeState::Reason(reason(&bytes)))
}

/// A dangling symbolic link counts as something at the path.
fn look_at_link(path: &Path) -> io::Result<FreezeState> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(FreezeState::Reason(NO_REASON.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FreezeState::Nothing),
        Err(error) => Err(error),
    }
}

/// The first line, made safe for an answer and a log.
fn reason(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default();
    let short = plain(line.trim(), MAX_CHARS);
    if short.is_empty() { NO_REASON.to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, path::PathBuf};

    use super::*;

    fn at_path(path: Option<PathBuf>) -> Freeze {
        Freeze::new(Live::with(|limits| limits.freeze_file = path))
    }

    #[test]
    fn a_reason_is_one_short_plain_line() {
        let long = "ä".repeat(300);
        for (bytes, want) in [
            (&b"  incident 7: hands off \r\nsecond"[..], "incident 7: hands off"),
            (b"a\x1b[31mb\x00c\td\x7f", "a[31mbcd"),
            (b"\xff!", "\u{fffd}!"),
            (long.as_bytes(), &long[..400]),
            (b"", NO_REASON),
            (b"\nsecond", NO_REASON),
            (b" \x07 \n", NO_REASON),
        ] {
            assert_eq!(reason(bytes), want);
        }
    }

    #[tokio::test]
    async fn nothing_is_stopped_where_there_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        assert!(at_path(None).check().await.is_ok());
        assert!(at_path(None).check().await.is_ok());
        assert!(at_path(Some(directory.path().join("freeze"))).check().await.is_ok());
        assert!(at_path(Some(directory.path().join("none/freeze"))).check().await.is_ok());
    }

    #[tokio::test]
    async fn each_check_reads_the_file_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("freeze");
        let freeze = at_path(Some(path.clone()));
        assert_eq!(freeze.state().await, "no");
        fs::write(&path, "incident 7\nmore").unwrap();
        assert_eq!(freeze.state().await, "yes, incident 7");
        let error = freeze.check().await.unwrap_err();
        assert_eq!((error.problem(), error.status()), (Problem::Frozen, 503));
        assert!(error.detail().contains("writes: incident 7;"), "{}", error.detail());
        assert!(error.retry_after().is_some());
        fs::write(&path, "").unwrap();
        assert!(freeze.check().await.unwrap_err().detail().contains(NO_REASON));
        fs::remove_file(&path).unwrap();
        assert!(freeze.check().await.is_ok());
    }

    #[tokio::test]
    async fn whatever_stands_at_the_path_stops_writes_and_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("directory")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap();
        assert!(made.success());
        symlink(at("nowhere"), at("link")).unwrap();
        for name in ["directory", "fifo", "link"] {
            let error = at_path(Some(at(name))).check().await.unwrap_err();
            assert!(error.detail().contains(NO_REASON), "{name}: {}", error.detail());
        }
    }

    #[tokio::test]
    async fn what_cannot_be_looked_at_stops_writes() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink(at("round"), at("round")).unwrap();
        for path in [at("file").join("freeze"), at("round"), at(&"x".repeat(300))] {
            let freeze = at_path(Some(path));
            let error = freeze.check().await.unwrap_err();
            assert_eq!(error.problem(), Problem::Frozen);
            assert!(error.detail().contains("could not check"), "{}", error.detail());
            assert!(error.cause().is_some());
            let state = freeze.state().await;
            assert!(
                state.starts_with("yes, because the freeze file could not be checked: "),
                "{state}"
            );
        }
    }
}
