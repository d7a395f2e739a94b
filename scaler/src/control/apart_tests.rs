//! A fleet in two regions, one of which is in trouble.

use std::sync::Mutex;

use prometheus_client::registry::Registry;
use test_case::test_case;
use tokio::time::{Instant, sleep};

use super::fleetwide::Sighting;
use super::*;
use crate::cloud::aws::Aws;
use crate::cloud::client::Client;
use crate::cloud::{Activity, Call, Change, GroupDescription, Permitted, ScalingGroups};
use crate::config::{Groups, sample};
use crate::decide::observation::{Hook, Reading};
use crate::jitsi::{self, Address, Components, JitsiError, Reply};
use crate::observe::prepared::labelled;
use crate::observe::rules::Rules;
use crate::observe::{Labelled, Metrics, QueryError};
use crate::telemetry::Telemetry;
use crate::units::{GroupName, InstanceId, Region, Time};

const GOOD: &str = "eu-west-1";
const BAD: &str = "us-east-1";
/// How long any call takes where nothing is wrong.
const USUAL: Duration = Duration::from_millis(200);

/// What is wrong with the calls to a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Silence,
    AfterHalfAMinute,
    HalfAreThrottled,
}

/// Two groups "a", one in each region, each with two empty bridges.
#[derive(Clone, Debug)]
struct Stage {
    trouble: Trouble,
    /// The value of the policy in both groups.
    value: f64,
    /// The address of the first bridge in the other region.
    other: &'static str,
    /// How many calls the region in trouble got.
    calls: Arc<Mutex<u32>>,
    start: Instant,
    /// The calls to the good region that ended, with their times.
    ended: Arc<Mutex<Vec<(Duration, String)>>>,
    queries: Arc<Mutex<Vec<Time>>>,
}

impl Stage {
    fn new(trouble: Trouble, value: f64) -> Self {
        let (calls, ended, queries) = (Arc::default(), Arc::default(), Arc::default());
        Self { trouble, value, other: "10.0.1.0", calls, start: Instant::now(), ended, queries }
    }

    async fn call(&self, region: &Region, what: String) -> Result<(), CloudError> {
        if region.as_str() == BAD {
            let calls = {
                let mut calls = self.calls.lock().expect("no panic");
                *calls += 1;
                *calls
            };
            match self.trouble {
                Trouble::Silence => std::future::pending().await,
                Trouble::AfterHalfAMinute => sleep(Duration::from_secs(30)).await,
                Trouble::HalfAreThrottled if calls.is_multiple_of(2) => {
                    sleep(Duration::from_secs(14)).await;
                    return Err(CloudError::Throttled("DescribeAutoScalingGroups"));
                }
                Trouble::None | Trouble::HalfAreThrottled => {}
            }
        }
        sleep(USUAL).await;
        if region.as_str() == GOOD {
            self.ended.lock().expect("no panic").push((self.start.elapsed(), what));
        }
        Ok(())
    }
}

impl ScalingGroups for Stage {
    fn name_of(&self, call: Call<'_>) -> &'static str {
        Aws::operation(call)
    }

    async fn describe(&self, region: &Region, _: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        self.call(region, "describe".to_owned()).await?;
        let mut group = GroupDescription::with("a", 2, &["InService", "InService"]);
        for instance in &mut group.instances {
            instance.id = id(region, &instance.id);
        }
        Ok(vec![group])
    }

    async fn activities(
        &self,
        region: &Region,
        _: &GroupName,
        _: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        self.call(region, "activities".to_owned()).await.map(|()| Vec::new())
    }

    async fn hooks(&self, region: &Region, _: &GroupName) -> Result<Vec<Hook>, CloudError> {
        self.call(region, "hooks".to_owned()).await.map(|()| Vec::new())
    }

    async fn refreshing(&self, region: &Region, _: &GroupName) -> Result<bool, CloudError> {
        self.call(region, "refreshes".to_owned()).await.map(|()| false)
    }

    async fn apply(&self, permitted: Permitted<'_>) -> Result<(), CloudError> {
        let what = match permitted.change() {
            Change::Tag { key, .. } => format!("tag {key}"),
            Change::SetDesired(_) => "raise".to_owned(),
            other => format!("{other:?}"),
        };
        self.call(permitted.region(), what).await
    }
}

fn id(region: &Region, id: &InstanceId) -> InstanceId {
    InstanceId::new(&format!("{id}-{region}"))
}

impl Metrics for Stage {
    async fn range(&self, _: &str, _: Time, end: Time, _: Period) -> Result<Vec<Labelled>, QueryError> {
        self.queries.lock().expect("no panic").push(end);
        sleep(USUAL).await;
        let series =
            |region| labelled(&[("asg", "a"), ("region", region)], &[(end.unix() as f64, self.value)]);
        Ok([GOOD, BAD].map(series).into())
    }

    async fn rules(&self, _: Duration) -> Option<Arc<Rules>> {
        None
    }

    async fn instant(&self, expr: &str, at: Time) -> Result<Vec<Labelled>, QueryError> {
        let (name, value) =
            if expr.starts_with("jvb_up") { ("jvb_up", 1.0) } else { ("jvb_local_endpoints", 0.0) };
        let since = at.before(Duration::from_hours(9)).unix() as f64;
        let value = if expr.starts_with("min_over_time") { since } else { value };
        let addresses = [(GOOD, ["10.0.0.0", "10.0.0.1"]), (BAD, [self.other, "10.0.1.1"])];
        let samples = addresses.iter().flat_map(|(region, addresses)| {
            addresses.iter().enumerate().map(move |(number, ip)| {
                let id = format!("i-{number}-{region}");
                let labels = [("__name__", name), ("instance_id", id.as_str()), ("private_ip", ip)];
                labelled(&labels, &[(at.unix() as f64, value)])
            })
        });
        Ok(samples.collect())
    }
}

impl Components for Stage {
    async fn read(&self, _: &Address) -> Result<Reading, JitsiError> {
        Ok(Reading::Answered { empty: true, draining: false, closing: false })
    }

    async fn request(&self, _: &Address, _: jitsi::Permitted) -> Result<Reply, JitsiError> {
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

fn controller(stage: &Stage, regions: &[&str], label: &str) -> Controller<Staged> {
    let policy = "expr: x
        scale_in: {when: '< 1', periods: 1, remove: 1, cooldown: 0s}
        scale_out: {when: '> 9', periods: 1, add: 1, cooldown: 0s}";
    let keys = format!("asg: {{names: [a]{label}}}\n    warmup: 0s\n    victims: {{min_age: 0s}}");
    let fleet = sample::config(&keys, policy).fleets.remove(0);
    let telemetry = Telemetry::register(&mut Registry::default());
    let lead = Lead::always();
    let deps = Deps::<Staged> {
        cloud: Client::new(stage.clone(), telemetry.clone(), lead.clone(), Duration::ZERO),
        metrics: stage.clone(),
        components: jitsi::client::Client::new(stage.clone(), lead),
        telemetry,
        claims: Claims::default(),
        delay: Duration::ZERO,
        regions: regions.iter().map(|region| Region::new(region)).collect(),
    };
    Controller::new(fleet, deps).expect("a policy")
}

/// Runs the loops of the fleet in these regions for ten minutes, and returns what they publish at the end.
async fn ten_minutes(stage: &Stage, regions: &[&str], label: &str) -> Arc<Board> {
    let controllers = vec![controller(stage, regions, label)];
    let (publish, board) = watch::channel(Arc::<Board>::default());
    let (start, stop) = (stage.start, CancellationToken::new());
    // A second after a grid point.
    let clock = move || Duration::from_secs(1_000_000_021) + start.elapsed();
    let ends = stop.clone();
    tokio::spawn(async move {
        sleep(Duration::from_mins(10)).await;
        ends.cancel();
    });
    run(controllers, clock, &publish, &Lead::always(), &stop).await.expect("no panic");
    let board = board.borrow();
    Arc::clone(&board)
}

/// The times at which the calls to the good region ended, each since the last grid point.
fn ended(stage: &Stage) -> Vec<(String, Duration)> {
    let since = |at: Duration| {
        Duration::from_millis((u64::try_from(at.as_millis()).expect("short") + 1_000) % 60_000)
    };
    stage.ended.lock().expect("no panic").iter().map(|(at, what)| (what.clone(), since(*at))).collect()
}

const LABEL: &str = ", region_label: region";

#[test_case(Trouble::None, 2; "nothing is wrong")]
#[test_case(Trouble::Silence, 1; "it never answers")]
#[test_case(Trouble::AfterHalfAMinute, 2; "it answers after half a minute")]
#[test_case(Trouble::HalfAreThrottled, 2; "it throttles half")]
#[tokio::test(start_paused = true)]
async fn a_region_is_as_fast_beside_another_one_as_alone(trouble: Trouble, shown: usize) {
    for value in [0.0, 5.0, 10.0] {
        let (alone, beside) = (Stage::new(Trouble::None, value), Stage::new(trouble, value));
        ten_minutes(&alone, &[GOOD], LABEL).await;
        let beside = Stage { start: Instant::now(), ..beside };
        let board = ten_minutes(&beside, &[BAD, GOOD], LABEL).await;
        let (alone, beside) = (ended(&alone), ended(&beside));
        assert!(alone.len() >= 10, "{alone:?}");
        assert_eq!(alone.len(), beside.len(), "{alone:?}\n{beside:?}");
        for ((what, alone), (same, beside)) in alone.iter().zip(&beside) {
            assert_eq!(what, same);
            assert!(beside.as_secs_f64() <= alone.as_secs_f64() * 1.1, "{what}: {beside:?}, alone {alone:?}");
        }
        assert_eq!(board.status.groups.len(), shown, "{:?}", board.status.groups);
        let silent = trouble == Trouble::Silence;
        assert_eq!(board.status.problems.iter().any(|it| it.text.starts_with(BAD)), silent);
    }
}

#[tokio::test(start_paused = true)]
async fn regions_share_their_queries() {
    let stage = Stage::new(Trouble::None, 5.0);
    ten_minutes(&stage, &[BAD, GOOD], LABEL).await;
    let mut queries = stage.queries.lock().expect("no panic").clone();
    let all = queries.len();
    queries.dedup();
    assert_eq!((queries.len(), all), (11, 11));
}

/// What begins in the good region.
fn begun(stage: &Stage, what: &str) -> bool {
    ended(stage).iter().any(|(call, _)| call.starts_with(what))
}

/// It is unknown which of two groups a series without a region belongs to.
#[test_case("", Trouble::Silence, false; "no label, and the region never answers")]
#[test_case(LABEL, Trouble::Silence, true; "a label, and the region never answers")]
#[test_case("", Trouble::None, false; "no label, and both have a group of the name")]
#[tokio::test(start_paused = true)]
async fn a_series_without_a_region_scales_nothing_while_another_region_is_unknown(
    label: &str,
    trouble: Trouble,
    scales: bool,
) {
    let stage = Stage::new(trouble, 10.0);
    ten_minutes(&stage, &[BAD, GOOD], label).await;
    assert_eq!(begun(&stage, "raise"), scales);
}

/// Otherwise the answers of an instance in the region that is silent would let this one leave.
#[test_case("10.0.1.0", Trouble::Silence, "i-0"; "another address")]
#[test_case("10.0.0.0", Trouble::Silence, "i-1"; "the same address")]
#[test_case("10.0.0.0", Trouble::None, "i-1"; "the same address, and the region answers")]
#[tokio::test(start_paused = true)]
async fn an_address_in_a_silent_region_counts(other: &'static str, trouble: Trouble, drained: &str) {
    let stage = Stage { other, ..Stage::new(trouble, 0.0) };
    ten_minutes(&stage, &[BAD, GOOD], LABEL).await;
    for number in ["i-0", "i-1"] {
        assert_eq!(begun(&stage, &format!("tag jitsi-scaler/drain/{number}")), number == drained);
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_is_known_while_it_is_read() {
    let fleetwide = controller(&Stage::new(Trouble::None, 5.0), &[GOOD, BAD], LABEL).fleetwide;
    let [good, bad] = [GOOD, BAD].map(Region::new);
    let others = || async {
        let others = fleetwide.others(&good, Duration::ZERO).await;
        (others.unknown.len(), others.groups.len(), others.addresses.len())
    };
    let sighting = |read| Sighting {
        read,
        groups: vec![GroupName::new("a")],
        addresses: vec![(InstanceId::new("i-0"), "10.0.1.0".to_owned())],
        ..Sighting::default()
    };
    assert_eq!(others().await, (1, 0, 0), "it has never been read");
    fleetwide.note(&bad, sighting(Some(Instant::now())));
    assert_eq!(others().await, (0, 1, 1));
    fleetwide.note(&bad, Sighting::default());
    assert_eq!(others().await, (1, 1, 1), "what it held goes on counting");
    fleetwide.note(&bad, sighting(Some(Instant::now())));
    tokio::time::advance(Duration::from_mins(3)).await;
    assert_eq!(others().await, (1, 1, 1), "that was long ago");
}
