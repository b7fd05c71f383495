//! The files of a unit as they were at one moment.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::files;

/// Where something to load lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// A file.
    File(PathBuf),
    /// Every file of a directory whose name ends so, as `cedar`.
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

/// Files as they were at one moment; one that cannot be read is a state like any other.
pub struct Snapshot {
    files: Vec<(PathBuf, io::Result<Vec<u8>>)>,
    /// What else lies in the directories.
    others: Vec<PathBuf>,
    /// Those of them that somebody may take for files that are loaded.
    alike: Vec<PathBuf>,
}

/// What is kept of the files between two looks: keys are not left lying in memory.
pub(super) type Print = Vec<(PathBuf, Result<Vec<u8>, io::ErrorKind>)>;

/// The paths only: the bytes may be a key.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files.iter().map(|(path, _)| path)).finish()
    }
}

impl Snapshot {
    /// Reads the files. A directory that cannot be listed stands for its files.
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

    /// One file whose bytes are at hand.
    #[must_use]
    pub fn of(path: PathBuf, bytes: Vec<u8>) -> Self {
        Self::from(vec![(path, Ok(bytes))])
    }

    /// Places that could not be looked at.
    pub(super) fn unread(places: &[FileState], why: &str) -> Self {
        let unread =
            |place: &FileState| (place.path().to_owned(), Err(io::Error::other(why.to_owned())));
        Self::from(places.iter().map(unread).collect())
    }

    fn from(files: Vec<(PathBuf, io::Result<Vec<u8>>)>) -> Self {
        Self { files, others: Vec::new(), alike: Vec::new() }
    }

    /// The bytes of one of the files.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn read(&self, path: &Path) -> io::Result<&[u8]> {
        match self.files.iter().find(|(one, _)| one == path) {
            Some((_, state)) => state.as_deref().map_err(again),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Every file with its bytes, or why they could not be read.
    pub fn files(&self) -> impl Iterator<Item = (&Path, io::Result<&[u8]>)> {
        self.files.iter().map(|(path, state)| (path.as_path(), state.as_deref().map_err(again)))
    }

    /// What else lies in the directories: it is not loaded, and somebody may think that it is.
    #[must_use]
    pub fn others(&self) -> &[PathBuf] {
        &self.others
    }

    /// A file that looks as if it were loaded counts too, so that somebody is told of it. A hidden one
    /// does not: each time a file is edited its editor makes one and takes it away.
    pub(super) fn print(&self) -> Print {
        let print = |(path, state): &(PathBuf, io::Result<Vec<u8>>)| match state {
            Ok(bytes) => (path.clone(), Ok(digest(&SHA256, bytes).as_ref().to_vec())),
            Err(error) => (path.clone(), Err(error.kind())),
        };
        let alike = self.alike.iter().map(|path| (path.clone(), Ok(Vec::new())));
        self.files.iter().map(print).chain(alike).collect()
    }
}

/// An error is no value that can be copied.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}
