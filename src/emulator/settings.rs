//! The settings of the emulator, and ZEC's limits.

use secrecy::SecretString;

use super::Fault;

/// What the emulator is told at its start.
#[derive(Debug, Default)]
pub struct Settings {
    /// The one access key's id.
    pub access_key_id: String,
    /// The password that signatures are made with.
    pub access_key_password: SecretString,
    /// The access tokens that are accepted as `Bearer`; none: only the access key counts.
    pub bearer_tokens: Vec<SecretString>,
    /// Whether `/control/…` answers. It asks for no credentials: for loopback only.
    pub control: bool,
    /// Whether an elastic IP holds only the address it is bound to. By default any elastic IP on a
    /// vNIC holds all its addresses, as ZEC's notes say; ZEC's error text reads otherwise.
    pub eip_check_per_address: bool,
    /// What becomes of `UnassignNetworkInterfaceIpv4` without an address.
    pub empty_unassign: EmptyUnassign,
    /// ZEC's numbers.
    pub limits: Limits,
    /// What goes wrong from the start.
    pub faults: Vec<Fault>,
}

impl Settings {
    /// Settings with that access key and everything else at its default.
    #[must_use]
    pub fn new(access_key_id: impl Into<String>, access_key_password: SecretString) -> Self {
        Self { access_key_id: access_key_id.into(), access_key_password, ..Self::default() }
    }
}

/// What becomes of `UnassignNetworkInterfaceIpv4` without an address: ZEC documents nothing, and
/// Terraform sends it for a vNIC without secondary addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyUnassign {
    /// 400 `MISSING_PARAMETER`.
    #[default]
    Refuse,
    /// 200, and nothing changes.
    Nothing,
    /// 200, and every secondary address leaves: the worst reading.
    Everything,
}

/// Numbers of ZEC's that its documentation gives, or leaves out; each field says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most ids in `nicIds`: 100, documented.
    pub nic_ids: usize,
    /// The most entries in `tags` and in `tagKeys`: 20, documented.
    pub tags: usize,
    /// The largest `pageSize`: 1000, on the older page only.
    pub page_size: u64,
    /// The most private IPv4 addresses of a vNIC, the primary one included. Unconfirmed: ZEC has
    /// a code for it but names no number.
    pub addresses_per_nic: usize,
    /// The largest request body in bytes. Unconfirmed.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nic_ids: 100, tags: 20, page_size: 1000, addresses_per_nic: 100, body: 1 << 20 }
    }
}
