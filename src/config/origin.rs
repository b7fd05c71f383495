//! The place where a value of the configuration is written.

/// The place where a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueOrigin {
    /// Nowhere: the value is a default, or belongs to an omitted table.
    Nowhere,
    /// On this line of the file, counted from 1.
    Line(usize),
    /// In the environment variable of this name.
    Variable(String),
}

impl ValueOrigin {
    /// Whether the value is written anywhere.
    pub(super) fn is_somewhere(&self) -> bool {
        !matches!(self, Self::Nowhere)
    }
}
