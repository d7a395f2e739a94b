//! Drains that begin, change and end while scalers are killed, writes fail and answers are old.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{join_all, pending};
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::*;
use crate::cloud::drain_tags::LAG;
use crate::cloud::layout::MOST_TAGS;
use crate::cloud::packs::is_pack;
use crate::cloud::tags::Memory;
use crate::cloud::{Activity, GroupDescription, Permitted};
use crate::decide::observation::{DrainState, Hook, Purpose};
use crate::leader::Lead;
use crate::telemetry::Telemetry;
use crate::units::Time;

const SINCE: Time = Time::from_unix(1_790_000_000);

/// The tags of a group as AWS keeps them, and what they have to say at every moment.
#[derive(Debug)]
struct Tags {
    now: BTreeMap<String, String>,
    /// What was there since when, oldest first.
    before: VecDeque<(Instant, BTreeMap<String, String>)>,
    /// What may be read of each instance that was written.
    right: BTreeMap<InstanceId, Vec<Option<Drain>>>,
    /// All that was written of each instance.
    ever: BTreeMap<InstanceId, Vec<Option<Drain>>>,
    /// Writes of packs that got no answer, and when they are made.
    late: Vec<(Instant, String, Option<String>)>,
    /// How many writes are left until the scaler is killed, each counted once before it is made and once after.
    dies_in: Option<u32>,
    /// How often a write fails, in a hundred.
    fails: u64,
    luck: Luck,
    writes: usize,
}

/// Numbers that follow from a seed.
#[derive(Debug)]
struct Luck(u64);

impl Luck {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[derive(Clone, Debug)]
struct Stage {
    tags: Arc<Mutex<Tags>>,
    killed: Arc<Notify>,
}

impl Stage {
    fn new(others: usize, fails: u64, seed: u64) -> Self {
        let own = ["scaled-out", "scaled-in", "paused", "recycling"].map(|it| format!("jitsi-scaler/{it}"));
        let now: BTreeMap<_, _> =
            (0..others).map(|it| format!("team-{it}")).chain(own).map(|key| (key, String::new())).collect();
        let tags = Tags {
            before: VecDeque::from([(Instant::now(), now.clone())]),
            now,
            right: BTreeMap::new(),
            ever: BTreeMap::new(),
            late: Vec::new(),
            dies_in: None,
            fails,
            luck: Luck(seed),
            writes: 0,
        };
        Self { tags: Arc::new(Mutex::new(tags)), killed: Arc::default() }
    }

    fn tags(&self) -> MutexGuard<'_, Tags> {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut due: Vec<_> = tags.late.extract_if(.., |(at, ..)| *at <= now).collect();
        due.sort_by_key(|(at, ..)| *at);
        for (at, key, value) in due {
            let change =
                value.as_ref().map_or(Change::Untag { key: &key }, |value| Change::Tag { key: &key, value });
            // One that is refused is not made.
            let _ = tags.apply(change, at);
        }
        tags
    }

    fn stops_failing(&self) {
        let mut tags = self.tags();
        (tags.fails, tags.dies_in) = (0, None);
    }

    /// A scaler that begins now.
    fn client(&self) -> Client<Self> {
        let telemetry = Telemetry::register(&mut Registry::default());
        Client::new(self.clone(), telemetry, Lead::always(), Duration::ZERO)
    }

    /// Whether the scaler that makes a call survives it.
    async fn survives(&self) {
        let dies = {
            let mut tags = self.tags();
            let dies = tags.dies_in == Some(0);
            tags.dies_in = tags.dies_in.map(|left| left.saturating_sub(1));
            dies
        };
        if dies {
            self.killed.notify_one();
            pending::<()>().await;
        }
    }
}

impl Tags {
    fn read(tags: &BTreeMap<String, String>) -> Memory {
        Memory::read(&tags.clone().into_iter().collect::<Vec<_>>(), SINCE)
    }

    /// Whether the tags are within bounds, and each drain in them as it should be.
    fn check(&self) {
        assert!(self.now.len() <= MOST_TAGS, "{} tags", self.now.len());
        for (key, value) in &self.now {
            assert!(key.len() <= 128 && value.len() <= 256, "{key} = {value}");
            let is_allowed = |it: char| it.is_ascii_alphanumeric() || " _.:/=+-@".contains(it);
            assert!(value.chars().all(is_allowed), "{key} = {value}");
        }
        let memory = Self::read(&self.now);
        let read: BTreeMap<_, _> = memory.drains.into_iter().collect();
        for (id, right) in &self.right {
            let found = read.get(id).copied();
            assert!(
                right.contains(&found),
                "{id} is {found:?} in {:?}, and should be one of {right:?}",
                self.now
            );
        }
        assert!(read.keys().all(|id| self.right.contains_key(id)));
    }

    /// Makes a change, or refuses the 51st tag as AWS does.
    fn apply(&mut self, change: Change<'_>, now: Instant) -> Result<(), CloudError> {
        match change {
            Change::Tag { key, .. } if self.now.len() == MOST_TAGS && !self.now.contains_key(key) => {
                let (code, message) = ("LimitExceeded".to_owned(), "a group has fifty tags".to_owned());
                return Err(CloudError::Refused { call: "call", code, message });
            }
            Change::Tag { key, value } => drop(self.now.insert(key.to_owned(), value.to_owned())),
            Change::Untag { key } => drop(self.now.remove(key)),
            other => unreachable!("no drain needs {other:?}"),
        }
        self.writes += 1;
        self.check();
        self.before.push_back((now, self.now.clone()));
        while self.before.get(1).is_some_and(|(at, _)| now.duration_since(*at) > LAG) {
            self.before.pop_front();
        }
        Ok(())
    }
}

impl ScalingGroups for Stage {
    fn name_of(&self, _: Call<'_>) -> &'static str {
        "call"
    }

    fn packs_drains(&self) -> bool {
        true
    }

    async fn describe(&self, _: &Region, _: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        sleep(Duration::from_millis(50)).await;
        let mut tags = self.tags();
        let lag = if tags.luck.below(2) == 0 { 0 } else { tags.luck.below(60_000) };
        let then =
            Instant::now() - Duration::from_millis(lag).min(Instant::now().duration_since(tags.before[0].0));
        let shown = tags.before.iter().rev().find(|(at, _)| *at <= then).expect("the oldest");
        let shown = shown.1.clone().into_iter().collect();
        Ok(vec![GroupDescription { tags: shown, ..GroupDescription::with("group", 1, &[]) }])
    }

    async fn activities(
        &self,
        _: &Region,
        _: &GroupName,
        _: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        unreachable!("no drain needs them")
    }

    async fn hooks(&self, _: &Region, _: &GroupName) -> Result<Vec<Hook>, CloudError> {
        unreachable!("no drain needs them")
    }

    async fn refreshing(&self, _: &Region, _: &GroupName) -> Result<bool, CloudError> {
        unreachable!("no drain needs it")
    }

    async fn apply(&self, permitted: Permitted<'_>) -> Result<(), CloudError> {
        self.survives().await;
        let wait = self.tags().luck.below(300);
        sleep(Duration::from_millis(wait)).await;
        let outcome = {
            let mut tags = self.tags();
            let fails = tags.luck.below(100) < tags.fails;
            let failure = fails.then(|| match tags.luck.below(3) {
                0 => CloudError::Throttled("call"),
                _ => CloudError::Timeout("call"),
            });
            let is_made = match &failure {
                None => true,
                Some(CloudError::Timeout(_)) => tags.luck.below(2) == 0,
                Some(_) => false,
            };
            let (key, value) = match permitted.change() {
                Change::Tag { key, value } => (key, Some(value.to_owned())),
                Change::Untag { key } => (key, None),
                other => unreachable!("no drain needs {other:?}"),
            };
            let is_late = failure.is_some() && is_made && is_pack(key);
            if is_late {
                let at = Instant::now() + Duration::from_secs(tags.luck.below(20));
                tags.late.push((at, key.to_owned(), value));
            }
            let made =
                if is_made && !is_late { tags.apply(permitted.change(), Instant::now()) } else { Ok(()) };
            failure.map_or(made, Err)
        };
        self.survives().await;
        outcome
    }
}

fn id(number: usize) -> InstanceId {
    InstanceId::new(&format!("i-{number:017x}"))
}

/// A scaler, with what it does to many drains at once.
struct Scaler {
    stage: Stage,
    client: Client<Stage>,
    began: Instant,
    /// Whether none was killed before it.
    is_first: bool,
}

impl Scaler {
    fn new(stage: &Stage, is_first: bool) -> Self {
        Self { stage: stage.clone(), client: stage.client(), began: Instant::now(), is_first }
    }

    /// Keeps a drain, and notes what may be read from then on.
    async fn keep(&self, id: &InstanceId, drain: Option<Drain>) -> Result<(), CloudError> {
        // A new process may not be shown the pack into which the one before was moving the drain. It then goes on, as it was at
        // that time, until the next evaluation ends it again.
        let is_blind = drain.is_none() && self.began.elapsed() < LAG;
        let before = {
            let mut tags = self.stage.tags();
            let ever = tags.ever.entry(id.clone()).or_default();
            ever.push(drain);
            let may_be = if is_blind { ever.clone() } else { vec![drain] };
            let right = tags.right.entry(id.clone()).or_insert_with(|| vec![None]);
            let before = right.clone();
            right.extend(may_be);
            before
        };
        let asked = Asked::new("alice", "a reason");
        let group = (&Region::new("r"), &GroupName::new("group"));
        let kept = self.client.keep_drain(group, id, drain.map(|drain| (drain, Some(&asked)))).await;
        let mut tags = self.stage.tags();
        let right = tags.right.get_mut(id).expect("it is there");
        match &kept {
            Ok(()) if is_blind => {}
            Ok(()) => *right = vec![drain],
            Err(CloudError::Unsettled | CloudError::Refused { .. }) => *right = before,
            Err(_) => {}
        }
        kept
    }

    /// Reads the tags as an evaluation does.
    async fn evaluates(&self) -> Memory {
        let groups = Groups::Names(vec![GroupName::new("group")]);
        let found = self.client.describe(&Region::new("r"), &groups).await.expect("an answer");
        Memory::read(&found[0].tags, SINCE)
    }

    /// All at once, as the sequences of a decision are. Returns whether it lives.
    async fn keeps(&self, changes: Vec<(usize, Option<Drain>)>) -> (bool, Vec<Result<(), CloudError>>) {
        let changes: Vec<_> = changes.into_iter().map(|(number, drain)| (id(number), drain)).collect();
        // Several calls of a scaler may have been in progress when it was killed before.
        let _ = self.stage.killed.notified().now_or_never();
        let all = join_all(changes.iter().map(|(id, drain)| self.keep(id, *drain)));
        tokio::select! {
            biased;
            () = self.stage.killed.notified() => (false, Vec::new()),
            kept = all => (true, kept),
        }
    }
}

fn in_paused_time<F: Future>(run: impl FnOnce() -> F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime without I/O");
    runtime.block_on(async { run().await })
}

fn begun() -> Drain {
    Drain::begun(Purpose::ScaleIn, SINCE)
}

#[test]
fn a_hundred_and_eighty_drains_take_few_writes_beside_twenty_tags_of_others() {
    in_paused_time(|| async {
        let stage = Stage::new(20, 0, 1);
        let scaler = Scaler::new(&stage, true);
        scaler.evaluates().await;
        sleep(LAG).await;
        for state in [DrainState::Draining, DrainState::Asked, DrainState::Closed] {
            let drain = Some(begun().at(state));
            let began = (Instant::now(), stage.tags().writes);
            let (_, kept) = scaler.keeps((0..180).map(|number| (number, drain)).collect()).await;
            assert!(kept.iter().all(Result::is_ok), "{kept:?}");
            assert!(began.0.elapsed() < Duration::from_secs(10), "{:?}", began.0.elapsed());
            let writes = stage.tags().writes - began.1;
            assert!(writes < 80, "{writes} writes");
        }
        let (_, kept) = scaler.keeps((0..180).map(|number| (number, None)).collect()).await;
        assert!(kept.iter().all(Result::is_ok), "{kept:?}");
        assert_eq!(stage.tags().now.len(), 24, "no tag is left");
    });
}

#[test]
fn up_to_thirty_drains_are_as_earlier_versions_keep_them() {
    in_paused_time(|| async {
        let stage = Stage::new(0, 0, 1);
        let scaler = Scaler::new(&stage, true);
        // A reload builds the client while the term before it still writes.
        sleep(2 * LAG).await;
        let (_, kept) = scaler.keeps((0..30).map(|number| (number, Some(begun()))).collect()).await;
        assert!(kept.iter().all(Result::is_ok) && !stage.tags().now.keys().any(|key| is_pack(key)));
        // A new process may not know of a pack that another one has just written.
        let (_, kept) = scaler.keeps(vec![(30, Some(begun()))]).await;
        assert!(matches!(kept[..], [Err(CloudError::Unsettled)]), "{kept:?}");
        sleep(LAG).await;
        let (_, kept) = scaler.keeps(vec![(30, Some(begun()))]).await;
        assert!(kept[0].is_ok() && stage.tags().now.keys().any(|key| is_pack(key)), "{kept:?}");
    });
}

/// What happens to the drains of a group.
#[derive(Clone, Debug)]
enum Happens {
    Begin(Vec<usize>),
    Change(Vec<usize>, DrainState, bool),
    End(Vec<usize>),
    /// The scaler is killed in one of the next writes.
    KillIn(u32),
    Wait(u64),
}

fn anything() -> impl Strategy<Value = Happens> {
    let some = || proptest::collection::vec(0..180_usize, 1..90);
    let states = [
        DrainState::Draining,
        DrainState::Asked,
        DrainState::Closed,
        DrainState::Unclosable,
        DrainState::Returning,
    ];
    let state = proptest::sample::select(states.to_vec());
    prop_oneof![
        4 => some().prop_map(Happens::Begin),
        3 => (some(), state, proptest::bool::weighted(0.05)).prop_map(|(all, state, by)| {
            // An operator orders one at a time.
            let count = if by { 1 } else { all.len() };
            Happens::Change(all.into_iter().take(count).collect(), state, by)
        }),
        3 => some().prop_map(Happens::End),
        2 => (0..80_u32).prop_map(Happens::KillIn),
        3 => (1..200_u64).prop_map(Happens::Wait),
    ]
}

async fn happens(scaler: &mut Scaler, what: Happens) {
    let stage = scaler.stage.clone();
    // A scaler changes and ends what it reads, and begins what it does not.
    let read = scaler.evaluates().await;
    let holds = |number: usize| read.drains.iter().any(|(it, _)| *it == id(number));
    let unique = |all: Vec<usize>| all.into_iter().collect::<BTreeSet<_>>().into_iter();
    let changes: Vec<_> = match what {
        Happens::KillIn(steps) => {
            stage.tags().dies_in = Some(steps);
            return;
        }
        Happens::Wait(seconds) => {
            sleep(Duration::from_secs(seconds)).await;
            scaler.evaluates().await;
            return;
        }
        Happens::Begin(all) => unique(all).filter(|it| !holds(*it)).map(|it| (it, Some(begun()))).collect(),
        Happens::Change(all, to, by_operator) => {
            let drain = Drain { by_operator, ..begun().at(to) };
            unique(all).filter(|it| holds(*it)).map(|it| (it, Some(drain))).collect()
        }
        Happens::End(all) => unique(all).filter(|it| holds(*it)).map(|it| (it, None)).collect(),
    };
    let is_new = scaler.began.elapsed() < LAG;
    let (lives, kept) = scaler.keeps(changes).await;
    // A new process may be shown less than there is, and give the last tags to single drains.
    let is_refused = kept.iter().any(|it| matches!(it, Err(CloudError::Refused { .. })));
    let tags = stage.tags().now.clone();
    let has_room = scaler.is_first || tags.len() < MOST_TAGS;
    assert!(is_new || !has_room || !is_refused, "there is room in {tags:?}: {kept:?}");
    stage.tags().check();
    if !lives {
        stage.tags().dies_in = None;
        *scaler = Scaler::new(&stage, false);
        scaler.evaluates().await;
    }
}

proptest! {
    #![proptest_config(jitsi_inputs::cases(100))]

    #[test]
    fn every_drain_is_remembered_whatever_happens(
        all in proptest::collection::vec(anything(), 1..24),
        others in 0..21_usize,
        fails in prop_oneof![Just(0_u64), Just(10)],
        seed in any::<u64>(),
    ) {
        in_paused_time(|| async {
            let stage = Stage::new(others, fails, seed);
            let mut scaler = Scaler::new(&stage, true);
            scaler.evaluates().await;
            for what in all {
                happens(&mut scaler, what).await;
            }
            // In the end everything ends.
            stage.stops_failing();
            sleep(3 * LAG).await;
            scaler.evaluates().await;
            let (_, kept) = scaler.keeps((0..180).map(|number| (number, None)).collect()).await;
            assert!(kept.iter().all(Result::is_ok), "{kept:?}");
            let left = stage.tags().now.clone();
            assert_eq!(left.len(), others + 4, "{left:?}");
        });
    }
}
