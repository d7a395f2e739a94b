//! Alarms, scaling policies and scheduled actions → fleets of a configuration.
//!
//! Whatever calls for a rule becomes a policy, a schedule or an open choice. A remark is enough only where AWS does nothing, or
//! where this scaler never does it.

use std::collections::{BTreeMap, BTreeSet};

use super::call::{Call, merge};
use super::change::{self, Change};
use super::model::{Adjustment, Imported, ImportedFleet, free_name};
use super::raw::{Alarm, Answers, Composite, ScalingPolicy, ScheduledAction};
use super::schedules::schedules;
use super::tracking::{predictive, target_tracking};
use super::trigger::{State, trigger};
use crate::decide::policy::{Component, Direction};

/// A group by its name and its region.
type Key<'a> = (&'a str, Option<&'a str>);

/// What the files say about one group.
#[derive(Default)]
struct Group<'a> {
    policies: Vec<&'a ScalingPolicy>,
    actions: Vec<&'a ScheduledAction>,
    /// Alarms that call a policy of it which is in none of the files.
    lost: Vec<String>,
}

pub(super) fn convert(answers: &Answers) -> Imported {
    let mut groups: BTreeMap<Key<'_>, Group<'_>> = BTreeMap::new();
    let mut remarks = Vec::new();
    for policy in &answers.policies {
        match policy.auto_scaling_group_name.as_deref() {
            Some(group) => groups.entry((group, region(&policy.arn))).or_default().policies.push(policy),
            None => remarks.push(format!(
                "The scaling policy \"{}\" scales {} by Application Auto Scaling, and no Auto Scaling group.",
                policy.policy_name,
                policy.resource_id.as_deref().unwrap_or("something else")
            )),
        }
    }
    for action in &answers.actions {
        let key = (action.auto_scaling_group_name.as_str(), region(&action.arn));
        groups.entry(key).or_default().actions.push(action);
    }
    for alarm in &answers.alarms {
        remarks.extend(elsewhere(alarm, answers, &mut groups));
    }
    remarks.extend(answers.composites.iter().map(composite));
    let mut imported = Imported { fleets: Vec::new(), remarks, open: answers.unreadable.clone() };
    for (&(name, region), group) in &groups {
        let has_twin = groups.keys().filter(|(other, _)| *other == name).count() > 1;
        let own = match region {
            Some(region) if has_twin => format!("{name}-{region}"),
            _ => name.to_owned(),
        };
        let is_taken = |name: &str| imported.fleets.iter().any(|fleet: &ImportedFleet| fleet.name == name);
        let own = free_name(&own, is_taken);
        imported
            .fleets
            .push(ImportedFleet { has_twin, ..fleet(own, (name, region), group, &answers.alarms) });
    }
    imported
}

/// The region in an ARN.
fn region(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| !region.is_empty())
}

/// Notes what `alarm` calls beside the scaling policies of the files.
fn elsewhere<'a>(
    alarm: &'a Alarm,
    answers: &Answers,
    groups: &mut BTreeMap<Key<'a>, Group<'a>>,
) -> Vec<String> {
    let name = &alarm.alarm_name;
    let mut remarks = Vec::new();
    let mut calls_policy = false;
    let mut others = BTreeSet::new();
    for state in State::ALL {
        for arn in state.actions(alarm) {
            let is_known = answers.policies.iter().any(|policy| policy.arn == *arn);
            let group = arn.split("autoScalingGroupName/").nth(1).and_then(|rest| rest.split(':').next());
            let resource = arn.split(":resource/").nth(1).and_then(|rest| rest.split(':').next());
            match (arn.contains(":scalingPolicy:"), resource, group) {
                _ if is_known => calls_policy = true,
                (true, Some(resource), _) => {
                    calls_policy = true;
                    remarks.push(format!(
                        "{} scales {resource} by Application Auto Scaling, and no Auto Scaling group.",
                        state.of(name)
                    ));
                }
                (true, None, Some(group)) => {
                    calls_policy = true;
                    groups.entry((group, region(arn))).or_default().lost.push(format!(
                        "{} calls {arn}, which is in none of the files; add what `aws autoscaling describe-policies` prints \
                         for its region, or write the rule by hand",
                        state.of(name)
                    ));
                }
                _ => drop(others.insert(arn.split(':').nth(2).unwrap_or("something else").to_owned())),
            }
        }
    }
    if !calls_policy {
        let others: Vec<String> = others.into_iter().collect();
        let what = match others.as_slice() {
            [] => "calls nothing".to_owned(),
            services if services.iter().any(|service| service == "automate") => {
                "acts on an instance itself (stop, terminate, reboot or recover): see replace_unhealthy"
                    .to_owned()
            }
            services => format!("calls {} only", services.join(" and ")),
        };
        remarks.push(format!(
            "The alarm \"{name}\" {what}, and no scaling policy. If it notifies people, replace it by an alert of Prometheus: see \
             alerts/."
        ));
    }
    remarks
}

fn composite(alarm: &Composite) -> String {
    let calls = alarm.alarm_actions.iter().chain(&alarm.ok_actions).chain(&alarm.insufficient_data_actions);
    let calls = calls.map(|arn| arn.split(':').nth(2).unwrap_or(arn)).collect::<BTreeSet<_>>();
    let calls = if calls.is_empty() || !alarm.actions_enabled {
        "nothing".to_owned()
    } else {
        calls.into_iter().collect::<Vec<_>>().join(" and ")
    };
    format!(
        "The composite alarm \"{}\" calls {calls} while {}. A composite alarm cannot scale; an alert of Prometheus can combine \
         others as it does.",
        alarm.alarm_name, alarm.alarm_rule
    )
}

fn component(group: &str) -> Option<Component> {
    let group = group.to_lowercase();
    let names = |parts: &[&str]| parts.iter().any(|part| group.contains(part));
    match (names(&["jvb", "bridge"]), names(&["jibri"])) {
        (true, false) => Some(Component::Jvb),
        (false, true) => Some(Component::Jibri),
        _ => None,
    }
}

fn fleet(name: String, (group, region): Key<'_>, of: &Group<'_>, alarms: &[Alarm]) -> ImportedFleet {
    let (schedules, remarks) = schedules(group, &of.actions);
    let mut fleet = ImportedFleet {
        name,
        group: group.to_owned(),
        region: region.map(str::to_owned),
        has_twin: false,
        component: component(group),
        warmup: of.policies.iter().filter_map(|policy| policy.estimated_instance_warmup).max(),
        policies: Vec::new(),
        schedules,
        open: of.lost.clone(),
        remarks,
    };
    for policy in &of.policies {
        add_policy(&mut fleet, policy, alarms);
    }
    fleet
}

/// Adds what `policy` does when its alarms call it.
fn add_policy(fleet: &mut ImportedFleet, policy: &ScalingPolicy, alarms: &[Alarm]) {
    let name = &policy.policy_name;
    let callers: Vec<(&Alarm, State)> = alarms
        .iter()
        .flat_map(|alarm| State::ALL.map(|state| (alarm, state)))
        .filter(|(alarm, state)| state.actions(alarm).contains(&policy.arn))
        .collect();
    if !policy.enabled {
        let named: Vec<_> = callers.iter().map(|(alarm, _)| alarm.alarm_name.as_str()).collect();
        let named: Vec<_> = if named.is_empty() {
            policy.alarms.iter().map(|alarm| alarm.alarm_name.as_str()).collect()
        } else {
            named
        };
        let callers = if named.is_empty() { "no alarm".to_owned() } else { named.join(", ") };
        fleet.remarks.push(format!(
            "The scaling policy \"{name}\" is disabled (its alarms: {callers}): it does nothing."
        ));
        return;
    }
    match policy.policy_type.as_str() {
        "SimpleScaling" | "StepScaling" | "" => {}
        "TargetTrackingScaling" => return fleet.policies.push(target_tracking(fleet, policy)),
        "PredictiveScaling" => return predictive(fleet, policy),
        other => {
            return fleet.open.push(format!(
                "The scaling policy \"{name}\" is of the unknown type {other}; write the rule by hand"
            ));
        }
    }
    for (alarm, state) in &callers {
        let caller = state.of(&alarm.alarm_name);
        if !alarm.actions_enabled {
            fleet.remarks.push(format!("{caller} calls nothing, because its actions are disabled."));
            continue;
        }
        if let Err(why) = add_call(fleet, policy, alarm, *state) {
            fleet.open.push(by_hand(&caller, name, &why));
        }
    }
    let is_in_files = |name: &str| alarms.iter().any(|alarm| alarm.alarm_name == name);
    let missing =
        policy.alarms.iter().map(|alarm| alarm.alarm_name.as_str()).filter(|name| !is_in_files(name));
    for alarm in missing.collect::<Vec<_>>() {
        fleet.open.push(format!(
            "The alarm \"{alarm}\" calls the scaling policy \"{name}\" and is in none of the files; add what `aws cloudwatch \
             describe-alarms` prints for its region, or write the rule by hand"
        ));
    }
    if callers.is_empty() && policy.alarms.is_empty() {
        fleet
            .remarks
            .push(format!("No alarm calls the scaling policy \"{name}\"; a person may, or a program."));
    }
}

fn by_hand(caller: &str, policy: &str, why: &str) -> String {
    format!("{caller} calls the scaling policy \"{policy}\": {why}; write the rule by hand")
}

/// Adds what `policy` does while `alarm` is in `state`; the error says why that cannot be told.
fn add_call(
    fleet: &mut ImportedFleet,
    policy: &ScalingPolicy,
    alarm: &Alarm,
    state: State,
) -> Result<(), String> {
    let mut remarks = Vec::new();
    let change = change::change(policy, &mut remarks)?;
    let trigger = trigger(alarm, state)?;
    let caller = state.of(&alarm.alarm_name);
    if let Change::By { direction: Direction::In, .. } = change
        && state == State::InsufficientData
    {
        fleet.remarks.push(format!(
            "{caller} removed instances by the scaling policy \"{}\". Here missing data never removes one.",
            policy.policy_name
        ));
        return Ok(());
    }
    let call =
        Call { alarm: &alarm.alarm_name, caller, trigger, cooldown: change::cooldown(policy), remarks };
    match change {
        Change::Nothing => {
            fleet.remarks.push(format!(
                "{} calls the scaling policy \"{}\", which changes nothing.",
                call.caller, policy.policy_name
            ));
        }
        Change::By { direction, adjustment, at_least } => {
            let mut more = call.policy(fleet, Some(direction), adjustment)?;
            let least = at_least.map(|least| call.policy(fleet, Some(direction), least)).transpose()?;
            more.name.clone_from(&alarm.alarm_name);
            merge(&mut fleet.policies, more);
            if let Some(mut least) = least {
                least.name =
                    free_name(&format!("{}-at-least", alarm.alarm_name), |name| fleet.has_policy(name));
                fleet.policies.push(least);
            }
        }
        // Nothing is lower than no instance at all.
        Change::Exact(0) => {
            let more = call.policy(fleet, Some(Direction::In), Adjustment::Set(0))?;
            merge(&mut fleet.policies, more);
        }
        Change::Exact(capacity) => {
            let mut call = call;
            call.remarks.push(format!(
                "An exact capacity has no direction: scale_out with `set` only raises to {capacity}, scale_in only lowers to it. \
                 For both, write a policy for each."
            ));
            let more = call.policy(fleet, None, Adjustment::Set(capacity))?;
            merge(&mut fleet.policies, more);
        }
        Change::ExactSteps(steps) => fleet.policies.push(call.exact_steps(fleet, &steps)?),
        Change::Mixed(steps) => {
            let mut call = call;
            let [adding, removing] = change::halves(policy, &steps, &mut call.remarks);
            let mut out = call.clone();
            match out.narrow(&adding) {
                Ok(steps) => {
                    out.remarks.push(
                        "The steps of AWS add and remove; here a policy does each. CloudWatch chose the step by the newest \
                         value: here the whole window must call for more."
                            .to_owned(),
                    );
                    let more = out.policy(fleet, Some(Direction::Out), Adjustment::Steps(steps))?;
                    fleet.policies.push(more);
                }
                Err(why) => fleet.open.push(by_hand(&call.caller, &policy.policy_name, &why)),
            }
            let more = call.policy(fleet, Some(Direction::In), Adjustment::Steps(removing))?;
            fleet.policies.push(more);
        }
    }
    Ok(())
}
