//! The closed sets of label values.

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthResult {
    /// Good.
    Ok,
    /// There was none.
    Missing,
    /// Not of a token's form.
    Malformed,
    /// From an issuer that is not configured.
    UnknownIssuer,
    /// Signed by a key, or with an algorithm, that its issuer's set does not have.
    UnknownKey,
    /// The signature is not its key's.
    BadSignature,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Meant for somebody else.
    WrongAudience,
    /// A claim is missing, malformed or refused.
    BadClaims,
    /// Its issuer's keys are not at hand.
    KeysUnavailable,
}

impl AuthResult {
    /// Every value.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Missing,
        Self::Malformed,
        Self::UnknownIssuer,
        Self::UnknownKey,
        Self::BadSignature,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongAudience,
        Self::BadClaims,
        Self::KeysUnavailable,
    ];

    /// The value of the label `result`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongAudience => "wrong_audience",
            Self::BadClaims => "bad_claims",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}

/// What the policy said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// A policy could not be evaluated: a no too.
    Error,
    /// It could not be asked, for there is no such vNIC.
    Absent,
}

impl Decision {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Deny, Self::Error, Self::Absent];

    /// The value of the label `decision`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
            Self::Absent => "absent",
        }
    }
}

/// What became of a request to ZEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// ZEC said yes.
    Ok,
    /// ZEC said no, and did nothing.
    Rejected,
    /// Nothing reached ZEC.
    NotSent,
    /// It was sent, and no usable answer came.
    Unknown,
    /// ZEC refused the gateway's own key.
    CredentialsRefused,
}

impl Outcome {
    /// Every value.
    pub const ALL: [Self; 5] =
        [Self::Ok, Self::Rejected, Self::NotSent, Self::Unknown, Self::CredentialsRefused];

    /// The value of the label `outcome`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
            Self::CredentialsRefused => "credentials_refused",
        }
    }
}

/// The two kinds of requests to ZEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Shows something.
    Read,
    /// Changes something.
    Write,
}

impl Kind {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// The value of the label `kind`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// How a shadow policy's answer differs from the live one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowChange {
    /// It allows what is denied.
    Allows,
    /// It denies what is allowed.
    Denies,
    /// It was not asked, or could not answer without a look at the vNIC.
    Skipped,
}

impl ShadowChange {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Allows, Self::Denies, Self::Skipped];

    /// The value of the label `change`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allows => "allows",
            Self::Denies => "denies",
            Self::Skipped => "skipped",
        }
    }
}
