//! The instances of a group by availability zone, which shows a problem of one zone.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::decide::is_ready;
use crate::decide::observation::{Group, Lifecycle};
use crate::decide::policy::FleetPolicy;
use crate::units::Time;

/// The instances of a group in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ZoneReport {
    /// The zone's name.
    pub zone: String,
    /// In service, past the warm-up, not draining.
    pub ready: u32,
    /// The ids of ready instances that do not report to Prometheus.
    pub silent: Vec<String>,
    /// Launching or warming up.
    pub booting: u32,
    /// Drained by the scaler.
    pub draining: u32,
    /// Terminating, or about to be replaced by AWS.
    pub leaving: u32,
}

impl ZoneReport {
    /// Whether the group has nothing in this zone, and two ready instances or more in each of its others.
    #[must_use]
    pub fn is_deserted(&self, all: &[Self]) -> bool {
        let others = || all.iter().filter(|other| other.zone != self.zone);
        let has_none = self.ready + self.booting + self.draining + self.leaving == 0;
        has_none && others().count() > 0 && others().all(|other| other.ready >= 2)
    }

    /// The report of every zone that the group launches into or has an instance in, so that a zone without instances
    /// shows too.
    pub(super) fn all(fleet: &FleetPolicy, group: &Group, now: Time) -> Vec<Self> {
        let mut zones: BTreeMap<&str, Self> =
            group.zones.iter().map(|zone| (zone.as_str(), Self::default())).collect();
        for instance in &group.instances {
            if instance.lifecycle == Lifecycle::Aside {
                continue;
            }
            let zone = zones.entry(&instance.zone).or_default();
            match instance.lifecycle {
                Lifecycle::Terminating => zone.leaving += 1,
                _ if instance.drain.is_some() => zone.draining += 1,
                Lifecycle::Held => zone.leaving += 1,
                _ if !instance.healthy => zone.leaving += 1,
                _ if is_ready(fleet, instance, now) => {
                    zone.ready += 1;
                    if !instance.reported.up {
                        zone.silent.push(instance.id.to_string());
                    }
                }
                _ => zone.booting += 1,
            }
        }
        zones.into_iter().map(|(name, zone)| Self { zone: name.to_owned(), ..zone }).collect()
    }
}
