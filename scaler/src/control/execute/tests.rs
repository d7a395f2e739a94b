//! The looks of a step before a change that cannot be undone, and their order.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use insta::assert_snapshot;
use prometheus_client::registry::Registry;
use test_case::test_case;
use tokio::sync::watch;

use super::*;
use crate::cloud::aws::Aws;
use crate::cloud::client::Client;
use crate::cloud::{Activity, Call, Permitted, ScalingGroups};
use crate::config::{Auth, DrainVia, Groups, Tls};
use crate::control::{Claims, stage};
use crate::decide::observation::{Group, Hook, Instance, Lifecycle, Purpose};
use crate::decide::policy::Component;
use crate::jitsi::{self, Components};
use crate::leader::{Lead, Leadership, Standing};
use crate::observe::prepared::Prepared;
use crate::telemetry::Telemetry;
use crate::units::{GroupName, Region};

mod meanwhile;

const NOW: Time = Time::from_unix(1_000_000_000);
const FREE: Reading = Reading::Answered { empty: true, draining: false, closing: false };
const RECORDS: Reading = Reading::Answered { empty: false, draining: false, closing: false };
const DRAINED: Reading = Reading::Answered { empty: true, draining: true, closing: false };

/// The raise of the group by one.
fn raise() -> Effect {
    Effect::SetDesired { from: capacity(2), to: capacity(3) }
}

/// A group of two and its components: scripted answers, and every call in order.
#[derive(Clone, Debug)]
struct Stage {
    desired: u32,
    /// The answers of the component, in order.
    readings: Arc<Mutex<VecDeque<Reading>>>,
    /// Whether the component accepts the final request.
    closes: bool,
    /// Whether the component has an interface for it at all.
    closable: bool,
    /// What others do to the group: its change before a describe of this number, from 1.
    meanwhile: fn(&mut GroupDescription, usize),
    /// Whether a change of desired capacity gets no answer.
    is_cut_off: bool,
    /// How long a request to a component takes.
    takes: Duration,
    /// The answer to any other request than the final one.
    reply: Reply,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    /// Desired capacity is two, and the component gives these answers.
    fn answering(readings: &[Reading]) -> Self {
        Self {
            desired: 2,
            readings: Arc::new(Mutex::new(readings.iter().copied().collect())),
            closes: true,
            closable: true,
            meanwhile: |_, _| (),
            is_cut_off: false,
            takes: Duration::ZERO,
            reply: Reply::Accepted,
            asked: Arc::default(),
        }
    }

    fn note(&self, what: impl Into<String>) {
        self.asked.lock().expect("no panic").push(what.into());
    }

    /// How many calls of this name were made.
    fn count(&self, what: &str) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|asked| asked.starts_with(what)).count()
    }
}

impl ScalingGroups for Stage {
    fn name_of(&self, call: Call<'_>) -> &'static str {
        Aws::operation(call)
    }

    async fn describe(&self, _: &Region, _: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        self.note("describe");
        let mut group = GroupDescription::with("group", self.desired, &["InService"; 2]);
        group.desired = group.desired.minus(Capacity::of(self.count("terminate")));
        (self.meanwhile)(&mut group, self.count("describe"));
        Ok(vec![group])
    }

    async fn activities(
        &self,
        _: &Region,
        _: &GroupName,
        _: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        unreachable!("no step reads them")
    }

    async fn hooks(&self, _: &Region, _: &GroupName) -> Result<Vec<Hook>, CloudError> {
        unreachable!("no step reads them")
    }

    async fn refreshing(&self, _: &Region, _: &GroupName) -> Result<bool, CloudError> {
        unreachable!("no step reads it")
    }

    async fn apply(&self, permitted: Permitted<'_>) -> Result<(), CloudError> {
        self.note(match permitted.change() {
            Change::SetDesired(to) => {
                self.note(format!("set desired {to}"));
                let call = "SetDesiredCapacity";
                return if self.is_cut_off { Err(CloudError::Timeout(call)) } else { Ok(()) };
            }
            Change::TerminateAndDecrement(id) => format!("terminate {id}"),
            Change::TerminateAndReplace(id) => format!("terminate {id}, keeping desired"),
            Change::SetUnhealthy(id) => format!("report {id} unhealthy"),
            Change::Tag { value, .. } => format!("tag {value}"),
            Change::Untag { .. } => "untag".to_owned(),
            other => unreachable!("no step makes the change {other:?}"),
        });
        Ok(())
    }
}

impl Components for Stage {
    async fn read(&self, _: &Address) -> Result<Reading, JitsiError> {
        self.note("read");
        tokio::task::yield_now().await;
        Ok(self.readings.lock().expect("no panic").pop_front().expect("a reading for every look"))
    }

    async fn request(&self, address: &Address, permitted: jitsi::Permitted) -> Result<Reply, JitsiError> {
        tokio::time::sleep(self.takes).await;
        if permitted.request() != Request::Close {
            self.note(format!("{:?}", permitted.request()));
            return Ok(self.reply);
        }
        self.note("ask to exit");
        if !self.closable {
            Ok(Reply::Unavailable)
        } else if self.closes {
            Ok(Reply::Accepted)
        } else {
            Err(JitsiError::Foreign { url: address.external().to_owned(), status: 500 })
        }
    }
}

#[derive(Debug)]
struct Staged;

impl World for Staged {
    type Cloud = Stage;
    type Metrics = Prepared;
    type Components = Stage;
}

fn capacity(n: u32) -> Capacity {
    Capacity::try_new(n).expect("a capacity")
}

fn view(component: Component, drain: Drain) -> GroupView {
    let id = InstanceId::new("i-0");
    let instance =
        Instance { drain: Some(drain), ..Instance::unknown(id.clone(), "a", Lifecycle::InService) };
    let group = Group::at_rest((Capacity::ONE, capacity(4)), capacity(2), vec![instance]);
    let at = || "http://127.0.0.1:8080".to_owned();
    let via = DrainVia { external: at(), internal: at(), auth: Auth::None, tls: Tls::default() };
    let address =
        Address::new(&InstanceId::new("i-a"), component, &via, |_| None).expect("nothing to fill in");
    GroupView { addresses: HashMap::from([(id, address)]), ..stage::view("us-east-1", group) }
}

/// The calls of one removal by the leader, in order.
async fn asked(
    component: Component,
    bounds: (u32, u32),
    answers: (&[Reading], bool),
    removal: Removal,
) -> Vec<String> {
    remove(component, bounds, answers, removal, &Lead::always()).await.0
}

/// The calls of one removal during the term `lead`, in order, and the metrics.
async fn remove(
    component: Component,
    bounds: (u32, u32),
    answers: (&[Reading], bool),
    removal: Removal,
    lead: &Lead,
) -> (Vec<String>, Registry) {
    let begun = Drain::begun(Purpose::ScaleIn, NOW.before(Duration::from_mins(5)));
    let drain = begun.at(DrainState::Closed);
    let steps = vec![Effect::Remove(InstanceId::new("i-0"), removal, Condition::Empty)];
    let (asked, registry, _) = performed(&view(component, drain), bounds, answers, steps, lead).await;
    (asked, registry)
}

/// The calls of one sequence during the term `lead`, in order, the metrics, and what was done.
async fn performed(
    view: &GroupView,
    (desired, floor): (u32, u32),
    (readings, closes): (&[Reading], bool),
    steps: Vec<Effect>,
    lead: &Lead,
) -> (Vec<String>, Registry, Done) {
    let stage = Stage { desired, closes, ..Stage::answering(readings) };
    performed_on(stage, view, vec![steps], capacity(floor), lead).await
}

/// As [`performed`], with sequences side by side.
async fn performed_on(
    stage: Stage,
    view: &GroupView,
    sequences: Vec<Vec<Effect>>,
    floor: Capacity,
    lead: &Lead,
) -> (Vec<String>, Registry, Done) {
    let mut registry = Registry::default();
    let telemetry = Telemetry::register(&mut registry);
    let deps = Deps::<Staged> {
        cloud: Client::new(stage.clone(), telemetry.clone(), lead.clone(), Duration::ZERO),
        metrics: Prepared::default(),
        components: jitsi::client::Client::new(stage.clone(), lead.clone()),
        telemetry,
        claims: Claims::default(),
        delay: Duration::ZERO,
        regions: Vec::new(),
    };
    let done = perform(&deps, view, sequences, floor, NOW).await;
    let asked = stage.asked.lock().expect("no panic").clone();
    (asked, registry, done)
}

/// Of very many drains, or with slow answers, the last would begin long after what they follow from was seen.
#[tokio::test(start_paused = true)]
async fn a_decision_begins_drains_for_two_minutes() {
    let drain = Drain::begun(Purpose::ScaleIn, NOW);
    let view = view(Component::Jvb, drain);
    let steps_of = |number: usize| {
        let id = InstanceId::new(&format!("i-{number}"));
        [Effect::MarkDrain(id, drain), Effect::StartDrain(InstanceId::new("i-0"))]
    };
    let stage = Stage { takes: Duration::from_secs(50), ..Stage::answering(&[]) };
    let steps = (1..9).flat_map(steps_of).collect();
    let (_, _, done) = performed_on(stage, &view, vec![steps], Capacity::ONE, &Lead::always()).await;
    let begun = done.performed.iter().filter(|it| matches!(it, Effect::MarkDrain(..))).count();
    assert_eq!((begun, done.overtaken.len(), done.failed.len()), (3, 1, 0));
}

#[test_case(vec![Effect::MarkRecycling(capacity(3)), raise()], false; "a raise to recycle")]
#[test_case(vec![raise(), Effect::MarkScaled(Direction::Out)], true; "a scale-out")]
#[tokio::test]
async fn only_what_is_tagged_as_a_scale_out_starts_a_cooldown(steps: Vec<Effect>, expected: bool) {
    let drain = Drain::begun(Purpose::ScaleIn, NOW);
    let view = view(Component::Jvb, drain);
    let count = steps.len();
    let (asked, _, done) = performed(&view, (2, 1), (&[], true), steps, &Lead::always()).await;
    assert_eq!(asked.len(), count + 1, "each is performed, and the group is described once");
    assert_eq!((done.scaled_out, done.performed.len()), (expected, count));
}

#[test_case(Component::Jvb, DRAINED, &["describe", "read"]; "no change of the group")]
#[test_case(Component::Jibri, FREE, &["describe", "read", "read"]; "no request to the component")]
#[tokio::test]
async fn a_scaler_that_does_not_lead_only_reads(component: Component, reading: Reading, expected: &[&str]) {
    let lead = Leadership::by(watch::channel(Standing::default()).1).lead();
    let (asked, _) = remove(component, (2, 1), (&[reading; 2], true), Removal::Terminate, &lead).await;
    assert_eq!(asked, expected);
}

#[test_case(Leadership::alone(), "ok"; "made")]
#[test_case(Leadership::by(watch::channel(Standing::default()).1), "not_leading"; "refused")]
#[tokio::test]
async fn every_change_is_counted(leadership: Leadership, outcome: &str) {
    let lead = leadership.lead();
    let (_, registry) = remove(Component::Jvb, (2, 1), (&[DRAINED], true), Removal::Terminate, &lead).await;
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).expect("encoded");
    let call = "jitsi_scaler_cloud_calls_total{call=\"TerminateInstanceInAutoScalingGroup\"";
    assert!(metrics.contains(&format!("{call},outcome=\"{outcome}\"}} 1\n")), "{metrics}");
    assert!(metrics.contains("calls_total{call=\"DescribeAutoScalingGroups\",outcome=\"ok\"} 1\n"));
}

/// A drain that began five minutes ago.
#[test_case(Leadership::alone(), Some("300.0"); "its instance is removed")]
#[test_case(Leadership::by(watch::channel(Standing::default()).1), None; "its instance stays")]
#[tokio::test]
async fn a_drain_is_timed_when_it_ends(leadership: Leadership, expected: Option<&str>) {
    let lead = leadership.lead();
    let (_, registry) = remove(Component::Jvb, (2, 1), (&[DRAINED], true), Removal::Terminate, &lead).await;
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry).expect("encoded");
    let sum = metrics.lines().find_map(|line| {
        line.strip_prefix("jitsi_scaler_drain_duration_seconds_sum{fleet=")?.split_once("} ")
    });
    assert_eq!(sum.map(|(_, seconds)| seconds), expected, "{metrics}");
}

const SERVES: Reading = Reading::Answered { empty: true, draining: false, closing: false };

/// A bridge that knows no drain mode answers the request that ends it with 404.
#[test_case(Reply::Accepted, &[], &["StopDrain", "untag"]; "accepted")]
#[test_case(Reply::Unavailable, &[SERVES], &["StopDrain", "read", "untag"]; "it knows no drain mode")]
#[test_case(Reply::Unavailable, &[DRAINED], &["StopDrain", "read"]; "it drains")]
#[tokio::test]
async fn the_tag_stays_while_a_bridge_goes_on_draining(
    reply: Reply,
    readings: &[Reading],
    expected: &[&str],
) {
    let id = || InstanceId::new("i-0");
    let drain = Drain { state: DrainState::Returning, ..Drain::begun(Purpose::ScaleIn, NOW) };
    let steps = vec![Effect::StopDrain(id()), Effect::ClearDrain(id())];
    let stage = Stage { reply, ..Stage::answering(readings) };
    let view = view(Component::Jvb, drain);
    let (asked, _, done) = performed_on(stage, &view, vec![steps], Capacity::ONE, &Lead::always()).await;
    assert_eq!(asked, expected);
    assert_eq!(done.failed.is_empty(), asked.contains(&"untag".to_owned()));
}

/// A wake decides at the grid point at which the drain began.
#[tokio::test]
async fn a_drain_that_began_at_this_very_point_can_be_cancelled() {
    let drain = Drain { state: DrainState::Returning, ..Drain::begun(Purpose::ScaleIn, NOW) };
    let steps = vec![Effect::MarkDrain(InstanceId::new("i-0"), drain)];
    let (asked, ..) =
        performed(&view(Component::Jvb, drain), (2, 1), (&[], true), steps, &Lead::always()).await;
    assert_eq!(asked, ["tag 2001-09-09T01:46:40Z returning scale-in"]);
}

#[test_case(2, 1, &["describe", "read", "terminate i-0"]; "above both")]
#[test_case(1, 0, &["describe"]; "at the group's own minimum")]
#[test_case(2, 2, &["describe"]; "at the configured minimum")]
#[tokio::test]
async fn no_termination_goes_below_the_minimum(desired: u32, floor: u32, expected: &[&str]) {
    let asked = asked(Component::Jvb, (desired, floor), (&[DRAINED], true), Removal::Terminate).await;
    assert_eq!(asked, expected);
}

#[test_case(&[Reading::Refused], true, &["read", "terminate i-0"]; "it has exited")]
#[test_case(&[FREE, Reading::Refused], true, &["read", "ask to exit", "read", "terminate i-0"]; "restarted, and exits now")]
#[test_case(&[FREE, FREE], true, &["read", "ask to exit", "read", "terminate i-0"]; "restarted, and takes nothing from now on")]
#[test_case(&[FREE, RECORDS], true, &["read", "ask to exit", "read"]; "a recording began before it was asked")]
#[test_case(&[FREE, FREE], false, &["read", "ask to exit", "read"]; "it cannot be asked")]
#[test_case(&[FREE, Reading::Refused], false, &["read", "ask to exit", "read", "terminate i-0"]; "gone before it could be asked")]
#[test_case(&[FREE, Reading::Unknown], true, &["read", "ask to exit", "read"]; "silent afterwards")]
#[test_case(&[RECORDS], true, &["read"]; "it records")]
#[test_case(&[Reading::Unknown], true, &["read"]; "it is silent")]
#[tokio::test]
async fn a_jibri_that_answers_at_the_last_look_is_asked_again_to_exit(
    readings: &[Reading],
    closes: bool,
    expected: &[&str],
) {
    let asked = asked(Component::Jibri, (2, 1), (readings, closes), Removal::Terminate).await;
    assert_eq!(asked[0], "describe");
    assert_eq!(asked[1..], *expected);
}

#[test_case(DRAINED, "terminate i-0, keeping desired"; "at once where it still runs")]
#[test_case(Reading::Refused, "report i-0 unhealthy"; "at the next health check where it is gone")]
#[tokio::test]
async fn an_unhealthy_instance_is_replaced(reading: Reading, expected: &str) {
    let asked = asked(Component::Jvb, (2, 2), (&[reading], true), Removal::Replace).await;
    assert_eq!(asked, ["describe", "read", expected]);
}

#[test]
fn every_error_of_a_step_has_a_text() {
    let id = InstanceId::new("i-0123456789abcdef0");
    let errors = [
        StepError::NoAddress(id.clone()),
        StepError::Drains(id),
        StepError::Overtaken("desired capacity was 3 and is 4 now".to_owned()),
        StepError::Cloud(CloudError::Throttled("SetDesiredCapacity")),
    ];
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_snapshot!(texts.join("\n"), @"
    find the address of i-0123456789abcdef0: prometheus has no series for it, or the series lacks a label of drain.via
    end the drain of i-0123456789abcdef0: it answers the request with 404, and that it drains; check what is between, or restart its component
    desired capacity was 3 and is 4 now
    call SetDesiredCapacity: throttled; the next evaluation tries again
    ");
}
