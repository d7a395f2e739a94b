//! `jitsi-scaler release`: gives groups back, so that something else can scale them.
//!
//! Owns when that is refused, and the text of what was done and what stays. What becomes of each drain is
//! [`crate::control::Released`]'s.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::registry::Registry;

use crate::config::Config;
use crate::control::{Clock, Released};
use crate::leader::election::Record;
use crate::leader::elector::{LeaseError, Leases};
use crate::leader::{Lead, LeaseName};
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

/// A service holds the lease, or may hold it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "release anything: {holder} holds the lease {lease} and leads; stop all replicas (in Kubernetes: scale the Deployment to \
     0), then try again"
)]
pub struct Leads {
    holder: String,
    lease: LeaseName,
}

/// The election that the service stands for, as its lease showed it first.
#[derive(Debug)]
pub struct Elected<L> {
    lease: LeaseName,
    leases: L,
    seen: Option<(Record, String)>,
}

impl<L: Leases> Elected<L> {
    /// Reads the lease.
    pub async fn read(lease: LeaseName, leases: L) -> Result<Self, LeaseError> {
        let seen = leases.read().await?;
        Ok(Self { lease, leases, seen })
    }

    fn held(&self) -> Option<&Record> {
        self.seen.as_ref().map(|(record, _)| record).filter(|record| !record.holder.is_empty())
    }

    fn leads(&self, record: &Record) -> Leads {
        Leads { holder: record.holder.clone(), lease: self.lease.clone() }
    }

    /// Who leads at `now`, since 1970. A lease whose time is over may still be that of a leader whose clock is behind.
    fn leader(&self, now: Duration) -> Option<Leads> {
        let is_over = |it: &&Record| it.renewed.is_some_and(|renewed| renewed + it.duration <= now);
        self.held().filter(|record| !is_over(record)).map(|record| self.leads(record))
    }

    /// How long it takes until a leader has renewed its lease.
    fn patience(&self) -> Duration {
        self.held().map_or(Duration::ZERO, |record| record.duration)
    }

    /// Who has renewed or taken the lease since it was read first, whatever the clocks say.
    async fn leader_since(&self) -> Result<Option<Leads>, LeaseError> {
        let now = self.leases.read().await?.filter(|(record, _)| !record.holder.is_empty());
        let version = |it: &Option<(Record, String)>| it.as_ref().map(|(_, version)| version.clone());
        let changed = version(&now) != version(&self.seen);
        Ok(now.filter(|_| changed).map(|(record, _)| self.leads(&record)))
    }
}

/// What a release did.
#[derive(Debug)]
pub struct Outcome {
    /// For a person.
    pub text: String,
    /// Whether nothing is left to do for the scaler.
    pub is_done: bool,
}

/// Gives the groups of `fleets`, or of all, back; without `does`, only says what that means. Refuses while a service leads by
/// `elected`, or while the tags of a fleet change: without an election, a service that does nothing at the moment cannot be
/// noticed.
pub async fn run<L: Leases>(
    config: &Config,
    fleets: &[String],
    does: bool,
    clock: Clock,
    elected: Option<Elected<L>>,
) -> anyhow::Result<Outcome> {
    let known = || config.fleets.iter().map(|fleet| fleet.name.as_str());
    if let Some(unknown) = fleets.iter().find(|name| !known().any(|known| known == name.as_str())) {
        return Err(UnknownFleet(unknown.clone(), known().collect::<Vec<_>>().join(", ")).into());
    }
    let mut outcome = Outcome { text: String::new(), is_done: true };
    match elected.as_ref().and_then(|elected| elected.leader(clock())) {
        Some(leads) if does => return Err(leads.into()),
        Some(leads) => writeln!(outcome.text, "--yes would fail to {leads}")?,
        None => {}
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
        let patience = elected.as_ref().map_or(Duration::ZERO, Elected::patience);
        tokio::time::sleep(longest.max(patience)).await;
        if let Some(elected) = &elected
            && let Some(leads) = elected.leader_since().await?
        {
            return Err(leads.into());
        }
        for ((controller, before), fleet) in controllers.iter().zip(before).zip(&config.fleets) {
            if controller.tags().await? != before {
                return Err(StillRuns(fleet.name.to_string()).into());
            }
        }
    }
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
    let head = format!("{} / {} in {}\n", group.fleet, group.name, group.region);
    let mut text = head.clone();
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
    if text == head {
        text.push_str("  nothing to undo\n");
    }
    text
}

fn count(instances: usize) -> String {
    if instances == 1 { "1 instance is".to_owned() } else { format!("{instances} instances are") }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use test_case::test_case;

    use super::*;
    use crate::telemetry::GroupRef;
    use crate::units::{FleetName, GroupName, Region};

    /// A lease that others write: what the next reads return, the last of them ever after.
    struct Lease(Mutex<Vec<Option<(Record, String)>>>);

    impl Leases for Lease {
        async fn read(&self) -> Result<Option<(Record, String)>, LeaseError> {
            let mut reads = self.0.lock().expect("no panic");
            Ok(if reads.len() > 1 { reads.remove(0) } else { reads[0].clone() })
        }

        async fn create(&self, _: &Record) -> Result<String, LeaseError> {
            Err(LeaseError::Conflict)
        }

        async fn replace(&self, _: &Record, _: &str) -> Result<String, LeaseError> {
            Err(LeaseError::Conflict)
        }
    }

    const NOW: Duration = Duration::from_secs(1_790_000_000);

    /// A lease of 15 s with this holder, renewed by its clock at this distance from now.
    #[expect(clippy::unnecessary_wraps, reason = "other cases have none")]
    fn lease(holder: &str, renewed: Option<i64>, version: &str) -> Option<(Record, String)> {
        let renewed = renewed.map(|ago| Duration::from_secs(1_790_000_000_u64.saturating_add_signed(-ago)));
        let record = Record {
            holder: holder.to_owned(),
            duration: Duration::from_secs(15),
            renewed,
            ..Record::default()
        };
        Some((record, version.to_owned()))
    }

    #[test_case(None, lease("", Some(0), "1"), [false, false]; "there was no lease")]
    #[test_case(lease("", Some(1), "1"), lease("", Some(1), "1"), [false, false]; "the leader has resigned")]
    #[test_case(lease("a", Some(14), "1"), lease("a", Some(14), "1"), [true, false]; "the leader has died just now")]
    #[test_case(lease("a", Some(15), "1"), lease("a", Some(15), "1"), [false, false]; "the leader has died")]
    #[test_case(lease("a", Some(-99), "1"), lease("a", Some(-99), "1"), [true, false]; "its clock is ahead")]
    #[test_case(lease("a", None, "1"), lease("a", None, "1"), [true, false]; "it does not say when")]
    #[test_case(lease("a", Some(99), "1"), lease("a", Some(99), "2"), [false, true]; "its clock is behind")]
    #[test_case(lease("", Some(1), "1"), lease("b", Some(0), "2"), [false, true]; "another one takes it")]
    #[test_case(None, lease("b", Some(0), "1"), [false, true]; "a service is started")]
    #[test_case(lease("a", Some(99), "1"), lease("", Some(0), "2"), [false, false]; "it resigns meanwhile")]
    #[tokio::test]
    async fn nothing_is_released_while_a_service_leads(
        first: Option<(Record, String)>,
        then: Option<(Record, String)>,
        expected: [bool; 2],
    ) {
        let name: LeaseName = "jitsi/scaler".parse().expect("a name");
        let is_held = first.as_ref().is_some_and(|(record, _)| !record.holder.is_empty());
        let elected = Elected::read(name, Lease(Mutex::new(vec![first, then]))).await.expect("a lease");
        let (by_clock, since) = (elected.leader(NOW), elected.leader_since().await.expect("a lease"));
        assert_eq!([by_clock.is_some(), since.is_some()], expected);
        assert_eq!(elected.patience(), Duration::from_secs(if is_held { 15 } else { 0 }));
        for leads in [by_clock, since].into_iter().flatten() {
            let text = leads.to_string();
            assert!(text.contains(" holds the lease jitsi/scaler and leads; stop all replicas"), "{text}");
        }
    }

    fn group() -> GroupRef {
        GroupRef {
            fleet: FleetName::new("jvb"),
            region: Region::new("us-east-1"),
            name: GroupName::new("prod-jvb"),
        }
    }

    #[test]
    fn a_group_without_traces_of_the_scaler_has_nothing_to_undo() {
        let released = Released {
            group: group(),
            steps: vec![],
            failed: vec![],
            exiting: vec![],
            protected: vec![],
            suspended: vec![],
            hooks: vec![],
            is_raised: false,
        };
        assert_eq!(text(&released, false), "jvb / prod-jvb in us-east-1\n  nothing to undo\n");
    }

    #[test]
    fn what_stays_comes_with_the_commands_that_restore_it() {
        let released = Released {
            group: group(),
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
