//! The files of a unit as they were at one moment.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::files;

/// The path of something to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// A file.
    File(PathBuf),
    /// Every file of a directory whose name has this ending, for example `cedar`.
    Directory(PathBuf, &'static str),
}

impl FileState {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        let (Self::File(path) | Self::Directory(path, _)) = self;
        path
    }
}

/// The content of files at one moment. A file that cannot be read is recorded as well, with its error.
pub struct Snapshot {
    files: Vec<(PathBuf, io::Result<Vec<u8>>)>,
    /// The other paths in the directories.
    others: Vec<PathBuf>,
    /// Those of the other paths that an operator may take for files that are loaded.
    alike: Vec<PathBuf>,
}

/// What is kept of the files between two polls: digests and kinds of errors, so that no keys stay in memory.
pub(super) type Print = Vec<(PathBuf, Result<Vec<u8>, io::ErrorKind>)>;

/// Shows only the paths, because the bytes may be a key.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files.iter().map(|(path, _)| path)).finish()
    }
}

impl Snapshot {
    /// Reads the files. If a directory cannot be listed, its path and the error are recorded in place of its files.
    #[must_use]
    pub fn take(places: &[FileState]) -> Self {
        let (mut files, mut others, mut alike) = (Vec::new(), Vec::new(), Vec::new());
        for place in places {
            match place {
                FileState::File(path) => files.push((path.clone(), files::read(path))),
                FileState::Directory(path, ending) => match files::list(path, ending) {
                    Ok(listing) => {
                        let named = |path: &&PathBuf| {
                            !files::is_hidden(path) && files::resembles(path, ending)
                        };
                        alike.extend(listing.others.iter().filter(named).cloned());
                        others.extend(listing.others);
                        files.extend(listing.files.into_iter().map(|path| {
                            let bytes = files::read(&path);
                            (path, bytes)
                        }));
                    }
                    Err(error) => files.push((path.clone(), Err(error))),
                },
            }
        }
        Self { files, others, alike }
    }

    /// A snapshot of one file whose bytes are known already.
    #[must_use]
    pub fn of(path: PathBuf, bytes: Vec<u8>) -> Self {
        Self::from(vec![(path, Ok(bytes))])
    }

    /// A snapshot of places that could not be read.
    pub(super) fn unread(places: &[FileState], why: &str) -> Self {
        let unread =
            |place: &FileState| (place.path().to_owned(), Err(io::Error::other(why.to_owned())));
        Self::from(places.iter().map(unread).collect())
    }

    fn from(files: Vec<(PathBuf, io::Result<Vec<u8>>)>) -> Self {
        Self { files, others: Vec::new(), alike: Vec::new() }
    }

    /// Returns the bytes of one of the files.
    ///
    /// # Errors
    /// Returns why it could not be read.
    pub fn read(&self, path: &Path) -> io::Result<&[u8]> {
        match self.files.iter().find(|(one, _)| one == path) {
            Some((_, state)) => state.as_deref().map_err(again),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Returns every file with its bytes, or why they could not be read.
    pub fn files(&self) -> impl Iterator<Item = (&Path, io::Result<&[u8]>)> {
        self.files.iter().map(|(path, state)| (path.as_path(), state.as_deref().map_err(again)))
    }

    /// The other paths in the directories. They are not loaded, though an operator may think that they are.
    #[must_use]
    pub fn others(&self) -> &[PathBuf] {
        &self.others
    }

    /// The fingerprint also has the files that look as if they were loaded, so that the operator is warned about a new
    /// one. It leaves out hidden files: an editor makes and removes one each time that a file is edited.
    pub(super) fn print(&self) -> Print {
        let print = |(path, state): &(PathBuf, io::Result<Vec<u8>>)| match state {
            Ok(bytes) => (path.clone(), Ok(digest(&SHA256, bytes).as_ref().to_vec())),
            Err(error) => (path.clone(), Err(error.kind())),
        };
        let alike = self.alike.iter().map(|path| (path.clone(), Ok(Vec::new())));
        self.files.iter().map(print).chain(alike).collect()
    }
}

/// An [`io::Error`] cannot be cloned.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}
