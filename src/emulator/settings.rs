//! The settings of the emulator, and ZEC's limits.

use secrecy::SecretString;

use super::Fault;

/// The settings of an emulator at its start.
#[derive(Debug, Default)]
pub struct Settings {
    /// The id of the access key.
    pub access_key_id: String,
    /// The password for signatures.
    pub access_key_password: SecretString,
    /// The access tokens that are accepted as `Bearer`; if empty, only the access key is accepted.
    pub bearer_tokens: Vec<SecretString>,
    /// Whether `/control/…` answers. It needs no credentials, so it is for loopback only.
    pub control: bool,
    /// Whether an elastic IP blocks only the address that it is bound to. By default any elastic IP on a vNIC blocks
    /// all its addresses, as ZEC's notes say; ZEC's error text suggests the opposite.
    pub eip_check_per_address: bool,
    /// The effect of `UnassignNetworkInterfaceIpv4` without an address.
    pub empty_unassign: EmptyUnassign,
    /// ZEC's numeric limits.
    pub limits: Limits,
    /// The faults from the start on.
    pub faults: Vec<Fault>,
}

impl Settings {
    /// Settings with that access key and defaults for everything else.
    #[must_use]
    pub fn new(access_key_id: impl Into<String>, access_key_password: SecretString) -> Self {
        Self { access_key_id: access_key_id.into(), access_key_password, ..Self::default() }
    }
}

/// The effect of `UnassignNetworkInterfaceIpv4` without an address. ZEC does not document it, and Terraform sends such
/// a request for a vNIC without secondary addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyUnassign {
    /// 400 `MISSING_PARAMETER`.
    #[default]
    Refuse,
    /// 200, and nothing changes.
    Nothing,
    /// 200, and all secondary addresses are unassigned: the worst interpretation.
    Everything,
}

/// Limits of ZEC's, documented or not; each field says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most ids in `nicIds`: 100, documented.
    pub nic_ids: usize,
    /// The most entries in `tags` and in `tagKeys`: 20, documented.
    pub tags: usize,
    /// The largest `pageSize`: 1000, on the older page only.
    pub page_size: u64,
    /// The most private IPv4 addresses of a vNIC, including the primary one. Unconfirmed: ZEC has a code for it but
    /// names no number.
    pub addresses_per_nic: usize,
    /// The largest request body in bytes. Unconfirmed.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nic_ids: 100, tags: 20, page_size: 1000, addresses_per_nic: 100, body: 1 << 20 }
    }
}
