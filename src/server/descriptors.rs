//! How many files the process may have open: each connection is one, and so is each to ZEC.

use rustix::{
    io,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// The most that the process may have open at once, once [`raise_file_limit`] has been called.
#[must_use]
pub fn file_limit() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Raises what the process may have open to what the host allows: shells and service managers
/// start programs with 1024, for the sake of old ones that knew no more.
///
/// # Errors
/// What the host says against it.
pub fn raise_file_limit() -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
}
