//! Requested sets: by the admin API, or a file of sets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{Component, Eviction, LaunchFailures, Orchestration, Set, SetKey, Timing, Unverified};

/// A set as the admin API and the file of sets describe it. Omitted fields have a default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other, as in Azure")]
pub struct SetSpec {
    /// The capacity (0).
    pub capacity: Option<u32>,
    /// The location (westeurope).
    pub location: Option<String>,
    /// The zones (1, 2 and 3).
    pub zones: Vec<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The component on the instances; none keeps them out of the Jitsi simulator.
    pub component: Option<Component>,
    /// How it holds its instances.
    pub orchestration: Orchestration,
    /// Whether launches make more than asked for, and delete the excess.
    pub overprovision: bool,
    /// What becomes of evicted instances, if they are Spot.
    pub spot: Option<Eviction>,
    /// `Manual` (the default), `Automatic` or `Rolling`.
    pub upgrade_mode: Option<String>,
    /// Whether operating systems are upgraded by themselves.
    pub automatic_os_upgrade: bool,
    /// Whether ill instances are repaired by themselves.
    pub automatic_repairs: bool,
    /// Whether its instances say how they are.
    pub has_health: bool,
    /// The most instances that the quota allows.
    pub quota: Option<u32>,
    /// The code of a rolling upgrade.
    pub rolling_upgrade: Option<String>,
    /// Seconds from the creation of an instance until it runs.
    pub launch_seconds: Option<f64>,
    /// Seconds from the creation until its component answers.
    pub boot_seconds: Option<f64>,
    /// Seconds from a delete until the instance is gone.
    pub delete_seconds: Option<f64>,
    /// Which behaviours it shows where no source says.
    pub unverified: Unverified,
}

impl SetSpec {
    pub(super) fn timing(&self, usual: Timing) -> Timing {
        Timing {
            launch: self.launch_seconds.unwrap_or(usual.launch),
            boot: self.boot_seconds.unwrap_or(usual.boot),
            delete: self.delete_seconds.unwrap_or(usual.delete),
        }
    }

    pub(super) fn apply(&self, set: &mut Set, timing: Timing) {
        let zones = || ["1", "2", "3"].map(str::to_owned).into();
        set.zones = if self.zones.is_empty() { zones() } else { self.zones.clone() };
        set.component = self.component;
        set.overprovision = self.overprovision;
        set.spot = self.spot;
        set.upgrade_mode = self.upgrade_mode.clone().unwrap_or_else(|| "Manual".to_owned());
        set.automatic_os_upgrade = self.automatic_os_upgrade;
        set.automatic_repairs = self.automatic_repairs;
        set.has_health = self.has_health;
        set.quota = self.quota;
        set.rolling_upgrade.clone_from(&self.rolling_upgrade);
        set.timing = timing;
        set.unverified = self.unverified.clone();
        set.tags.clone_from(&self.tags);
        set.version += 1;
    }

    pub(super) fn set(&self, key: &SetKey, timing: Timing) -> Set {
        let mut set = Set {
            group: key.group.clone(),
            name: key.name.clone(),
            location: self.location.clone().unwrap_or_else(|| "westeurope".to_owned()),
            zones: Vec::new(),
            component: None,
            orchestration: self.orchestration,
            capacity: 0,
            overprovision: false,
            spot: None,
            upgrade_mode: String::new(),
            automatic_os_upgrade: false,
            automatic_repairs: false,
            has_health: false,
            quota: None,
            rolling_upgrade: None,
            timing,
            unverified: Unverified::default(),
            tags: BTreeMap::new(),
            instances: Vec::new(),
            failures: LaunchFailures::default(),
            failed: false,
            deleting: false,
            version: 0,
            created: 0,
        };
        self.apply(&mut set, timing);
        set
    }
}

/// A set of a file of sets.
#[derive(Debug, Clone)]
pub struct SetEntry {
    /// Resource group and name.
    pub key: SetKey,
    /// Its specification.
    pub spec: SetSpec,
}

impl SetEntry {
    /// Reads a JSON list of sets: the admin API's body, and `group` and `name` beside it.
    pub fn parse_list(json: &str) -> Result<Vec<Self>, serde_json::Error> {
        let entries: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_str(json)?;
        entries.into_iter().map(Self::from_fields).collect()
    }

    fn from_fields(mut fields: BTreeMap<String, serde_json::Value>) -> Result<Self, serde_json::Error> {
        let mut take = |key: &str| {
            let value = fields.remove(key).ok_or_else(|| {
                <serde_json::Error as serde::de::Error>::custom(format!("a set without `{key}`"))
            })?;
            serde_json::from_value::<String>(value)
        };
        let key = SetKey::new(&take("group")?, &take("name")?);
        let spec = serde_json::from_value(serde_json::Value::Object(fields.into_iter().collect()))?;
        Ok(Self { key, spec })
    }
}

/// An autoscale setting, as data only: the simulator does not apply it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoscaleSetting {
    /// Its resource group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// The resource group of its set.
    pub target_group: String,
    /// The name of its set.
    pub target: String,
    /// Whether it acts.
    pub enabled: bool,
}
