//! Orders of operators: the drain of one instance, and its end.
//!
//! Owns which orders are refused, and the tag that an order becomes. It asks nothing of a component: a drain begins, and is
//! cancelled, at the evaluation that follows. So an order outlives the process that received it.

use std::collections::HashSet;

use super::deps::{Deps, World};
use super::facts::lifecycle;
use super::view::only;
use crate::cloud::tags::{Asked, Memory};
use crate::cloud::{CloudError, GroupDescription};
use crate::config::Fleet;
use crate::config::schedule::InForce;
use crate::decide::capacity::Limits;
use crate::decide::observation::{Bounds, Drain, DrainState, Lifecycle, Purpose};
use crate::decide::policy::Component;
use crate::telemetry::GroupRef;
use crate::units::{Capacity, InstanceId, Time};

jitsi_web::words! {
    /// What follows once an instance that an operator drains is empty.
    pub enum Then {
        /// It is terminated, and another one comes in its place.
        Replace = "replace",
        /// It is terminated, and the desired capacity is lowered by one.
        Shrink = "shrink",
        /// It stays in the group and takes nothing, until it is given back.
        Keep = "keep",
    }
}

impl Then {
    fn purpose(self) -> Purpose {
        match self {
            Self::Replace => Purpose::Replace,
            Self::Shrink => Purpose::ScaleIn,
            Self::Keep => Purpose::Keep,
        }
    }
}

/// What an operator wants of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// That it is drained.
    Drain(Then),
    /// That its drain ends. `by_hand`: the status shows that somebody drains it at its own interface.
    Undrain {
        /// Whether somebody does.
        by_hand: bool,
    },
}

/// An order of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The instance.
    pub instance: InstanceId,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// Who wants it, and why.
    pub asked: Asked,
}

impl Order {
    /// A clause for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let id = &self.instance;
        match self.wanted {
            Wanted::Drain(Then::Replace) => format!("drain {id}, and replace it once it is empty"),
            Wanted::Drain(Then::Shrink) => {
                format!("drain {id}, and terminate it once it is empty, lowering desired capacity")
            }
            Wanted::Drain(Then::Keep) => format!("drain {id}, and keep it in its group"),
            Wanted::Undrain { .. } => format!("end the drain of {id}"),
        }
    }
}

/// What came of an order that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Its tag is written.
    Noted,
    /// It is in order, and the fleet is in a dry run: nothing was written.
    WouldBe,
}

/// Why an order was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The group does not hold the instance.
    #[error("find {0} in the group; /api/v1/status lists instances that drain, and AWS those of the group")]
    NotInGroup(InstanceId),
    /// It cannot be done.
    #[error("do it: {0}")]
    Refused(String),
    /// The group could not be read, or its tag not be written.
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

/// The drain of an instance as the loop saw it last; `Some(None)` if the instance was asked for something since.
pub(super) type Known = Option<Option<Drain>>;

/// Notes an order in the tag of its instance, unless it is refused, and logs it.
pub(super) async fn note<W: World>(
    deps: &Deps<W>,
    fleet: &Fleet,
    (group, known): (&GroupRef, Known),
    order: &Order,
    now: Time,
) -> Result<Accepted, OrderError> {
    let noted = tag(deps, fleet, (group, known), order, now).await;
    let Asked { by, reason } = &order.asked;
    match &noted {
        Ok(_) => deps.telemetry.ordered(group, &order.text(), (by.as_str(), reason.as_str()), fleet.dry_run),
        Err(error) => deps.telemetry.not_ordered(group, &order.text(), by, error),
    }
    noted
}

async fn tag<W: World>(
    deps: &Deps<W>,
    fleet: &Fleet,
    (group, known): (&GroupRef, Known),
    order: &Order,
    now: Time,
) -> Result<Accepted, OrderError> {
    let (region, name, policy) = (&group.region, &group.name, &fleet.policy);
    let found = deps.cloud.describe(region, &only(group)).await?;
    let description = found.iter().find(|it| it.name == *name);
    let description = description.ok_or_else(|| OrderError::Refused("the group is gone".to_owned()))?;
    let configured = Bounds { min: policy.min, max: policy.max };
    let schedule = InForce::at(&fleet.schedules, now).bounds;
    let found = Found {
        component: policy.component,
        has_way: fleet.drain.is_some(),
        description,
        tags: &Memory::read(&description.tags, now),
        known,
        limits: Limits::of((description.min, description.max), configured, schedule),
        now,
    };
    let step = found.step(order)?;
    if fleet.dry_run {
        return Ok(Accepted::WouldBe);
    }
    let drain = match step {
        Step::Mark(drain) => Some((drain, Some(&order.asked))),
        Step::Clear => None,
    };
    deps.cloud.keep_drain((region, name), &order.instance, drain).await?;
    Ok(Accepted::Noted)
}

/// What an order does to the tag of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The tag becomes this drain.
    Mark(Drain),
    /// The tag goes.
    Clear,
}

/// The most tags that a group may have before another drain is ordered: AWS allows fifty, and the scaler needs some for its
/// pace.
const MOST_TAGS: usize = 45;

/// A group as an order finds it.
struct Found<'a> {
    component: Component,
    /// Whether the fleet has a way to drain.
    has_way: bool,
    description: &'a GroupDescription,
    tags: &'a Memory,
    known: Known,
    limits: Limits,
    now: Time,
}

impl Found<'_> {
    /// What an order does, or why it cannot be done.
    fn step(&self, order: &Order) -> Result<Step, OrderError> {
        let id = &order.instance;
        let find =
            |drains: &[(InstanceId, Drain)]| drains.iter().find(|(it, _)| it == id).map(|(_, drain)| *drain);
        let drain = find(&self.tags.drains);
        let is_ordered = find(&self.tags.ordered).is_some();
        if self.is_stale(drain) {
            let text =
                "its drain has just changed, and the answer of AWS may be older; try again in a minute";
            return Err(OrderError::Refused(text.to_owned()));
        }
        let held = self.description.instances.iter().find(|it| it.id == *id);
        let step = match (order.wanted, held) {
            (Wanted::Drain(_), None) => return Err(OrderError::NotInGroup(id.clone())),
            (Wanted::Undrain { .. }, None) if drain.is_none() && !is_ordered => {
                return Err(OrderError::NotInGroup(id.clone()));
            }
            (Wanted::Drain(then), Some(held)) => self.drain(id, then, lifecycle(&held.lifecycle), drain),
            (Wanted::Undrain { .. }, _) if is_ordered => Ok(Step::Clear),
            (Wanted::Undrain { by_hand }, held) => {
                let lifecycle = held.map_or(Lifecycle::Detached, |held| lifecycle(&held.lifecycle));
                self.undrain(lifecycle, drain, by_hand)
            }
        };
        step.map_err(OrderError::Refused)
    }

    fn drain(
        &self,
        id: &InstanceId,
        then: Then,
        lifecycle: Lifecycle,
        drain: Option<Drain>,
    ) -> Result<Step, String> {
        match lifecycle {
            Lifecycle::InService => {}
            Lifecycle::Pending => return Err("it boots; try again once it is in service".to_owned()),
            Lifecycle::Held | Lifecycle::Terminating => return Err("AWS terminates it already".to_owned()),
            Lifecycle::Aside | Lifecycle::Detached | Lifecycle::Gone => {
                return Err("it is not in service; an instance in standby takes part in nothing".to_owned());
            }
        }
        let is_asked = drain.is_some_and(|it| matches!(it.state, DrainState::Asked | DrainState::Closed));
        let text = match then {
            _ if !self.has_way => "its fleet has no drain.via, by which it would be asked",
            _ if self.description.is_weighted => {
                "the capacity of its group counts weights instead of instances"
            }
            Then::Keep if self.component == Component::Jibri => {
                "a Jibri has no drain mode: it can only finish and exit; use replace or shrink"
            }
            Then::Keep if is_asked => "it is asked to exit already, which cannot be taken back",
            Then::Shrink if self.capacity_with(id) <= self.limits.min => {
                "the group is at its minimum; use replace, or lower the minimum"
            }
            _ if drain.is_none() && self.description.tags.len() >= MOST_TAGS => {
                "the group has nearly as many tags as AWS allows; wait until earlier drains have ended"
            }
            _ => "",
        };
        if !text.is_empty() {
            return Err(text.to_owned());
        }
        let new = Drain { state: DrainState::Ordered, ..Drain::begun(then.purpose(), self.now) };
        let drain = match drain {
            // The drain goes on, and ends as the operator wants.
            Some(drain) if drain.state != DrainState::Returning => Drain { purpose: then.purpose(), ..drain },
            Some(drain) => Drain { state: DrainState::Draining, purpose: then.purpose(), ..drain },
            None => new,
        };
        Ok(Step::Mark(Drain { by_operator: true, ..drain }))
    }

    fn undrain(&self, lifecycle: Lifecycle, drain: Option<Drain>, by_hand: bool) -> Result<Step, String> {
        if matches!(lifecycle, Lifecycle::Held | Lifecycle::Terminating) {
            return Err("AWS terminates it already, which cannot be taken back".to_owned());
        }
        let is_bridge = self.component == Component::Jvb;
        let returning =
            |drain: Drain| Step::Mark(Drain { state: DrainState::Returning, by_operator: true, ..drain });
        match drain.map(|drain| (drain, drain.state)) {
            None if by_hand && is_bridge && self.has_way => {
                Ok(returning(Drain::begun(Purpose::Keep, self.now)))
            }
            None => Err("nothing drains it".to_owned()),
            Some((_, DrainState::Closed)) => {
                Err("it is asked to exit already, which cannot be taken back".to_owned())
            }
            // A bridge that does exit says so before it is given back.
            Some((drain, _)) if is_bridge => Ok(returning(drain)),
            Some((_, DrainState::Asked)) => {
                Err("it is asked to exit already, which cannot be taken back".to_owned())
            }
            Some(_) => Ok(Step::Clear),
        }
    }

    /// Whether the tag may be older than what was done: a drain that asked its instance to exit must not begin anew, because
    /// an exit proves nothing then. A bridge that shuts down says so.
    fn is_stale(&self, tag: Option<Drain>) -> bool {
        match self.known {
            None => false,
            Some(None) => tag.is_none() || self.component == Component::Jibri,
            Some(Some(drain)) => tag != Some(drain),
        }
    }

    /// The capacity of the group if this instance is not drained: the others that drain lower it, unless another one comes
    /// in their place.
    fn capacity_with(&self, id: &InstanceId) -> Capacity {
        let in_service = |it: &InstanceId| {
            let mut instances = self.description.instances.iter();
            instances.any(|held| {
                held.id == *it && held.healthy && lifecycle(&held.lifecycle) == Lifecycle::InService
            })
        };
        let drains = self.tags.drains.iter().chain(&self.tags.ordered);
        let lowers =
            drains.filter(|(it, drain)| it != id && drain.purpose != Purpose::Replace && in_service(it));
        let lowers: HashSet<&InstanceId> = lowers.map(|(it, _)| it).collect();
        self.description.desired.minus(Capacity::of(lowers.len()))
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const NOW: Time = Time::from_unix(1_000_000_020);

    fn order(wanted: Wanted) -> Order {
        Order { instance: InstanceId::new("i-0"), wanted, asked: Asked::new("alice", "kernel") }
    }

    /// Three instances with a minimum of 2, of which the first has this state and this tag.
    fn step(component: Component, state: &str, tag: Option<&str>, others: usize, wanted: Wanted) -> String {
        let description = GroupDescription::with("a", 3, &[state, "InService", "InService"]);
        let mut tags: Vec<_> = (1..=others)
            .map(|number| {
                (
                    format!("jitsi-scaler/drain/i-{number}"),
                    "2001-09-09T01:40:00Z draining scale-in".to_owned(),
                )
            })
            .collect();
        tags.extend(
            tag.map(|tag| ("jitsi-scaler/drain/i-0".to_owned(), format!("2001-09-09T01:40:00Z {tag}"))),
        );
        let memory = Memory::read(&tags, NOW);
        let limits = Limits { min: Capacity::of(2), max: Capacity::of(9) };
        let found = Found {
            component,
            has_way: true,
            description: &description,
            tags: &memory,
            known: None,
            limits,
            now: NOW,
        };
        match found.step(&order(wanted)) {
            Ok(Step::Mark(drain)) => {
                assert!(drain.by_operator);
                format!("{} {}", drain.state.as_str(), drain.purpose.as_str())
            }
            Ok(Step::Clear) => "clear".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    const REPLACE: Wanted = Wanted::Drain(Then::Replace);
    const SHRINK: Wanted = Wanted::Drain(Then::Shrink);
    const KEEP: Wanted = Wanted::Drain(Then::Keep);
    const UNDRAIN: Wanted = Wanted::Undrain { by_hand: false };
    const LATE: &str = "do it: it is asked to exit already, which cannot be taken back";

    #[test_case(None, REPLACE, "ordered replace"; "replace")]
    #[test_case(None, SHRINK, "ordered scale-in"; "shrink")]
    #[test_case(None, KEEP, "ordered keep"; "keep")]
    #[test_case(Some("draining scale-in"), REPLACE, "draining replace"; "an operator takes a scale-in over")]
    #[test_case(Some("closed scale-in"), REPLACE, "closed replace"; "also its end")]
    #[test_case(Some("returning scale-in"), KEEP, "draining keep"; "one that is cancelled")]
    #[test_case(Some("closed scale-in"), KEEP, LATE; "what exits cannot be kept")]
    #[test_case(Some("ordered keep by bob"), SHRINK, "ordered scale-in"; "an order that has not begun")]
    #[test_case(None, UNDRAIN, "do it: nothing drains it"; "not drained")]
    #[test_case(None, Wanted::Undrain { by_hand: true }, "returning keep"; "drained by hand")]
    #[test_case(Some("ordered keep by bob"), UNDRAIN, "clear"; "not begun")]
    #[test_case(Some("draining scale-in"), UNDRAIN, "returning scale-in"; "a scale-in")]
    #[test_case(Some("asked replace by bob"), UNDRAIN, "returning replace"; "perhaps asked")]
    #[test_case(Some("closed replace by bob"), UNDRAIN, LATE; "asked to exit")]
    fn an_order_of_a_bridge_becomes_a_tag(tag: Option<&str>, wanted: Wanted, expected: &str) {
        assert_eq!(step(Component::Jvb, "InService", tag, 0, wanted), expected);
    }

    #[test_case(None, REPLACE, "ordered replace"; "replace")]
    #[test_case(None, KEEP, "do it: a Jibri has no drain mode: it can only finish and exit; use replace or shrink"; "keep")]
    #[test_case(Some("draining replace by bob"), UNDRAIN, "clear"; "not asked")]
    #[test_case(Some("asked replace by bob"), UNDRAIN, LATE; "asked")]
    fn an_order_of_a_jibri_becomes_a_tag(tag: Option<&str>, wanted: Wanted, expected: &str) {
        assert_eq!(step(Component::Jibri, "InService", tag, 0, wanted), expected);
    }

    #[test_case("Pending", KEEP, "do it: it boots; try again once it is in service"; "it boots")]
    #[test_case("Standby", KEEP, "do it: it is not in service; an instance in standby takes part in nothing"; "in standby")]
    #[test_case("Terminating:Wait", KEEP, "do it: AWS terminates it already"; "AWS takes it")]
    #[test_case("Terminating:Wait", UNDRAIN, "do it: AWS terminates it already, which cannot be taken back"; "AWS takes it and it is to return")]
    fn only_an_instance_in_service_is_drained(state: &str, wanted: Wanted, expected: &str) {
        assert_eq!(step(Component::Jvb, state, None, 0, wanted), expected);
    }

    #[test]
    fn a_group_does_not_shrink_below_its_minimum() {
        let minimum = "do it: the group is at its minimum; use replace, or lower the minimum";
        assert_eq!(step(Component::Jvb, "InService", None, 1, SHRINK), minimum);
        assert_eq!(step(Component::Jvb, "InService", None, 1, REPLACE), "ordered replace");
        // Its own drain does not count against it.
        assert_eq!(
            step(Component::Jvb, "InService", Some("draining scale-in"), 0, SHRINK),
            "draining scale-in"
        );
    }

    #[test]
    fn an_instance_that_the_group_does_not_hold_is_only_given_back() {
        let description = GroupDescription::with("a", 1, &[]);
        let tags = Memory::read(
            &[("jitsi-scaler/drain/i-0".to_owned(), "2001-09-09T01:40:00Z draining scale-in".to_owned())],
            NOW,
        );
        let limits = Limits { min: Capacity::ZERO, max: Capacity::of(9) };
        let found = |tags| {
            Found {
                component: Component::Jvb,
                has_way: true,
                description: &description,
                tags,
                known: None,
                limits,
                now: NOW,
            }
            .step(&order(UNDRAIN))
        };
        assert!(matches!(found(&tags), Ok(Step::Mark(Drain { state: DrainState::Returning, .. }))));
        assert!(matches!(found(&Memory::default()), Err(OrderError::NotInGroup(_))));
    }

    /// The state of a [`Known`] drain.
    type KnownState = Option<Option<DrainState>>;

    #[test_case(Component::Jvb, None, None, false; "nothing drained it")]
    #[test_case(Component::Jvb, Some(Some(DrainState::Draining)), Some(DrainState::Draining), false; "as it was seen")]
    #[test_case(Component::Jvb, Some(Some(DrainState::Closed)), Some(DrainState::Draining), true; "an older tag")]
    #[test_case(Component::Jvb, Some(Some(DrainState::Closed)), None, true; "no tag yet")]
    #[test_case(Component::Jvb, Some(None), None, true; "asked since, and no tag yet")]
    #[test_case(Component::Jvb, Some(None), Some(DrainState::Draining), false; "a bridge says whether it exits")]
    #[test_case(Component::Jibri, Some(None), Some(DrainState::Draining), true; "a jibri does not")]
    fn an_answer_that_may_be_old_is_not_relied_on(
        component: Component,
        known: KnownState,
        tag: Option<DrainState>,
        expected: bool,
    ) {
        let drain = |state| Drain::begun(Purpose::ScaleIn, NOW).at(state);
        let description = GroupDescription::with("a", 1, &[]);
        let limits = Limits { min: Capacity::ZERO, max: Capacity::of(9) };
        let known = known.map(|known| known.map(drain));
        let tags = &Memory::default();
        let found =
            Found { component, has_way: true, description: &description, tags, known, limits, now: NOW };
        assert_eq!(found.is_stale(tag.map(drain)), expected);
    }
}
