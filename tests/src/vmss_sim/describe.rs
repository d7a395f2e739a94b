//! Sets, instances and operations as Resource Manager writes them.

use serde_json::{Map, Value, json};

use super::model::{End, Instance, Operation, Orchestration, Provisioning, Set};
use super::spec::AutoscaleSetting;
use crate::cloud_parts::time::to_millisecond;

/// How a set is to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) subscription: &'a str,
    /// Whether it stands in a list.
    pub(super) listed: bool,
    pub(super) is_expanded: bool,
    pub(super) shown_capacity: Option<u32>,
    pub(super) hides_power: bool,
}

impl View<'_> {
    /// The resource group as ids write it.
    fn group(&self, set: &Set) -> String {
        let in_capitals = self.listed && set.unverified.lists_in_capitals;
        if in_capitals { set.group.to_uppercase() } else { set.group.clone() }
    }

    fn set_id(&self, set: &Set) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets/{}",
            self.subscription,
            self.group(set),
            set.name
        )
    }

    fn machine_id(&self, set: &Set, instance: &Instance) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachines/{}",
            self.subscription,
            self.group(set),
            instance.name
        )
    }

    /// A set.
    pub(super) fn set(&self, set: &Set, provisioning: Provisioning) -> Value {
        let uniform = set.orchestration == Orchestration::Uniform;
        let mut profile = json!({"priority": if set.spot.is_some() { "Spot" } else { "Regular" }});
        if let Some(eviction) = set.spot {
            profile["evictionPolicy"] = json!(eviction);
        }
        let mut properties = json!({
            "singlePlacementGroup": false,
            "orchestrationMode": set.orchestration,
            "upgradePolicy": {
                "mode": set.upgrade_mode,
                "automaticOSUpgradePolicy": {"enableAutomaticOSUpgrade": set.automatic_os_upgrade},
            },
            "automaticRepairsPolicy": {"enabled": set.automatic_repairs, "gracePeriod": "PT10M"},
            "scaleInPolicy": {"rules": ["Default"], "forceDeletion": false},
            "virtualMachineProfile": profile,
            "provisioningState": provisioning.as_str(),
            "uniqueId": set.name,
        });
        if uniform {
            properties["overprovision"] = json!(set.overprovision);
        }
        let capacity = self.shown_capacity.unwrap_or(set.capacity);
        json!({
            "name": set.name,
            "id": self.set_id(set),
            "type": "Microsoft.Compute/virtualMachineScaleSets",
            "location": set.location,
            "zones": set.zones,
            "tags": set.tags,
            "etag": set.etag(),
            "sku": {"name": "Standard_D4s_v5", "tier": "Standard", "capacity": capacity},
            "properties": properties,
        })
    }

    /// An instance of a uniform set, or what a flexible one shows of its instances.
    pub(super) fn instance(&self, set: &Set, instance: &Instance) -> Value {
        let mut id = format!("{}/virtualMachines/{}", self.set_id(set), instance.id);
        if self.listed && instance.is_leaving() && set.unverified.deleting_without_id {
            id = String::new();
        }
        if set.orchestration == Orchestration::Flexible {
            return json!({
                "name": instance.name,
                "id": id,
                "instanceId": instance.id,
                "properties": {"virtualMachineResourceId": self.machine_id(set, instance)},
            });
        }
        let mut properties = self.properties(instance);
        properties.insert("latestModelApplied".into(), json!(true));
        let model = if instance.detached_from_model { "VirtualMachine" } else { "VirtualMachineScaleSet" };
        properties.insert("modelDefinitionApplied".into(), json!(model));
        json!({
            "name": instance.name,
            "id": id,
            "instanceId": instance.id,
            "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
            "location": set.location,
            "zones": [instance.zone],
            "tags": set.tags,
            "properties": properties,
        })
    }

    /// A machine of a flexible set.
    pub(super) fn machine(&self, set: &Set, instance: &Instance) -> Value {
        let mut properties = self.properties(instance);
        properties.insert("virtualMachineScaleSet".into(), json!({"id": self.set_id(set)}));
        json!({
            "name": instance.name,
            "id": self.machine_id(set, instance),
            "type": "Microsoft.Compute/virtualMachines",
            "location": set.location,
            "zones": [instance.zone],
            "properties": properties,
        })
    }

    fn properties(&self, instance: &Instance) -> Map<String, Value> {
        let created = to_millisecond(instance.created).replace('Z', "0000+00:00");
        let mut properties = Map::from_iter([
            ("vmId".to_owned(), json!(instance.vm_id)),
            ("provisioningState".to_owned(), json!(instance.provisioning.as_str())),
            ("timeCreated".to_owned(), json!(created)),
            ("osProfile".to_owned(), json!({"computerName": instance.name.replace('_', "")})),
            ("protectionPolicy".to_owned(), json!(instance.protection)),
        ]);
        if self.is_expanded {
            properties.insert("instanceView".to_owned(), self.instance_view(instance));
        }
        properties
    }

    fn instance_view(&self, instance: &Instance) -> Value {
        let state = instance.provisioning.as_str().to_lowercase();
        let code = match &instance.failure {
            Some(code) if instance.provisioning == Provisioning::Failed => {
                format!("ProvisioningState/failed/{code}")
            }
            _ => format!("ProvisioningState/{state}"),
        };
        let time = to_millisecond(instance.since).replace('Z', "0000+00:00");
        let mut statuses = vec![json!({
            "code": code,
            "level": "Info",
            "displayStatus": format!("Provisioning {state}"),
            "time": time,
        })];
        if let Some(power) = instance.power.filter(|_| !self.hides_power) {
            statuses.push(json!({
                "code": format!("PowerState/{}", power.as_str()),
                "level": "Info",
                "displayStatus": format!("VM {}", power.as_str()),
            }));
        }
        let mut view = json!({"statuses": statuses, "platformFaultDomain": 0});
        if let Some(healthy) = instance.healthy {
            let code = if healthy { "HealthState/healthy" } else { "HealthState/unhealthy" };
            view["vmHealth"] = json!({"status": {"code": code, "level": "Info", "displayStatus": code}});
        }
        view
    }

    /// The counts of a uniform set's instances, and the services that look after it.
    pub(super) fn summary(set: &Set) -> Value {
        let count = |state: Provisioning| set.instances.iter().filter(|it| it.provisioning == state).count();
        json!({
            "virtualMachine": {"statusesSummary": [
                {"code": "ProvisioningState/succeeded", "count": count(Provisioning::Succeeded)},
                {"code": "ProvisioningState/failed", "count": count(Provisioning::Failed)},
            ]},
            "statuses": [],
            "orchestrationServices": [{
                "serviceName": "AutomaticRepairs",
                "serviceState": if set.automatic_repairs { "Running" } else { "Suspended" },
            }],
        })
    }

    /// An autoscale setting.
    pub(super) fn autoscale(&self, setting: &AutoscaleSetting) -> Value {
        let AutoscaleSetting { group, name, target_group, target, enabled } = setting;
        json!({
            "id": format!(
                "/subscriptions/{}/resourceGroups/{group}/providers/microsoft.insights/autoscalesettings/{name}",
                self.subscription
            ),
            "name": name,
            "type": "Microsoft.Insights/autoscaleSettings",
            "location": "westeurope",
            "properties": {
                "name": name,
                "enabled": enabled,
                "targetResourceUri": format!(
                    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets/{}",
                    self.subscription,
                    target_group.to_uppercase(),
                    target
                ),
                "profiles": [],
            },
        })
    }
}

/// The status of an operation.
pub(super) fn operation(operation: &Operation) -> Value {
    let mut told = json!({"name": operation.id, "startTime": to_millisecond(operation.began)});
    let (status, error) = match &operation.end {
        None => ("InProgress", None),
        Some(End::Succeeded) => ("Succeeded", None),
        Some(End::Failed(error)) => ("Failed", Some(error)),
        Some(End::Canceled(error)) => ("Canceled", Some(error)),
    };
    told["status"] = json!(status);
    if let Some(error) = error {
        told["error"] = error.json();
    }
    told
}
