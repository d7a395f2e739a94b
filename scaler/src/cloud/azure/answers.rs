//! Azure's answers in the types of the scaler.
//!
//! Owns the meaning of provisioning, power and health states. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::cloud::InstanceDescription;
use crate::units::{InstanceId, Time};

/// A scale set. Source: the model VirtualMachineScaleSet of Azure's REST API specifications, as are all keys below.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Set {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) location: String,
    pub(super) etag: Option<String>,
    pub(super) zones: Option<Vec<String>>,
    pub(super) tags: Option<BTreeMap<String, String>>,
    pub(super) sku: Option<Sku>,
    pub(super) properties: SetProperties,
}

/// Size and number of instances.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sku {
    pub(super) capacity: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SetProperties {
    pub(super) provisioning_state: String,
    pub(super) orchestration_mode: Option<String>,
    pub(super) overprovision: Option<bool>,
    pub(super) zone_balance: Option<bool>,
    pub(super) upgrade_policy: Option<Value>,
    pub(super) automatic_repairs_policy: Option<Value>,
    pub(super) resiliency_policy: Option<Value>,
    pub(super) virtual_machine_profile: Option<Value>,
}

impl Set {
    /// Whether its instances are virtual machines of their own. A set without the key is of the older kind.
    pub(super) fn is_flexible(&self) -> bool {
        let mode = self.properties.orchestration_mode.as_deref();
        mode.is_some_and(|mode| mode.eq_ignore_ascii_case("Flexible"))
    }

    /// Whether Azure creates more instances than asked for, and deletes the surplus. The default of its API is yes.
    pub(super) fn overprovisions(&self) -> bool {
        !self.is_flexible() && self.properties.overprovision.unwrap_or(true)
    }

    /// Whether the set itself is being deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.properties.provisioning_state.eq_ignore_ascii_case("Deleting")
    }

    /// The zone of an instance in words: zones are numbered within a location.
    pub(super) fn zone(&self, zones: Option<&Vec<String>>) -> String {
        zone(&self.location, zones.and_then(|zones| zones.first()))
    }

    /// The zones that it launches into.
    pub(super) fn zones(&self) -> Vec<String> {
        match self.zones.as_deref() {
            None | Some([]) => vec![zone(&self.location, None)],
            Some(zones) => zones.iter().map(|it| zone(&self.location, Some(it))).collect(),
        }
    }
}

fn zone(location: &str, zone: Option<&String>) -> String {
    zone.map_or_else(|| location.to_owned(), |zone| format!("{location}-{zone}"))
}

/// An instance: an item of a uniform set's list, or a virtual machine of a flexible one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Machine {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) instance_id: Option<String>,
    pub(super) zones: Option<Vec<String>>,
    pub(super) properties: MachineProperties,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MachineProperties {
    pub(super) vm_id: String,
    pub(super) provisioning_state: String,
    pub(super) time_created: Option<String>,
    pub(super) latest_model_applied: Option<bool>,
    pub(super) protection_policy: Option<Protection>,
    pub(super) instance_view: Option<InstanceView>,
}

/// What Azure may not do to an instance.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Protection {
    pub(super) protect_from_scale_in: Option<bool>,
    pub(super) protect_from_scale_set_actions: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InstanceView {
    pub(super) statuses: Option<Vec<Status>>,
    pub(super) vm_health: Option<Health>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "these are the keys of the answer")]
pub(super) struct Status {
    pub(super) code: String,
    pub(super) display_status: Option<String>,
    pub(super) message: Option<String>,
    pub(super) time: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Health {
    pub(super) status: Option<Status>,
}

/// Why an instance was not created, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) at: Option<Time>,
    pub(super) message: String,
}

impl Machine {
    fn statuses(&self) -> impl Iterator<Item = &Status> {
        self.properties.instance_view.iter().filter_map(|view| view.statuses.as_ref()).flatten()
    }

    /// The word behind `prefix` in a status of the instance view, in lower case.
    fn status(&self, prefix: &str) -> Option<(String, &Status)> {
        self.statuses().find_map(|status| {
            let (begin, rest) = status.code.split_once('/')?;
            begin.eq_ignore_ascii_case(prefix).then(|| (rest.to_ascii_lowercase(), status))
        })
    }

    fn is(&self, provisioning: &str) -> bool {
        self.properties.provisioning_state.eq_ignore_ascii_case(provisioning)
    }

    /// Its state in the words of the scaler, which are those of AWS. The provisioning state tells of the last operation
    /// of the control plane, and the power state of the machine. The power state is absent while it is created, after a
    /// creation that failed, and now and then: then an instance counts as running unless its creation failed.
    pub(super) fn lifecycle(&self) -> &'static str {
        // An item with an empty id is being deleted.
        if self.id.is_empty() || self.is("Deleting") {
            return "Terminating";
        }
        let power = self.status("PowerState").map(|(power, _)| power);
        match power.as_deref() {
            _ if self.is("Creating") => "Pending",
            Some("starting") => "Pending",
            Some("stopping" | "stopped" | "deallocating" | "deallocated") => "Standby",
            // Its creation failed. A machine that runs has failed at something later, such as an extension.
            power if self.is("Failed") && power != Some("running") => "Standby",
            _ => "InService",
        }
    }

    /// Whether it counts as one that lives: all but those that are being deleted and those that were never created.
    pub(super) fn lives(&self) -> bool {
        self.lifecycle() != "Terminating" && self.failure().is_none()
    }

    /// Why it was not created, if it was not.
    pub(super) fn failure(&self) -> Option<Failure> {
        let runs = self.status("PowerState").is_some_and(|(power, _)| power != "unknown");
        if !self.is("Failed") || runs {
            return None;
        }
        let (word, status) = self.status("ProvisioningState").map_or((None, None), |(word, status)| {
            (status.code.splitn(3, '/').nth(2).map(str::to_owned).or(Some(word)), Some(status))
        });
        let text = status.and_then(|status| status.message.clone().or_else(|| status.display_status.clone()));
        let at = status.and_then(|status| Time::parse(status.time.as_deref()?));
        let parts = [word, text].into_iter().flatten().collect::<Vec<_>>();
        let message = if parts.is_empty() { "provisioning failed".to_owned() } else { parts.join(": ") };
        Some(Failure { at: at.or_else(|| self.created()), message })
    }

    /// When it was created.
    pub(super) fn created(&self) -> Option<Time> {
        Time::parse(self.properties.time_created.as_deref()?)
    }

    /// Whether Azure finds it healthy. Only a health extension or a load balancer's probe says so; without them no
    /// instance is unhealthy.
    fn is_healthy(&self) -> bool {
        let health = self.properties.instance_view.as_ref().and_then(|view| view.vm_health.as_ref());
        let code = health.and_then(|health| health.status.as_ref()).map(|status| status.code.as_str());
        !code.is_some_and(|code| code.eq_ignore_ascii_case("HealthState/unhealthy"))
    }

    /// Whether only a deletion by name ends it. Protection from actions of the set includes that from scale-in.
    pub(super) fn is_protected(&self) -> bool {
        let policy = self.properties.protection_policy.unwrap_or_default();
        policy.protect_from_scale_set_actions == Some(true)
    }

    /// The number by which a uniform set addresses it; a flexible one takes the name.
    pub(super) fn number(&self) -> &str {
        self.instance_id.as_deref().unwrap_or(&self.name)
    }

    /// It, as its group describes it.
    pub(super) fn describe(&self, set: &Set) -> InstanceDescription {
        InstanceDescription {
            id: InstanceId::new(&self.name),
            zone: set.zone(self.zones.as_ref()),
            lifecycle: self.lifecycle().to_owned(),
            healthy: self.is_healthy(),
            protected: self.is_protected(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::*;

    fn machine(provisioning: &str, statuses: &[&str]) -> Machine {
        let statuses: Vec<_> = statuses.iter().map(|code| json!({"code": code})).collect();
        let item = json!({"id": "/x", "name": "jvb_3", "instanceId": "3", "zones": ["2"], "properties":
            {"vmId": "a", "provisioningState": provisioning, "instanceView": {"statuses": statuses}}});
        serde_json::from_value(item).expect("an instance")
    }

    #[test_case("Succeeded", &["PowerState/running"] => ("InService", true); "it runs")]
    #[test_case("Updating", &["PowerState/running"] => ("InService", true); "it is being changed")]
    #[test_case("Migrating", &["PowerState/running"] => ("InService", true); "it moves")]
    #[test_case("Failed", &["PowerState/running"] => ("InService", true); "an extension failed")]
    #[test_case("Failed", &["PowerState/starting"] => ("Pending", true); "it failed and starts")]
    #[test_case("Succeeded", &[] => ("InService", true); "the power state is absent now and then")]
    #[test_case("Succeeded", &["PowerState/unknown"] => ("InService", true); "the power state is unknown")]
    #[test_case("Creating", &[] => ("Pending", true); "it is created")]
    #[test_case("Creating", &["PowerState/running"] => ("Pending", true); "its extensions are installed")]
    #[test_case("Succeeded", &["PowerState/starting"] => ("Pending", true); "it starts")]
    #[test_case("Succeeded", &["PowerState/deallocated"] => ("Standby", true); "spot took it")]
    #[test_case("Succeeded", &["PowerState/stopped"] => ("Standby", true); "somebody stopped it")]
    #[test_case("Failed", &["ProvisioningState/failed/AllocationFailed"] => ("Standby", false); "never created")]
    #[test_case("Failed", &[] => ("Standby", false); "never created, without a word")]
    #[test_case("Deleting", &["PowerState/running"] => ("Terminating", false); "it is deleted")]
    fn states_become_a_lifecycle(provisioning: &str, statuses: &[&str]) -> (&'static str, bool) {
        let machine = machine(provisioning, statuses);
        (machine.lifecycle(), machine.lives())
    }

    #[test]
    fn an_instance_without_an_instance_view_counts_as_running_and_one_without_an_id_as_deleted() {
        let of = |item| serde_json::from_value::<Machine>(item).expect("an instance").lifecycle();
        assert_eq!(
            of(json!({"id": "/x", "name": "a_1", "properties": {"provisioningState": "Succeeded"}})),
            "InService"
        );
        assert_eq!(
            of(json!({"id": "", "name": "a_1", "properties": {"provisioningState": "Succeeded"}})),
            "Terminating"
        );
    }

    #[test]
    fn an_instance_that_was_not_created_says_why() {
        let mut failed = machine("Failed", &["ProvisioningState/failed/ZonalAllocationFailed"]);
        failed.properties.time_created = Some("2026-11-20T07:00:00.1234567+00:00".to_owned());
        let failure = failed.failure().expect("it failed");
        assert_eq!(failure.message, "ZonalAllocationFailed");
        assert_eq!(failure.at, Time::parse("2026-11-20T07:00:00Z"));
    }

    #[test]
    fn health_protection_and_zones_are_read() {
        let set = Set { location: "westeurope".to_owned(), ..Set::default() };
        let mut machine = machine("Succeeded", &["PowerState/running"]);
        assert_eq!(machine.describe(&set).zone, "westeurope-2");
        assert!(machine.describe(&set).healthy && !machine.describe(&set).protected);
        let sick = Status { code: "HealthState/unhealthy".to_owned(), ..Status::default() };
        let view = machine.properties.instance_view.as_mut().expect("a view");
        view.vm_health = Some(Health { status: Some(sick) });
        let guard = |scale_in, actions| {
            Some(Protection { protect_from_scale_in: scale_in, protect_from_scale_set_actions: actions })
        };
        machine.properties.protection_policy = guard(Some(true), None);
        assert!(!machine.describe(&set).healthy && !machine.describe(&set).protected);
        machine.properties.protection_policy = guard(None, Some(true));
        assert!(machine.describe(&set).protected);
        assert_eq!(set.zones(), ["westeurope"]);
        assert_eq!(Set { zones: Some(vec!["1".to_owned()]), ..set }.zones(), ["westeurope-1"]);
    }

    #[test]
    fn a_set_that_does_not_say_overprovisions_unless_it_is_flexible() {
        let of = |properties| {
            let item = json!({"name": "a", "properties": properties});
            serde_json::from_value::<Set>(item).expect("a set").overprovisions()
        };
        assert!(of(json!({})) && of(json!({"orchestrationMode": "Uniform", "overprovision": true})));
        assert!(!of(json!({"overprovision": false})) && !of(json!({"orchestrationMode": "Flexible"})));
    }
}
