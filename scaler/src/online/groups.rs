//! The groups of a fleet in AWS: whether they exist, whether the scaler may read them, and what else changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use super::finding::{Check, Finding, Place, Severity};
use crate::cloud::inspect::{GroupSettings, Inspection, ScalingPolicy, ScheduledAction};
use crate::cloud::{CloudError, GroupDescription, ScalingGroups};
use crate::config::{Fleet, Groups};
use crate::decide::observation::Hook;
use crate::decide::policy::Direction;
use crate::jitsi::http::Http;
use crate::telemetry::chain;
use crate::units::{FleetName, GroupName, Period, Region};

/// The longest time that a known operator gives a bridge to drain.
const LONGEST_DRAIN: Duration = Duration::from_hours(6);
/// For how many evaluations a hook must hold an instance without a heartbeat: one may fail, and one may be late.
const SEEN_AT_LEAST: u32 = 3;
/// How many groups are read at once, so that AWS does not throttle.
const AT_ONCE: usize = 4;
/// The type of scaling policies that forecast, which no alarm drives.
const PREDICTIVE: &str = "PredictiveScaling";
/// How many names a text lists.
const LISTED: usize = 5;

/// A fleet, with the clients that reach it.
#[derive(Debug)]
pub struct Visit<'a, C> {
    /// The fleet.
    pub fleet: &'a Fleet,
    /// The cloud of its role.
    pub cloud: C,
    /// Its regions: at least one.
    pub regions: Vec<Region>,
    /// How its components are reached.
    pub components: Http,
}

/// A group that exists.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) region: Region,
    pub(super) description: GroupDescription,
}

/// The groups of a fleet that exist.
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

/// The first names, and the number of the others.
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
                findings.push(Place::fleet(fleet).region(region).group(&description.name).error(
                    Check::SharedGroup,
                    format!("the group also belongs to the fleet {owner}"),
                    "a group can belong to one fleet only: use different tags, or name the groups",
                ));
            }
        }
    }
    findings
}

/// Checks every group of a fleet.
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
        // A region that cannot be read is reported above.
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

/// A failed call: an error if a run needs it, else a warning, because hazards may stay undetected.
fn failed(place: &Place, error: &CloudError, needed: bool) -> Finding {
    let severity = if needed { Severity::Error } else { Severity::Warning };
    let denied = matches!(error, CloudError::Denied { .. } | CloudError::Credentials { .. });
    let check = if denied { Check::Permission } else { Check::Cloud };
    let consequence =
        if needed { "" } else { "without this permission, the check cannot see what else scales the group" };
    place.finding(severity, check, format!("failed to {}", chain(error)), consequence)
}

/// Whether the groups of the configuration exist.
fn existence(fleet: &Fleet, found: &FleetGroups, regions: &[Region]) -> Vec<Finding> {
    let place = Place::fleet(&fleet.name);
    let mut findings = Vec::new();
    let places = listed(regions.iter().map(Region::as_str));
    match &fleet.asg.groups {
        // A missing group may be in the region that could not be read.
        _ if !found.complete => {}
        Groups::Names(names) => {
            for name in
                names.iter().filter(|name| !found.groups.iter().any(|seen| seen.description.name == **name))
            {
                findings.push(place.clone().group(name).error(
                    Check::MissingGroup,
                    format!("there is no group of this name in {places}"),
                    "check asg.names, asg.regions and the account of the credentials",
                ));
            }
        }
        Groups::Tags(_) if found.groups.is_empty() => findings.push(place.error(
            Check::MissingGroup,
            format!("no group in {places} has these tags"),
            "check asg.tags, asg.regions and the account of the credentials",
        )),
        Groups::Tags(_) => {}
    }
    if fleet.asg.region_label.is_none() {
        for (name, regions) in found.twins() {
            findings.push(place.clone().group(name).error(
                Check::GroupLabel,
                format!(
                    "each of {} has a group of this name, and no label distinguishes their series",
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
    // A permission holds for all groups of a region.
    let broad = Place::fleet(&fleet.name).region(region);
    let broader = |error: &CloudError| match error {
        CloudError::Denied { .. } | CloudError::Credentials { .. } => broad.clone(),
        _ => place.clone(),
    };
    let is_suspended = |process: &str| description.suspended.iter().any(|name| name == process);
    let mut findings: Vec<Finding> = bounds(fleet, description, &place).into_iter().collect();
    findings.extend(weighted(description, &place));
    findings.extend(suspended(fleet, description, &place));
    if let Some(settings) = settings {
        let has_hook = hooks.as_ref().map_or(true, |hooks| !hooks.is_empty());
        let rebalances = !is_suspended("AZRebalance") && !is_suspended("Launch");
        findings.extend(hazards(settings, rebalances && !has_hook, &place));
    }
    let mut take = |answer: Result<Vec<Finding>, CloudError>, needed| match answer {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(failed(&broader(&error), &error, needed)),
    };
    take(
        policies.map(|policies| other_policies(&policies, is_suspended("AlarmNotification"), &place)),
        false,
    );
    take(actions.map(|actions| scheduled(&actions, is_suspended("ScheduledActions"), &place)), false);
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

/// Scaling policies of AWS; `suspended` while no alarm can start them.
fn other_policies(policies: &[ScalingPolicy], suspended: bool, place: &Place) -> Vec<Finding> {
    let finding = |policy: &ScalingPolicy| {
        let alarms = match policy.alarms.as_slice() {
            [] => String::new(),
            alarms => {
                format!(", driven by the CloudWatch alarms {}", listed(alarms.iter().map(String::as_str)))
            }
        };
        let text = format!("the scaling policy \"{}\" ({}{alarms})", policy.name, policy.kind);
        if suspended && policy.kind != PREDICTIVE {
            let text = format!("{text} acts again as soon as AlarmNotification is resumed");
            return place.note(Check::ScalingPolicy, text, "delete it once you rely on this scaler");
        }
        let text = format!("{text} also scales the group, and lets AWS choose which instance to terminate");
        place.warning(Check::ScalingPolicy, text, "delete or disable it")
    };
    policies.iter().filter(|policy| policy.enabled).map(finding).collect()
}

fn scheduled(actions: &[ScheduledAction], suspended: bool, place: &Place) -> Vec<Finding> {
    let finding = |action: &ScheduledAction| {
        let when =
            action.recurrence.as_ref().map_or_else(|| "once".to_owned(), |cron| format!("at \"{cron}\""));
        place.warning(
            Check::ScheduledAction,
            format!("the scheduled action \"{}\" changes the group's capacity {when}", action.name),
            "delete it and write a schedule of this fleet instead",
        )
    };
    actions.iter().filter(|_| !suspended).map(finding).collect()
}

/// Hooks that may release an instance before its drain ends.
fn short_hooks(fleet: &Fleet, hooks: &[Hook], place: &Place) -> Vec<Finding> {
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
                "raise its heartbeat timeout to {} s or more: AWS allows a hundred heartbeats, and 48 hours",
                longest.as_secs() / 100
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
            let remedy =
                format!("raise its heartbeat timeout to {} s or more", (rare * SEEN_AT_LEAST).as_secs());
            findings.push(place.error(Check::HookLimit, text, remedy));
        }
    }
    findings
}

/// Whether it is clear which hook the scaler serves.
fn chosen_hook(fleet: &Fleet, hooks: &[Hook], place: &Place) -> Option<Finding> {
    let names = || listed(hooks.iter().map(|hook| hook.name.as_str()));
    let (text, remedy) = match &fleet.lifecycle_hook {
        Some(name) if !hooks.iter().any(|hook| hook.name == *name) => {
            let text = format!("the group has no terminating hook \"{name}\"");
            (text, format!("create it, or correct lifecycle_hook; the group has: {}", names()))
        }
        None if hooks.len() > 1 && fleet.policy.serves_hooks => {
            let text = format!(
                "the group has several terminating hooks ({}), and the scaler serves none of them",
                names()
            );
            (text, "name the one to serve with lifecycle_hook".to_owned())
        }
        _ => return None,
    };
    Some(place.error(Check::HookChoice, text, remedy))
}

fn refresh(in_progress: bool, place: &Place) -> Option<Finding> {
    let text = "an instance refresh is in progress: it replaces instances without a drain, and blocks every scale-in";
    in_progress.then(|| place.warning(Check::InstanceRefresh, text, "wait for its end or cancel it"))
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
            "change one of them, so that they overlap",
        ));
    }
    let (least, most) =
        (min.map_or(group.min, |min| min.max(group.min)), max.map_or(group.max, |max| max.min(group.max)));
    (least == most).then(|| {
        place.warning(
            Check::Bounds,
            format!("minimum and maximum are both {least}, so the group cannot scale"),
            "give the group and `capacity` a range",
        )
    })
}

/// Whether the group's capacity counts anything but instances.
fn weighted(group: &GroupDescription, place: &Place) -> Option<Finding> {
    group.is_weighted.then(|| {
        place.error(
            Check::WeightedCapacity,
            "the group's capacity counts weights, vCPUs or memory instead of instances, so the scaler only holds it",
            "remove WeightedCapacity from its overrides, set DesiredCapacityType to units, and replace instances that \
             still have a weight",
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
        let remedy = format!("resume {process}");
        Some(place.finding(severity, Check::SuspendedProcess, text, remedy))
    };
    group.suspended.iter().filter_map(|process| finding(process)).collect()
}

/// What AWS may do to instances by itself.
fn hazards(settings: &GroupSettings, rebalances: bool, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut warn = |check, text: String, remedy: &str| {
        findings.push(place.warning(check, text, remedy));
    };
    if settings.has_warm_pool {
        warn(
            Check::WarmPool,
            "the group has a warm pool, whose instances come back into service without the scaler".to_owned(),
            "delete the pool, or do not reuse instances on scale-in",
        );
    }
    if rebalances && settings.zones.len() > 1 {
        warn(
            Check::Rebalance,
            format!(
                "AZRebalance is active over {} zones and ends instances without a drain",
                settings.zones.len()
            ),
            "suspend AZRebalance",
        );
    }
    if let Some(lifetime) = settings.max_lifetime {
        let days = lifetime.as_secs() / 86_400;
        warn(
            Check::MaxLifetime,
            format!("AWS replaces instances after {days} days, even if they are in use"),
            "set the maximum instance lifetime to 0",
        );
    }
    let unprotected = &settings.unprotected;
    let remedy = "protect them; this scaler terminates instances by name, which protection does not prevent";
    if !settings.protects_new {
        warn(
            Check::ScaleInProtection,
            "new instances are not protected from scale-in, so AWS chooses one when anyone lowers the desired capacity"
                .to_owned(),
            "set NewInstancesProtectedFromScaleIn; this scaler terminates instances by name, which protection does not prevent",
        );
    } else if !unprotected.is_empty() {
        let ids = listed(unprotected.iter().map(crate::units::InstanceId::as_str));
        warn(Check::ScaleInProtection, format!("not protected from scale-in: {ids}"), remedy);
    }
    findings
}
