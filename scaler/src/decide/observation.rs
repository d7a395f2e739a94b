//! What was seen: the window of every policy, and the group with its instances.
//!
//! Owns the shape of the facts that `decide` judges. It holds no verdicts, and unknown is never zero: what was not seen
//! is `None`.

use std::time::Duration;

use crate::units::{Capacity, InstanceId, Period, Time};

/// Everything that is known about one group at one tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// One window per policy of the fleet, in the policies' order.
    pub windows: Vec<Series>,
    /// The group as the cloud described it.
    pub group: Group,
    /// The bounds of the schedules in force.
    pub schedule: Bounds,
    /// Whether old instances may be recycled at this time.
    pub may_recycle: bool,
}

/// A floor and a ceiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The least capacity.
    pub min: Option<Capacity>,
    /// The most capacity.
    pub max: Option<Capacity>,
}

/// The newest datapoints of one policy, on its own grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The time of the newest point: a multiple of `period`.
    pub end: Time,
    /// The distance of the points.
    pub period: Period,
    /// Oldest first; `None` is a missing point. Every value is finite.
    pub points: Vec<Option<f64>>,
    /// Whether the point at `end` is open: it has not been judged, or is judged again on late data after it called for
    /// nothing. Only then may the policy scale out.
    pub fresh: bool,
    /// Whether the query was answered, and the answer tells of this group. Only then does a missing point mean that
    /// there is none.
    pub answered: bool,
}

impl Series {
    /// The newest `count` points, oldest first, padded with missing ones in front.
    #[must_use]
    pub fn newest(&self, count: usize) -> impl DoubleEndedIterator<Item = Option<f64>> + '_ {
        let have = self.points.len();
        let padding = count.saturating_sub(have);
        let skip = have.saturating_sub(count);
        std::iter::repeat_n(None, padding).chain(self.points.iter().skip(skip).copied())
    }

    /// The value at `end`, if that point is real.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.points.last().copied().flatten()
    }

    /// The newest real value, however old within the window.
    #[must_use]
    pub fn newest_real(&self) -> Option<f64> {
        self.points.iter().rev().copied().flatten().next()
    }
}

/// An Auto Scaling group at one moment.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact from the cloud")]
pub struct Group {
    /// The group's own minimum.
    pub min: Capacity,
    /// The group's own maximum.
    pub max: Capacity,
    /// The desired capacity.
    pub desired: Capacity,
    /// Whether these three count weights, vCPUs or memory instead of instances.
    pub is_weighted: bool,
    /// Whether the process `Launch` is suspended.
    pub launch_suspended: bool,
    /// Whether the process `Terminate` is suspended.
    pub terminate_suspended: bool,
    /// Whether the cloud replaces an instance that it finds unhealthy.
    pub replaces_unhealthy: bool,
    /// Whether an instance refresh is in progress; only read before a scale-in begins.
    pub instance_refresh: Refresh,
    /// When the scaler last scaled out, from the group's tags.
    pub scaled_out: Option<Time>,
    /// When the scaler last scaled in, from the group's tags.
    pub scaled_in: Option<Time>,
    /// The availability zones that the group launches into.
    pub zones: Vec<String>,
    /// How many drains its tags can hold.
    pub most_drains: Capacity,
    /// Every instance that the group holds, and those of which only a drain tag is left.
    pub instances: Vec<Instance>,
    /// That the group was raised by one to recycle its oldest instances, from the group's tags.
    pub recycling: Option<Recycling>,
    /// The terminating hook; only read while it holds an instance.
    pub hook: Option<Hook>,
    /// The launches that failed since one succeeded; only read while the group lacks instances.
    pub launch_failures: Option<LaunchFailures>,
}

impl Group {
    /// A group without activity and without tags.
    #[must_use]
    pub fn at_rest((min, max): (Capacity, Capacity), desired: Capacity, instances: Vec<Instance>) -> Self {
        Self {
            min,
            max,
            desired,
            is_weighted: false,
            launch_suspended: false,
            terminate_suspended: false,
            replaces_unhealthy: true,
            instance_refresh: Refresh::None,
            scaled_out: None,
            scaled_in: None,
            zones: Vec::new(),
            most_drains: Capacity::saturating(i64::MAX),
            instances,
            recycling: None,
            hook: None,
            launch_failures: None,
        }
    }
}

/// A group that was raised by one, so that its oldest instances can go one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recycling {
    /// When it was raised.
    pub since: Time,
    /// The desired capacity that it was raised to. Once it is lower, the surplus instance is gone.
    pub desired: Capacity,
}

/// A lifecycle hook that holds instances which AWS terminates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// How long an instance is held without a heartbeat.
    pub heartbeat: Duration,
    /// How long an instance is held at most.
    pub limit: Duration,
}

/// Launches that failed in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchFailures {
    /// How many, at least one.
    pub count: u32,
    /// When the newest of them ended.
    pub last: Time,
    /// The message of AWS.
    pub message: String,
}

/// What is known about a group's instance refreshes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// They were not read.
    #[default]
    NotAsked,
    /// None is in progress.
    None,
    /// One is in progress.
    InProgress,
    /// They could not be read.
    Unknown,
}

/// An instance of a group.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact from AWS or Prometheus")]
pub struct Instance {
    /// Its EC2 id.
    pub id: InstanceId,
    /// Its availability zone.
    pub zone: String,
    /// Its state in the lifecycle of AWS.
    pub lifecycle: Lifecycle,
    /// Since when it has been in service, if that is known.
    pub in_service_since: Option<Time>,
    /// Whether the cloud finds it healthy.
    pub healthy: bool,
    /// Whether it is protected from being chosen by AWS.
    pub protected: bool,
    /// Whether `replace_unhealthy` found it ill at each of the points that it requires.
    pub ill: bool,
    /// Whether it was found ill at the newest of these points. Unknown health is not treated as ill.
    pub looks_ill: bool,
    /// How long ago its hook last got a heartbeat, if from this process.
    pub heartbeat: Option<Duration>,
    /// Since when its hook has held it, if this process saw it begin.
    pub held_since: Option<Time>,
    /// Its drain, from its tag.
    pub drain: Option<Drain>,
    /// The drain that an operator ordered and that has not begun: until then it serves as before.
    pub ordered: Option<Drain>,
    /// For how long this process has seen that drain, by a clock that nothing sets.
    pub drains_for: Duration,
    /// What Prometheus says about its component.
    pub reported: Reported,
    /// What the component itself answered; only read while a drain is under way or about to begin.
    pub live: Live,
}

impl Instance {
    /// A healthy instance about which nothing else is known.
    #[must_use]
    pub fn unknown(id: InstanceId, zone: &str, lifecycle: Lifecycle) -> Self {
        Self {
            id,
            zone: zone.to_owned(),
            lifecycle,
            in_service_since: None,
            healthy: true,
            protected: false,
            ill: false,
            looks_ill: false,
            heartbeat: None,
            held_since: None,
            drain: None,
            ordered: None,
            drains_for: Duration::ZERO,
            reported: Reported::default(),
            live: Live::default(),
        }
    }
}

/// The part of an instance's lifecycle that decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Launching, or held by a launching hook.
    Pending,
    /// Serving, or starting to.
    InService,
    /// Being terminated, and held by a hook until the scaler completes it or its time limit ends. No longer part of the
    /// desired capacity.
    Held,
    /// Being terminated. No longer part of the desired capacity.
    Terminating,
    /// In standby or in the warm pool: not part of what is scaled.
    Aside,
    /// Not in the group: detached, or terminated a moment ago. Its drain tag is left.
    Detached,
    /// Not in the group either, and not detached; Prometheus does not report it, and two looks got no answer: only its
    /// drain tag is left.
    Gone,
}

/// A drain of the scaler, as its tag keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// When it began.
    pub since: Time,
    /// How far it is.
    pub state: DrainState,
    /// Its purpose, which decides how it ends.
    pub purpose: Purpose,
    /// Whether an operator ordered it, or ordered its end: then no policy cancels it, and nothing ends it by its length.
    pub by_operator: bool,
}

impl Drain {
    /// A drain of the scaler's choice that begins at `now`.
    #[must_use]
    pub fn begun(purpose: Purpose, now: Time) -> Self {
        Self { since: now, state: DrainState::Draining, purpose, by_operator: false }
    }

    /// The same drain in another state.
    #[must_use]
    pub fn at(self, state: DrainState) -> Self {
        Self { state, ..self }
    }
}

jitsi_web::words! {
    /// The purpose of a drain. The tag holds its word.
    pub enum Purpose {
        /// Less capacity is wanted. It ends with a termination that lowers the desired capacity.
        ScaleIn = "scale-in",
        /// The instance is old. It ends as [`Purpose::ScaleIn`], after the group was raised by one.
        Recycle = "recycle",
        /// The instance is ill, or an operator wants another one. It ends with its replacement by AWS.
        Replace = "replace",
        /// An operator wants it empty, and in its group. It ends once the operator gives it back.
        Keep = "keep",
        /// AWS terminates the instance. It ends with the completion of the hook.
        Hook = "hook",
    }
}

jitsi_web::words! {
    /// The state of a drain. The tag holds its word.
    pub enum DrainState {
        /// An operator ordered it, and it has not begun.
        Ordered = "ordered",
        /// It has begun: a bridge is asked to take no new conferences.
        Draining = "draining",
        /// The final, irreversible request is about to be sent, after an answer that permits it. Whether it arrived is not
        /// known.
        Asked = "asked",
        /// The final, irreversible request was accepted.
        Closed = "closed",
        /// The component has no final request (a JVB whose shutdown interface is off).
        Unclosable = "unclosable",
        /// It is cancelled: the request that ends drain mode is due.
        Returning = "returning",
    }
}

/// What Prometheus says about an instance's component, none of it older than two periods.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reported {
    /// Whether its `up` series has a fresh sample of 1.
    pub up: bool,
    /// Its own health verdict.
    pub healthy: Option<bool>,
    /// Participants of a bridge; 1 for a Jibri that records, else 0.
    pub load: Option<f64>,
    /// Whether it is a Jibri in single-use mode that has recorded: it carries nothing, and takes nothing any more.
    pub expired: bool,
    /// Whether it takes no new work: drain mode, graceful shutdown or shutting down.
    pub draining: Option<bool>,
    /// How long a Jibri has been free without a break, as far back as was read.
    pub idle_for: Option<Duration>,
    /// Whether several series carry its id, as those of two Jibris on one host do: it is unknown which one a request
    /// would reach, and what the others do.
    pub ambiguous: bool,
}

/// What a component that drains, or is about to, answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// The answer at this evaluation; `None` if it was not asked.
    pub latest: Option<Reading>,
    /// How many looks said so.
    pub looks: Looks,
}

/// How many looks at a component that drains say the same, without another answer in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Looks {
    /// None that counts: it was asked for sooner than `drain.settle` after the request that it would confirm.
    #[default]
    TooEarly,
    /// One.
    One,
    /// Two, `drain.settle` apart.
    Two,
}

/// What a component said about itself, read from it directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It answered.
    Answered {
        /// Nothing would be lost with it: no local endpoint, or idle.
        empty: bool,
        /// It said that it takes no new work. A Jibri cannot say so.
        draining: bool,
        /// It said that it is shutting down gracefully, which cannot be cancelled. A Jibri cannot say so.
        closing: bool,
    },
    /// The connection was refused: nothing listens there any more.
    Refused,
    /// No answer, an error, or an answer that is not understood: it may carry anything.
    Unknown,
}

impl Reading {
    /// Whether it answered that nothing would be lost with it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!(self, Self::Answered { empty: true, .. })
    }

    /// Whether the component said what it carries.
    #[must_use]
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Answered { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_points_are_padded_in_front() {
        let period = Period::try_new(Duration::from_mins(1)).expect("a minute");
        let series = Series {
            end: Time::from_unix(0),
            period,
            points: vec![Some(1.0), None, Some(3.0)],
            fresh: true,
            answered: true,
        };
        assert_eq!(series.newest(2).collect::<Vec<_>>(), [None, Some(3.0)]);
        assert_eq!(series.newest(4).collect::<Vec<_>>(), [None, Some(1.0), None, Some(3.0)]);
        assert_eq!(series.newest_real(), Some(3.0));
    }

    #[test]
    fn states_are_read_back_as_they_are_written() {
        for state in DrainState::ALL {
            assert_eq!(DrainState::parse(state.as_str()), Some(state));
        }
        assert_eq!(DrainState::parse("paused"), None);
    }
}
