//! The outcomes that a write can have.

labels! {
    /// What became of a write.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Outcome by label, from from_label {
        /// It is recorded that it will be sent, and nothing more is known.
        Pending = "pending",
        /// ZEC made the change.
        Done = "done",
        /// ZEC refused it and changed nothing.
        Rejected = "rejected",
        /// Nothing reached ZEC.
        NotSent = "not-sent",
        /// It may have reached ZEC, and nobody knows what came of it.
        Unknown = "unknown",
        /// It was unknown, and looking at the vNIC proved that nothing had changed.
        NotDone = "not-done",
    }
}

impl Outcome {
    /// Whether nothing can become of the write any more than this.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Unknown)
    }

    /// Whether it is certain that the write never took place and may simply be asked for again.
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
