//! Where a value of the configuration was written.

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Not at all: a default, or a table that is left out.
    Nowhere,
    /// On this line of the file, counted from 1.
    Line(usize),
    /// In the environment variable of this name.
    Variable(String),
}

impl Origin {
    /// Whether it was written at all.
    pub(super) fn is_somewhere(&self) -> bool {
        !matches!(self, Self::Nowhere)
    }
}
