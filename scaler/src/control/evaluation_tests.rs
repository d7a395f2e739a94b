//! Whole evaluations of one group: what keeps them from changing it.

use std::sync::{Arc, Mutex};

use prometheus_client::registry::Registry;
use test_case::test_case;

use super::*;
use crate::cloud::aws::Aws;
use crate::cloud::client::Client;
use crate::cloud::{
    Activity, ActivityKind, ActivityOutcome, Call, GroupDescription, Permitted, ScalingGroups,
};
use crate::config::sample;
use crate::decide::observation::{Hook, Reading};
use crate::jitsi::{self, Address, Components, JitsiError, Reply};
use crate::observe::prepared::labelled;
use crate::observe::rules::Rules;
use crate::observe::{Labelled, Metrics, QueryError};
use crate::telemetry::Telemetry;
use crate::units::{Capacity, GroupName, InstanceId};

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
    fn name_of(call: Call<'_>) -> &'static str {
        Aws::name_of(call)
    }

    async fn describe(&self, _: &Region, _: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        let tags = [
            (tags::PAUSED, self.paused),
            (tags::RECYCLING, self.recycling),
            ("jitsi-scaler/drain/i-0", self.drain),
        ];
        // Without the first one it is at its minimum.
        let desired = if self.first == "InService" { 3 } else { 2 };
        let tags = tags.iter().filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.to_owned())));
        let group = GroupDescription::with("a", desired, &[self.first, "InService", "InService"]);
        Ok(vec![GroupDescription { min: Capacity::of(2), tags: tags.collect(), ..group }])
    }

    async fn activities(&self, _: &Region, _: &GroupName) -> Result<Vec<Activity>, CloudError> {
        let launch = |number: u8| Activity {
            kind: ActivityKind::Launch(Some(InstanceId::new(&format!("i-{number}")))),
            ended: Some(NOW.before(Duration::from_hours(9))),
            outcome: ActivityOutcome::Successful,
            message: String::new(),
        };
        Ok((0..3).map(launch).collect())
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
        let sample = |number: u8| {
            let id = format!("i-{number}");
            let labels =
                [("__name__", name), ("instance_id", &id), ("private_ip", &format!("10.0.0.{number}"))];
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
            return Ok(Reading::Answered { empty: true, draining: true, closing: false });
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
        controller.evaluate(NOW.floor(controller.tick).after(Duration::from_mins(1) * evaluation)).await;
    }
    stage.changes()
}

/// A controller of the group, with further keys of its fleet.
fn controller(stage: &Stage, keys: &str) -> Controller<Staged> {
    let policy = "expr: x
        scale_in: {when: '< 1', periods: 1, remove: 1}
        scale_out: {when: '> 9', periods: 1, add: 1}";
    let fleet = sample::config(&format!("{}\n{keys}", sample::GROUPS), policy).fleets.remove(0);
    let telemetry = Telemetry::register(&mut Registry::default());
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
    Controller::new(fleet, deps).expect("a policy")
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

/// An empty bridge that a hook holds; at the third evaluation it has been seen empty twice.
#[test_case(None, &["heartbeat for i-0", "release i-0"]; "otherwise")]
#[test_case(Some("2001-09-10T00:00:00Z new image"), &["heartbeat for i-0", "heartbeat for i-0"]; "a pause")]
#[tokio::test(start_paused = true)]
async fn while_a_group_is_paused_its_hooks_go_on_holding(paused: Option<&'static str>, expected: &[&str]) {
    let drain = Some("2001-09-09T01:00:00Z unclosable hook");
    let stage = Stage { first: "Terminating:Wait", drain, paused, ..Stage::new() };
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

#[tokio::test(start_paused = true)]
async fn a_scale_out_that_failed_is_tried_again_at_the_next_wake() {
    let stage = Stage { value: 10.0, is_throttled: Arc::new(Mutex::new(true)), ..Stage::new() };
    let (mut controller, at) =
        (controller(&stage, ""), NOW.floor(Period::try_new(Duration::from_mins(1)).expect("a minute")));
    controller.evaluate(at).await;
    *stage.is_throttled.lock().expect("no panic") = false;
    let group = GroupRef {
        fleet: controller.fleet.name.clone(),
        region: Region::new("r"),
        name: GroupName::new("a"),
    };
    for _ in 0..2 {
        controller.evaluate_again(at, &[group.clone()].into(), Trigger::Webhook).await;
    }
    let raise = "SetDesired(Capacity(4))";
    assert_eq!(stage.changes(), [raise, raise, "tag jitsi-scaler/scaled-out"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_no_evaluation() {
    let (publish, mut board) = watch::channel(Board::default());
    let (commands, queue) = mpsc::channel(1);
    let (start, hours) = (Instant::now(), Arc::new(Mutex::new(5)));
    let set = Arc::clone(&hours);
    let clock = move || {
        let hours = *hours.lock().expect("no panic");
        Duration::from_secs(1_000_000_000) + Duration::from_hours(hours) + start.elapsed()
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(controller(&Stage::new(), "").run(clock, publish, queue, stop.clone()));
    board.changed().await.expect("an evaluation");
    *set.lock().expect("no panic") = 4;
    // Any command lets the loop look at the clock.
    commands.send(Command::Wake(BTreeSet::new())).await.expect("the loop runs");
    let waits = Instant::now();
    board.changed().await.expect("an evaluation");
    assert!(waits.elapsed() <= Duration::from_mins(1), "{:?}", waits.elapsed());
    stop.cancel();
    running.await.expect("no panic");
}
