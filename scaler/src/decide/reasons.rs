//! Every reason to hold: what keeps a decision from going further.
//!
//! The check that finds a reason returns it, and [`super::step`] carries it into the decision; a pause alone comes from the
//! loop. A new reason needs a variant whose comment says what it means and what a person can do; a label in
//! [`Reason::LABELS`] and [`Reason::as_str`]; words in [`Reason::text`]; an end in [`Reason::until`] if one is known; a line in
//! `tests/reasons.rs`; a row in the guide, under "Why it does not scale"; and, if it comes and goes while a group scales, its
//! label among the usual ones of the page, which marks a group with any other for attention.

use super::effect::listed;
use super::policy::{Direction, FleetPolicy};
use super::stays::{Stay, summary};
use crate::units::{Capacity, InstanceId, Time};

/// What keeps a decision from going further. `policy` is the place of a policy in its fleet.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// An operator has paused the group: no effect is carried out. To resume, remove the pause.
    Paused {
        /// Until when; `None` until the pause is removed.
        until: Option<Time>,
        /// Why, in the operator's words.
        reason: String,
    },
    /// The policy waits after an action. It ends by itself; a shorter `cooldown` ends it sooner.
    Cooldown {
        /// The policy.
        policy: usize,
        /// The action that started the cooldown.
        after: Direction,
        /// The action that it holds back.
        direction: Direction,
        /// When it ends.
        until: Time,
    },
    /// The policy starts no scale-out between two points of its own grid. Ends at its next point.
    BetweenPoints {
        /// The policy.
        policy: usize,
    },
    /// The policy has too few datapoints for a verdict. Run its expression in Prometheus.
    Unknown {
        /// The policy.
        policy: usize,
    },
    /// The group's capacity counts weights, vCPUs or memory, so it neither scales nor replaces anything. Let it count
    /// instances.
    WeightedCapacity,
    /// More is wanted than the maximum allows. Raise the narrowest maximum.
    Maximum,
    /// Less is wanted than the minimum allows. Lower the largest minimum if it is too high.
    Minimum,
    /// The group's process `Launch` is suspended. Resume it.
    LaunchSuspended,
    /// The group's process `Terminate` is suspended. Resume it.
    TerminateSuspended,
    /// An instance refresh replaces instances, or may do so. Wait for its end, or allow
    /// `autoscaling:DescribeInstanceRefreshes`.
    InstanceRefresh {
        /// Whether one was seen; otherwise the answer is missing.
        known: bool,
    },
    /// So many instances boot or warm up, and nothing scales in meanwhile. If it lasts, see why they do not get into
    /// service.
    Warming(Capacity),
    /// The group holds more instances than its desired capacity. Ends when AWS has ended them.
    Converging {
        /// How many it holds.
        holds: Capacity,
        /// How many it should hold.
        desired: Capacity,
    },
    /// As many drains are under way as are allowed. Raise `drain.max_in_flight` to shrink faster.
    DrainBudget {
        /// Drains under way.
        in_flight: Capacity,
        /// How many are allowed.
        most: Capacity,
    },
    /// Too few of the ready instances report. Look at their targets in Prometheus.
    DataQuality {
        /// How many report.
        reporting: Capacity,
        /// How many are ready.
        ready: Capacity,
    },
    /// With fewer instances the policy would scale out again. Move its thresholds apart if the group never shrinks.
    Forecast {
        /// The policy.
        policy: usize,
    },
    /// The newest datapoint of the policy is missing, so its value after a scale-in cannot be foreseen.
    NoForecast {
        /// The policy.
        policy: usize,
    },
    /// The policy is in alarm, and none of its steps covers its value. Leave the outermost bounds of `steps` out.
    NoStep {
        /// The policy.
        policy: usize,
    },
    /// The last serving bridge stays, because Jicofo needs one. Those that are drained by hand do not serve.
    LastServing {
        /// The instances that somebody drains at their own interface.
        by_hand: Vec<InstanceId>,
    },
    /// Each instance stays for a reason of its own, such as its age. Wait, lower `min_age`, or leave `only_idle` out.
    NoVictim(Vec<(InstanceId, Stay)>),
    /// Several series of the component carry the id of these instances, as those of two Jibris on one host do. Run one
    /// component per instance, or select one of the series by `instances.series`.
    AmbiguousInstance(Vec<InstanceId>),
    /// These instances were to be drained, and do not say whether they are in use. On a bridge set
    /// `videobridge.apis.rest.enabled`; check `drain.via`.
    Unreadable(Vec<InstanceId>),
    /// AWS fails to launch instances. Add instance types or zones, raise the quota, or correct the launch template.
    LaunchFailing {
        /// How many launches failed in a row.
        count: u32,
        /// When the next launches may be requested.
        until: Time,
        /// The message of AWS.
        message: String,
    },
    /// So much of the group looks ill that nothing is replaced. Replace instances by hand, or raise `max_share`.
    MostlyIll {
        /// How many look ill.
        ill: usize,
        /// Of how many in service.
        of: usize,
    },
    /// As many replacements are under way as are allowed. Raise `replace_unhealthy.max_in_flight`.
    ReplaceBudget {
        /// How many ill instances wait.
        ill: usize,
    },
    /// A hook holds instances, and which one is not known: the group has several, none, or they cannot be read. Name it
    /// by `lifecycle_hook`.
    HookUnknown,
    /// Old instances wait to be recycled. If it does not end, widen the time of `recycle`.
    RecycleWaits,
}

impl Reason {
    /// Every label that [`Reason::as_str`] gives, so that a metric can show a reason as absent.
    pub const LABELS: [&'static str; 26] = [
        "paused",
        "cooldown",
        "between_points",
        "unknown",
        "weighted_capacity",
        "maximum",
        "minimum",
        "launch_suspended",
        "terminate_suspended",
        "instance_refresh",
        "warming",
        "converging",
        "drain_budget",
        "data_quality",
        "forecast",
        "no_forecast",
        "no_step",
        "last_serving",
        "no_victim",
        "ambiguous_instance",
        "unreadable",
        "launch_failing",
        "mostly_ill",
        "replace_budget",
        "hook_unknown",
        "recycle_waits",
    ];

    /// The label in the status and in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Paused { .. } => "paused",
            Self::Cooldown { .. } => "cooldown",
            Self::BetweenPoints { .. } => "between_points",
            Self::Unknown { .. } => "unknown",
            Self::WeightedCapacity => "weighted_capacity",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
            Self::LaunchSuspended => "launch_suspended",
            Self::TerminateSuspended => "terminate_suspended",
            Self::InstanceRefresh { .. } => "instance_refresh",
            Self::Warming(_) => "warming",
            Self::Converging { .. } => "converging",
            Self::DrainBudget { .. } => "drain_budget",
            Self::DataQuality { .. } => "data_quality",
            Self::Forecast { .. } => "forecast",
            Self::NoForecast { .. } => "no_forecast",
            Self::NoStep { .. } => "no_step",
            Self::LastServing { .. } => "last_serving",
            Self::NoVictim(_) => "no_victim",
            Self::AmbiguousInstance(_) => "ambiguous_instance",
            Self::Unreadable(_) => "unreadable",
            Self::LaunchFailing { .. } => "launch_failing",
            Self::MostlyIll { .. } => "mostly_ill",
            Self::ReplaceBudget { .. } => "replace_budget",
            Self::HookUnknown => "hook_unknown",
            Self::RecycleWaits => "recycle_waits",
        }
    }

    /// When it ends, where that is known.
    #[must_use]
    pub fn until(&self) -> Option<Time> {
        match self {
            Self::Cooldown { until, .. } | Self::LaunchFailing { until, .. } => Some(*until),
            Self::Paused { until, .. } => *until,
            _ => None,
        }
    }

    /// Why each instance stays, where that is the reason.
    #[must_use]
    pub fn stays(&self) -> &[(InstanceId, Stay)] {
        match self {
            Self::NoVictim(stays) => stays,
            _ => &[],
        }
    }

    /// A clause for a person.
    #[must_use]
    pub fn text(&self, fleet: &FleetPolicy) -> String {
        let name = |policy: &usize| fleet.policies.get(*policy).map_or("?", |policy| policy.name.as_str());
        match self {
            Self::Paused { until: Some(until), reason } => {
                format!("the group is paused until {until}: {reason}")
            }
            Self::Paused { until: None, reason } => {
                format!("the group is paused until its tag jitsi-scaler/paused is removed: {reason}")
            }
            Self::Cooldown { policy, after, direction, until } => format!(
                "the cooldown of {} allows no {direction} until {until}, after the last {after}",
                name(policy)
            ),
            Self::BetweenPoints { policy } => {
                format!("{} starts no scale-out between two of its own datapoints", name(policy))
            }
            Self::Unknown { policy } => format!("{} has no data", name(policy)),
            Self::WeightedCapacity => {
                "the group's capacity counts weights, vCPUs or memory instead of instances".to_owned()
            }
            Self::Maximum => "the maximum is reached".to_owned(),
            Self::Minimum => "the minimum is reached".to_owned(),
            Self::LaunchSuspended => "the group's process Launch is suspended".to_owned(),
            Self::TerminateSuspended => "the group's process Terminate is suspended".to_owned(),
            Self::InstanceRefresh { known: true } => "an instance refresh is in progress".to_owned(),
            Self::InstanceRefresh { known: false } => {
                "it is not known whether an instance refresh is in progress".to_owned()
            }
            Self::Warming(count) => format!("{count} still booting or warming up"),
            Self::Converging { holds, desired } => {
                format!("the group still holds {holds} instances, and its desired capacity is {desired}")
            }
            Self::DrainBudget { in_flight, most } => {
                format!("drains under way: {in_flight} of at most {most}")
            }
            Self::DataQuality { reporting, ready } => format!(
                "only {reporting} of {ready} ready instances report, less than {}",
                fleet.min_reporting
            ),
            Self::Forecast { policy } => {
                format!("with fewer instances {} would scale out again", name(policy))
            }
            Self::NoForecast { policy } => format!(
                "the newest datapoint of {} is missing, so its value with fewer instances cannot be foreseen",
                name(policy)
            ),
            Self::NoStep { policy } => format!("no step of {} covers its value", name(policy)),
            Self::LastServing { by_hand } if by_hand.is_empty() => "the last serving bridge stays".to_owned(),
            Self::LastServing { by_hand } => {
                format!("the last serving bridge stays (drained by hand: {})", listed(by_hand))
            }
            Self::NoVictim(stays) => format!("no instance may be removed: {}", summary(stays)),
            Self::AmbiguousInstance(ids) => format!(
                "several series of the component carry the id of {}, so it is unknown what runs there; run one \
                 component per instance",
                listed(ids)
            ),
            Self::Unreadable(ids) => format!(
                "no answer tells the load of {}, which would leave next; on a bridge set \
                 videobridge.apis.rest.enabled = true, and check drain.via",
                listed(ids)
            ),
            Self::LaunchFailing { count, until, message } => {
                let times = if *count == 1 { "a launch".to_owned() } else { format!("{count} launches") };
                format!("AWS failed {times}, and no more are requested until {until}: {message}")
            }
            Self::MostlyIll { ill, of } => format!(
                "{ill} of {of} instances look ill at once, more than replace_unhealthy.max_share: the measurement may \
                 be wrong, so none of them is replaced"
            ),
            Self::ReplaceBudget { ill } => {
                format!("{ill} ill and waiting for earlier replacements to boot and warm up")
            }
            Self::HookUnknown => "an unknown hook holds instances; name it by lifecycle_hook".to_owned(),
            Self::RecycleWaits => "old instances wait for a quiet moment to be recycled".to_owned(),
        }
    }
}
