//! Operations that Azure has accepted and not ended.
//!
//! Owns how their end is learnt. It only reads, so it may go on when the lease is lost.

use std::time::Duration;

use azure_core::http::Url;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::arm::{Answer, Arm};
use super::errors::told;
use crate::cloud::CloudError;

/// How often the end of an operation is asked for where the answer does not say.
const OFTEN: Duration = Duration::from_secs(10);
/// No operation of a set is followed for longer. A machine with a terminate notification takes fifteen minutes to delete.
const LONGEST: Duration = Duration::from_mins(30);

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// What was asked for is done.
    Succeeded,
    /// It is not, for this reason.
    Failed(String),
    /// Nothing tells; what is described next does.
    Unknown,
}

/// What an answer about an operation says. Pure.
fn read(answer: &Answer) -> Option<End> {
    let status = answer.body.get("status").and_then(Value::as_str).unwrap_or_default();
    match status.to_ascii_lowercase().as_str() {
        "succeeded" => Some(End::Succeeded),
        "failed" | "canceled" => {
            Some(End::Failed(answer.body.get("error").map_or_else(|| status.to_owned(), told)))
        }
        // An address of the kind `Location` answers 202 until the end.
        "" if answer.status != 202 => Some(End::Succeeded),
        _ => None,
    }
}

/// Waits for the end of an operation that `accepted` began, until `limit` has passed.
pub(super) async fn follow(arm: &Arm, call: &'static str, accepted: &Answer, limit: Option<Duration>) -> End {
    let deadline = Instant::now() + limit.unwrap_or(LONGEST);
    let Some(mut url): Option<Url> = accepted.operation.clone() else {
        return if accepted.status == 202 { End::Unknown } else { End::Succeeded };
    };
    let mut wait = accepted.retry_after;
    loop {
        let pause = wait.unwrap_or(OFTEN);
        if Instant::now() + pause > deadline {
            return End::Unknown;
        }
        sleep(pause).await;
        match arm.read(call, url.clone()).await {
            Ok(answer) => {
                if let Some(end) = read(&answer) {
                    return end;
                }
                (wait, url) = (answer.retry_after, answer.operation.unwrap_or(url));
            }
            // The operation itself has failed: some are answered with their error.
            Err(CloudError::Refused { code, message, .. })
                if code != "ResourceNotFound" && code != "NotFound" =>
            {
                return End::Failed(format!("{code}: {message}"));
            }
            Err(CloudError::Refused { .. } | CloudError::Denied { .. }) => return End::Unknown,
            // Asking failed, which says nothing about the operation.
            Err(_) => wait = Some(OFTEN),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::*;

    #[test_case(200, &json!({"status": "InProgress"}) => None; "it goes on")]
    #[test_case(202, &Value::Null => None; "a location that goes on")]
    #[test_case(200, &Value::Null => Some(End::Succeeded); "a location that ended")]
    #[test_case(204, &Value::Null => Some(End::Succeeded); "a location without a body")]
    #[test_case(200, &json!({"status": "Succeeded"}) => Some(End::Succeeded); "done")]
    #[test_case(200, &json!({"status": "Canceled"}) => Some(End::Failed("Canceled".to_owned())); "cancelled")]
    #[test_case(200, &json!({"status": "Failed", "error": {"code": "OperationPreempted", "message": "preempted by a more recent operation"}}) => Some(End::Failed("OperationPreempted: preempted by a more recent operation".to_owned())); "preempted")]
    fn an_operation_ends_as_its_status_says(status: u16, body: &Value) -> Option<End> {
        read(&Answer { status, operation: None, retry_after: None, body: body.clone() })
    }
}
