//! Each instance of a group: its state, its load, and whether it may leave.

use std::collections::HashSet;

use serde::Serialize;

use super::blocked::StayReport;
use crate::decide::observation::{Group, Instance, Lifecycle};
use crate::decide::policy::FleetPolicy;
use crate::decide::{drained_by_hand, is_ready, stay};
use crate::units::{InstanceId, Time};

jitsi_web::words! {
    /// The state of an instance, as the scaler sees it.
    pub enum InstanceState {
        /// It serves, or could.
        Ready = "ready",
        /// It should serve, and does not report to Prometheus.
        Silent = "silent",
        /// It launches.
        Booting = "booting",
        /// It is in service for less than the warm-up.
        Warming = "warming",
        /// The scaler drains it.
        Draining = "draining",
        /// Somebody drains it at its own interface.
        DrainedByHand = "drained_by_hand",
        /// AWS finds it unhealthy and replaces it.
        Unhealthy = "unhealthy",
        /// AWS terminates it, and a hook holds it.
        Held = "held",
        /// AWS terminates it.
        Terminating = "terminating",
        /// It is in standby or in the warm pool.
        Aside = "aside",
        /// It has left the group, and the tag of its drain is there.
        Left = "left",
    }
}

/// An instance of a group.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceReport {
    /// Its id.
    pub instance: String,
    /// Its availability zone.
    pub zone: String,
    /// The word of its [`InstanceState`].
    pub state: &'static str,
    /// Participants of a bridge; 1 for a Jibri that records, else 0. `null` where nothing reports it.
    pub load: Option<f64>,
    /// Since when it has been in service, RFC 3339; `null` where that is unknown.
    pub in_service_since: Option<String>,
    /// Why a scale-in may not choose it; `null` if it may.
    pub stays: Option<StayReport>,
}

impl InstanceReport {
    /// The report of every instance, sorted by zone and id.
    pub(super) fn all(fleet: &FleetPolicy, group: &Group, now: Time) -> Vec<Self> {
        let by_hand: HashSet<InstanceId> = drained_by_hand(group).into_iter().collect();
        let mut instances: Vec<&Instance> = group.instances.iter().collect();
        instances.sort_by(|a, b| (&a.zone, &a.id).cmp(&(&b.zone, &b.id)));
        let report = |instance: &Instance| Self {
            instance: instance.id.to_string(),
            zone: instance.zone.clone(),
            state: state(fleet, instance, by_hand.contains(&instance.id), now).as_str(),
            load: instance.reported.load,
            in_service_since: instance.in_service_since.map(|since| since.to_string()),
            stays: stay(fleet, instance, now).map(|stay| StayReport::new(&(instance.id.clone(), stay))),
        };
        instances.into_iter().map(report).collect()
    }
}

fn state(fleet: &FleetPolicy, instance: &Instance, by_hand: bool, now: Time) -> InstanceState {
    match instance.lifecycle {
        Lifecycle::Held => InstanceState::Held,
        Lifecycle::Terminating => InstanceState::Terminating,
        Lifecycle::Aside => InstanceState::Aside,
        Lifecycle::Detached | Lifecycle::Gone => InstanceState::Left,
        _ if !instance.healthy => InstanceState::Unhealthy,
        _ if instance.drain.is_some() => InstanceState::Draining,
        Lifecycle::Pending => InstanceState::Booting,
        Lifecycle::InService if !is_ready(fleet, instance, now) => InstanceState::Warming,
        Lifecycle::InService if !instance.reported.up => InstanceState::Silent,
        Lifecycle::InService if by_hand => InstanceState::DrainedByHand,
        Lifecycle::InService => InstanceState::Ready,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::config::sample::{self, GROUPS, OUT};
    use crate::decide::observation::{Drain, Purpose};
    use crate::units::Capacity;

    const NOW: Time = Time::from_unix(1_790_000_000);

    fn report(change: impl FnOnce(&mut Instance)) -> InstanceReport {
        let fleet = sample::config(GROUPS, &format!("expr: x\n        {OUT}")).fleets.remove(0).policy;
        let mut instance = Instance::unknown(InstanceId::new("i-1"), "a", Lifecycle::InService);
        instance.in_service_since = Some(Time::from_unix(0));
        (instance.reported.up, instance.reported.load) = (true, Some(4.0));
        change(&mut instance);
        let group = Group::at_rest((Capacity::ONE, Capacity::of(9)), Capacity::ONE, vec![instance]);
        InstanceReport::all(&fleet, &group, NOW).remove(0)
    }

    #[test_case(|_| (), "ready", None; "ready")]
    #[test_case(|it| it.reported.up = false, "silent", Some("silent"); "silent")]
    #[test_case(|it| it.lifecycle = Lifecycle::Pending, "booting", Some("not_in_service"); "booting")]
    #[test_case(|it| it.in_service_since = None, "warming", Some("warming"); "of unknown age")]
    #[test_case(|it| it.reported.draining = Some(true), "drained_by_hand", Some("drained_by_hand"); "by hand")]
    #[test_case(|it| it.healthy = false, "unhealthy", Some("unhealthy"); "unhealthy")]
    #[test_case(|it| it.lifecycle = Lifecycle::Held, "held", Some("not_in_service"); "held")]
    #[test_case(|it| it.lifecycle = Lifecycle::Aside, "aside", Some("not_in_service"); "aside")]
    #[test_case(|it| it.lifecycle = Lifecycle::Gone, "left", Some("not_in_service"); "gone")]
    fn an_instance_has_one_state(change: fn(&mut Instance), state: &str, stays: Option<&str>) {
        let report = report(change);
        assert_eq!((report.state, report.stays.map(|stay| stay.reason)), (state, stays));
    }

    #[test]
    fn a_drain_of_the_scaler_is_no_drain_by_hand() {
        let drain = Drain::begun(Purpose::ScaleIn, NOW);
        let report = report(|it| (it.drain, it.reported.draining) = (Some(drain), Some(true)));
        assert_eq!((report.state, report.load), ("draining", Some(4.0)));
    }
}
