//! What is wrong with a group, and what else scales it: pure judgements, each with the command that mends it.

use std::time::Duration;

use super::command::{aws, aws_bare, listed};
use super::finding::{Check, Finding, Place, Severity};
use crate::cloud::GroupDescription;
use crate::cloud::inspect::{GroupSettings, ScalingPolicy, ScheduledAction};
use crate::cloud::layout::{self, MOST_TAGS};
use crate::config::Fleet;
use crate::decide::decision::PROTECTED_AT_ONCE;
use crate::decide::observation::Hook;
use crate::decide::policy::Direction;
use crate::units::{Capacity, InstanceId, Period};

/// The longest time that a known operator gives a bridge to drain.
const LONGEST_DRAIN: Duration = Duration::from_hours(6);
/// For how many evaluations a hook must hold an instance without a heartbeat: one may fail, and one may be late.
const SEEN_AT_LEAST: u32 = 3;
/// The type of scaling policies that forecast, which no alarm drives.
const PREDICTIVE: &str = "PredictiveScaling";
/// The tag that the IAM policy of packaging/aws asks for.
const MANAGED: &str = "jitsi-scaler-managed";

/// What the description of a group shows.
pub(super) fn of_group(fleet: &Fleet, group: &GroupDescription, place: &Place) -> Vec<Finding> {
    let mut findings = suspended(fleet, group, place);
    findings.extend(bounds(fleet, group, place));
    findings.extend(weighted(group, place));
    findings.extend(managed(group, place));
    findings.extend(tag_room(fleet, group, place));
    findings
}

/// Whether the group has the tag without which the IAM policy that comes with the scaler permits no change.
fn managed(group: &GroupDescription, place: &Place) -> Option<Finding> {
    if group.tags.iter().any(|(key, value)| key == MANAGED && value == "true") {
        return None;
    }
    let tag = format!(
        "ResourceType=auto-scaling-group,ResourceId={},Key={MANAGED},Value=true,PropagateAtLaunch=false",
        group.name
    );
    Some(place.warning(
        Check::ManagedTag,
        format!(
            "the group lacks the tag {MANAGED} = true; without it the IAM policy of packaging/aws, policy-write.json, denies every \
             change"
        ),
        format!("tag it: {}", aws_bare(place, "create-or-update-tags", &["--tags", &tag])),
    ))
}

/// Whether a group has room for the tags of as many drains as may be under way.
fn tag_room(fleet: &Fleet, group: &GroupDescription, place: &Place) -> Option<Finding> {
    let (others, room) = (layout::others(&group.tags), group.most_drains);
    let drains = fleet.policy.max_in_flight.resolve(group.max);
    if fleet.drain.is_none() || drains <= room {
        return None;
    }
    let severity = if room == Capacity::ZERO { Severity::Error } else { Severity::Warning };
    Some(place.finding(
        severity,
        Check::TagRoom,
        format!("the group has {others} tags of others, and at most {MOST_TAGS}: there is room for {room} of {drains} drains"),
        format!(
            "set drain.max_in_flight to {room}, or remove tags; these are there: {}",
            aws_bare(place, "describe-tags", &["--filters", &format!("Name=auto-scaling-group,Values={}", group.name)])
        ),
    ))
}

/// Scaling policies of AWS; `suspended` while no alarm can start them.
pub(super) fn other_policies(policies: &[ScalingPolicy], suspended: bool, place: &Place) -> Vec<Finding> {
    let finding = |policy: &ScalingPolicy| {
        let alarms = match policy.alarms.as_slice() {
            [] => String::new(),
            alarms => {
                format!(", driven by the CloudWatch alarms {}", listed(alarms.iter().map(String::as_str)))
            }
        };
        let text = format!("the scaling policy \"{}\" ({}{alarms})", policy.name, policy.kind);
        let delete = aws(place, "delete-policy", &["--policy-name", &policy.name]);
        if suspended && policy.kind != PREDICTIVE {
            let text = format!("{text} acts again as soon as AlarmNotification is resumed");
            let remedy = format!("delete it once you rely on this scaler: {delete}");
            return place.note(Check::ScalingPolicy, text, remedy);
        }
        let text = format!("{text} also scales the group, and lets AWS choose which instance to terminate");
        place.warning(Check::ScalingPolicy, text, format!("delete it: {delete}"))
    };
    policies.iter().filter(|policy| policy.enabled).map(finding).collect()
}

pub(super) fn scheduled(actions: &[ScheduledAction], suspended: bool, place: &Place) -> Vec<Finding> {
    let finding = |action: &ScheduledAction| {
        let when =
            action.recurrence.as_ref().map_or_else(|| "once".to_owned(), |cron| format!("at \"{cron}\""));
        place.warning(
            Check::ScheduledAction,
            format!("the scheduled action \"{}\" changes the group's capacity {when}", action.name),
            format!(
                "write a schedule of this fleet instead, and delete it: {}",
                aws(place, "delete-scheduled-action", &["--scheduled-action-name", &action.name])
            ),
        )
    };
    actions.iter().filter(|_| !suspended).map(finding).collect()
}

/// Hooks that may release an instance before its drain ends.
pub(super) fn short_hooks(fleet: &Fleet, hooks: &[Hook], place: &Place) -> Vec<Finding> {
    let longest = fleet.policy.drain_limit.map_or(LONGEST_DRAIN, |limit| limit.timeout);
    let rare = fleet.policy.smallest_period().map(Period::duration).unwrap_or_default();
    let mut findings = Vec::new();
    for Hook { name, limit, heartbeat, .. } in hooks {
        if *limit < longest {
            let (minutes, hours) = (limit.as_secs() / 60, longest.as_secs_f64() / 3600.0);
            let text = format!(
                "the terminating hook \"{name}\" holds an instance for {minutes} minutes at most, and a drain may take \
                 {hours} hours"
            );
            let remedy = format!(
                "raise its heartbeat timeout, of which AWS allows a hundred in at most 48 hours: {}",
                heartbeat_timeout(place, name, longest.as_secs() / 100)
            );
            findings.push(place.warning(Check::HookLimit, text, remedy));
        }
        let is_served =
            fleet.policy.serves_hooks && fleet.lifecycle_hook.as_ref().is_none_or(|served| served == name);
        if is_served && *heartbeat < rare * SEEN_AT_LEAST {
            let text = format!(
                "the terminating hook \"{name}\" holds an instance for {} s without a heartbeat, and the fleet is evaluated \
                 every {} s: AWS may end it before the scaler sees it",
                heartbeat.as_secs(),
                rare.as_secs()
            );
            let least = (rare * SEEN_AT_LEAST).as_secs();
            let remedy = format!("raise its heartbeat timeout: {}", heartbeat_timeout(place, name, least));
            findings.push(place.error(Check::HookLimit, text, remedy));
        }
    }
    findings
}

/// The command that raises the heartbeat timeout of a hook to `seconds` at least; an hour is what the guide recommends.
fn heartbeat_timeout(place: &Place, hook: &str, seconds: u64) -> String {
    let seconds = seconds.max(3600).to_string();
    aws(place, "put-lifecycle-hook", &["--lifecycle-hook-name", hook, "--heartbeat-timeout", &seconds])
}

/// Whether it is clear which hook the scaler serves.
pub(super) fn chosen_hook(fleet: &Fleet, hooks: &[Hook], place: &Place) -> Option<Finding> {
    let names = || listed(hooks.iter().map(|hook| hook.name.as_str()));
    let (text, remedy) = match &fleet.lifecycle_hook {
        Some(name) if !hooks.iter().any(|hook| hook.name == *name) => {
            let text = format!("the group has no terminating hook \"{name}\"");
            let transition = ["--lifecycle-transition", "autoscaling:EC2_INSTANCE_TERMINATING"];
            let arguments =
                ["--lifecycle-hook-name", name, transition[0], transition[1], "--heartbeat-timeout", "3600"];
            let create = aws(place, "put-lifecycle-hook", &arguments);
            let has = if hooks.is_empty() { "none".to_owned() } else { names() };
            (text, format!("correct lifecycle_hook (the group has {has}), or create it: {create}"))
        }
        None if hooks.len() > 1 && fleet.policy.serves_hooks => {
            let text = format!(
                "the group has several terminating hooks ({}), and the scaler serves none of them",
                names()
            );
            (text, format!("name the one to serve in the configuration: lifecycle_hook: {}", hooks[0].name))
        }
        _ => return None,
    };
    Some(place.error(Check::HookChoice, text, remedy))
}

pub(super) fn refresh(in_progress: bool, place: &Place) -> Option<Finding> {
    let text = "an instance refresh is in progress: it replaces instances without a drain, and blocks every scale-in";
    in_progress.then(|| {
        let remedy =
            format!("wait for its end, or cancel it: {}", aws(place, "cancel-instance-refresh", &[]));
        place.warning(Check::InstanceRefresh, text, remedy)
    })
}

/// Whether the bounds of the group and of the configuration overlap and leave room to scale.
fn bounds(fleet: &Fleet, group: &GroupDescription, place: &Place) -> Option<Finding> {
    let (min, max) = (fleet.policy.min, fleet.policy.max);
    let apart = min.is_some_and(|min| min > group.max) || max.is_some_and(|max| max < group.min);
    if apart {
        let bound = |word: &str, bound: Option<_>| bound.map(|bound| format!("{word} {bound}"));
        let ours: Vec<String> = bound("min", min).into_iter().chain(bound("max", max)).collect();
        return Some(place.error(
            Check::Bounds,
            format!(
                "the group's bounds are {} to {}, and do not overlap with `capacity` ({})",
                group.min,
                group.max,
                ours.join(", ")
            ),
            format!(
                "correct `capacity`, or let the group have both: {}",
                resize(
                    place,
                    min.map_or(group.min, |min| min.min(group.min)),
                    max.map_or(group.max, |max| max.max(group.max)).max(min.unwrap_or_default())
                )
            ),
        ));
    }
    let (least, most) =
        (min.map_or(group.min, |min| min.max(group.min)), max.map_or(group.max, |max| max.min(group.max)));
    (least == most).then(|| {
        place.warning(
            Check::Bounds,
            format!("minimum and maximum are both {least}, so the group cannot scale"),
            format!(
                "give `capacity` a range, and the group, for example: {}",
                resize(place, group.min, group.max.max(least.plus(Capacity::ONE)))
            ),
        )
    })
}

/// The command that gives the group other bounds.
fn resize(place: &Place, min: Capacity, max: Capacity) -> String {
    let (min, max) = (min.to_string(), max.to_string());
    aws(place, "update-auto-scaling-group", &["--min-size", &min, "--max-size", &max])
}

/// Whether the group's capacity counts anything but instances.
fn weighted(group: &GroupDescription, place: &Place) -> Option<Finding> {
    group.is_weighted.then(|| {
        place.error(
            Check::WeightedCapacity,
            "the group's capacity counts weights, vCPUs or memory instead of instances, so the scaler only holds it",
            format!(
                "remove WeightedCapacity from its overrides, replace instances that still have a weight, and count units: {}",
                aws(place, "update-auto-scaling-group", &["--desired-capacity-type", "units"])
            ),
        )
    })
}

fn suspended(fleet: &Fleet, group: &GroupDescription, place: &Place) -> Vec<Finding> {
    let acts = |direction| fleet.policy.policies.iter().any(|policy| policy.acts(direction));
    let finding = |process: &str| {
        let (severity, text) = match process {
            "Launch" if acts(Direction::Out) => (Severity::Error, "no instance can be added"),
            "Terminate" if acts(Direction::In) => (Severity::Error, "no instance can be removed"),
            "HealthCheck" | "ReplaceUnhealthy" => (Severity::Warning, "unhealthy instances stay"),
            // With the other processes suspended, this scaler alone acts, as it should.
            _ => return None,
        };
        let text = format!("the process {process} is suspended: {text}");
        let resume = aws(place, "resume-processes", &["--scaling-processes", process]);
        let remedy = format!("resume it: {resume}");
        Some(place.finding(severity, Check::SuspendedProcess, text, remedy))
    };
    group.suspended.iter().filter_map(|process| finding(process)).collect()
}

/// What AWS may do to instances by itself.
pub(super) fn of_settings(settings: &GroupSettings, rebalances: bool, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut warn = |check, text: String, remedy: &str, command: String| {
        findings.push(place.warning(check, text, format!("{remedy}: {command}")));
    };
    let update = |argument: &[&str]| aws(place, "update-auto-scaling-group", argument);
    if settings.has_warm_pool {
        warn(
            Check::WarmPool,
            "the group has a warm pool, whose instances come back into service without the scaler".to_owned(),
            "do not reuse instances on scale-in, or delete the pool",
            aws(place, "delete-warm-pool", &[]),
        );
    }
    if rebalances && settings.zones.len() > 1 {
        let zones = settings.zones.len();
        warn(
            Check::Rebalance,
            format!("AZRebalance is active over {zones} zones and ends instances without a drain"),
            "suspend it",
            aws(place, "suspend-processes", &["--scaling-processes", "AZRebalance"]),
        );
    }
    if let Some(lifetime) = settings.max_lifetime {
        let days = lifetime.as_secs() / 86_400;
        warn(
            Check::MaxLifetime,
            format!("AWS replaces instances after {days} days, even if they are in use"),
            "let this scaler recycle them, and AWS none",
            update(&["--max-instance-lifetime", "0"]),
        );
    }
    let unprotected: Vec<&str> = settings.unprotected.iter().map(InstanceId::as_str).collect();
    let why = "protect them, which does not hinder this scaler: it terminates instances by name";
    if !settings.protects_new {
        warn(
            Check::ScaleInProtection,
            "new instances are not protected from scale-in, so AWS chooses one when anyone lowers the desired capacity"
                .to_owned(),
            why,
            update(&["--new-instances-protected-from-scale-in"]),
        );
    } else if !unprotected.is_empty() {
        let at_once = unprotected.iter().take(PROTECTED_AT_ONCE).copied();
        let arguments: Vec<&str> =
            ["--instance-ids"].into_iter().chain(at_once).chain(["--protected-from-scale-in"]).collect();
        let text = format!("not protected from scale-in: {}", listed(unprotected.iter().copied()));
        warn(Check::ScaleInProtection, text, why, aws(place, "set-instance-protection", &arguments));
    }
    findings
}

#[cfg(test)]
mod tests;
