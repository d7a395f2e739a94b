//! The groups of a fleet as AWS has them: whether they are there, may be read, and who else lays hands on them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use super::Visit;
use super::finding::{Check, Finding, Place, Severity};
use crate::cloud::inspect::{GroupSettings, Inspection, ScalingPolicy, ScheduledAction};
use crate::cloud::{CloudError, GroupDescription, ScalingGroups};
use crate::config::{Fleet, Groups};
use crate::decide::observation::Hook;
use crate::decide::policy::Direction;
use crate::telemetry::chain;
use crate::units::{FleetName, GroupName, Period, Region};

/// As long as the largest known operator gives a bridge to drain; a conference lasts a working day at most.
const LONGEST_DRAIN: Duration = Duration::from_hours(6);
/// How many evaluations a hook must hold an instance for without a heartbeat: one may fail, and one come late.
const SEEN_AT_LEAST: u32 = 3;
/// How many groups are asked about at once, so that AWS does not throttle.
const AT_ONCE: usize = 4;
/// AWS' word for policies that forecast, which no alarm drives.
const PREDICTIVE: &str = "PredictiveScaling";
/// How many names a text lists.
const LISTED: usize = 5;

/// A group that is there.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) region: Region,
    pub(super) description: GroupDescription,
}

/// The groups of a fleet that are there.
#[derive(Debug)]
pub(super) struct FleetGroups {
    pub(super) fleet: FleetName,
    pub(super) groups: Vec<Seen>,
    /// Whether every region could be read.
    pub(super) complete: bool,
}

impl FleetGroups {
    /// Groups of one name in several regions.
    fn twins(&self) -> BTreeMap<&GroupName, Vec<&Region>> {
        let mut regions: BTreeMap<&GroupName, Vec<&Region>> = BTreeMap::new();
        for seen in &self.groups {
            regions.entry(&seen.description.name).or_default().push(&seen.region);
        }
        regions.retain(|_, regions| regions.len() > 1);
        regions
    }
}

/// Some of the names, and how many there are besides.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The names of all groups of all fleets.
pub(super) fn names(fleets: &[FleetGroups]) -> BTreeSet<&str> {
    fleets.iter().flat_map(|fleet| &fleet.groups).map(|seen| seen.description.name.as_str()).collect()
}

/// Groups that two fleets claim.
pub(super) fn shared(fleets: &[FleetGroups]) -> Vec<Finding> {
    let mut owners: BTreeMap<(&Region, &GroupName), &FleetName> = BTreeMap::new();
    let mut findings = Vec::new();
    for FleetGroups { fleet, groups, .. } in fleets {
        for Seen { region, description } in groups {
            let owner = *owners.entry((region, &description.name)).or_insert(fleet);
            if owner != fleet {
                findings.push(Place::fleet(fleet).region(region).group(&description.name).finding(
                    Severity::Error,
                    Check::SharedGroup,
                    format!("the group belongs to the fleet {owner} as well"),
                    "a group has one fleet: tell them apart by tags, or name the groups",
                ));
            }
        }
    }
    findings
}

/// Looks at every group of a fleet.
pub(super) async fn look<C: ScalingGroups + Inspection>(visit: &Visit<'_, C>) -> (FleetGroups, Vec<Finding>) {
    let fleet = visit.fleet;
    let mut found = FleetGroups { fleet: fleet.name.clone(), groups: Vec::new(), complete: true };
    let mut findings = Vec::new();
    for region in &visit.regions {
        match visit.cloud.describe(region, &fleet.asg.groups).await {
            Ok(groups) => {
                let seen = groups.into_iter().map(|description| Seen { region: region.clone(), description });
                found.groups.extend(seen);
            }
            Err(error) => {
                found.complete = false;
                findings.push(failed(&Place::fleet(&fleet.name).region(region), &error, true));
            }
        }
    }
    findings.extend(existence(fleet, &found, &visit.regions));
    for region in &visit.regions {
        let names: Vec<GroupName> =
            of_region(&found, region).map(|seen| seen.description.name.clone()).collect();
        // A region that cannot be described has been told.
        let settings =
            if names.is_empty() { Ok(Vec::new()) } else { visit.cloud.settings(region, &names).await };
        let settings: BTreeMap<GroupName, GroupSettings> = settings.unwrap_or_default().into_iter().collect();
        let looks =
            of_region(&found, region).map(|seen| group(visit, seen, settings.get(&seen.description.name)));
        findings.extend(stream::iter(looks).buffered(AT_ONCE).concat().await);
    }
    (found, findings)
}

fn of_region<'a>(found: &'a FleetGroups, region: &'a Region) -> impl Iterator<Item = &'a Seen> {
    found.groups.iter().filter(move |seen| seen.region == *region)
}

/// A call that failed. What a run needs is an error; without the rest, hazards stay unseen.
fn failed(place: &Place, error: &CloudError, needed: bool) -> Finding {
    let severity = if needed { Severity::Error } else { Severity::Warning };
    let denied = matches!(error, CloudError::Denied { .. } | CloudError::Credentials { .. });
    let check = if denied { Check::Permission } else { Check::Cloud };
    let consequence = if needed { "" } else { "without it this check cannot see who else scales the group" };
    place.finding(severity, check, format!("failed to {}", chain(error)), consequence)
}

/// Whether there is what the configuration names.
fn existence(fleet: &Fleet, found: &FleetGroups, regions: &[Region]) -> Vec<Finding> {
    let place = Place::fleet(&fleet.name);
    let mut findings = Vec::new();
    let places = listed(regions.iter().map(Region::as_str));
    match &fleet.asg.groups {
        // What is not in view may be where nobody could look.
        _ if !found.complete => {}
        Groups::Names(names) => {
            for name in
                names.iter().filter(|name| !found.groups.iter().any(|seen| seen.description.name == **name))
            {
                findings.push(place.clone().group(name).finding(
                    Severity::Error,
                    Check::MissingGroup,
                    format!("there is no group of this name in {places}"),
                    "check asg.names, asg.regions and the account of the credentials",
                ));
            }
        }
        Groups::Tags(_) if found.groups.is_empty() => findings.push(place.finding(
            Severity::Error,
            Check::MissingGroup,
            format!("no group in {places} carries the tags"),
            "check asg.tags, asg.regions and the account of the credentials",
        )),
        Groups::Tags(_) => {}
    }
    if fleet.asg.region_label.is_none() {
        for (name, regions) in found.twins() {
            findings.push(place.clone().group(name).finding(
                Severity::Error,
                Check::GroupLabel,
                format!(
                    "{} have a group of this name each, and no label tells their series apart",
                    listed(regions.into_iter().map(Region::as_str))
                ),
                "name the label with the region as asg.region_label, and add it by relabelling",
            ));
        }
    }
    findings
}

/// Everything about one group.
async fn group<C: ScalingGroups + Inspection>(
    visit: &Visit<'_, C>,
    seen: &Seen,
    settings: Option<&GroupSettings>,
) -> Vec<Finding> {
    let Seen { region, description } = seen;
    let (fleet, name) = (visit.fleet, &description.name);
    let place = Place::fleet(&fleet.name).region(region).group(name);
    let cloud = &visit.cloud;
    let (policies, actions, hooks, refreshing, activities) = futures::join!(
        cloud.policies(region, name),
        cloud.scheduled_actions(region, name),
        cloud.hooks(region, name),
        cloud.refreshing(region, name),
        cloud.activities(region, name),
    );
    // A permission is the same for every group of a region.
    let broad = Place::fleet(&fleet.name).region(region);
    let broader = |error: &CloudError| match error {
        CloudError::Denied { .. } | CloudError::Credentials { .. } => broad.clone(),
        _ => place.clone(),
    };
    let asleep = |process: &str| description.suspended.iter().any(|name| name == process);
    let mut findings: Vec<Finding> = bounds(fleet, description, &place).into_iter().collect();
    findings.extend(suspended(fleet, description, &place));
    if let Some(settings) = settings {
        let has_hook = hooks.as_ref().map_or(true, |hooks| !hooks.is_empty());
        let rebalances = !asleep("AZRebalance") && !asleep("Launch");
        findings.extend(hazards(settings, rebalances && !has_hook, &place));
    }
    let mut take = |answer: Result<Vec<Finding>, CloudError>, needed| match answer {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(failed(&broader(&error), &error, needed)),
    };
    take(policies.map(|policies| other_policies(&policies, asleep("AlarmNotification"), &place)), false);
    take(actions.map(|actions| scheduled(&actions, asleep("ScheduledActions"), &place)), false);
    take(
        hooks.map(|hooks| {
            short_hooks(fleet, &hooks, &place).into_iter().chain(chosen_hook(fleet, &hooks, &place)).collect()
        }),
        false,
    );
    take(refreshing.map(|refreshing| refresh(refreshing, &place).into_iter().collect()), true);
    take(activities.map(|_| Vec::new()), true);
    findings
}

/// The scaling policies that act beside ours; `asleep` while nothing wakes them.
fn other_policies(policies: &[ScalingPolicy], asleep: bool, place: &Place) -> Vec<Finding> {
    let told = |policy: &ScalingPolicy| {
        let alarms = match policy.alarms.as_slice() {
            [] => String::new(),
            alarms => {
                format!(", driven by the CloudWatch alarms {}", listed(alarms.iter().map(String::as_str)))
            }
        };
        let text = format!("the scaling policy \"{}\" ({}{alarms})", policy.name, policy.kind);
        if asleep && policy.kind != PREDICTIVE {
            let text = format!("{text} acts again as soon as AlarmNotification is resumed");
            return place.finding(
                Severity::Note,
                Check::ScalingPolicy,
                text,
                "delete it once you rely on this scaler",
            );
        }
        let text = format!("{text} scales the group too, and lets AWS choose what to terminate");
        place.finding(Severity::Warning, Check::ScalingPolicy, text, "delete or disable it")
    };
    policies.iter().filter(|policy| policy.enabled).map(told).collect()
}

fn scheduled(actions: &[ScheduledAction], asleep: bool, place: &Place) -> Vec<Finding> {
    let told = |action: &ScheduledAction| {
        let when =
            action.recurrence.as_ref().map_or_else(|| "once".to_owned(), |cron| format!("at \"{cron}\""));
        place.finding(
            Severity::Warning,
            Check::ScheduledAction,
            format!("the scheduled action \"{}\" changes the group's capacity {when}", action.name),
            "delete it and write a schedule of this fleet instead",
        )
    };
    actions.iter().filter(|_| !asleep).map(told).collect()
}

/// Hooks that give an instance up before a drain need be over.
fn short_hooks(fleet: &Fleet, hooks: &[Hook], place: &Place) -> Vec<Finding> {
    let longest = fleet.policy.drain_limit.map_or(LONGEST_DRAIN, |limit| limit.timeout);
    let told = |hook: &Hook| {
        let (minutes, hours) = (hook.limit.as_secs() / 60, longest.as_secs_f64() / 3600.0);
        place.finding(
            Severity::Warning,
            Check::HookLimit,
            format!(
                "the terminating hook \"{}\" holds an instance for {minutes} minutes at most, and a drain may take \
                 {hours} hours",
                hook.name
            ),
            format!(
                "raise its heartbeat timeout to {} s or more: AWS allows a hundred heartbeats, and 48 hours",
                longest.as_secs() / 100
            ),
        )
    };
    let rare = fleet.policy.smallest_period().map(Period::duration).unwrap_or_default();
    let hasty = |hook: &Hook| {
        place.finding(
            Severity::Error,
            Check::HookLimit,
            format!(
                "the terminating hook \"{}\" holds an instance for {} s without a heartbeat, and the fleet is evaluated \
                 every {} s: it may be gone before it is seen",
                hook.name,
                hook.heartbeat.as_secs(),
                rare.as_secs()
            ),
            format!("raise its heartbeat timeout to {} s or more", (rare * SEEN_AT_LEAST).as_secs()),
        )
    };
    let short = hooks.iter().filter(|hook| hook.limit < longest).map(told);
    let served = |hook: &Hook| {
        fleet.policy.serves_hooks && fleet.lifecycle_hook.as_ref().is_none_or(|name| *name == hook.name)
    };
    let too_short =
        hooks.iter().filter(|hook| served(hook) && hook.heartbeat < rare * SEEN_AT_LEAST).map(hasty);
    short.chain(too_short).collect()
}

/// Whether it is clear which hook is served.
fn chosen_hook(fleet: &Fleet, hooks: &[Hook], place: &Place) -> Option<Finding> {
    let names = || listed(hooks.iter().map(|hook| hook.name.as_str()));
    let (text, remedy) = match &fleet.lifecycle_hook {
        Some(name) if !hooks.iter().any(|hook| hook.name == *name) => {
            let text = format!("the group has no terminating hook \"{name}\"");
            (text, format!("create it, or correct lifecycle_hook; there is: {}", names()))
        }
        None if hooks.len() > 1 && fleet.policy.serves_hooks => {
            let text = format!("the group has several terminating hooks ({}), and none is served", names());
            (text, "name the one to serve with lifecycle_hook".to_owned())
        }
        _ => return None,
    };
    Some(place.finding(Severity::Error, Check::HookChoice, text, remedy))
}

fn refresh(in_progress: bool, place: &Place) -> Option<Finding> {
    in_progress.then(|| {
        place.finding(
            Severity::Warning,
            Check::InstanceRefresh,
            "an instance refresh is in progress: it replaces instances without a drain, and nothing scales in",
            "wait for its end or cancel it",
        )
    })
}

/// Whether the bounds of the group and of the configuration leave anything to do.
fn bounds(fleet: &Fleet, group: &GroupDescription, place: &Place) -> Option<Finding> {
    let (min, max) = (fleet.policy.min, fleet.policy.max);
    let apart = min.is_some_and(|min| min > group.max) || max.is_some_and(|max| max < group.min);
    if apart {
        let bound = |word: &str, bound: Option<_>| bound.map(|bound| format!("{word} {bound}"));
        let ours: Vec<String> = bound("min", min).into_iter().chain(bound("max", max)).collect();
        return Some(place.finding(
            Severity::Error,
            Check::Bounds,
            format!(
                "the group's bounds are {} to {}, and those of `capacity` ({}) lie outside",
                group.min,
                group.max,
                ours.join(", ")
            ),
            "let them meet",
        ));
    }
    let (least, most) =
        (min.map_or(group.min, |min| min.max(group.min)), max.map_or(group.max, |max| max.min(group.max)));
    (least == most).then(|| {
        place.finding(
            Severity::Warning,
            Check::Bounds,
            format!("minimum and maximum are both {least}, so that nothing can be scaled"),
            "give the group and `capacity` a range",
        )
    })
}

fn suspended(fleet: &Fleet, group: &GroupDescription, place: &Place) -> Vec<Finding> {
    let acts = |direction| fleet.policy.policies.iter().any(|policy| policy.acts(direction));
    let told = |process: &str| {
        let (severity, text) = match process {
            "Launch" if acts(Direction::Out) => (Severity::Error, "nothing can be added"),
            "Terminate" if acts(Direction::In) => (Severity::Error, "nothing can be removed"),
            "HealthCheck" | "ReplaceUnhealthy" => (Severity::Warning, "instances that are ill or dead stay"),
            // Without these nobody but this scaler acts, as it should be.
            _ => return None,
        };
        let text = format!("the process {process} is suspended: {text}");
        let remedy = format!("resume {process}");
        Some(place.finding(severity, Check::SuspendedProcess, text, remedy))
    };
    group.suspended.iter().filter_map(|process| told(process)).collect()
}

/// What AWS may do to instances of its own accord.
fn hazards(settings: &GroupSettings, rebalances: bool, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut warn = |check, text: String, remedy: &str| {
        findings.push(place.finding(Severity::Warning, check, text, remedy));
    };
    if settings.has_warm_pool {
        warn(
            Check::WarmPool,
            "the group has a warm pool, and its instances are not those that were drained and seen empty"
                .to_owned(),
            "delete the pool, or see to it that instances are not reused on scale-in",
        );
    }
    if rebalances && settings.zones.len() > 1 {
        warn(
            Check::Rebalance,
            format!(
                "AZRebalance is active over {} zones and ends instances without asking",
                settings.zones.len()
            ),
            "suspend AZRebalance",
        );
    }
    if let Some(lifetime) = settings.max_lifetime {
        let days = lifetime.as_secs() / 86_400;
        warn(
            Check::MaxLifetime,
            format!("AWS replaces instances after {days} days, whatever goes on there"),
            "set the maximum instance lifetime to 0",
        );
    }
    let unprotected = &settings.unprotected;
    let remedy = "protect them: this scaler names what it terminates, and needs no exception";
    if !settings.protects_new {
        warn(
            Check::ScaleInProtection,
            "new instances are not protected from scale-in, and whoever lowers the desired capacity lets AWS choose one"
                .to_owned(),
            "set NewInstancesProtectedFromScaleIn; this scaler names what it terminates, and needs no exception",
        );
    } else if !unprotected.is_empty() {
        let ids = listed(unprotected.iter().map(crate::units::InstanceId::as_str));
        warn(Check::ScaleInProtection, format!("not protected from scale-in: {ids}"), remedy);
    }
    findings
}
