//! `jitsi-scaler release`: gives groups back, so that something else can scale them.
//!
//! Owns when that is refused, and the text of what was done and what stays. What becomes of each drain is
//! [`crate::control::Released`]'s.

use std::fmt::Write as _;

use prometheus_client::registry::Registry;

use crate::config::Config;
use crate::control::{Clock, Released};
use crate::leader::Lead;
use crate::network;
use crate::online::Place;
use crate::online::command::{aws, quoted};
use crate::telemetry::Telemetry;
use crate::units::{InstanceId, Time};

/// A fleet that the configuration does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("find the fleet {0}: the configuration has {1}")]
pub struct UnknownFleet(String, String);

/// The tags of a fleet changed while they were watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("release anything: the tags of {0} have just changed, so a service still runs; stop it first")]
pub struct StillRuns(String);

/// What a release did.
#[derive(Debug)]
pub struct Outcome {
    /// For a person.
    pub text: String,
    /// Whether nothing is left to do for the scaler.
    pub is_done: bool,
}

/// Gives the groups of `fleets`, or of all, back; without `does`, only says what that means. Refuses while the tags of a
/// fleet change: a service that does nothing at the moment cannot be noticed.
pub async fn run(config: &Config, fleets: &[String], does: bool, clock: Clock) -> anyhow::Result<Outcome> {
    let known = || config.fleets.iter().map(|fleet| fleet.name.as_str());
    if let Some(unknown) = fleets.iter().find(|name| !known().any(|known| known == name.as_str())) {
        return Err(UnknownFleet(unknown.clone(), known().collect::<Vec<_>>().join(", ")).into());
    }
    let mut config = config.clone();
    config.fleets.retain(|fleet| fleets.is_empty() || fleets.iter().any(|name| name == fleet.name.as_str()));
    let telemetry = Telemetry::register(&mut Registry::default());
    let mut controllers = network::controllers(&config, clock, &telemetry, &Lead::always()).await?;
    if does {
        let mut before = Vec::new();
        for controller in &controllers {
            before.push(controller.tags().await?);
        }
        let longest = before.iter().map(|(_, period)| *period).max().unwrap_or_default();
        tokio::time::sleep(longest).await;
        for ((controller, before), fleet) in controllers.iter().zip(before).zip(&config.fleets) {
            if controller.tags().await? != before {
                return Err(StillRuns(fleet.name.to_string()).into());
            }
        }
    }
    let mut outcome = Outcome { text: String::new(), is_done: true };
    for controller in &mut controllers {
        let (groups, unread) = Box::pin(controller.release(Time::since_1970(clock()), does)).await;
        for group in groups {
            outcome.is_done &= group.failed.is_empty();
            outcome.text.push_str(&text(&group, does));
        }
        for problem in unread {
            outcome.is_done = false;
            let _ = writeln!(outcome.text, "not done: {problem}");
        }
    }
    Ok(outcome)
}

/// What was done to a group, and what stays.
fn text(released: &Released, does: bool) -> String {
    let Released { group, steps, failed, exiting, protected, suspended, hooks, is_raised } = released;
    let mut text = format!("{} / {} in {}\n", group.fleet, group.name, group.region);
    let mut line = |words: String| {
        // Writing to a string succeeds.
        let _ = writeln!(text, "  {words}");
    };
    let place = Place::fleet(&group.fleet).region(&group.region).group(&group.name);
    let listed = |ids: &[InstanceId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    for step in steps {
        line(format!("{}: {step}", if does { "done" } else { "would" }));
    }
    for failure in failed {
        line(format!("not done: {failure}"));
    }
    for id in exiting {
        line(format!("{id} exits by itself, as it was asked to; once it has, terminate it:"));
        let region = quoted(group.region.as_str());
        line(format!(
            "    aws autoscaling terminate-instance-in-auto-scaling-group --instance-id {id} \
             --should-decrement-desired-capacity --region {region}"
        ));
    }
    if *is_raised {
        line("desired capacity is one higher than before instances were recycled".to_owned());
    }
    if !protected.is_empty() {
        line(format!(
            "{} protected from scale-in, so AWS chooses none of them; to end that:",
            count(protected.len())
        ));
        let mut arguments = vec!["--no-protected-from-scale-in".to_owned(), "--instance-ids".to_owned()];
        arguments.extend(listed(protected));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        line(format!("    {}", aws(&place, "set-instance-protection", &arguments)));
    }
    for process in suspended {
        line(format!("the process {process} is suspended; to resume it:"));
        line(format!("    {}", aws(&place, "resume-processes", &["--scaling-processes", process])));
    }
    for hook in hooks {
        line(format!(
            "the hook {hook} goes on holding what AWS terminates, until its time is over; to delete it:"
        ));
        line(format!("    {}", aws(&place, "delete-lifecycle-hook", &["--lifecycle-hook-name", hook])));
    }
    text
}

fn count(instances: usize) -> String {
    if instances == 1 { "1 instance is".to_owned() } else { format!("{instances} instances are") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::GroupRef;
    use crate::units::{FleetName, GroupName, Region};

    #[test]
    fn what_stays_comes_with_the_commands_that_restore_it() {
        let group = GroupRef {
            fleet: FleetName::new("jvb"),
            region: Region::new("us-east-1"),
            name: GroupName::new("prod-jvb"),
        };
        let released = Released {
            group,
            steps: vec!["remove the drain tag of i-0".to_owned()],
            failed: vec!["i-1 drains and does not answer".to_owned()],
            exiting: vec![InstanceId::new("i-2")],
            protected: vec![InstanceId::new("i-3"), InstanceId::new("i-4")],
            suspended: vec!["AZRebalance".to_owned()],
            hooks: vec!["drain".to_owned()],
            is_raised: true,
        };
        insta::assert_snapshot!(text(&released, false), @"
        jvb / prod-jvb in us-east-1
          would: remove the drain tag of i-0
          not done: i-1 drains and does not answer
          i-2 exits by itself, as it was asked to; once it has, terminate it:
              aws autoscaling terminate-instance-in-auto-scaling-group --instance-id i-2 --should-decrement-desired-capacity --region us-east-1
          desired capacity is one higher than before instances were recycled
          2 instances are protected from scale-in, so AWS chooses none of them; to end that:
              aws autoscaling set-instance-protection --auto-scaling-group-name prod-jvb --no-protected-from-scale-in --instance-ids i-3 i-4 --region us-east-1
          the process AZRebalance is suspended; to resume it:
              aws autoscaling resume-processes --auto-scaling-group-name prod-jvb --scaling-processes AZRebalance --region us-east-1
          the hook drain goes on holding what AWS terminates, until its time is over; to delete it:
              aws autoscaling delete-lifecycle-hook --auto-scaling-group-name prod-jvb --lifecycle-hook-name drain --region us-east-1
        ");
    }
}
