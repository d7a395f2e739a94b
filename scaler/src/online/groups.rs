//! The groups of a fleet in their cloud: whether they exist, whether the scaler may read them, and what else changes them.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};

use super::command::listed;
use super::finding::{Check, Finding, Place, Severity};
use super::{azure, hazards};
use crate::cloud::inspect::{GroupSettings, Inspection};
use crate::cloud::{CloudError, GroupDescription, ScalingGroups};
use crate::config::{Fleet, Groups, Subscription};
use crate::jitsi::http::Http;
use crate::telemetry::chain;
use crate::units::{FleetName, GroupName, Region};

/// How many groups are read at once, so that AWS does not throttle.
const AT_ONCE: usize = 4;

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
                    "a group can belong to one fleet only: use different tags in the configuration, or name the groups",
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
                let place = Place::fleet(&fleet.name).region(region);
                findings.push(failed(&place, fleet.asg.subscription.as_ref(), &error, true));
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
fn failed(place: &Place, of: Option<&Subscription>, error: &CloudError, needed: bool) -> Finding {
    let severity = if needed { Severity::Error } else { Severity::Warning };
    let denied = matches!(error, CloudError::Denied { .. } | CloudError::Credentials { .. });
    let check = if denied { Check::Permission } else { Check::Cloud };
    let mut remedy = Vec::new();
    if !needed {
        remedy.push("without this permission, the check cannot see what else scales the group".to_owned());
    }
    if let (CloudError::Denied { .. }, Some(subscription)) = (error, of) {
        remedy.push(azure::grant(place, subscription));
    } else if matches!(error, CloudError::Denied { .. }) {
        remedy.push(
            "in packaging/aws, as an administrator: aws iam put-role-policy --role-name jitsi-scaler --policy-name read \
             --policy-document file://policy-read.json"
                .to_owned(),
        );
    }
    place.finding(severity, check, format!("failed to {}", chain(error)), remedy.join("; "))
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
                    existing(fleet, "asg.names", regions),
                ));
            }
        }
        Groups::Tags(_) if found.groups.is_empty() => findings.push(place.error(
            Check::MissingGroup,
            format!("no group in {places} has these tags"),
            existing(fleet, "asg.tags", regions),
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

/// How to see which groups there are.
fn existing(fleet: &Fleet, key: &str, regions: &[Region]) -> String {
    if let (Some(subscription), Some(group)) = (&fleet.asg.subscription, regions.first()) {
        let key = key.replace("asg.", "vmss.");
        return azure::existing(&key, &Place::fleet(&fleet.name).region(group), subscription);
    }
    let region = regions.first().map(|region| format!(" --region {region}")).unwrap_or_default();
    format!(
        "check {key}, asg.regions and the account (aws sts get-caller-identity): aws autoscaling \
         describe-auto-scaling-groups{region} --query 'AutoScalingGroups[].[AutoScalingGroupName,Tags]'"
    )
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
        cloud.activities(region, name, None),
    );
    // A permission holds for all groups of a region.
    let broad = Place::fleet(&fleet.name).region(region);
    let broader = |error: &CloudError| match error {
        CloudError::Denied { .. } | CloudError::Credentials { .. } => broad.clone(),
        _ => place.clone(),
    };
    let of = fleet.asg.subscription.as_ref();
    let is_suspended = |process: &str| description.suspended.iter().any(|name| name == process);
    let mut findings = match of {
        Some(subscription) => azure::of_group(fleet, description, &place, subscription),
        None => hazards::of_group(fleet, description, &place),
    };
    if let (Some(subscription), Some(set)) = (of, settings.and_then(|settings| settings.scale_set.as_ref())) {
        findings.extend(azure::of_set(fleet, set, &place, subscription));
    } else if let Some(settings) = settings {
        let has_hook = hooks.as_ref().map_or(true, |hooks| !hooks.is_empty());
        let rebalances = !is_suspended("AZRebalance") && !is_suspended("Launch");
        findings.extend(hazards::of_settings(settings, rebalances && !has_hook, &place));
    }
    let mut take = |answer: Result<Vec<Finding>, CloudError>, needed| match answer {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(failed(&broader(&error), of, &error, needed)),
    };
    take(
        policies.map(|policies| match of {
            Some(_) => azure::autoscale(&policies, &place),
            None => hazards::other_policies(&policies, is_suspended("AlarmNotification"), &place),
        }),
        false,
    );
    take(
        actions.map(|actions| hazards::scheduled(&actions, is_suspended("ScheduledActions"), &place)),
        false,
    );
    take(
        hooks.map(|hooks| {
            let short = hazards::short_hooks(fleet, &hooks, &place).into_iter();
            short.chain(hazards::chosen_hook(fleet, &hooks, &place)).collect()
        }),
        false,
    );
    let refresh = |is_on| match of {
        Some(subscription) => azure::upgrade(is_on, &place, subscription),
        None => hazards::refresh(is_on, &place),
    };
    take(refreshing.map(|is_on| refresh(is_on).into_iter().collect()), true);
    take(activities.map(|_| Vec::new()), true);
    findings
}
