//! AWS' errors in the words of the scaler.

use std::fmt;

use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};

use crate::cloud::CloudError;
use crate::telemetry::chain;

/// The error of `call` in the words of the scaler.
pub(super) fn translate<E, R>(call: &'static str, error: &SdkError<E, R>) -> CloudError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: fmt::Debug,
{
    // The SDK's own rendering of its causes has many lines; one line suits a log.
    let causes = || chain(error).replace(['\n', '\r'], " ");
    let code = match error {
        SdkError::TimeoutError(_) => return CloudError::Timeout(call),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => return CloudError::Timeout(call),
        // The provider chain found no credentials, or failed to fetch them.
        SdkError::DispatchFailure(failure) if failure.is_user() || failure.is_other() => {
            return credentials(call, &causes());
        }
        SdkError::ConstructionFailure(_) => return credentials(call, &causes()),
        // The answer was cut off: the change may have been made.
        SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            let message = format!("{}; check the network and AWS_ENDPOINT_URL", causes());
            return CloudError::Unreachable { call, message };
        }
        other => other.code().unwrap_or("unknown").to_owned(),
    };
    let message = error.message().map_or_else(causes, str::to_owned);
    match code.as_str() {
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            CloudError::Throttled(call)
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch"
        | "AuthFailure" => credentials(call, &message),
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            let message = format!("{message}; allow autoscaling:{call} in the IAM policy");
            CloudError::Denied { call, message }
        }
        _ if message.contains("No active Lifecycle Action") => CloudError::NotHeld(call),
        _ => CloudError::Refused { call, code, message },
    }
}

fn credentials(call: &'static str, message: &str) -> CloudError {
    let remedy = "give or renew credentials by the environment, a profile, a web identity, or the role of the container or \
                  instance";
    CloudError::Credentials { call, message: format!("{message}; {remedy}") }
}

#[cfg(test)]
mod tests {
    use aws_sdk_autoscaling::error::ErrorMetadata;

    use super::*;

    #[test]
    fn every_code_of_aws_has_a_text_and_a_label() {
        let errors = [
            ("RequestLimitExceeded", "Rate exceeded"),
            ("ExpiredToken", "The security token is expired"),
            ("AccessDenied", "Not authorized"),
            ("ValidationError", "No active Lifecycle Action found with instance ID i-0"),
            ("ScalingActivityInProgress", "A scaling activity is in progress"),
        ];
        let texts: String = errors
            .iter()
            .map(|(code, message)| {
                let metadata = ErrorMetadata::builder().code(*code).message(*message).build();
                let error = translate("CompleteLifecycleAction", &SdkError::service_error(metadata, ()));
                format!("{}: failed to {error}\n", error.as_str())
            })
            .collect();
        insta::assert_snapshot!(texts, @"
        throttled: failed to call CompleteLifecycleAction: throttled; the next evaluation tries again
        credentials: failed to call CompleteLifecycleAction: The security token is expired; give or renew credentials by the environment, a profile, a web identity, or the role of the container or instance
        denied: failed to call CompleteLifecycleAction: Not authorized; allow autoscaling:CompleteLifecycleAction in the IAM policy
        refused: failed to call CompleteLifecycleAction: the lifecycle hook does not hold the instance
        refused: failed to call CompleteLifecycleAction: ScalingActivityInProgress: A scaling activity is in progress
        ");
    }
}
