//! What is wrong with a scale set, and what else scales it: pure judgements, each with the command that mends it.

use super::command::{listed, quoted};
use super::finding::{Check, Finding, Place, Severity};
use crate::cloud::GroupDescription;
use crate::cloud::inspect::{ScaleSet, ScalingPolicy};
use crate::cloud::layout::{self, MOST_TAGS};
use crate::config::{Fleet, Subscription};
use crate::units::Capacity;

/// With so many models in use, Azure scales a set no further.
const MOST_MODELS: usize = 10;

/// A command of `az` about the set at `place`.
fn az(place: &Place, subscription: &Subscription, command: &str, arguments: &str) -> String {
    let mut line = format!("az {command}");
    if let Some(set) = &place.group {
        line.push_str(&format!(" --name {}", quoted(set.as_str())));
    }
    if let Some(group) = &place.region {
        line.push_str(&format!(" --resource-group {}", quoted(group.as_str())));
    }
    line.push_str(&format!(" --subscription {}", subscription.id));
    if arguments.is_empty() { line } else { format!("{line} {arguments}") }
}

/// The id of the set at `place`.
fn id(place: &Place, subscription: &Subscription) -> String {
    let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets/{}",
        subscription.id,
        text(place.region.as_ref().map(crate::units::Region::as_str)),
        text(place.group.as_ref().map(crate::units::GroupName::as_str)),
    )
}

/// How to see which sets there are.
pub(super) fn existing(key: &str, place: &Place, subscription: &Subscription) -> String {
    let list = az(place, subscription, "vmss list", "--query '[].[name,tags]'");
    format!("check {key}, vmss.resource_group and vmss.subscription (az account show): {list}")
}

/// What gives the identity of the scaler its rights.
pub(super) fn grant(place: &Place, subscription: &Subscription) -> String {
    let scope = format!(
        "/subscriptions/{}/resourceGroups/{}",
        subscription.id,
        place.region.as_ref().map(ToString::to_string).unwrap_or_default()
    );
    format!(
        "with the role of packaging/azure, as an owner: az role assignment create --role jitsi-scaler --assignee-object-id \
         PRINCIPAL --assignee-principal-type ServicePrincipal --scope {}",
        quoted(&scope)
    )
}

/// Autoscale settings: Azure drags the capacity back between their bounds and chooses what it deletes.
pub(super) fn autoscale(settings: &[ScalingPolicy], place: &Place) -> Vec<Finding> {
    let finding = |setting: &ScalingPolicy| {
        let name = setting.name.rsplit('/').next().unwrap_or_default();
        place.error(
            Check::ScalingPolicy,
            format!("the autoscale setting \"{name}\" also scales the set, and lets Azure choose which instance to delete"),
            format!("disable it: az monitor autoscale update --ids {} --enabled false", quoted(&setting.name)),
        )
    };
    settings.iter().filter(|setting| setting.enabled).map(finding).collect()
}

/// A rolling upgrade replaces disks of instances in use.
pub(super) fn upgrade(in_progress: bool, place: &Place, subscription: &Subscription) -> Option<Finding> {
    let text =
        "a rolling upgrade is in progress: it restarts instances without a drain, and blocks every scale-in";
    in_progress.then(|| {
        let cancel = az(place, subscription, "vmss rolling-upgrade cancel", "");
        place.warning(Check::InstanceRefresh, text, format!("wait for its end, or cancel it: {cancel}"))
    })
}

/// What the description of a set shows.
pub(super) fn of_group(
    fleet: &Fleet,
    group: &GroupDescription,
    place: &Place,
    subscription: &Subscription,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (min, max) = (fleet.policy.min.unwrap_or_default(), fleet.policy.max.unwrap_or_default());
    if min == max {
        findings.push(place.warning(
            Check::Bounds,
            format!("minimum and maximum are both {min}, so the set cannot scale"),
            format!("give `capacity` a range, such as {{min: {min}, max: {}}}", max.plus(Capacity::ONE)),
        ));
    }
    let (others, room) = (layout::others(&group.tags), group.most_drains);
    let drains = fleet.policy.max_in_flight.resolve(max);
    if fleet.drain.is_some() && drains > room {
        let severity = if room == Capacity::ZERO { Severity::Error } else { Severity::Warning };
        let list = az(place, subscription, "vmss show", "--query tags");
        findings.push(place.finding(
            severity,
            Check::TagRoom,
            format!(
                "the set has {others} tags of others, and at most {MOST_TAGS}: there is room for {room} of {drains} drains"
            ),
            format!("set drain.max_in_flight to {room}, or remove tags; these are there: {list}"),
        ));
    }
    findings
}

/// What else can end instances of a set, or keep it from being scaled.
pub(super) fn of_set(
    fleet: &Fleet,
    set: &ScaleSet,
    place: &Place,
    subscription: &Subscription,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !set.missing_rights.is_empty() {
        let rights = listed(set.missing_rights.iter().map(String::as_str));
        let text = format!("the identity of the scaler lacks {rights}");
        findings.push(place.error(Check::Permission, text, grant(place, subscription)));
    }
    if set.overprovisions {
        let patch = format!(
            "az rest --method patch --url '{}?api-version=2024-07-01' --body '{{\"properties\": {{\"overprovision\": false}}}}'",
            id(place, subscription)
        );
        let text = "Azure creates more instances than asked for and deletes the surplus, so the scaler only holds the set";
        findings.push(place.error(Check::Overprovisioning, text, format!("turn that off: {patch}")));
    }
    findings.extend(by_itself(set, place, subscription));
    findings.extend(instances(fleet, set, place, subscription));
    findings
}

/// What Azure does to instances by itself.
fn by_itself(set: &ScaleSet, place: &Place, subscription: &Subscription) -> Vec<Finding> {
    const RECYCLE: &str = "let this scaler recycle instances, and Azure none";
    let command = |arguments: &str| az(place, subscription, "vmss update", arguments);
    let finding = |check, text: &str, why: &str, arguments: &str| {
        place.warning(check, text, format!("{why}: {}", command(arguments)))
    };
    let mode = format!(
        "the upgrade mode is {}: a change of the model restarts instances in use without a drain",
        set.upgrade_mode
    );
    let is_manual = set.upgrade_mode.eq_ignore_ascii_case("Manual") || set.upgrade_mode.is_empty();
    let mut findings = vec![
        (!is_manual)
            .then(|| finding(Check::UpgradePolicy, &mode, RECYCLE, "--set upgradePolicy.mode=Manual")),
        set.upgrades_images.then(|| {
            let text = "Azure replaces the disks of instances in use as new images appear";
            let off = "--set upgradePolicy.automaticOSUpgradePolicy.enableAutomaticOSUpgrade=false";
            finding(Check::UpgradePolicy, text, RECYCLE, off)
        }),
        set.repairs.then(|| {
            let text =
                "automatic repairs replace or restart an instance that Azure finds unhealthy, in use or not";
            let why = "turn them off, and write replace_unhealthy for this fleet";
            finding(Check::Repairs, text, why, "--enable-automatic-repairs false")
        }),
        set.rebalances.then(|| {
            let text = "Azure moves instances between zones without a drain";
            let off = "--set resiliencyPolicy.automaticZoneRebalancingPolicy.enabled=false";
            finding(Check::Rebalance, text, "turn that off", off)
        }),
        set.balances_strictly.then(|| {
            let text = "zoneBalance is on: a scale-out that leaves zones out of balance fails";
            finding(Check::Rebalance, text, "balance zones as well as possible", "--set zoneBalance=false")
        }),
    ];
    if set.is_spot {
        let show = az(place, subscription, "vmss show", "--query virtualMachineProfile.priority");
        findings.push(Some(place.warning(
            Check::Spot,
            "the instances are Spot: Azure takes them back after 30 s of notice, calls or not",
            format!("make a set of regular instances; priority cannot be changed: {show}"),
        )));
    }
    findings.into_iter().flatten().collect()
}

/// What is wrong with the instances of a set.
fn instances(fleet: &Fleet, set: &ScaleSet, place: &Place, subscription: &Subscription) -> Vec<Finding> {
    let mut findings = Vec::new();
    if set.old_models >= MOST_MODELS {
        let text = format!(
            "{} instances have an older model than the set; Azure does not scale a set with ten models in use",
            set.old_models
        );
        let show =
            az(place, subscription, "vmss list-instances", "--query '[?!latestModelApplied].instanceId'");
        let remedy = format!("write recycle for this fleet; these are they: {show}");
        findings.push(place.warning(Check::UpgradePolicy, text, remedy));
    }
    if !set.failed.is_empty() {
        let numbers = listed(set.failed.iter().map(|(number, _)| number.as_str()));
        let reason = set.failed.first().map(|(_, reason)| reason.as_str()).unwrap_or_default();
        let text = format!("instances that were never created count as capacity: {numbers} ({reason})");
        let all: Vec<String> = set.failed.iter().map(|(number, _)| quoted(number)).collect();
        let delete =
            az(place, subscription, "vmss delete-instances", &format!("--instance-ids {}", all.join(" ")));
        findings.push(place.warning(Check::FailedInstance, text, format!("delete them: {delete}")));
    }
    if !set.unprotected.is_empty() && !fleet.policy.protect_busy {
        let numbers = listed(set.unprotected.iter().map(String::as_str));
        let first = set.unprotected.first().map(|number| quoted(number)).unwrap_or_default();
        let arguments = format!(
            "--instance-id {first} --protect-from-scale-in true --protect-from-scale-set-actions true"
        );
        let protect = az(place, subscription, "vmss update", &arguments);
        findings.push(place.warning(
            Check::ScaleInProtection,
            format!("not protected from actions on the set: {numbers}"),
            format!(
                "write protect_busy: true, which does not hinder this scaler; or protect each by hand, such as: {protect}"
            ),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::config::sample::{self, OUT};
    use crate::units::{FleetName, GroupName, Region};

    const GROUPS: &str = "vmss: {subscription: 11111111-2222-3333-4444-555555555555, resource_group: jitsi, names: [jvb]}\n    \
         capacity: {min: 1, max: 8}";

    fn fleet(more: &str) -> Fleet {
        let policy =
            format!("expr: x\n        {OUT}\n        scale_in: {{when: \"< 2\", periods: 3, remove: 1}}");
        sample::config(&format!("{GROUPS}\n    {more}"), &policy).fleets.remove(0)
    }

    fn place() -> Place {
        Place::fleet(&FleetName::new("jvb")).region(&Region::new("jitsi")).group(&GroupName::new("jvb"))
    }

    fn subscription() -> Subscription {
        fleet("").asg.subscription.expect("scale sets")
    }

    fn said(findings: &[Finding]) -> String {
        let line = |it: &Finding| format!("{}: {}\n  {}\n", it.severity.as_str(), it.text, it.remedy);
        findings.iter().map(line).collect()
    }

    #[test]
    fn a_set_without_faults_has_no_findings() {
        let set = ScaleSet { upgrade_mode: "Manual".to_owned(), ..ScaleSet::default() };
        assert_eq!(said(&of_set(&fleet(""), &set, &place(), &subscription())), "");
        let group = GroupDescription::with("jvb", 3, &["InService"; 3]);
        assert_eq!(said(&of_group(&fleet(""), &group, &place(), &subscription())), "");
        assert_eq!(upgrade(false, &place(), &subscription()), None);
    }

    #[test]
    fn each_fault_of_a_set_has_its_command() {
        let set = ScaleSet {
            overprovisions: true,
            upgrade_mode: "Automatic".to_owned(),
            upgrades_images: true,
            repairs: true,
            rebalances: true,
            balances_strictly: true,
            is_spot: true,
            unprotected: vec!["3".to_owned(), "5".to_owned()],
            failed: vec![("7".to_owned(), "AllocationFailed".to_owned())],
            old_models: 12,
            missing_rights: vec!["Microsoft.Resources/tags/write".to_owned()],
        };
        assert_snapshot!(said(&of_set(&fleet(""), &set, &place(), &subscription())), @r#"
        error: the identity of the scaler lacks Microsoft.Resources/tags/write
          with the role of packaging/azure, as an owner: az role assignment create --role jitsi-scaler --assignee-object-id PRINCIPAL --assignee-principal-type ServicePrincipal --scope /subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/jitsi
        error: Azure creates more instances than asked for and deletes the surplus, so the scaler only holds the set
          turn that off: az rest --method patch --url '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/jitsi/providers/Microsoft.Compute/virtualMachineScaleSets/jvb?api-version=2024-07-01' --body '{"properties": {"overprovision": false}}'
        warning: the upgrade mode is Automatic: a change of the model restarts instances in use without a drain
          let this scaler recycle instances, and Azure none: az vmss update --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --set upgradePolicy.mode=Manual
        warning: Azure replaces the disks of instances in use as new images appear
          let this scaler recycle instances, and Azure none: az vmss update --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --set upgradePolicy.automaticOSUpgradePolicy.enableAutomaticOSUpgrade=false
        warning: automatic repairs replace or restart an instance that Azure finds unhealthy, in use or not
          turn them off, and write replace_unhealthy for this fleet: az vmss update --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --enable-automatic-repairs false
        warning: Azure moves instances between zones without a drain
          turn that off: az vmss update --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --set resiliencyPolicy.automaticZoneRebalancingPolicy.enabled=false
        warning: zoneBalance is on: a scale-out that leaves zones out of balance fails
          balance zones as well as possible: az vmss update --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --set zoneBalance=false
        warning: the instances are Spot: Azure takes them back after 30 s of notice, calls or not
          make a set of regular instances; priority cannot be changed: az vmss show --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --query virtualMachineProfile.priority
        warning: 12 instances have an older model than the set; Azure does not scale a set with ten models in use
          write recycle for this fleet; these are they: az vmss list-instances --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --query '[?!latestModelApplied].instanceId'
        warning: instances that were never created count as capacity: 7 (AllocationFailed)
          delete them: az vmss delete-instances --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --instance-ids 7
        warning: not protected from actions on the set: 3, 5
          write protect_busy: true, which does not hinder this scaler; or protect each by hand, such as: az vmss update --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --instance-id 3 --protect-from-scale-in true --protect-from-scale-set-actions true
        "#);
        let protects = of_set(&fleet("protect_busy: true"), &set, &place(), &subscription());
        assert!(!said(&protects).contains("not protected"));
    }

    #[test]
    fn what_else_scales_has_its_command() {
        let setting = |enabled| ScalingPolicy {
            name:
                "/subscriptions/1/resourceGroups/other/providers/microsoft.insights/autoscalesettings/night"
                    .to_owned(),
            kind: "autoscale".to_owned(),
            enabled,
            alarms: Vec::new(),
        };
        let mut findings = autoscale(&[setting(true), setting(false)], &place());
        findings.extend(upgrade(true, &place(), &subscription()));
        let tags = (0..46).map(|number| (format!("team-{number}"), String::new())).collect();
        let full = GroupDescription {
            tags,
            most_drains: Capacity::ZERO,
            ..GroupDescription::with("jvb", 3, &["InService"; 3])
        };
        findings.extend(of_group(&fleet(""), &full, &place(), &subscription()));
        assert_snapshot!(said(&findings), @r#"
        error: the autoscale setting "night" also scales the set, and lets Azure choose which instance to delete
          disable it: az monitor autoscale update --ids /subscriptions/1/resourceGroups/other/providers/microsoft.insights/autoscalesettings/night --enabled false
        warning: a rolling upgrade is in progress: it restarts instances without a drain, and blocks every scale-in
          wait for its end, or cancel it: az vmss rolling-upgrade cancel --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555
        error: the set has 46 tags of others, and at most 50: there is room for 0 of 2 drains
          set drain.max_in_flight to 0, or remove tags; these are there: az vmss show --name jvb --resource-group jitsi --subscription 11111111-2222-3333-4444-555555555555 --query tags
        "#);
    }
}
