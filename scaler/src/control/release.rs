//! Gives groups back: ends every drain that can be ended, and removes the scaler's tags.
//!
//! Owns what becomes of each drain. It makes no decision about capacity, and asks nothing to exit.

use super::deps::{Deps, World};
use super::execute;
use super::view::{GroupView, only};
use crate::cloud::{Change, CloudError, GroupDescription, packs, tags};
use crate::config::Groups;
use crate::decide::decision::Effect;
use crate::decide::observation::{DrainState, Instance, Lifecycle, Reading};
use crate::decide::policy::Component;
use crate::telemetry::{GroupRef, chain};
use crate::units::{Capacity, InstanceId, Time};

/// What became of one group, or would.
#[derive(Debug)]
pub struct Released {
    /// The group.
    pub group: GroupRef,
    /// What was done, or would be, as clauses.
    pub steps: Vec<String>,
    /// What could not be done.
    pub failed: Vec<String>,
    /// Instances that exit by themselves, as a drain asked them to: they must be terminated afterwards.
    pub exiting: Vec<InstanceId>,
    /// Instances that AWS chooses none of, because they are protected from scale-in.
    pub protected: Vec<InstanceId>,
    /// Suspended processes.
    pub suspended: Vec<String>,
    /// Hooks that hold what AWS terminates; nothing completes them now.
    pub hooks: Vec<String>,
    /// Whether desired capacity is one higher, because instances were being recycled.
    pub is_raised: bool,
}

/// Gives a group back; without `does`, only says what that means.
pub(super) async fn release<W: World>(
    deps: &Deps<W>,
    component: Component,
    view: &GroupView,
    at: Time,
    does: bool,
) -> Result<Released, CloudError> {
    let (region, name) = (&view.group.region, &view.group.name);
    let found = deps.cloud.describe(region, &only(&view.group)).await?;
    let hooks = deps.cloud.hooks(region, name).await?;
    let mut released = Released::nothing(view.group.clone());
    released.hooks = hooks.into_iter().map(|hook| hook.name).collect();
    released.is_raised = view.observation.group.recycling.is_some();
    let mut keys = Vec::new();
    if let Some(group) = found.iter().find(|it| it.name == *name) {
        released.suspended.clone_from(&group.suspended);
        let protected = group.instances.iter().filter(|it| it.protected);
        released.protected = protected.map(|it| it.id.clone()).collect();
        // A tag of drains goes with its last one; one that names no instance goes like the others.
        let is_idle = |key: &str, value: &str| packs::is_pack(key) && packs::is_idle(value);
        let idle = own_tags(group).filter(|(key, value)| !tags::is_drain(key) || is_idle(key, value));
        keys.extend(idle.map(|(key, _)| key.clone()));
        if does && group.tags.iter().any(|(key, _)| packs::is_pack(key)) {
            deps.cloud.settled().await;
        }
    }
    let mut sequences = Vec::new();
    for instance in &view.observation.group.instances {
        match end(component, instance) {
            End::None => {}
            End::By(effects) => sequences.push(effects),
            End::Exits(effects) => {
                released.exiting.push(instance.id.clone());
                sequences.push(effects);
            }
            End::Unknown(text) => released.failed.push(text),
        }
    }
    if !does {
        released.steps = sequences.iter().flatten().map(ToString::to_string).collect();
        released.steps.extend(keys.iter().map(|key| format!("remove the tag {key}")));
        return Ok(released);
    }
    let done = execute::perform(deps, view, sequences, Capacity::ZERO, at).await;
    released.steps = done.performed.iter().map(ToString::to_string).collect();
    released.failed.extend(done.failed.iter().map(|(effect, error)| format!("{effect}: {error}")));
    for key in keys {
        match deps.cloud.apply(region, name, Change::Untag { key: &key }).await {
            Ok(()) => released.steps.push(format!("remove the tag {key}")),
            Err(error) => released.failed.push(format!("remove the tag {key}: {}", chain(&error))),
        }
    }
    Ok(released)
}

/// The scaler's tags on the groups that `groups` selects, to see whether they change.
pub(super) async fn tags_of<W: World>(
    deps: &Deps<W>,
    groups: &Groups,
) -> Result<Vec<(String, String)>, CloudError> {
    let mut found = Vec::new();
    for region in &deps.regions {
        for group in deps.cloud.describe(region, groups).await? {
            let place = format!("{region}/{}", group.name);
            found.extend(own_tags(&group).map(|(key, value)| (format!("{place}/{key}"), value.clone())));
        }
    }
    found.sort();
    Ok(found)
}

impl Released {
    pub(super) fn nothing(group: GroupRef) -> Self {
        Self {
            group,
            steps: Vec::new(),
            failed: Vec::new(),
            exiting: Vec::new(),
            protected: Vec::new(),
            suspended: Vec::new(),
            hooks: Vec::new(),
            is_raised: false,
        }
    }
}

fn own_tags(group: &GroupDescription) -> impl Iterator<Item = &(String, String)> {
    group.tags.iter().filter(|(key, _)| key.starts_with(tags::PREFIX))
}

/// How a drain ends when nothing goes on with it.
#[derive(Debug, PartialEq)]
enum End {
    /// There is none.
    None,
    /// The instance serves again, or is gone.
    By(Vec<Effect>),
    /// The instance exits by itself.
    Exits(Vec<Effect>),
    /// It cannot be ended.
    Unknown(String),
}

fn end(component: Component, instance: &Instance) -> End {
    let id = &instance.id;
    let clear = || Effect::ClearDrain(id.clone());
    let Some(drain) = instance.drain else {
        return if instance.ordered.is_some() { End::By(vec![clear()]) } else { End::None };
    };
    let is_asked = matches!(drain.state, DrainState::Asked | DrainState::Closed);
    match (instance.live.latest, component) {
        _ if matches!(instance.lifecycle, Lifecycle::Gone | Lifecycle::Terminating) => End::By(vec![clear()]),
        // AWS ends it; its component need not take anything any more.
        _ if instance.lifecycle == Lifecycle::Held => End::By(vec![clear()]),
        (Some(Reading::Answered { closing: false, .. }), Component::Jvb) => {
            End::By(vec![Effect::StopDrain(id.clone()), clear()])
        }
        (Some(Reading::Answered { closing: true, .. }), _) => End::Exits(vec![clear()]),
        (_, Component::Jibri) | (Some(Reading::Refused), Component::Jvb) if is_asked => {
            End::Exits(vec![clear()])
        }
        (_, Component::Jibri) => End::By(vec![clear()]),
        (Some(Reading::Refused | Reading::Unknown) | None, Component::Jvb) => End::Unknown(format!(
            "{id} drains and does not answer, so it cannot be given back: restart its bridge, or terminate it, and release again"
        )),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::decide::observation::{Drain, Live, Looks, Purpose};

    const EMPTY: Reading = Reading::Answered { empty: true, draining: true, closing: false };
    const CLOSING: Reading = Reading::Answered { empty: true, draining: true, closing: true };

    #[test_case(Component::Jvb, DrainState::Draining, Some(EMPTY), Lifecycle::InService, "given back"; "a bridge")]
    #[test_case(Component::Jvb, DrainState::Asked, Some(EMPTY), Lifecycle::InService, "given back"; "a bridge that was not asked after all")]
    #[test_case(Component::Jvb, DrainState::Closed, Some(CLOSING), Lifecycle::InService, "exits"; "a bridge that exits")]
    #[test_case(Component::Jvb, DrainState::Closed, Some(Reading::Refused), Lifecycle::InService, "exits"; "a bridge that has exited")]
    #[test_case(Component::Jvb, DrainState::Draining, Some(Reading::Refused), Lifecycle::InService, "unknown"; "a bridge that refuses")]
    #[test_case(Component::Jvb, DrainState::Draining, None, Lifecycle::InService, "unknown"; "a silent bridge")]
    #[test_case(Component::Jvb, DrainState::Draining, None, Lifecycle::Gone, "forgotten"; "gone")]
    #[test_case(Component::Jvb, DrainState::Draining, Some(EMPTY), Lifecycle::Held, "forgotten"; "held by a hook")]
    #[test_case(Component::Jibri, DrainState::Draining, Some(EMPTY), Lifecycle::InService, "forgotten"; "a jibri")]
    #[test_case(Component::Jibri, DrainState::Asked, None, Lifecycle::InService, "exits"; "a jibri that was asked")]
    fn a_drain_ends(
        component: Component,
        state: DrainState,
        latest: Option<Reading>,
        lifecycle: Lifecycle,
        expected: &str,
    ) {
        let drain = Drain::begun(Purpose::ScaleIn, Time::from_unix(0)).at(state);
        let live = Live { latest, looks: Looks::One };
        let unknown = Instance::unknown(InstanceId::new("i-0"), "a", lifecycle);
        let found = match end(component, &Instance { drain: Some(drain), live, ..unknown }) {
            End::By(effects) if effects.len() == 2 => "given back",
            End::By(_) => "forgotten",
            End::Exits(_) => "exits",
            End::Unknown(_) => "unknown",
            End::None => "none",
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_order_is_forgotten_and_what_does_not_drain_is_left_alone() {
        let unknown = Instance::unknown(InstanceId::new("i-0"), "a", Lifecycle::InService);
        assert_eq!(end(Component::Jvb, &unknown), End::None);
        let ordered = Some(Drain::begun(Purpose::Keep, Time::from_unix(0)).at(DrainState::Ordered));
        let cleared = End::By(vec![Effect::ClearDrain(InstanceId::new("i-0"))]);
        assert_eq!(end(Component::Jvb, &Instance { ordered, ..unknown }), cleared);
    }
}
