//! The reads of `check --online`.

use serde_json::Value;

use super::answers::{Machine, Set};
use super::arm::Resource;
use super::{Azure, reading};
use crate::cloud::CloudError;
use crate::cloud::inspect::{GroupSettings, Inspection, ScaleSet, ScalingPolicy, ScheduledAction};
use crate::config::Groups;
use crate::units::{GroupName, InstanceId, Region};

const SETTINGS: &str = "VirtualMachineScaleSets_List";

/// The rights that a run needs on a set beyond those that a check uses itself.
const RIGHTS: [&str; 4] = [
    "Microsoft.Compute/virtualMachineScaleSets/write",
    "Microsoft.Compute/virtualMachineScaleSets/delete/action",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/write",
    "Microsoft.Resources/tags/write",
];

fn is_true(value: Option<&Value>, pointer: &str) -> bool {
    value.and_then(|value| value.pointer(pointer)).and_then(Value::as_bool) == Some(true)
}

/// The settings of a set and the state of its machines.
fn settings(set: &Set, machines: &[Machine], missing_rights: Vec<String>) -> GroupSettings {
    let properties = &set.properties;
    let profile = properties.virtual_machine_profile.as_ref();
    let text = |value: Option<&Value>, pointer: &str| {
        value.and_then(|value| value.pointer(pointer)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let policy = properties.upgrade_policy.as_ref();
    let named = |machine: &Machine| InstanceId::new(&machine.name);
    let living = || machines.iter().filter(|machine| machine.lifecycle() == "InService");
    let failed = machines.iter().filter_map(|it| Some((it.number().to_owned(), it.failure()?.message)));
    let scale_set = ScaleSet {
        overprovisions: set.overprovisions(),
        upgrade_mode: text(policy, "/mode"),
        upgrades_images: is_true(policy, "/automaticOSUpgradePolicy/enableAutomaticOSUpgrade"),
        repairs: is_true(properties.automatic_repairs_policy.as_ref(), "/enabled"),
        rebalances: is_true(properties.resiliency_policy.as_ref(), "/automaticZoneRebalancingPolicy/enabled"),
        balances_strictly: properties.zone_balance == Some(true),
        is_spot: text(profile, "/priority").eq_ignore_ascii_case("Spot"),
        unprotected: living().filter(|it| !it.is_protected()).map(|it| it.number().to_owned()).collect(),
        failed: failed.collect(),
        old_models: living().filter(|it| it.properties.latest_model_applied == Some(false)).count(),
        missing_rights,
    };
    GroupSettings {
        zones: set.zones(),
        protects_new: false,
        unprotected: living().filter(|it| !it.is_protected()).map(named).collect(),
        scale_set: Some(scale_set),
        ..GroupSettings::default()
    }
}

/// The rights of `needed` that none of `permissions` gives: each has the patterns of actions that it allows, and of those
/// that it leaves out.
fn missing(permissions: &[Value], needed: &[&str]) -> Vec<String> {
    let patterns = |permission: &Value, key: &str| -> Vec<String> {
        let list = permission.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_ascii_lowercase).collect()
    };
    let any = |patterns: Vec<String>, action: &str| patterns.iter().any(|pattern| matches(pattern, action));
    let is_given = |action: &str| {
        permissions
            .iter()
            .any(|it| any(patterns(it, "actions"), action) && !any(patterns(it, "notActions"), action))
    };
    needed
        .iter()
        .filter(|action| !is_given(&action.to_ascii_lowercase()))
        .map(|it| (*it).to_owned())
        .collect()
}

/// Whether a pattern with `*` for any text matches.
fn matches(pattern: &str, action: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| action.strip_prefix(first)) else { return false };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let parts: Vec<&str> = parts.collect();
    let (last, middle) = parts.split_last().map_or(("", &[][..]), |(last, middle)| (*last, middle));
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl Azure {
    /// The rights that the identity lacks on a set; none if Azure does not say.
    async fn missing_rights(&self, region: &Region, set: &str) -> Vec<String> {
        let resource = Resource::Permissions(region.as_str(), set);
        match self.sets.arm.list("Permissions_ListForResource", resource).await {
            Ok(permissions) => missing(&permissions, &RIGHTS),
            Err(_) => Vec::new(),
        }
    }
}

impl Inspection for Azure {
    async fn settings(
        &self,
        region: &Region,
        groups: &[GroupName],
    ) -> Result<Vec<(GroupName, GroupSettings)>, CloudError> {
        let mut found = Vec::new();
        let groups = Groups::Names(groups.to_vec());
        for (name, set) in reading::selected(&self.sets, SETTINGS, region, &groups).await? {
            let machines = reading::machines(&self.sets, SETTINGS, region, &set).await?;
            let missing_rights = self.missing_rights(region, name.as_str()).await;
            found.push((name, settings(&set, &machines, missing_rights)));
        }
        Ok(found)
    }

    /// The autoscale settings that aim at the set. They may be in any resource group of the subscription.
    async fn policies(&self, region: &Region, group: &GroupName) -> Result<Vec<ScalingPolicy>, CloudError> {
        let all = self.sets.arm.list("AutoscaleSettings_ListBySubscription", Resource::Autoscale).await?;
        let own = self.sets.arm.set_id(region.as_str(), group.as_str());
        let of_set = all.iter().filter(|setting| {
            let target = setting.pointer("/properties/targetResourceUri").and_then(Value::as_str);
            target.is_some_and(|target| target.trim_end_matches('/').eq_ignore_ascii_case(&own))
        });
        let policy = |setting: &Value| ScalingPolicy {
            name: setting.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
            kind: "autoscale".to_owned(),
            enabled: setting.pointer("/properties/enabled").and_then(Value::as_bool) != Some(false),
            alarms: Vec::new(),
        };
        Ok(of_set.map(policy).collect())
    }

    /// Schedules in Azure are part of autoscale settings.
    async fn scheduled_actions(&self, _: &Region, _: &GroupName) -> Result<Vec<ScheduledAction>, CloudError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rights_are_given_by_patterns() {
        for (pattern, action, expected) in [
            ("*", "a/b", true),
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/*", "a/b/c", true),
            ("*/read", "a/b/read", true),
            ("a/*/write", "a/b/c/write", true),
            ("a/*/write", "a/b/c/read", false),
            ("b/*", "a/b", false),
        ] {
            assert_eq!(matches(pattern, action), expected, "{pattern} {action}");
        }
        let permissions = [
            json!({"actions": ["*/read", "Microsoft.Compute/virtualMachineScaleSets/*"],
                "notActions": ["Microsoft.Compute/virtualMachineScaleSets/delete/action"]}),
            json!({"actions": ["Microsoft.Resources/tags/*"], "notActions": []}),
        ];
        assert_eq!(
            missing(&permissions, &RIGHTS),
            ["Microsoft.Compute/virtualMachineScaleSets/delete/action"]
        );
        assert_eq!(missing(&[], &RIGHTS).len(), RIGHTS.len());
    }
}
