//! Opens and reads the files that operators name: it never waits for a pipe or a device, and reads a bounded number of
//! bytes. Replaces files as a whole.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, ReadDir},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// How a file is read: from the disk, or, in a reload, from the bytes in which the change was noticed.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// The largest file that is read, in bytes. Ten thousand policies of 400 bytes are a quarter of it.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Opens a path, whatever it is, without waiting: a plain open would wait forever for the writer of a FIFO, and a
/// terminal might become the process's controlling terminal.
///
/// # Errors
/// Returns the system's error.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads a whole file.
///
/// # Errors
/// Fails if the file cannot be read, is not a regular file, or is larger than [`MAX_FILE`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let text = "this path is a directory, a pipe or a device: put a file in its place";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if metadata.len() > MAX_FILE {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // One byte more than allowed: this also bounds a file that grows meanwhile or reports no length.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE { Err(too_large()) } else { Ok(bytes) }
}

/// Reads a whole file as text.
///
/// # Errors
/// Fails as [`read`] does, and if the file is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Puts a new file in the place of one at this path, which is whole at every moment. `prepare` may give it an owner and
/// permissions; otherwise only our user can read it.
///
/// # Errors
/// Fails if the file cannot be written; the file before is then intact.
pub fn replace(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    prepare(file.as_file())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The new file is there already. Without this, the one before might come back after a crash.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// The content of a directory, each list in alphabetical order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The paths that have the ending, without hidden ones, which belong to editors.
    pub files: Vec<PathBuf>,
    /// The other paths in the directory. A folder is listed only if it cannot be read. Otherwise the list has the files
    /// in the folder whose ending is the same in any case of letters.
    pub others: Vec<PathBuf>,
}

/// How many entries of folders within a directory are read at most. The listing is repeated, and the folders may hold a
/// large tree.
const MAX_BELOW: usize = 1000;
/// How deep nested folders are read: a link may lead back to its own folder.
const MAX_DEPTH: usize = 8;

/// Lists the files of a directory that have this ending. Hidden folders are skipped, for example the `..data` through
/// which Kubernetes shows a `ConfigMap`.
///
/// # Errors
/// Fails if the directory cannot be read.
pub fn list(directory: &Path, ending: &str) -> io::Result<Listing> {
    let (mut listing, mut left) = (Listing::default(), MAX_BELOW);
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = is_hidden(&path);
        if !hidden && path.extension() == Some(OsStr::new(ending)) {
            listing.files.push(path);
        } else if !path.is_dir() {
            listing.others.push(path);
        } else if !hidden {
            match fs::read_dir(&path) {
                Ok(inside) => {
                    below(inside, ending, MAX_DEPTH, &mut left, &mut listing.others);
                }
                Err(_) => listing.others.push(path),
            }
        }
    }
    listing.files.sort();
    listing.others.sort();
    Ok(listing)
}

/// Finds the files with this ending among the entries of a folder, and in the folders below it.
fn below(folder: ReadDir, ending: &str, depth: usize, left: &mut usize, found: &mut Vec<PathBuf>) {
    for entry in folder.flatten() {
        let path = entry.path();
        if *left == 0 {
            return;
        }
        *left -= 1;
        if is_hidden(&path) {
            continue;
        }
        if path.is_dir() {
            if let (1.., Ok(inside)) = (depth, fs::read_dir(&path)) {
                below(inside, ending, depth - 1, left, found);
            }
        } else if path.extension().is_some_and(|other| other.eq_ignore_ascii_case(ending)) {
            found.push(path);
        }
    }
}

/// Whether the name begins with a dot.
#[must_use]
pub fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether the name contains the ending anywhere, in any case of letters, so that an operator may take the file for one
/// that has the ending.
#[must_use]
pub fn resembles(path: &Path, ending: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    name.contains(ending)
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
    fn a_directory_is_listed_with_whatever_else_lies_there() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for folder in ["empty", "sub/deeper", ".git", "..2026", "odd.x"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/a.x", at("a.x")).unwrap();
        symlink("..", at("sub/up")).unwrap();
        for file in ["..2026/a.x", "b.X", ".c.x", "d.x~", "e", ".git/f.x", "sub/g.y", "b.x"] {
            fs::write(at(file), "").unwrap();
        }
        fs::write(at("sub/deeper/h.X"), "").unwrap();
        let found = list(directory.path(), "x").unwrap();
        assert_eq!(found.files, ["a.x", "b.x", "odd.x"].map(at));
        let (below, others): (Vec<_>, Vec<_>) =
            found.others.into_iter().partition(|path| path.starts_with(at("sub")));
        assert_eq!(others, [".c.x", "b.X", "d.x~", "e"].map(at));
        assert!(below.contains(&at("sub/deeper/h.X")), "{below:?}");
        assert!(!below.contains(&at("sub/g.y")), "{below:?}");
    }

    #[test]
    fn a_large_tree_is_not_looked_at_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["one", "two"] {
            fs::create_dir(directory.path().join(folder)).unwrap();
            for number in 0..MAX_BELOW {
                fs::write(directory.path().join(format!("{folder}/{number}.x")), "").unwrap();
            }
        }
        assert_eq!(list(directory.path(), "x").unwrap().others.len(), MAX_BELOW);
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
