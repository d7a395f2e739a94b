//! AWS' errors in the words of the scaler.

use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};

use crate::cloud::CloudError;
use crate::telemetry::chain;

/// The error of `call` in the words of the scaler.
pub(super) fn translate<E>(call: &'static str, error: &SdkError<E>) -> CloudError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    // The SDK's own rendering of its causes has many lines; one line suits a log.
    let causes = || chain(error).replace(['\n', '\r'], " ");
    let code = match error {
        SdkError::TimeoutError(_) => return CloudError::Timeout { call },
        SdkError::DispatchFailure(failure) if failure.is_timeout() => return CloudError::Timeout { call },
        // The provider chain found no credentials, or failed to fetch them.
        SdkError::DispatchFailure(failure) if failure.is_user() || failure.is_other() => {
            return CloudError::Credentials { call, message: causes() };
        }
        SdkError::ConstructionFailure(_) => return CloudError::Credentials { call, message: causes() },
        // The answer was cut off: the change may have been made.
        SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            return CloudError::Unreachable { call, message: causes() };
        }
        other => other.code().unwrap_or("unknown").to_owned(),
    };
    let message = error.message().map_or_else(causes, str::to_owned);
    match code.as_str() {
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            CloudError::Throttled { call }
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch"
        | "AuthFailure" => CloudError::Credentials { call, message },
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            CloudError::Denied { call, message }
        }
        _ if message.contains("No active Lifecycle Action") => CloudError::NotHeld { call },
        _ => CloudError::Refused { call, code, message },
    }
}
