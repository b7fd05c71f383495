//! How many files the process may have open: each connection is one, and so is each connection to ZEC.

use rustix::{
    io,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// The largest number of open files, once [`raise_file_limit`] has been called.
#[must_use]
pub fn file_limit() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Raises the limit on open files to what the host allows. Shells and service managers start programs with 1024, for
/// old programs that could not handle more.
///
/// # Errors
/// Returns the host's error.
pub fn raise_file_limit() -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
}
