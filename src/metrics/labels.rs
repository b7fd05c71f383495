//! The closed sets of label values.

labels! {
    /// What became of a token.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum AuthResult by label {
        /// Good.
        Ok = "ok",
        /// There was none.
        Missing = "missing",
        /// Not of a token's form.
        Malformed = "malformed",
        /// From an issuer that is not configured.
        UnknownIssuer = "unknown_issuer",
        /// Signed by a key, or with an algorithm, that its issuer's set does not have.
        UnknownKey = "unknown_key",
        /// The signature is not its key's.
        BadSignature = "bad_signature",
        /// Its time is over.
        Expired = "expired",
        /// Its time has not come.
        NotYetValid = "not_yet_valid",
        /// Meant for somebody else.
        WrongAudience = "wrong_audience",
        /// A claim is missing, malformed or refused.
        BadClaims = "bad_claims",
        /// Its issuer's keys are not at hand.
        KeysUnavailable = "keys_unavailable",
    }
}

labels! {
    /// What the policy said of a request.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Decision by label {
        /// Yes.
        Allow = "allow",
        /// No.
        Deny = "deny",
        /// A policy could not be evaluated: a no too.
        Error = "error",
        /// It could not be asked, for there is no such vNIC.
        Absent = "absent",
    }
}

labels! {
    /// What became of a request to ZEC.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ZecResult by label {
        /// ZEC said yes.
        Ok = "ok",
        /// ZEC said no, and did nothing.
        Rejected = "rejected",
        /// Nothing reached ZEC.
        NotSent = "not_sent",
        /// It was sent, and no usable answer came.
        Unknown = "unknown",
        /// ZEC refused the gateway's own key.
        CredentialsRefused = "credentials_refused",
    }
}

labels! {
    /// The two kinds of requests to ZEC.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind by label {
        /// Shows something.
        Read = "read",
        /// Changes something.
        Write = "write",
    }
}

labels! {
    /// How a shadow policy's answer differs from the live one's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ShadowChange by label {
        /// It allows what is denied.
        Allows = "allows",
        /// It denies what is allowed.
        Denies = "denies",
        /// It was not asked, or could not answer without a look at the vNIC.
        Skipped = "skipped",
    }
}
