//! The errors of the Auto Scaling API: code, HTTP status and the service's own wording.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An error code in the answer's XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorCode {
    /// The caller's policies do not permit the action.
    AccessDenied,
    /// A group of that name already exists.
    AlreadyExists,
    /// The session token is too old.
    ExpiredToken,
    /// The `Authorization` header cannot be read.
    IncompleteSignature,
    /// An internal error of the service.
    InternalFailure,
    /// No such operation in this version of the API.
    InvalidAction,
    /// This operation did not issue the paging token.
    InvalidNextToken,
    /// A quota of the account or the resource is exhausted.
    LimitExceeded,
    /// The request is not signed.
    MissingAuthenticationToken,
    /// Throttling, in EC2's wording.
    RequestLimitExceeded,
    /// Another update of the resource is pending.
    ResourceContention,
    /// The group still has instances.
    ResourceInUse,
    /// An activity or a cooldown blocks the call.
    ScalingActivityInProgress,
    /// Throttling, in the usual wording.
    Throttling,
    /// A parameter is missing, malformed, out of bounds, or names something that does not exist.
    ValidationError,
}

impl ErrorCode {
    /// The text of `<Code>`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::AlreadyExists => "AlreadyExists",
            Self::ExpiredToken => "ExpiredToken",
            Self::IncompleteSignature => "IncompleteSignature",
            Self::InternalFailure => "InternalFailure",
            Self::InvalidAction => "InvalidAction",
            Self::InvalidNextToken => "InvalidNextToken",
            Self::LimitExceeded => "LimitExceeded",
            Self::MissingAuthenticationToken => "MissingAuthenticationToken",
            Self::RequestLimitExceeded => "RequestLimitExceeded",
            Self::ResourceContention => "ResourceContention",
            Self::ResourceInUse => "ResourceInUse",
            Self::ScalingActivityInProgress => "ScalingActivityInProgress",
            Self::Throttling => "Throttling",
            Self::ValidationError => "ValidationError",
        }
    }

    /// The HTTP status of the error.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::AccessDenied | Self::ExpiredToken | Self::MissingAuthenticationToken => 403,
            Self::InternalFailure | Self::ResourceContention => 500,
            Self::RequestLimitExceeded => 503,
            _ => 400,
        }
    }

    /// The service's text if the request has nothing to name.
    #[must_use]
    pub fn usual_message(self) -> &'static str {
        match self {
            Self::AccessDenied => {
                "User: arn:aws:iam::123456789012:user/jitsi is not authorized to perform this action because \
                 no identity-based policy allows it"
            }
            Self::AlreadyExists => "The resource already exists",
            Self::ExpiredToken => "The security token included in the request is expired",
            Self::IncompleteSignature => "The request signature does not conform to AWS standards",
            Self::InternalFailure => "We encountered an internal error. Please try again.",
            Self::InvalidAction => "Could not find operation",
            Self::InvalidNextToken => "The token is not valid",
            Self::LimitExceeded => "The limit has been reached",
            Self::MissingAuthenticationToken => "Request is missing Authentication Token",
            Self::RequestLimitExceeded => "Request limit exceeded.",
            Self::ResourceContention => "You already have a pending update to this resource",
            Self::ResourceInUse => "The resource is in use",
            Self::ScalingActivityInProgress => "A scaling activity is in progress and blocks this action",
            Self::Throttling => "Rate exceeded",
            Self::ValidationError => "The request is not valid",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal, which the caller gets instead of a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The code, for programs.
    pub code: ErrorCode,
    /// The text, for people.
    pub message: String,
    /// Whether the request names something that does not exist. The service has no separate code for that.
    pub(super) absent: bool,
}

impl ApiError {
    /// An error with its own text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), absent: false }
    }

    /// The most frequent refusal, a validation error.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ValidationError, message)
    }

    pub(super) fn no_such_group(name: &str) -> Self {
        let message = format!("AutoScalingGroup name not found - AutoScalingGroup {name} not found");
        Self { absent: true, ..Self::invalid(message) }
    }

    pub(super) fn no_such_instance(id: &str) -> Self {
        let message = format!("Instance Id not found - No managed instance found for instance ID: {id}");
        Self { absent: true, ..Self::invalid(message) }
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.usual_message())
    }
}
