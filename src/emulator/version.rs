//! The versions of ZEC's API.

/// The versions of ZEC's API that answer at the same path; the header `X-ZC-Version` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `2024-04-01`: still called by ZEC's Terraform provider.
    V20240401,
    /// `2025-09-01`.
    V20250901,
}

impl Version {
    /// The version's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V20240401 => "2024-04-01",
            Self::V20250901 => "2025-09-01",
        }
    }

    /// The version with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "2024-04-01" => Some(Self::V20240401),
            "2025-09-01" => Some(Self::V20250901),
            _ => None,
        }
    }
}
