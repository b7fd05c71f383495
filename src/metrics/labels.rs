//! The closed sets of label values.

labels! {
    /// The result of checking a token, or a signature with an access key.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum AuthResult by label {
        /// The token was accepted.
        Ok = "ok",
        /// The request had no token.
        Missing = "missing",
        /// The text does not have the form of a token.
        Malformed = "malformed",
        /// The token's issuer is not configured.
        UnknownIssuer = "unknown_issuer",
        /// Its issuer's key set does not have the key, or the algorithm, that it was signed with.
        UnknownKey = "unknown_key",
        /// The signature does not match the key.
        BadSignature = "bad_signature",
        /// The token or the access key has expired.
        Expired = "expired",
        /// The token is not valid yet.
        NotYetValid = "not_yet_valid",
        /// The token is for another audience.
        WrongAudience = "wrong_audience",
        /// A claim is missing, malformed or not allowed.
        BadClaims = "bad_claims",
        /// The gateway has no keys of its issuer.
        KeysUnavailable = "keys_unavailable",
        /// The time of a signature is too far from the gateway's clock.
        WrongTime = "wrong_time",
        /// The access key may not be used from where the request came.
        WrongNetwork = "wrong_network",
    }
}

labels! {
    /// The policy's decision on a request.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Decision by label {
        /// The policy allows it.
        Allow = "allow",
        /// The policy denies it.
        Deny = "deny",
        /// A policy could not be evaluated, which denies the request too.
        Error = "error",
        /// The policy could not be asked, because there is no such vNIC.
        Absent = "absent",
    }
}

labels! {
    /// The result of a request to ZEC.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ZecResult by label {
        /// ZEC accepted it.
        Ok = "ok",
        /// ZEC refused it and did nothing.
        Rejected = "rejected",
        /// Nothing reached ZEC.
        NotSent = "not_sent",
        /// It may have reached ZEC, and no usable answer came.
        Unknown = "unknown",
        /// ZEC refused the gateway's own key.
        CredentialsRefused = "credentials_refused",
    }
}

labels! {
    /// The two kinds of requests to ZEC.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind by label {
        /// Reads without changing anything.
        Read = "read",
        /// Changes something at ZEC.
        Write = "write",
    }
}

labels! {
    /// How the shadow policy's answer differs from the live one's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ShadowChange by label {
        /// It allows a request that the live policy denies.
        Allows = "allows",
        /// It denies a request that the live policy allows.
        Denies = "denies",
        /// The shadow policy was not asked, or could not answer without reading the vNIC.
        Skipped = "skipped",
    }
}
