//! The signature algorithms that a token may use, all asymmetric.

labels! {
    /// A signature algorithm that a token may use. All are asymmetric, so a public key can never serve as a shared
    /// secret (docs/threats.md, row 17).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Algorithm by name {
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// ECDSA on P-384 with SHA-384.
        Es384 = "ES384",
        /// RSA PKCS#1 v1.5 with SHA-256.
        Rs256 = "RS256",
        /// RSA PKCS#1 v1.5 with SHA-384.
        Rs384 = "RS384",
        /// RSA PKCS#1 v1.5 with SHA-512.
        Rs512 = "RS512",
        /// RSA-PSS with SHA-256.
        Ps256 = "PS256",
        /// RSA-PSS with SHA-384.
        Ps384 = "PS384",
        /// RSA-PSS with SHA-512.
        Ps512 = "PS512",
        /// Ed25519, under the name of its family (RFC 8037) or under its own name (RFC 9864).
        EdDsa = "EdDSA",
    }
}

impl Algorithm {
    /// The algorithm with this name; `None` for symmetric algorithms and for `none`. `Ed25519` is `EdDSA`: RFC 9864
    /// gave this one algorithm of the family its own name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}
