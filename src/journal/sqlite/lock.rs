//! Allows one gateway per journal: two would break the chain and each other's budgets.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use super::beside;
use crate::{domain::text::plain, error::Fault};

/// How many bytes of the other gateway's description are shown.
const MAX_HOLDER: u64 = 200;

/// Held while a journal is open for writing; the kernel releases it however the process ends. The file stays:
/// if it were removed, a gateway could lock a file that no other one sees.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the journal at `path`.
    pub(super) fn take(path: &Path) -> Result<Self, Fault> {
        let path = beside(path, ".lock");
        let fault = |text: String| Fault::new(text).in_file(&path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(|e| fault(format!("cannot be opened: {e}")))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut file);
                return Err(fault(format!(
                    "another gateway has this journal open: {holder}; stop it, or give this one a `journal.path` of its own"
                )));
            }
            Err(TryLockError::Error(error)) => {
                return Err(fault(format!("cannot be locked: {error}")));
            }
        }
        sign(&mut file).map_err(|e| fault(format!("cannot be written: {e}")))?;
        Ok(Self { _file: file })
    }
}

/// Writes into the file which process holds it.
fn sign(file: &mut File) -> std::io::Result<()> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let now = humantime::format_rfc3339_seconds(SystemTime::now().max(UNIX_EPOCH));
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "process {} on {}, since {now}", std::process::id(), host.trim())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(MAX_HOLDER).read_to_string(&mut text);
    let text = plain(&text, text.len());
    if read.is_err() || text.is_empty() {
        "the lock file does not say which".to_owned()
    } else {
        text
    }
}
