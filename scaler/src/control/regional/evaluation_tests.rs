//! Whole evaluations of one group: what keeps them from changing it.

use std::sync::{Arc, Mutex};

use prometheus_client::registry::Registry;
use test_case::test_case;

use super::*;
use crate::cloud::aws::Aws;
use crate::cloud::client::Client;
use crate::cloud::{
    Activity, ActivityKind, ActivityOutcome, Call, Change, GroupDescription, Permitted, ScalingGroups, tags,
};
use crate::config::{Groups, sample};
use crate::control::claims::Claims;
use crate::control::orders::{Accepted, Order, Then, Wanted};
use crate::control::stage;
use crate::decide::observation::{Hook, Reading};
use crate::jitsi::{self, Address, Components, JitsiError, Reply};
use crate::leader::Lead;
use crate::observe::prepared::labelled;
use crate::observe::rules::Rules;
use crate::observe::{Labelled, Metrics, QueryError};
use crate::telemetry::Telemetry;
use crate::units::{Capacity, GroupName, InstanceId};

mod loops;
mod orders;

const IDLE: Reading = Reading::Answered { empty: true, draining: false, closing: false };
const NOW: Time = Time::from_unix(1_000_000_020);

/// Three empty bridges in a group that a policy scales in, and every change that is requested.
#[derive(Clone, Debug)]
struct Stage {
    /// Whether an instance refresh is in progress; `None` if that cannot be read.
    refreshing: Option<bool>,
    /// The lifecycle state of the first instance.
    first: &'static str,
    /// The value of the tag of a pause.
    paused: Option<&'static str>,
    /// The value of the tag of recycling.
    recycling: Option<&'static str>,
    /// The drain tag of the first instance.
    drain: Option<&'static str>,
    /// The answers of the components of instances that were not asked to drain; `None` is no answer.
    answers: [Option<Reading>; 3],
    /// The value of the policy.
    value: f64,
    /// The last part of the address of each instance.
    addresses: [u8; 3],
    /// Whether the instance i-9 was detached, of which the group has a drain tag then.
    detached: Option<bool>,
    /// The end of that tag.
    orphan: &'static str,
    /// Whether the first instance is in use.
    is_in_use: bool,
    /// Whether the group is paused.
    is_paused: Arc<Mutex<bool>>,
    /// Whether somebody lowers desired capacity by one between a decision and its steps.
    is_lowered: Arc<Mutex<bool>>,
    /// How often the group was described.
    describes: Arc<Mutex<usize>>,
    /// How long AWS takes to describe the group.
    takes: Duration,
    /// Whether the instances have just begun to report.
    are_new: bool,
    /// Whether AWS never answers for activities, and how often it was asked.
    activities: (bool, Arc<Mutex<usize>>),
    /// Whether AWS refuses changes of desired capacity for now.
    is_throttled: Arc<Mutex<bool>>,
    changes: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    fn new() -> Self {
        Self {
            refreshing: Some(false),
            first: "InService",
            paused: None,
            recycling: None,
            drain: None,
            answers: [Some(IDLE); 3],
            value: 0.0,
            addresses: [0, 1, 2],
            detached: None,
            orphan: "draining scale-in",
            is_in_use: false,
            is_paused: Arc::default(),
            is_lowered: Arc::default(),
            describes: Arc::default(),
            takes: Duration::ZERO,
            are_new: false,
            activities: Default::default(),
            is_throttled: Arc::default(),
            changes: Arc::default(),
        }
    }

    fn changes(&self) -> Vec<String> {
        self.changes.lock().expect("no panic").clone()
    }

    fn note(&self, what: String) {
        self.changes.lock().expect("no panic").push(what);
    }
}

impl ScalingGroups for Stage {
    fn name_of(&self, call: Call<'_>) -> &'static str {
        Aws::operation(call)
    }

    async fn describe(&self, _: &Region, _: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        tokio::time::sleep(self.takes).await;
        let is = |what: &Mutex<bool>| *what.lock().expect("no panic");
        let describes = {
            let mut describes = self.describes.lock().expect("no panic");
            *describes += 1;
            *describes
        };
        let paused = if is(&self.is_paused) { Some("2001-09-10T00:00:00Z new image") } else { self.paused };
        let orphan = format!("2001-09-09T01:00:00Z {}", self.orphan);
        let tags = [
            (tags::PAUSED, paused),
            (tags::RECYCLING, self.recycling),
            ("jitsi-scaler/drain/i-0", self.drain),
            ("jitsi-scaler/drain/i-9", self.detached.map(|_| orphan.as_str())),
        ];
        // Without the first one it is at its minimum.
        let desired = if self.first == "InService" { 3 } else { 2 };
        let desired = if is(&self.is_lowered) && describes > 1 { desired - 1 } else { desired };
        let tags = tags.iter().filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.to_owned())));
        let group = GroupDescription::with("a", desired, &[self.first, "InService", "InService"]);
        Ok(vec![GroupDescription { min: Capacity::of(2), tags: tags.collect(), ..group }])
    }

    async fn activities(
        &self,
        _: &Region,
        _: &GroupName,
        _: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        *self.activities.1.lock().expect("no panic") += 1;
        if self.activities.0 {
            return std::future::pending().await;
        }
        let activity = |kind| Activity {
            kind,
            ended: Some(NOW.before(Duration::from_hours(9))),
            outcome: ActivityOutcome::Successful,
            message: String::new(),
        };
        let launched =
            (0..3).map(|number| ActivityKind::Launch(Some(InstanceId::new(&format!("i-{number}")))));
        let detached = self.detached.filter(|detached| *detached);
        let detached = detached.map(|_| ActivityKind::Detach(InstanceId::new("i-9")));
        Ok(launched.chain(detached).map(activity).collect())
    }

    async fn hooks(&self, _: &Region, _: &GroupName) -> Result<Vec<Hook>, CloudError> {
        let hour = Duration::from_hours(1);
        Ok(vec![Hook { name: "drain".to_owned(), heartbeat: hour, limit: hour * 48 }])
    }

    async fn refreshing(&self, _: &Region, _: &GroupName) -> Result<bool, CloudError> {
        self.refreshing.ok_or(CloudError::Throttled("DescribeInstanceRefreshes"))
    }

    async fn apply(&self, permitted: Permitted<'_>) -> Result<(), CloudError> {
        self.note(match permitted.change() {
            Change::Tag { key, .. } => format!("tag {key}"),
            Change::Untag { key } => format!("untag {key}"),
            Change::Heartbeat { instance, .. } => format!("heartbeat for {instance}"),
            Change::Complete { instance, .. } => format!("release {instance}"),
            other => format!("{other:?}"),
        });
        if matches!(permitted.change(), Change::SetDesired(_)) && *self.is_throttled.lock().expect("no panic")
        {
            return Err(CloudError::Throttled("SetDesiredCapacity"));
        }
        Ok(())
    }
}

impl Metrics for Stage {
    async fn range(&self, _: &str, _: Time, end: Time, _: Period) -> Result<Vec<Labelled>, QueryError> {
        Ok(vec![labelled(&[("asg", "a")], &[(end.unix() as f64, self.value)])])
    }

    async fn rules(&self, _: Duration) -> Option<Arc<Rules>> {
        None
    }

    async fn instant(&self, expr: &str, at: Time) -> Result<Vec<Labelled>, QueryError> {
        let (name, value) =
            if expr.starts_with("jvb_up") { ("jvb_up", 1.0) } else { ("jvb_local_endpoints", 0.0) };
        let began = if self.are_new { at } else { at.before(Duration::from_hours(9)) };
        let value = if expr.starts_with("min_over_time") { began.unix() as f64 } else { value };
        let sample = |number: u8| {
            let id = format!("i-{number}");
            let ip = format!("10.0.0.{}", self.addresses[usize::from(number)]);
            let labels = [("__name__", name), ("instance_id", &id), ("private_ip", &ip)];
            labelled(&labels, &[(at.unix() as f64, value)])
        };
        Ok((0..3).map(sample).collect())
    }
}

impl Components for Stage {
    async fn read(&self, address: &Address) -> Result<Reading, JitsiError> {
        let url = address.external();
        let number = (0..3).find(|number| url.contains(&format!("10.0.0.{number}:"))).expect("an instance");
        if number == 0 && self.drain.is_some() {
            return Ok(Reading::Answered { empty: !self.is_in_use, draining: true, closing: false });
        }
        self.answers[number].ok_or_else(|| JitsiError::Foreign { url: url.to_owned(), status: 500 })
    }

    async fn request(&self, _: &Address, permitted: jitsi::Permitted) -> Result<Reply, JitsiError> {
        self.note(format!("{:?}", permitted.request()));
        Ok(Reply::Accepted)
    }
}

#[derive(Debug)]
struct Staged;

impl World for Staged {
    type Cloud = Stage;
    type Metrics = Stage;
    type Components = Stage;
}

/// The changes of so many evaluations, a minute apart.
async fn changes(stage: Stage, keys: &str, evaluations: u32) -> Vec<String> {
    let mut controller = controller(&stage, keys);
    for evaluation in 0..evaluations {
        tokio::time::advance(Duration::from_mins(1)).await;
        controller
            .evaluate(
                NOW.floor(controller.tick).after(Duration::from_mins(1) * evaluation),
                false,
                &CancellationToken::new(),
            )
            .await;
    }
    stage.changes()
}

fn pulse() -> Pulse {
    Pulse::new(Period::try_new(Duration::from_mins(1)).expect("a minute"))
}

/// A controller of the group, with further keys of its fleet.
fn controller(stage: &Stage, keys: &str) -> Regional<Staged> {
    controller_of(stage, keys, "1m")
}

/// As [`controller`], with a period of its policy.
fn controller_of(stage: &Stage, keys: &str, period: &str) -> Regional<Staged> {
    controller_in(&mut Registry::default(), stage, keys, period)
}

/// As [`controller`], with its metrics in `registry`.
fn controller_in(registry: &mut Registry, stage: &Stage, keys: &str, period: &str) -> Regional<Staged> {
    let policy = &format!(
        "expr: x
        period: {period}
        scale_in: {{when: '< 1', periods: 1, remove: 1}}
        scale_out: {{when: '> 9', periods: 1, add: 1}}"
    );
    let fleet = sample::config(&format!("{}\n{keys}", sample::GROUPS), policy).fleets.remove(0);
    let telemetry = Telemetry::register(registry);
    let lead = Lead::always();
    let deps = Deps::<Staged> {
        cloud: Client::new(stage.clone(), telemetry.clone(), lead.clone(), Duration::ZERO),
        metrics: stage.clone(),
        components: jitsi::client::Client::new(stage.clone(), lead),
        telemetry,
        claims: Claims::default(),
        delay: Duration::ZERO,
        regions: vec![Region::new("r")],
    };
    let tick = fleet.policy.smallest_period().expect("a policy");
    let (fleet, deps, region) = (Arc::new(fleet), Arc::new(deps), Region::new("r"));
    let fleetwide = Arc::new(Fleetwide::new(Arc::clone(&fleet), Arc::clone(&deps), tick));
    Regional::new((&fleet, &deps), &fleetwide, &region, tick)
}

#[test_case(|_| (), "", true; "otherwise")]
#[test_case(|stage| stage.refreshing = Some(true), "", false; "an instance refresh")]
#[test_case(|stage| stage.refreshing = None, "", false; "perhaps an instance refresh")]
#[test_case(|stage| stage.paused = Some("2001-09-10T00:00:00Z new image"), "", false; "a pause")]
#[test_case(|stage| stage.paused = Some("2001-09-09T00:00:00Z new image"), "", true; "a pause that is over")]
#[test_case(|stage| stage.paused = Some("until Monday"), "", false; "an unreadable pause")]
#[test_case(|_| (), "    dry_run: true", false; "a dry run")]
#[tokio::test(start_paused = true)]
async fn a_scale_in_begins(change: fn(&mut Stage), keys: &str, begins: bool) {
    let mut stage = Stage::new();
    change(&mut stage);
    let begun = ["tag jitsi-scaler/scaled-in", "tag jitsi-scaler/drain/i-0", "StartDrain"];
    let expected: &[&str] = if begins { &begun } else { &[] };
    assert_eq!(changes(stage, keys, 1).await, expected);
}

/// For a whole period it would say that nothing drains.
#[test_case("", 1; "live")]
#[test_case("    dry_run: true", 0; "a dry run")]
#[tokio::test(start_paused = true)]
async fn what_is_published_is_the_group_after_the_steps(keys: &str, draining: u32) {
    let mut controller = controller(&Stage::new(), keys);
    tokio::time::advance(Duration::from_mins(1)).await;
    let at = NOW.floor(controller.tick);
    let statuses = controller.evaluate(at, false, &CancellationToken::new()).await.expect("not stopped");
    let [status] = &statuses[..] else { panic!("one group: {statuses:?}") };
    assert_eq!((status.current.draining, status.current.ready), (draining, 3 - draining));
    assert_eq!(status.zones.iter().map(|zone| zone.draining).sum::<u32>(), draining);
    let drains: Vec<_> = status.drains.iter().map(|it| (it.instance.as_str(), it.waits_for)).collect();
    let begun = [("i-0", "it is empty; a second look must confirm that")];
    assert_eq!(drains, begun[..draining as usize]);
    // The decision stays as it was made.
    assert_eq!((status.action, Record::of(status).current.draining), ("scale_in", 0));
}

/// A process that has just started knows no instance; AWS throttles a call for each of thousands of groups.
#[test_case(false, false, 0, 0; "reports tell enough")]
#[test_case(true, false, 1, 0; "reports do not reach back")]
#[test_case(true, true, 2, 30; "AWS never answers, and is asked again")]
#[tokio::test(start_paused = true)]
async fn activities_are_asked_for_where_an_age_is_open(are_new: bool, hangs: bool, asked: usize, took: u64) {
    let stage = Stage { are_new, activities: (hangs, Arc::default()), ..Stage::new() };
    let started = Instant::now();
    changes(stage.clone(), "", 2).await;
    assert_eq!(*stage.activities.1.lock().expect("no panic"), asked);
    assert_eq!(started.elapsed(), Duration::from_mins(2) + Duration::from_secs(took));
}

/// Otherwise a dashboard draws what a dry run would have done as done.
#[test_case("", ["false", "true"]; "live")]
#[test_case("    dry_run: true", ["true", "false"]; "a dry run")]
#[tokio::test(start_paused = true)]
async fn decisions_of_a_dry_run_are_counted_apart(keys: &str, [counted, other]: [&str; 2]) {
    let mut registry = Registry::default();
    let mut controller = controller_in(&mut registry, &Stage::new(), keys, "1m");
    tokio::time::advance(Duration::from_mins(1)).await;
    controller.evaluate(NOW.floor(controller.tick), false, &CancellationToken::new()).await;
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).expect("encoded");
    let has = |action: &str, dry_run: &str, value: u32| {
        let end = format!("action=\"{action}\",dry_run=\"{dry_run}\"}} {value}");
        metrics.lines().any(|line| line.starts_with("jitsi_scaler_decisions_total{") && line.ends_with(&end))
    };
    assert!(has("scale_in", counted, 1), "{metrics}");
    // What has not been decided yet begins at 0: Prometheus does not see the increase of a series that begins at 1.
    assert!(has("scale_out", counted, 0) && has("hold", counted, 0), "{metrics}");
    assert!(!has("scale_in", other, 1), "{metrics}");
}

/// Ten thousand groups have as many each.
#[tokio::test(start_paused = true)]
async fn a_quiet_group_has_few_series() {
    let mut registry = Registry::default();
    let mut controller = controller_in(&mut registry, &Stage { value: 5.0, ..Stage::new() }, "", "1m");
    controller.evaluate(NOW.floor(controller.tick), false, &CancellationToken::new()).await;
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).expect("encoded");
    let of_group = metrics.lines().filter(|line| !line.starts_with('#') && line.contains("asg=\"a\""));
    assert_eq!(of_group.count(), 10, "{metrics}");
}

/// An empty bridge that a hook holds; at the third evaluation it has been seen empty twice.
#[test_case(None, &["heartbeat for i-0", "release i-0"]; "otherwise")]
#[test_case(Some("2001-09-10T00:00:00Z new image"), &["heartbeat for i-0", "heartbeat for i-0"]; "a pause")]
#[tokio::test(start_paused = true)]
async fn while_a_group_is_paused_its_hooks_go_on_holding(paused: Option<&'static str>, expected: &[&str]) {
    let drain = Some("2001-09-09T01:00:00Z unclosable hook");
    let stage = Stage { first: "Terminating:Wait", drain, paused, ..Stage::new() };
    assert_eq!(changes(stage, "", 3).await, expected);
}

/// An instance of which only the tag is left; at the third evaluation two looks got no answer.
#[test_case(false, &["untag jitsi-scaler/drain/i-9"]; "it was terminated")]
#[test_case(true, &[]; "it was detached")]
#[tokio::test(start_paused = true)]
async fn the_tag_of_a_detached_instance_stays_while_it_may_be_in_drain_mode(
    detached: bool,
    expected: &[&str],
) {
    let stage = Stage { value: 5.0, detached: Some(detached), ..Stage::new() };
    assert_eq!(changes(stage, "", 3).await, expected);
}

const DRAINS: Reading = Reading::Answered { empty: true, draining: true, closing: false };

/// All three are equally idle, so the lowest number comes first.
#[test_case([Some(IDLE); 3], &["i-0"]; "the first")]
#[test_case([None, Some(IDLE), Some(IDLE)], &["i-1"]; "the first does not say what it carries")]
#[test_case([Some(Reading::Refused), Some(DRAINS), Some(IDLE)], &["i-2"]; "the first refuses, and the next is drained by an operator")]
#[test_case([None; 3], &[]; "none says what it carries")]
#[tokio::test(start_paused = true)]
async fn an_instance_is_read_before_it_drains(answers: [Option<Reading>; 3], expected: &[&str]) {
    let stage = Stage { answers, ..Stage::new() };
    let tag = "tag jitsi-scaler/drain/";
    let changes = changes(stage, "", 1).await;
    let drained: Vec<_> = changes.iter().filter_map(|change| change.strip_prefix(tag)).collect();
    assert_eq!(drained, expected);
}

/// Otherwise the answers of one instance would let another one be drained.
#[test_case([0, 1, 2], &["i-0"]; "each has its own")]
#[test_case([1, 1, 2], &["i-2"]; "two share one")]
#[test_case([1, 1, 1], &[]; "all share one")]
#[tokio::test(start_paused = true)]
async fn instances_with_one_address_stay(addresses: [u8; 3], expected: &[&str]) {
    let tag = "tag jitsi-scaler/drain/";
    let changes = changes(Stage { addresses, ..Stage::new() }, "", 1).await;
    let drained: Vec<_> = changes.iter().filter_map(|change| change.strip_prefix(tag)).collect();
    assert_eq!(drained, expected);
}

/// An empty bridge that drains would be terminated at the third evaluation.
#[test_case([0, 1, 2], &["TerminateAndDecrement(InstanceId(\"i-0\"))"]; "each has its own")]
#[test_case([0, 0, 2], &[]; "it shares its address")]
#[tokio::test(start_paused = true)]
async fn an_answer_at_the_address_of_another_one_confirms_nothing(addresses: [u8; 3], expected: &[&str]) {
    let drain = Some("2001-09-09T01:00:00Z unclosable scale-in");
    assert_eq!(changes(Stage { value: 5.0, drain, addresses, ..Stage::new() }, "", 3).await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_old_instance_is_read_before_it_is_recycled() {
    let hours = "    recycle: {max_age: 1h, from: '00:00', to: '23:59', timezone: UTC}";
    // The group was raised to three before, and the policy wants no change.
    let stage = |answer| Stage {
        value: 5.0,
        recycling: Some("2001-09-09T01:40:00Z 3"),
        answers: [answer, None, None],
        ..Stage::new()
    };
    assert_eq!(changes(stage(None), hours, 1).await, Vec::<String>::new());
    assert_eq!(changes(stage(Some(IDLE)), hours, 1).await, ["tag jitsi-scaler/drain/i-0", "StartDrain"]);
}

#[test_case([None; 3], Some(false), false; "none says what it carries")]
#[test_case([None, None, Some(IDLE)], Some(false), true; "one says what it carries")]
#[test_case([Some(IDLE); 3], Some(true), false; "an instance refresh")]
#[tokio::test(start_paused = true)]
async fn a_group_is_raised_to_recycle_instances_if_one_can_leave(
    answers: [Option<Reading>; 3],
    refreshing: Option<bool>,
    raised: bool,
) {
    let hours = "    recycle: {max_age: 1h, from: '00:00', to: '23:59', timezone: UTC}";
    let stage = Stage { value: 5.0, answers, refreshing, ..Stage::new() };
    let expected: &[&str] =
        if raised { &["tag jitsi-scaler/recycling", "SetDesired(Capacity(4))"] } else { &[] };
    assert_eq!(changes(stage, hours, 1).await, expected);
}

/// Two evaluations of a group that is to be raised, of the first of which nothing comes, and two wakes.
#[test_case(|stage, first| *stage.is_throttled.lock().expect("no panic") = first, 2; "it failed")]
#[test_case(|stage, first| *stage.is_paused.lock().expect("no panic") = first, 1; "the group was paused")]
#[test_case(|stage, first| *stage.is_lowered.lock().expect("no panic") = first, 1; "desired capacity changed meanwhile")]
#[tokio::test(start_paused = true)]
async fn a_scale_out_that_was_not_made_is_tried_again_at_the_next_wake(
    change: fn(&Stage, bool),
    asked: usize,
) {
    let stage = Stage { value: 10.0, ..Stage::new() };
    let (mut controller, at) =
        (controller(&stage, ""), NOW.floor(Period::try_new(Duration::from_mins(1)).expect("a minute")));
    change(&stage, true);
    controller.evaluate(at, false, &CancellationToken::new()).await;
    change(&stage, false);
    let group = GroupRef {
        fleet: controller.fleet.name.clone(),
        region: Region::new("r"),
        name: GroupName::new("a"),
    };
    for _ in 0..2 {
        controller
            .evaluate_again(at, &[group.clone()].into(), Trigger::Webhook, &CancellationToken::new())
            .await;
    }
    let mut expected = vec!["SetDesired(Capacity(4))"; asked];
    expected.push("tag jitsi-scaler/scaled-out");
    assert_eq!(stage.changes(), expected);
}

/// An empty bridge that is terminated at the third evaluation, which sees it empty twice.
#[tokio::test(start_paused = true)]
async fn a_group_is_evaluated_again_soon_after_a_termination() {
    let drain = Some("2001-09-09T01:00:00Z unclosable scale-in");
    let mut controller = controller(&Stage { value: 5.0, drain, ..Stage::new() }, "");
    let settle = controller.fleet.settle;
    let mut planned = Vec::new();
    for minute in 0..3 {
        tokio::time::advance(Duration::from_mins(1)).await;
        controller
            .evaluate(
                NOW.floor(controller.tick).after(Duration::from_mins(1) * minute),
                false,
                &CancellationToken::new(),
            )
            .await;
        planned.push(controller.follow_ups.values().map(|at| *at - Instant::now()).next());
    }
    assert_eq!(planned, [None, None, Some(settle)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_hook_holds_is_served_whichever_group_is_named() {
    let drain = Some("2001-09-09T01:00:00Z draining hook");
    let stage = Stage { value: 5.0, first: "Terminating:Wait", drain, is_in_use: true, ..Stage::new() };
    let mut controller = controller(&stage, "");
    let (fleet, region) = (controller.fleet.name.clone(), Region::new("r"));
    let other = GroupRef { fleet, region, name: GroupName::new("another") };
    let at = NOW.floor(controller.tick);
    controller.evaluate_again(at, &[other].into(), Trigger::Webhook, &CancellationToken::new()).await;
    assert_eq!(stage.changes(), ["heartbeat for i-0"]);
}
