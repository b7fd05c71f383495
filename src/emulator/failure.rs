//! ZEC's error codes with their statuses, and a refusal with such a code.

use http::StatusCode;
use serde::Serialize;

/// ZEC's error codes that the emulator knows, with the status of the recent documentation pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A required parameter is absent.
    MissingParameter,
    /// A parameter has another JSON type, or the body is not a JSON object.
    ParameterType,
    /// A value is not among the allowed ones.
    ParameterValue,
    /// A number is above its maximum.
    ExceedMaximum,
    /// A number is below its minimum.
    LessMinimum,
    /// Too many elements or characters.
    ExceedLength,
    /// Too few elements or characters.
    LessLength,
    /// A text has another form, for example a malformed address.
    PatternError,
    /// `Authorization` is not in the expected form.
    InvalidAuthorization,
    /// The timestamp is more than five minutes off.
    SignatureExpired,
    /// The key is unknown or the signature does not match.
    SignatureFailure,
    /// No permission, or no such action.
    UnauthorizedOperation,
    /// The general "not found"; here: an address that is not on the vNIC.
    ResourceNotFound,
    /// No such vNIC.
    NicNotFound,
    /// The vNIC's state does not allow it.
    NicStatus,
    /// The first address of a vNIC cannot be unassigned.
    PrimaryIp,
    /// A load balancer sends traffic to the address.
    LbAssociated,
    /// An elastic IP blocks the change.
    HasPublicIp,
    /// The subnet has no IPv4.
    SubnetNotIpv4,
    /// The address is outside the subnet.
    IpOutOfRange,
    /// The address names the subnet itself.
    IpNetwork,
    /// The address is the subnet's broadcast address.
    IpBroadcast,
    /// The address is the subnet's gateway.
    IpFirst,
    /// The address is taken.
    IpInUse,
    /// The vNIC has as many addresses as allowed.
    IpExceedLimit,
    /// Throttled.
    RequestLimit,
    /// A bug in ZEC.
    Internal,
    /// ZEC is temporarily unavailable.
    Unavailable,
    // No source documents ZEC's answers for the last three. The codes are placeholders that differ from all of ZEC's
    // own, because Terraform reads a resource's "not found" as "already deleted".
    /// No such path.
    Route,
    /// Another method than `POST`.
    Method,
    /// The body is too large.
    TooLarge,
}

impl Code {
    /// The HTTP status and ZEC's text for the code.
    #[must_use]
    pub const fn entry(self) -> (u16, &'static str) {
        match self {
            Self::MissingParameter => (400, "MISSING_PARAMETER"),
            Self::ParameterType => (400, "INVALID_PARAMETER_TYPE"),
            Self::ParameterValue => (400, "INVALID_PARAMETER_VALUE"),
            Self::ExceedMaximum => (400, "INVALID_PARAMETER_EXCEED_MAXIMUM"),
            Self::LessMinimum => (400, "INVALID_PARAMETER_LESS_MINIMUM"),
            Self::ExceedLength => (400, "INVALID_PARAMETER_EXCEED_LENGTH"),
            Self::LessLength => (400, "INVALID_PARAMETER_LESS_LENGTH"),
            Self::PatternError => (400, "INVALID_PARAMETER_PATTERN_ERROR"),
            Self::InvalidAuthorization => (401, "AUTHFAILURE_INVALID_AUTHORIZATION"),
            Self::SignatureExpired => (401, "AUTHFAILURE_SIGNATURE_EXPIRED"),
            Self::SignatureFailure => (401, "AUTHFAILURE_SIGNATURE_FAILURE"),
            Self::UnauthorizedOperation => (401, "AUTHFAILURE_UNAUTHORIZED_OPERATION"),
            Self::ResourceNotFound => (404, "OPERATION_FAILED_RESOURCE_NOT_FOUND"),
            Self::NicNotFound => (404, "INVALID_NIC_NOT_FOUND"),
            Self::NicStatus => (400, "INVALID_NIC_STATUS"),
            Self::PrimaryIp => (409, "INVALID_NIC_PRIMARY_IP_CANT_DETACH"),
            Self::LbAssociated => (409, "INVALID_NIC_LB_ASSOCIATED"),
            Self::HasPublicIp => (409, "INVALID_NIC_HAS_PUBLIC_IP_CANT_DETACH"),
            Self::SubnetNotIpv4 => (400, "OPERATION_DENIED_SUBNET_TYPE_NOT_SUPPORT_IPV4"),
            Self::IpOutOfRange => (400, "INVALID_IP_OUT_OF_RANGE"),
            Self::IpNetwork => (400, "INVALID_IP_NETWORK_ADDRESS"),
            Self::IpBroadcast => (400, "INVALID_IP_BROADCAST_ADDRESS"),
            Self::IpFirst => (400, "INVALID_IP_FIRST_ADDRESS"),
            Self::IpInUse => (409, "INVALID_SUBNET_PRIVATE_IPV4_IN_USED"),
            Self::IpExceedLimit => (403, "INVALID_NIC_PRIVATE_IP_EXCEED_LIMIT"),
            Self::RequestLimit => (429, "REQUEST_LIMIT_EXCEEDED"),
            Self::Internal => (500, "INTERNAL_SERVER_ERROR"),
            Self::Unavailable => (503, "SERVICE_TEMPORARY_UNAVAILABLE"),
            Self::Route => (404, "ROUTE_NOT_FOUND"),
            Self::Method => (405, "METHOD_NOT_ALLOWED"),
            Self::TooLarge => (413, "REQUEST_TOO_LARGE"),
        }
    }
}

/// A refusal, which becomes ZEC's flat error object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub status: StatusCode,
    /// ZEC's `code`.
    pub code: String,
    /// ZEC's `message`, for people.
    pub message: String,
}

impl Failure {
    /// A refusal with one of ZEC's codes.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (status, text) = code.entry();
        Self::other(status, text, message)
    }

    /// A refusal with any status and code; a number that is not an HTTP status becomes 500.
    #[must_use]
    pub fn other(status: u16, code: &str, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// The body, always with all three members, because ZEC's Python SDK fails if one is missing.
    #[must_use]
    pub(super) fn body(&self, request_id: &str) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            request_id: &'a str,
            code: &'a str,
            message: &'a str,
        }
        let body = Body { request_id, code: &self.code, message: &self.message };
        // Three texts always serialise.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}
