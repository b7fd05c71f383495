//! A fault in an operator's file or variable, with file, line and key.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A fault in an operator's file or variable: its file, line and key, and what to do.
///
/// Loading collects every fault before it gives up, so that one run of `check` shows them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    file: Option<PathBuf>,
    line: Option<usize>,
    key: Option<String>,
    text: String,
}

impl Fault {
    /// Creates a fault. The text is lower case, without a full stop, and says what to do.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { file: None, line: None, key: None, text: text.into() }
    }

    /// Adds the file.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// Adds the line, counted from 1.
    #[must_use]
    pub fn on_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// Adds the key, for example `zec.endpoint`.
    #[must_use]
    pub fn at_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
            (Some(file), None) => write!(f, "{}: ", file.display())?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// The line, counted from 1, of the byte at `offset` of `text`.
#[must_use]
pub fn line_at(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    1 + text.as_bytes().iter().take(end).filter(|byte| **byte == b'\n').count()
}
