//! What limited a decision, and why each instance stays.

use serde::Serialize;

use crate::decide::decision::{Reason, Stay};
use crate::decide::policy::FleetPolicy;
use crate::units::InstanceId;

/// A reason that limited a decision.
#[derive(Clone, Debug, Serialize)]
pub struct Blocked {
    /// A word of a closed set.
    pub reason: &'static str,
    /// A clause for a person.
    pub text: String,
    /// Until when, RFC 3339, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why each instance stays, where that is the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<StayReport>,
}

impl Blocked {
    pub(super) fn new(reason: &Reason, policy: &FleetPolicy) -> Self {
        Self {
            reason: reason.as_str(),
            text: reason.text(policy),
            until: reason.until().map(|until| until.to_string()),
            instances: reason.stays().iter().map(StayReport::new).collect(),
        }
    }
}

/// Why an instance stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StayReport {
    /// The instance.
    pub instance: String,
    /// A word of a closed set.
    pub reason: &'static str,
    /// A few words for a person.
    pub text: String,
    /// Until when, RFC 3339, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl StayReport {
    pub(super) fn new((instance, stay): &(InstanceId, Stay)) -> Self {
        Self {
            instance: instance.to_string(),
            reason: stay.as_str(),
            text: stay.text(),
            until: stay.until().map(|until| until.to_string()),
        }
    }
}
