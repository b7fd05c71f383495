//! The outcomes that a write can have.

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is recorded that it will be sent, and nothing more is known.
    Pending,
    /// ZEC made the change.
    Done,
    /// ZEC refused it and changed nothing.
    Rejected,
    /// Nothing reached ZEC.
    NotSent,
    /// It may have reached ZEC, and nobody knows what came of it.
    Unknown,
    /// It was unknown, and looking at the vNIC proved that nothing had changed.
    NotDone,
}

impl Outcome {
    /// Every outcome: a closed set, so that it may label metrics.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Done, Self::Rejected, Self::NotSent, Self::Unknown, Self::NotDone];

    /// The name of the outcome in answers, journals and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::NotSent => "not-sent",
            Self::Unknown => "unknown",
            Self::NotDone => "not-done",
        }
    }

    /// The outcome of that name, if there is one.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.label() == label)
    }

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
