//! The errors of Azure Resource Manager in the words of the scaler.
//!
//! Owns which cause in an answer becomes the message. Pure.

use serde_json::Value;

use crate::cloud::CloudError;

/// What helps where Azure refuses the credentials themselves.
pub(super) const RENEW: &str = "give the machine or the workload a managed identity, or renew AZURE_TENANT_ID, AZURE_CLIENT_ID \
     and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, or sign in with az login";
/// Codes that only wrap others.
const WRAPPERS: [&str; 5] =
    ["ResourceOperationFailure", "DeploymentFailed", "BadRequest", "Conflict", "MultipleErrorsOccurred"];
/// How deep causes are followed.
const DEEPEST: usize = 8;

/// The code and the message that tell most about an error: those of the innermost cause. Azure nests a lack of quota or
/// capacity in the details of a failure that says nothing.
pub(super) fn cause(error: &Value) -> (String, String) {
    let text =
        |error: &Value, key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (mut code, mut message) = (text(error, "code"), text(error, "message"));
    let mut node = error;
    for _ in 0..DEEPEST {
        let details = node.get("details").and_then(Value::as_array).and_then(|details| details.first());
        let Some(inner) = details.or_else(|| node.get("innererror")).filter(|inner| inner.is_object()) else {
            break;
        };
        let (inner_code, inner_message) = (text(inner, "code"), text(inner, "message"));
        // What is within may be a number of the service, with no message.
        if !inner_code.is_empty() && (!inner_message.is_empty() || WRAPPERS.contains(&code.as_str())) {
            (code, message) = (inner_code, if inner_message.is_empty() { message } else { inner_message });
        }
        node = inner;
    }
    if code.is_empty() {
        "unknown".clone_into(&mut code);
    }
    (code, message.replace(['\n', '\r'], " "))
}

/// An error in one line.
pub(super) fn told(error: &Value) -> String {
    let (code, message) = cause(error);
    if message.is_empty() { code } else { format!("{code}: {message}") }
}

/// The error of a call that was answered with `status` and `body`.
pub(super) fn translate(call: &'static str, status: u16, kind: &str, body: &[u8]) -> CloudError {
    let answer = serde_json::from_slice::<Value>(body).ok();
    let Some(error) =
        answer.as_ref().and_then(|answer| answer.get("error")).filter(|error| error.is_object())
    else {
        // Without a body Azure's own gateway may have answered.
        return match status {
            429 => CloudError::Throttled(call),
            401 => CloudError::Credentials { call, message: format!("HTTP 401; {RENEW}") },
            _ => CloudError::Unreachable { call, message: foreign(status, kind) },
        };
    };
    let (code, message) = cause(error);
    match status {
        429 => CloudError::Throttled(call),
        401 => CloudError::Credentials { call, message: format!("{code}: {message}; {RENEW}") },
        403 if is_denial(error) => {
            let message = format!("{message}; assign the role of packaging/azure to the scaler's identity");
            CloudError::Denied { call, message }
        }
        // The change may have been made.
        500.. => CloudError::Unreachable { call, message: format!("HTTP {status}: {code}: {message}") },
        _ => CloudError::Refused { call, code, message },
    }
}

/// Whether a right is missing. Locks and policies of an organisation are refusals with the same status.
fn is_denial(error: &Value) -> bool {
    let code = error.get("code").and_then(Value::as_str).unwrap_or_default();
    !matches!(code, "ScopeLocked" | "RequestDisallowedByPolicy")
}

fn foreign(status: u16, kind: &str) -> String {
    let kind = if kind.is_empty() { String::new() } else { format!(", {kind}") };
    format!(
        "what answers is not Azure Resource Manager (HTTP {status}{kind}); check vmss.endpoint, the network and proxies \
         (HTTPS_PROXY, NO_PROXY)"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn translated(status: u16, body: &Value) -> String {
        let error = translate("Update", status, "application/json", body.to_string().as_bytes());
        format!("{}: failed to {error}\n", error.as_str())
    }

    #[test]
    fn every_answer_has_a_text_and_a_label() {
        let error = |code, message| json!({"error": {"code": code, "message": message}});
        let texts: String = [
            (429, error("TooManyRequests", "slow down")),
            (429, json!({})),
            (401, error("ExpiredAuthenticationToken", "The access token expiry time is earlier than now.")),
            (403, error("AuthorizationFailed", "The client 'a' does not have authorization to perform action 'Microsoft.Compute/virtualMachineScaleSets/write'")),
            (403, error("ScopeLocked", "The scope is locked")),
            (409, error("ConflictingConcurrentWriteNotAllowed", "Another write is in progress")),
            (412, error("PreconditionFailed", "The etag does not match")),
            (503, error("ServerTimeout", "Try again")),
        ]
        .iter()
        .map(|(status, body)| translated(*status, body))
        .collect();
        insta::assert_snapshot!(texts, @r#"
        throttled: failed to call Update: throttled; the next evaluation tries again
        throttled: failed to call Update: throttled; the next evaluation tries again
        credentials: failed to call Update: ExpiredAuthenticationToken: The access token expiry time is earlier than now.; give the machine or the workload a managed identity, or renew AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, or sign in with az login
        denied: failed to call Update: The client 'a' does not have authorization to perform action 'Microsoft.Compute/virtualMachineScaleSets/write'; assign the role of packaging/azure to the scaler's identity
        refused: failed to call Update: ScopeLocked: The scope is locked
        refused: failed to call Update: ConflictingConcurrentWriteNotAllowed: Another write is in progress
        refused: failed to call Update: PreconditionFailed: The etag does not match
        unreachable: failed to reach the cloud for Update: HTTP 503: ServerTimeout: Try again
        "#);
        let page = translate("Update", 404, "text/html", b"<!DOCTYPE html>").to_string();
        assert_eq!(
            page,
            "reach the cloud for Update: what answers is not Azure Resource Manager (HTTP 404, text/html); check \
             vmss.endpoint, the network and proxies (HTTPS_PROXY, NO_PROXY)"
        );
    }

    /// Quota stands in the details of a failure that tells nothing.
    #[test]
    fn the_innermost_cause_is_told() {
        let nested = json!({"code": "ResourceOperationFailure", "message": "The resource operation completed with terminal provisioning state 'Failed'.",
            "details": [{"code": "OperationNotAllowed", "message": "Operation could not be completed as it results in exceeding approved Total Regional Cores quota.\nLimit: 10"}]});
        assert_eq!(
            told(&nested),
            "OperationNotAllowed: Operation could not be completed as it results in exceeding approved Total Regional Cores quota. Limit: 10"
        );
        let inner = json!({"code": "Conflict", "message": "m", "innererror": {"code": "AllocationFailed"}});
        assert_eq!(told(&inner), "AllocationFailed: m");
        let number = json!({"code": "ZonalAllocationFailed", "message": "m", "innererror": {"code": "0x1"}});
        assert_eq!(told(&number), "ZonalAllocationFailed: m");
        assert_eq!(told(&json!({})), "unknown");
        let mut endless = json!({"code": "x"});
        for _ in 0..100 {
            endless = json!({"code": "BadRequest", "details": [endless]});
        }
        assert_eq!(told(&endless), "BadRequest");
    }
}
