//! The refusals of Azure Resource Manager: status, code and text.

use serde_json::{Value, json};

/// A refusal, which the caller gets instead of a result, or finds as the end of an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ArmError {
    /// The HTTP status.
    pub status: u16,
    /// The code, for programs.
    pub code: String,
    /// The text, for people.
    pub message: String,
    /// What lies beneath: code and text.
    pub detail: Option<(String, String)>,
    /// Seconds to wait, if the answer says so.
    pub retry_after: Option<u64>,
}

impl ArmError {
    /// A refusal with this status, code and text.
    #[must_use]
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), detail: None, retry_after: None }
    }

    pub(super) fn no_such_set(group: &str, name: &str) -> Self {
        Self::new(
            404,
            "ResourceNotFound",
            format!(
                "The Resource 'Microsoft.Compute/virtualMachineScaleSets/{name}' under resource group '{group}' was not \
                 found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
            ),
        )
    }

    pub(super) fn no_such_instance(id: &str) -> Self {
        Self::new(
            400,
            "InstanceIdsListInstanceIdNotActiveVM",
            format!("The provided instanceId {id} is not an active Virtual Machine Scale Set VM instanceId."),
        )
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameter", message)
    }

    pub(super) fn conflict(set: &str) -> Self {
        Self::new(
            409,
            "ConflictingConcurrentWriteNotAllowed",
            format!(
                "A conflicting write operation on the resource '{set}' is in progress. Please retry the request later."
            ),
        )
    }

    pub(super) fn preempted() -> Self {
        Self::new(200, "OperationPreempted", "This operation has been preempted by a more recent operation.")
    }

    pub(super) fn quota(limit: u32, asked: u32) -> Self {
        Self::new(
            409,
            "OperationNotAllowed",
            format!(
                "Operation could not be completed as it results in exceeding approved standardDSv5Family Cores quota. \
                 Additional details - Deployment Model: Resource Manager, Current Limit: {limit}, Additional Required: \
                 {asked}."
            ),
        )
    }

    pub(super) fn throttled(policy: &str, seconds: u64) -> Self {
        Self {
            status: 429,
            code: "OperationNotAllowed".into(),
            message: "The server rejected the request because too many requests have been received for this \
                      subscription."
                .into(),
            detail: Some((
                "TooManyRequests".into(),
                format!(
                    "The server rejected the request because of too many requests of the policy {policy}."
                ),
            )),
            retry_after: Some(seconds),
        }
    }

    /// The body of a refused request, or the field `error` of an operation.
    pub(super) fn json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some((code, message)) = &self.detail {
            error["details"] = json!([{"code": code, "message": message}]);
        }
        error
    }
}
