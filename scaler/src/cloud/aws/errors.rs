//! AWS' errors in the words of the scaler.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_autoscaling::config::http::HttpResponse;
use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};

use crate::access::credentials::{self, CLOCK, RENEW, variable};
use crate::cloud::CloudError;
use crate::telemetry::chain;

/// The error of `call` in the words of the scaler.
pub(super) fn translate<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    // The SDK's own rendering of its causes has many lines; one line suits a log.
    let all = || chain(error).replace(['\n', '\r'], " ");
    let status = error.raw_response().map(|response| response.status().as_u16());
    let unreachable = |why: String| {
        let message = format!("{why}; {}", credentials::endpoint(status, variable));
        CloudError::Unreachable { call, message }
    };
    let code = match error {
        SdkError::TimeoutError(_) => return CloudError::Timeout(call),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => return CloudError::Timeout(call),
        // The provider chain found no credentials, or failed to fetch them.
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) if has_credentials_error(error) => {
            return CloudError::Credentials { call, message: credentials::missing(&all(), variable) };
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => return unreachable(all()),
        // The request could not be made, and what stands before the root cause shows all of it.
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => return unreachable(root(error)),
        SdkError::ResponseError(response) if is_foreign(response.raw()) => {
            return unreachable(foreign(response.raw()));
        }
        // The answer was cut off: the change may have been made.
        SdkError::ResponseError(_) => return unreachable(all()),
        SdkError::ServiceError(service) if error.code().is_none() => {
            return unreachable(foreign(service.raw()));
        }
        other => other.code().unwrap_or("unknown").to_owned(),
    };
    let message = error.message().map_or_else(all, str::to_owned);
    match code.as_str() {
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            CloudError::Throttled(call)
        }
        // The time of the request is signed.
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => {
            CloudError::Credentials { call, message: format!("{message}; {CLOCK}") }
        }
        "SignatureDoesNotMatch" if is_about_time(&message) => {
            CloudError::Credentials { call, message: format!("{message}; {CLOCK}") }
        }
        "OptInRequired" => {
            let message = format!("{message}; enable the region in the account, or correct the region");
            CloudError::Refused { call, code, message }
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch"
        | "AuthFailure" => CloudError::Credentials { call, message: format!("{message}; {RENEW}") },
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            let message = format!("{message}; allow autoscaling:{call} in the IAM policy");
            CloudError::Denied { call, message }
        }
        _ if message.contains("No active Lifecycle Action") => CloudError::NotHeld(call),
        _ => CloudError::Refused { call, code, message },
    }
}

/// Whether AWS refuses a signature because of its time.
fn is_about_time(message: &str) -> bool {
    message.contains("Signature expired") || message.contains("Signature not yet current")
}

/// An error and its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// Whether the provider of credentials is among the causes.
fn has_credentials_error(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<CredentialsError>)
}

/// The first of all causes.
fn root(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(|cause| cause.to_string().replace(['\n', '\r'], " ")).unwrap_or_default()
}

/// Whether an answer does not even begin as those of AWS do.
fn is_foreign(response: &HttpResponse) -> bool {
    let begins = response.body().bytes().map(|body| String::from_utf8_lossy(&body[..body.len().min(200)]));
    begins.is_some_and(|text| !text.is_empty() && !text.starts_with("<?xml") && !text.contains("Response"))
}

fn foreign(response: &HttpResponse) -> String {
    let kind = response.headers().get("content-type").map(|kind| format!(", {kind}")).unwrap_or_default();
    format!("what answers is not AWS Auto Scaling (HTTP {}{kind})", response.status().as_u16())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::Command;

    use aws_sdk_autoscaling::error::ErrorMetadata;
    use aws_smithy_types::body::SdkBody;
    use test_case::test_case;

    use super::*;
    use crate::access::answering;
    use crate::cloud::ScalingGroups as _;
    use crate::config::Groups;
    use crate::units::{GroupName, Region};

    #[test]
    fn every_code_of_aws_has_a_text_and_a_label() {
        let errors = [
            ("RequestLimitExceeded", "Rate exceeded"),
            ("ExpiredToken", "The security token is expired"),
            ("RequestExpired", "Request has expired."),
            (
                "SignatureDoesNotMatch",
                "Signature expired: 20261130T000000Z is now earlier than 20261130T001000Z",
            ),
            ("OptInRequired", "You are not subscribed to this service"),
            ("AccessDenied", "Not authorized"),
            ("ValidationError", "No active Lifecycle Action found with instance ID i-0"),
            ("ScalingActivityInProgress", "A scaling activity is in progress"),
        ];
        let texts: String = errors
            .iter()
            .map(|(code, message)| {
                let metadata = ErrorMetadata::builder().code(*code).message(*message).build();
                let error =
                    translate("CompleteLifecycleAction", &SdkError::service_error(metadata, answer(400)));
                format!("{}: failed to {error}\n", error.as_str())
            })
            .collect();
        insta::assert_snapshot!(texts, @"
        throttled: failed to call CompleteLifecycleAction: throttled; the next evaluation tries again
        credentials: failed to call CompleteLifecycleAction: The security token is expired; give or renew credentials by the environment, a profile, a web identity, or the role of the container or instance
        credentials: failed to call CompleteLifecycleAction: Request has expired.; correct the clock of this host: sudo timedatectl set-ntp true
        credentials: failed to call CompleteLifecycleAction: Signature expired: 20261130T000000Z is now earlier than 20261130T001000Z; correct the clock of this host: sudo timedatectl set-ntp true
        refused: failed to call CompleteLifecycleAction: OptInRequired: You are not subscribed to this service; enable the region in the account, or correct the region
        denied: failed to call CompleteLifecycleAction: Not authorized; allow autoscaling:CompleteLifecycleAction in the IAM policy
        refused: failed to call CompleteLifecycleAction: the lifecycle hook does not hold the instance
        refused: failed to call CompleteLifecycleAction: ScalingActivityInProgress: A scaling activity is in progress
        ");
    }

    fn answer(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().expect("a status"), SdkBody::empty())
    }

    /// Asks AWS with the environment of the process, which [`told`] makes.
    #[ignore = "a part of the test below"]
    #[tokio::test]
    async fn ask() {
        let region = Region::new("us-east-1");
        let aws = super::super::Aws::load(None, Some(&region)).await;
        let answer = aws.describe(&region, &Groups::Names(vec![GroupName::new("a")])).await;
        let told = format!("told: {}\n", answer.expect_err("there is no AWS"));
        std::io::stdout().write_all(told.as_bytes()).expect("the parent reads");
    }

    /// What a person is told in an environment of these variables: the SDK reads that of the process.
    fn told(folder: &Path, environment: &[(&str, &str)]) -> String {
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program)
            .args(["--exact", "cloud::aws::errors::tests::ask", "--ignored", "--nocapture"])
            .env_clear()
            .env("HOME", folder)
            .env("AWS_CONFIG_FILE", folder.join("config"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(environment.iter().copied())
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = text.lines().find_map(|line| line.split_once("told: ").map(|(_, told)| told.to_owned()));
        told.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "x")];

    #[test_case(&[], "there are no AWS credentials; set AWS_ACCESS_KEY_ID"; "no credentials")]
    #[test_case(&KEYS[..1], "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY"; "no secret key")]
    #[test_case(&KEYS[1..], "AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID"; "only a secret key")]
    #[test_case(&[("AWS_SHARED_CREDENTIALS_FILE", "/gone")], "AWS_SHARED_CREDENTIALS_FILE is /gone, which cannot be read: No such file"; "no such file")]
    #[test_case(&[("AWS_PROFILE", "nope")], "there is no AWS profile \"nope\"; correct AWS_PROFILE"; "no such profile")]
    #[test_case(&[("AWS_PROFILE", "role")], "there is no AWS profile \"gone\""; "no such source profile")]
    #[test_case(&[("AWS_PROFILE", "sso")], "eval \"$(aws configure export-credentials --profile sso --format env)\""; "single sign-on")]
    #[test_case(&[("AWS_PROFILE", "login")], "eval \"$(aws configure export-credentials --profile login --format env)\""; "a login of the browser")]
    #[test_case(&[("AWS_PROFILE", "half")], "profile missing aws_secret_access_key; AWS_PROFILE is half"; "half a profile")]
    #[test_case(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/gone"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")], "AWS_WEB_IDENTITY_TOKEN_FILE is /gone; check that file"; "no token")]
    fn credentials_that_are_missing_are_told_with_their_remedy(environment: &[(&str, &str)], expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let profiles = "[profile sso]\nsso_start_url=https://x.awsapps.com/start\nsso_region=us-east-1\n\
            sso_account_id=123456789012\nsso_role_name=Admin\n\
            [profile login]\nlogin_session=arn:aws:sts::123456789012:assumed-role/Admin/me\n\
            [profile half]\naws_access_key_id=AKIA\n\
            [profile role]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=gone\n";
        std::fs::write(folder.path().join("config"), profiles).expect("written");
        let told = told(folder.path(), environment);
        assert!(told.starts_with("call DescribeAutoScalingGroups: ") && told.contains(expected), "{told}");
        assert!(told.len() < 400 && !told.contains("cargo feature"), "{told}");
    }

    #[test]
    fn a_metadata_service_out_of_reach_is_named() {
        let missing = |causes: &str| credentials::missing(causes, |_| None);
        let silent = missing(
            "no credentials found in chain. Attempted: Ec2InstanceMetadata: could not communicate with IMDS",
        );
        assert!(
            silent.ends_with("in a container on EC2 it needs --http-put-response-hop-limit 2"),
            "{silent}"
        );
        assert!(!missing("no credentials found in chain").contains("hop-limit"));
    }

    #[test]
    fn an_address_that_lacks_a_call_is_not_called_wrong() {
        let variable = |name: &str| (name == "AWS_ENDPOINT_URL").then(|| "http://moto:5000".to_owned());
        let told = |status| credentials::endpoint(status, variable);
        assert_eq!(
            told(Some(500)),
            "AWS_ENDPOINT_URL is http://moto:5000; correct it if nothing works there, else what serves it lacks this call"
        );
        assert_eq!(told(Some(404)), told(None));
    }

    #[tokio::test]
    async fn an_address_that_is_not_aws_is_told_with_its_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = |status| answering::http(status, "content-type: text/html\r\n", "<!DOCTYPE html>no");
        let (served, _) = answering::server([404, 200].map(page).to_vec(), "").await;
        let served = format!("http://{served}");
        let cases = [
            (served.as_str(), "what answers is not AWS Auto Scaling (HTTP 404, text/html)"),
            (&served, "what answers is not AWS Auto Scaling (HTTP 200, text/html)"),
            ("http://127.0.0.1:9", "onnection refused"),
            ("localhost:4566", "it must begin with http:// or https://"),
        ];
        for (address, expected) in cases {
            let (path, at) = (folder.path().to_owned(), address.to_owned());
            let asked = tokio::task::spawn_blocking(move || {
                let environment =
                    [&KEYS[..], &[("AWS_ENDPOINT_URL", at.as_str()), ("AWS_MAX_ATTEMPTS", "1")]].concat();
                told(&path, &environment)
            });
            let told = asked.await.expect("it ends");
            assert!(told.contains(expected), "{address}: {told}");
            assert!(
                told.contains(&format!("AWS_ENDPOINT_URL is {address}; ")) && told.len() < 400,
                "{address}: {told}"
            );
        }
    }
}
