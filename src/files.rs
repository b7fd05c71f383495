//! The files that operators name: opened without waiting for whatever else may lie there, and read
//! within a bound.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// The largest file that is read, in bytes: ten thousand policies of 400 bytes are a quarter of it.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Opens what lies at the path, whatever it is, and waits for nobody: a FIFO without a writer would
/// be waited for for ever, and a terminal might become our own.
///
/// # Errors
/// As the system says it.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads a file whole.
///
/// # Errors
/// Where it cannot be read, is something else than a file, or is larger than [`MAX_FILE`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let text = "a directory, a pipe or a device lies there: put a file in its place";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if metadata.len() > MAX_FILE {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // One byte further: what grows meanwhile, or has no length of its own, is bounded too.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE { Err(too_large()) } else { Ok(bytes) }
}

/// The paths in a directory that have this ending, in alphabetical order.
///
/// # Errors
/// Where it cannot be read.
pub fn list(directory: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(ending)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn too_large() -> io::Error {
    let text = format!("larger than {} MiB: is it the right file?", MAX_FILE / 1024 / 1024);
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, process::Command};

    use super::*;

    #[test]
    fn a_file_is_read_whole_and_nothing_else_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "text").unwrap();
        symlink(at("file"), at("link")).unwrap();
        assert_eq!(read(&at("link")).unwrap(), b"text");
        assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        symlink("/dev/zero", at("zero")).unwrap();
        for other in ["fifo", "zero", "."] {
            let error = read(&at(other)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{other}: {error}");
        }
        assert_eq!(read(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = File::create(&path).unwrap();
        file.set_len(MAX_FILE).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, MAX_FILE);
        file.set_len(MAX_FILE + 1).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
