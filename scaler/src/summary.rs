//! A valid configuration in words, so that its author can compare it with the intention.

use crate::config::{Config, Fleet, Groups};
use crate::decide::policy::{Adjustment, Direction, DrainLimit, OnTimeout, Policy, Replace, Rule, Rules};

/// A line per fleet and a line per rule.
#[must_use]
pub fn summary(config: &Config) -> String {
    let fleets = config.fleets.len();
    let mut text =
        format!("the configuration is valid: {fleets} {}\n", if fleets == 1 { "fleet" } else { "fleets" });
    for fleet in &config.fleets {
        text.push_str(&format!("{} ({}): {}\n", fleet.name, fleet.policy.component.as_str(), place(fleet)));
        for policy in &fleet.policy.policies {
            for direction in [Direction::Out, Direction::In] {
                if let Some(rule) = rule(policy, direction) {
                    text.push_str(&format!("  {}, {direction}: {rule}\n", policy.name));
                }
            }
        }
        for schedule in &fleet.schedules {
            let bound =
                |name, bound: Option<_>| bound.map_or(String::new(), |bound| format!(" {name} {bound}"));
            let (min, max) = (bound("at least", schedule.bounds.min), bound("at most", schedule.bounds.max));
            text.push_str(&format!("  schedule {}:{min}{max}\n", schedule.name));
        }
        if let Some(via) = &fleet.drain {
            text.push_str(&format!("  drained via {}", via.external));
            if via.internal != via.external {
                text.push_str(&format!(" and {}", via.internal));
            }
            text.push_str(&format!(", at most {} at once\n", fleet.policy.max_in_flight));
        }
        text.push_str(&upkeep(fleet));
    }
    text
}

/// A line for each action that no policy causes.
fn upkeep(fleet: &Fleet) -> String {
    let policy = &fleet.policy;
    let mut text = String::new();
    if let Some(DrainLimit { timeout, then }) = policy.drain_limit {
        let then = match then {
            OnTimeout::Wait => "it is reported, and goes on",
            OnTimeout::Undrain => "it is cancelled",
            OnTimeout::Terminate => "the instance is terminated, EVEN IF IT IS IN USE",
        };
        text.push_str(&format!("  a drain of more than {} s: {then}\n", timeout.as_secs()));
    }
    if let (Some(replace), Some(expr)) = (policy.replace, &fleet.replace_expr) {
        let Replace { periods, max_in_flight, max_share } = replace;
        text.push_str(&format!(
            "  replaced after {periods} unhealthy periods ({expr}), at most {max_in_flight} at once, and none while more than \
             {max_share} are unhealthy\n"
        ));
    }
    if let Some(age) = policy.recycle {
        text.push_str(&format!("  recycled when older than {} s, in its window\n", age.as_secs()));
    }
    if policy.protect_busy {
        text.push_str("  protected from scale-in by AWS while busy\n");
    }
    if let Some(hook) = &fleet.lifecycle_hook {
        text.push_str(&format!("  served hook: {hook}\n"));
    }
    text
}

fn place(fleet: &Fleet) -> String {
    let regions = match fleet.asg.regions.as_slice() {
        [] => "the region of the AWS configuration".to_owned(),
        groups if fleet.asg.subscription.is_some() => format!("the resource group {}", listed(groups)),
        regions => listed(regions),
    };
    let kind = if fleet.asg.subscription.is_some() { "scale sets" } else { "groups" };
    let groups = match &fleet.asg.groups {
        Groups::Names(names) => format!("the {kind} {}", listed(names)),
        Groups::Tags(tags) => {
            let tags: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("the {kind} tagged {}", listed(&tags))
        }
    };
    let dry_run = if fleet.dry_run { "; dry run, nothing is changed" } else { "" };
    format!("{groups} in {regions}{dry_run}")
}

fn listed<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn rule(policy: &Policy, direction: Direction) -> Option<String> {
    let period = policy.period.seconds();
    if let Some(rule) = policy.target_rule(direction) {
        return Some(format!("to the desired capacity, after {} periods of {period} s", rule.periods));
    }
    let rule = policy.rule(direction)?;
    let change = change(rule, direction);
    let (of, periods) = (rule.window.breaching(), rule.window.periods());
    let when = match policy.rules {
        Rules::Alert { .. } => "while it fires".to_owned(),
        _ => format!("when {}", rule.when),
    };
    let cooldown = rule.cooldown.as_secs();
    Some(format!("{change} {when} in {of} of {periods} periods of {period} s, cooldown {cooldown} s"))
}

fn change(rule: &Rule, direction: Direction) -> String {
    let verb = if direction == Direction::Out { "add" } else { "remove" };
    match &rule.adjustment {
        Adjustment::By(amount) => format!("{verb} {amount}"),
        Adjustment::Set(capacity) => format!("set {capacity}"),
        Adjustment::Steps(steps) => format!("{verb} by {} steps", steps.len()),
    }
}
