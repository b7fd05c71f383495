//! The outcomes that a write can have.

labels! {
    /// What happened to a write.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Outcome by label, from from_label {
        /// The intent is recorded, and nothing more is known.
        Pending = "pending",
        /// ZEC made the change.
        Done = "done",
        /// ZEC refused it and changed nothing.
        Rejected = "rejected",
        /// Nothing reached ZEC.
        NotSent = "not-sent",
        /// It may have reached ZEC; whether ZEC made the change is unknown.
        Unknown = "unknown",
        /// It was unknown, and reading the vNIC proved that nothing had changed.
        NotDone = "not-done",
    }
}

impl Outcome {
    /// Whether the write can have no other outcome after this one.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Unknown)
    }

    /// Whether it is certain that the write never took place, so that the caller may simply retry it.
    #[must_use]
    pub const fn never_happened(self) -> bool {
        matches!(self, Self::NotSent | Self::NotDone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lead_back_to_their_outcomes() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_label(outcome.label()), Some(outcome));
        }
        for other in ["", "Done", "not_sent"] {
            assert_eq!(Outcome::from_label(other), None);
        }
    }
}
