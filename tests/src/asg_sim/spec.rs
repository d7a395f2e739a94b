//! Requested groups: by the admin API, a file of groups, or Create and Update.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{ApiError, ErrorCode};
use super::model::{
    ActionResult, Component, GroupKey, Hook, Process, ScalingPolicy, ScheduledAction, Settings, Timing,
    Transition,
};

/// A group as the admin API and the file of groups describe it. Omitted fields have a default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSpec {
    /// The minimum capacity (0).
    pub min: u32,
    /// The maximum capacity (10, or the desired capacity if larger).
    pub max: Option<u32>,
    /// The desired capacity (the minimum).
    pub desired: Option<u32>,
    /// The zones (the region's a, b and c).
    pub zones: Vec<String>,
    /// Tags, not propagated.
    pub tags: BTreeMap<String, String>,
    /// The component on the instances; none keeps them out of the Jitsi simulator.
    pub component: Option<Component>,
    /// Seconds from the launch to InService.
    pub launch_seconds: Option<f64>,
    /// Seconds from the launch until the component answers.
    pub boot_seconds: Option<f64>,
    /// Seconds from the shutdown until the instance is gone.
    pub terminate_seconds: Option<f64>,
    /// Seconds from a failed launch to the next attempt.
    pub launch_retry_seconds: Option<f64>,
    /// Whether new instances start protected from scale-in.
    pub new_instances_protected: bool,
    /// The instance type (c5.xlarge).
    pub instance_type: Option<String>,
    /// Seconds (300).
    pub default_cooldown: Option<u32>,
    /// Seconds (0).
    pub health_check_grace_period: u32,
    /// Seconds; 0 for never. The service's minimum of a day does not apply.
    pub max_instance_lifetime: u32,
    /// Processes suspended from the start.
    pub suspended: Vec<Process>,
    /// Lifecycle hooks; the service's minimum timeout of 30 seconds does not apply.
    pub hooks: Vec<HookSpec>,
    /// Scaling policies for DescribePolicies.
    pub policies: Vec<ScalingPolicy>,
    /// Scheduled actions for DescribeScheduledActions.
    pub scheduled_actions: Vec<ScheduledAction>,
    /// Whether the group claims to have a warm pool.
    pub warm_pool: bool,
    /// How much of the capacity one instance is (1, without a weight in the answers).
    pub weight: Option<u32>,
    /// What the capacity counts: `units`, `vcpu` or `memory-mib`.
    pub capacity_type: Option<String>,
}

impl GroupSpec {
    pub(super) fn change(&self) -> GroupChange {
        let desired = self.desired.unwrap_or(self.min);
        GroupChange {
            min: Some(self.min),
            max: Some(self.max.unwrap_or(desired.max(10))),
            desired: Some(desired),
            zones: (!self.zones.is_empty()).then(|| self.zones.clone()),
            default_cooldown: self.default_cooldown,
            health_check_grace: Some(self.health_check_grace_period),
            new_instances_protected: Some(self.new_instances_protected),
            max_instance_lifetime: Some(self.max_instance_lifetime),
            launch_template: Some("jitsi".into()),
            instance_type: self.instance_type.clone(),
            ..GroupChange::default()
        }
    }

    pub(super) fn timing(&self, usual: Timing) -> Timing {
        Timing {
            launch: self.launch_seconds.unwrap_or(usual.launch),
            boot: self.boot_seconds.unwrap_or(usual.boot),
            terminate: self.terminate_seconds.unwrap_or(usual.terminate),
            launch_retry: self.launch_retry_seconds.unwrap_or(usual.launch_retry),
        }
    }
}

/// A lifecycle hook as the admin API describes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookSpec {
    /// Its name.
    pub name: String,
    /// `launching` or `terminating`, or the API's names for them.
    pub transition: Transition,
    /// Seconds from one heartbeat to the default result.
    pub heartbeat_timeout: u32,
    /// The result if no heartbeat comes in time (ABANDON).
    #[serde(default = "HookSpec::usual_result")]
    pub default_result: ActionResult,
}

impl HookSpec {
    fn usual_result() -> ActionResult {
        ActionResult::Abandon
    }

    pub(super) fn hook(&self) -> Hook {
        Hook {
            transition: self.transition,
            heartbeat_timeout: self.heartbeat_timeout,
            default_result: self.default_result,
            metadata: None,
        }
    }
}

/// A group of a file of groups.
#[derive(Debug, Clone)]
pub struct GroupEntry {
    /// Region and name.
    pub key: GroupKey,
    /// Its specification.
    pub spec: GroupSpec,
}

impl GroupEntry {
    /// Reads a JSON list of groups: the admin API's body, and `region` and `name` beside it.
    pub fn parse_list(json: &str) -> Result<Vec<Self>, serde_json::Error> {
        let entries: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_str(json)?;
        entries.into_iter().map(Self::from_fields).collect()
    }

    fn from_fields(mut fields: BTreeMap<String, serde_json::Value>) -> Result<Self, serde_json::Error> {
        let mut take = |key: &str| {
            let value = fields.remove(key).ok_or_else(|| {
                <serde_json::Error as serde::de::Error>::custom(format!("a group without `{key}`"))
            })?;
            serde_json::from_value::<String>(value)
        };
        let key = GroupKey { region: take("region")?, name: take("name")? };
        let spec = serde_json::from_value(serde_json::Value::Object(fields.into_iter().collect()))?;
        Ok(Self { key, spec })
    }
}

/// The settings of Create and Update. None keeps a setting, or for Create uses the service's default.
#[derive(Debug, Clone, Default)]
pub struct GroupChange {
    /// The minimum capacity.
    pub min: Option<u32>,
    /// The maximum capacity.
    pub max: Option<u32>,
    /// The desired capacity.
    pub desired: Option<u32>,
    /// The zones.
    pub zones: Option<Vec<String>>,
    /// The subnets, as one comma-separated text.
    pub subnets: Option<String>,
    /// Seconds.
    pub default_cooldown: Option<u32>,
    /// Seconds.
    pub health_check_grace: Option<u32>,
    /// `EC2` or `ELB`.
    pub health_check_type: Option<String>,
    /// Whether new instances start protected from scale-in.
    pub new_instances_protected: Option<bool>,
    /// Whether Spot rebalance recommendations are followed.
    pub capacity_rebalance: Option<bool>,
    /// Seconds.
    pub max_instance_lifetime: Option<u32>,
    /// The launch template's name.
    pub launch_template: Option<String>,
    /// The instance type.
    pub instance_type: Option<String>,
    /// The names of the termination policies.
    pub termination_policies: Option<Vec<String>>,
}

impl GroupChange {
    /// The settings of a new group.
    pub(super) fn create(self, region: &str) -> Result<Settings, ApiError> {
        let (Some(min), Some(max)) = (self.min, self.max) else {
            return Err(missing(if self.min.is_none() { "minSize" } else { "maxSize" }));
        };
        let fresh = Settings {
            min,
            max,
            desired: self.desired.unwrap_or(min),
            zones: ["a", "b", "c"].map(|zone| format!("{region}{zone}")).into(),
            subnets: String::new(),
            default_cooldown: 300,
            health_check_grace: 0,
            health_check_type: "EC2".into(),
            new_instances_protected: false,
            capacity_rebalance: false,
            max_instance_lifetime: 0,
            launch_template: "jitsi".into(),
            instance_type: "c5.xlarge".into(),
            termination_policies: vec!["Default".into()],
        };
        self.update(fresh)
    }

    /// The settings after this change.
    pub(super) fn update(self, mut settings: Settings) -> Result<Settings, ApiError> {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut settings.min, self.min);
        set(&mut settings.max, self.max);
        if settings.min > settings.max {
            return Err(ApiError::invalid(format!(
                "Max bound, {}, must be greater than or equal to min bound, {}",
                settings.max, settings.min
            )));
        }
        // Without an explicit desired capacity, a change of the bounds moves it between them.
        settings.desired = self.desired.unwrap_or(settings.desired.clamp(settings.min, settings.max));
        if settings.desired < settings.min || settings.desired > settings.max {
            return Err(ApiError::invalid(format!(
                "Desired capacity:{} must be between the specified min size:{} and max size:{}",
                settings.desired, settings.min, settings.max
            )));
        }
        set(&mut settings.zones, self.zones);
        set(&mut settings.subnets, self.subnets);
        set(&mut settings.default_cooldown, self.default_cooldown);
        set(&mut settings.health_check_grace, self.health_check_grace);
        set(&mut settings.health_check_type, self.health_check_type);
        set(&mut settings.new_instances_protected, self.new_instances_protected);
        set(&mut settings.capacity_rebalance, self.capacity_rebalance);
        set(&mut settings.max_instance_lifetime, self.max_instance_lifetime);
        set(&mut settings.launch_template, self.launch_template);
        set(&mut settings.instance_type, self.instance_type);
        set(&mut settings.termination_policies, self.termination_policies);
        Ok(settings)
    }
}

/// A required parameter is missing.
pub(super) fn missing(parameter: &str) -> ApiError {
    ApiError::new(
        ErrorCode::ValidationError,
        format!(
            "1 validation error detected: Value null at '{parameter}' failed to satisfy constraint: Member \
             must not be null"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_groups_is_the_admin_body_with_region_and_name() {
        let groups = GroupEntry::parse_list(
            r#"[{"region": "eu-west-1", "name": "jibri", "min": 1, "desired": 2, "component": "jibri",
                 "hooks": [{"name": "drain", "transition": "terminating", "heartbeat_timeout": 3}]}]"#,
        )
        .expect("a good list");
        assert_eq!(groups[0].key, GroupKey::new("eu-west-1", "jibri"));
        assert_eq!(groups[0].spec.desired, Some(2));
        assert_eq!(groups[0].spec.hooks[0].transition, Transition::Terminating);
    }

    #[test]
    fn a_file_with_a_mistake_says_which() {
        let unknown = GroupEntry::parse_list(r#"[{"region": "r", "name": "n", "desred": 2}]"#);
        assert!(unknown.expect_err("an unknown key").to_string().contains("desred"));
        let nameless = GroupEntry::parse_list(r#"[{"region": "r"}]"#);
        assert!(nameless.expect_err("no name").to_string().contains("`name`"));
    }
}
