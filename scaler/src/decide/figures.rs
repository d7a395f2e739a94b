//! A group in numbers.

use super::capacity::Limits;
use super::decision::Figures;
use super::observation::{Bounds, Group, Lifecycle, Purpose};
use super::policy::FleetPolicy;
use super::stays;
use crate::units::{Capacity, Time};

/// Counts the instances of a group, within the bounds in force.
pub(super) fn figures(fleet: &FleetPolicy, group: &Group, schedule: Bounds, now: Time) -> Figures {
    let configured = Bounds { min: fleet.min, max: fleet.max };
    let mut ready = 0;
    let mut reporting = 0;
    let mut draining = 0;
    let mut replaced = 0;
    let mut kept = 0;
    let mut in_service_or_pending = 0;
    for instance in &group.instances {
        if !matches!(instance.lifecycle, Lifecycle::Pending | Lifecycle::InService) {
            continue;
        }
        in_service_or_pending += 1;
        let is_replaced = !instance.healthy && group.replaces_unhealthy;
        match instance.drain.map(|drain| drain.purpose) {
            // Desired capacity stays: another one comes in its place, or is wanted there.
            Some(Purpose::Replace) => replaced += 1,
            _ if is_replaced => replaced += 1,
            Some(Purpose::Keep) => kept += 1,
            Some(_) => draining += 1,
            None if !instance.healthy => replaced += 1,
            None if stays::is_ready(fleet, instance, now) => {
                ready += 1;
                reporting += usize::from(instance.reported.up);
            }
            None => {}
        }
    }
    let wanted = if group.is_weighted { 0 } else { group.desired.get() as usize };
    let not_launched = wanted.saturating_sub(in_service_or_pending);
    let warming = in_service_or_pending - ready - draining - replaced - kept + not_launched;
    let (draining, kept) = (Capacity::of(draining), Capacity::of(kept));
    Figures {
        desired: group.desired,
        ready: Capacity::of(ready),
        reporting: Capacity::of(reporting),
        warming: Capacity::of(warming),
        draining,
        replaced: Capacity::of(replaced),
        kept,
        limits: Limits::of((group.min, group.max), configured, schedule),
        capacity: group.desired.minus(draining).minus(kept),
    }
}
