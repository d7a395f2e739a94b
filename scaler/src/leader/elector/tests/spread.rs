//! Replicas that share the shards: never do two lead one, and in the end each leads as many as any other, or one more.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tokio::task::JoinHandle;

use super::*;
use crate::leader::balance::Balance;
use crate::leader::election::Election;
use crate::leader::{Lead, one_turn};
use crate::shards::Shards;

/// How many shards there are.
const EIGHT: u16 = 8;
/// How long a replica goes on to act after it was asked to hand a shard over.
const FINISHING: Duration = Duration::from_millis(300);

/// A time that no two calls share.
fn wall() -> Duration {
    static MICROS: AtomicU64 = AtomicU64::new(0);
    WALL + Duration::from_micros(MICROS.fetch_add(1, Ordering::Relaxed))
}

/// When something begins and ceases to act on a shard.
#[derive(Clone, Copy, Debug)]
struct Change {
    shard: usize,
    begins: bool,
    at: Instant,
}

/// The leases of an API server: that of the agreement, and those of the shards.
#[derive(Clone, Default)]
struct Cluster {
    base: Memory,
    shards: Vec<Memory>,
    changes: Arc<Mutex<Vec<Change>>>,
}

struct Replica {
    shards: Shards,
    places: Vec<Leadership>,
    changes: Arc<Mutex<Vec<Change>>>,
    trouble: Arc<Mutex<Trouble>>,
    stop: CancellationToken,
    stops_acting: CancellationToken,
    electors: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
}

impl Cluster {
    fn new() -> Self {
        Self { shards: (0..EIGHT).map(|_| Memory::default()).collect(), ..Self::default() }
    }

    fn join(&self, name: &str, count: u16) -> Replica {
        let trouble: Arc<Mutex<Trouble>> = Arc::default();
        let of = |memory: &Memory| Memory { state: Arc::clone(&memory.state), trouble: Arc::clone(&trouble) };
        let (stop, stops_acting) = (CancellationToken::new(), CancellationToken::new());
        let shards = Shards::try_new(count).expect("a number");
        let times = crate::leader::Times::try_new(seconds(15), seconds(10), seconds(2)).expect("good times");
        let telemetry = Telemetry::register(&mut Registry::default());
        let mut electors = Vec::new();
        let mut start = |memory: Memory, part: Part, election: Election| {
            let (elector, standing) = Elector::new((memory, part), election, wall, telemetry.clone());
            electors.push(tokio::spawn(elector.run(stop.clone())));
            standing
        };
        let own = || Election::new(name.to_owned(), times);
        let places: Vec<Leadership> = if shards == Shards::ONE {
            vec![Leadership::by(start(of(&self.base), Part::Whole, own()))]
        } else {
            let balance = Arc::new(watch::Sender::new(Balance::new(name.to_owned(), count)));
            let part = Part::Agreement(Arc::clone(&balance));
            let agreement = start(of(&self.base), part, Election::shared(shards.identity(), times));
            let leases = self.shards.iter().zip(shards.iter());
            let leases = leases.map(|(memory, shard)| {
                let (turn, balance) = (one_turn(), Arc::clone(&balance));
                let part = Part::Shard { number: shard.number, balance, turn: Arc::clone(&turn) };
                Leadership::of_shard(agreement.clone(), start(of(memory), part, own()), turn)
            });
            leases.collect()
        };
        let work = |(shard, place): (usize, &Leadership)| {
            let changes = Arc::clone(&self.changes);
            tokio::spawn(work(shard, place.clone(), changes, stops_acting.clone()))
        };
        let workers = places.iter().enumerate().map(work).collect();
        Replica {
            shards,
            places,
            changes: Arc::clone(&self.changes),
            trouble,
            stop,
            stops_acting,
            electors,
            workers,
        }
    }

    /// The longest time for which nothing has acted on a shard since `since`.
    fn longest_gap(&self, since: Instant) -> Duration {
        let changes = self.changes.lock().expect("no panic");
        let gap = |shard: usize| {
            let of_shard: Vec<_> = changes.iter().filter(|it| it.shard == shard).collect();
            let ends = of_shard.windows(2).filter(|pair| !pair[0].begins && pair[1].begins);
            ends.filter(|pair| pair[1].at > since).map(|pair| pair[1].at - pair[0].at.max(since)).max()
        };
        (0..self.shards.len()).filter_map(gap).max().unwrap_or_default()
    }
}

/// Acts on a shard whenever it may, as the service does.
async fn work(shard: usize, place: Leadership, changes: Arc<Mutex<Vec<Change>>>, stop: CancellationToken) {
    let note = |begins| {
        changes.lock().expect("no panic").push(Change { shard, begins, at: Instant::now() });
    };
    loop {
        let lead: Lead = tokio::select! {
            () = stop.cancelled() => return,
            won = place.won() => match won { Some(lead) => lead, None => return },
        };
        let Some(_turn) = lead.begin().await else { continue };
        note(true);
        tokio::select! {
            () = stop.cancelled() => {}
            () = lead.lost() => {}
            () = lead.leaving() => tokio::select! {
                () = lead.lost() => {}
                () = sleep(FINISHING) => {}
            },
        }
        note(false);
    }
}

impl Replica {
    fn leads(&self) -> Vec<usize> {
        let held = self.places.iter().enumerate().filter(|(_, place)| place.lead().holds());
        held.map(|(shard, _)| shard).collect()
    }

    fn trouble(&self, trouble: Trouble) {
        *self.trouble.lock().expect("no panic") = trouble;
    }

    fn kill(&self) {
        for shard in self.leads() {
            self.changes.lock().expect("no panic").push(Change { shard, begins: false, at: Instant::now() });
        }
        for task in self.electors.iter().chain(&self.workers) {
            task.abort();
        }
    }

    /// As SIGTERM: what acts ends first.
    async fn stop(self) {
        self.stops_acting.cancel();
        for worker in self.workers {
            worker.await.expect("no panic");
        }
        self.stop.cancel();
        for elector in self.electors {
            elector.await.expect("no panic");
        }
    }
}

/// Waits, and checks every tenth of a second that one at most leads each shard, and that all that lead have one number of
/// shards.
async fn pass(replicas: &[Replica], time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        sleep(Duration::from_millis(100)).await;
        let led: Vec<_> = replicas.iter().map(|it| (it.shards.count(), it.leads())).collect();
        let acting: Vec<_> = led.iter().filter(|(_, led)| !led.is_empty()).collect();
        assert!(acting.windows(2).all(|pair| pair[0].0 == pair[1].0), "two numbers of shards: {led:?}");
        let mut all: Vec<_> = acting.iter().flat_map(|(_, led)| led).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "two lead: {led:?}");
    }
}

/// How many shards each replica leads, sorted.
fn counts(replicas: &[Replica]) -> Vec<usize> {
    let mut counts: Vec<_> = replicas.iter().map(|it| it.leads().len()).collect();
    counts.sort_unstable();
    counts
}

async fn three() -> (Cluster, Vec<Replica>) {
    let cluster = Cluster::new();
    let replicas: Vec<_> = ["a", "b", "c"].map(|name| cluster.join(name, EIGHT)).into();
    pass(&replicas, seconds(40)).await;
    assert_eq!(counts(&replicas), [2, 3, 3]);
    (cluster, replicas)
}

#[tokio::test(start_paused = true)]
async fn the_shards_of_a_replica_that_dies_go_to_the_others_within_the_lease_duration() {
    let (cluster, mut replicas) = three().await;
    let began = Instant::now();
    replicas[0].kill();
    let dead = replicas.remove(0);
    pass(&replicas, seconds(30)).await;
    assert_eq!(counts(&replicas), [4, 4]);
    let gap = cluster.longest_gap(began);
    assert!(seconds(13) < gap && gap < seconds(18), "{gap:?}");
    drop(dead);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_joins_gets_its_share_and_no_shard_waits() {
    let (cluster, mut replicas) = three().await;
    let began = Instant::now();
    replicas.push(cluster.join("d", EIGHT));
    pass(&replicas, seconds(15)).await;
    assert_eq!(counts(&replicas), [2, 2, 2, 2]);
    let gap = cluster.longest_gap(began);
    assert!(!gap.is_zero() && gap < Duration::from_millis(700), "{gap:?}");
    // Nothing moves any more.
    let changes = cluster.changes.lock().expect("no panic").len();
    pass(&replicas, seconds(60)).await;
    assert_eq!(cluster.changes.lock().expect("no panic").len(), changes);
}

#[tokio::test(start_paused = true)]
async fn the_shards_of_a_replica_that_stops_go_to_the_others_at_once() {
    let (cluster, mut replicas) = three().await;
    let began = Instant::now();
    replicas.remove(0).stop().await;
    pass(&replicas, seconds(10)).await;
    assert_eq!(counts(&replicas), [4, 4]);
    let gap = cluster.longest_gap(began);
    assert!(gap < seconds(3), "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn replicas_with_another_number_of_shards_wait_until_the_first_ones_have_stopped() {
    for other in [1, 4] {
        let (cluster, mut replicas) = three().await;
        replicas.push(cluster.join("other", other));
        pass(&replicas, seconds(60)).await;
        assert!(replicas[3].leads().is_empty());
        for _ in 0..3 {
            replicas.remove(0).stop().await;
            pass(&replicas, seconds(5)).await;
        }
        pass(&replicas, seconds(20)).await;
        assert_eq!(replicas[0].leads().len(), usize::from(other));
        // And back.
        replicas.push(cluster.join("a", EIGHT));
        pass(&replicas, seconds(60)).await;
        assert!(replicas[1].leads().is_empty());
        replicas.remove(0).kill();
        pass(&replicas, seconds(40)).await;
        assert_eq!(replicas[0].leads().len(), usize::from(EIGHT));
    }
}

/// What happens to the replicas.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Joins,
    /// One with another number of shards.
    JoinsOther,
    Dies(usize),
    Stops(usize),
    Trouble(usize, Trouble),
    /// The lease of a shard is deleted, or that of the agreement.
    Deleted(usize),
}

fn happens() -> impl Strategy<Value = (Happens, u64)> {
    let trouble = prop_oneof![
        3 => Just(Trouble::None),
        1 => Just(Trouble::Silence),
        2 => Just(Trouble::AnswersLost),
        1 => Just(Trouble::Refused),
    ];
    let what = prop_oneof![
        4 => Just(Happens::Joins),
        1 => Just(Happens::JoinsOther),
        2 => (0_usize..8).prop_map(Happens::Dies),
        2 => (0_usize..8).prop_map(Happens::Stops),
        4 => (0_usize..8, trouble).prop_map(|(who, trouble)| Happens::Trouble(who, trouble)),
        1 => (0_usize..9).prop_map(Happens::Deleted),
    ];
    (what, 0_u64..20_000)
}

async fn play(story: Vec<(Happens, u64)>) {
    let cluster = Cluster::new();
    let mut replicas = vec![cluster.join("first", EIGHT)];
    for (number, (what, after)) in story.into_iter().enumerate() {
        let who = |who: usize| who % replicas.len().max(1);
        match what {
            Happens::Joins if replicas.len() < 5 => replicas.push(cluster.join(&format!("r{number}"), EIGHT)),
            Happens::JoinsOther if replicas.len() < 5 => {
                replicas.push(cluster.join(&format!("o{number}"), 4));
            }
            Happens::Dies(index) if !replicas.is_empty() => replicas.remove(who(index)).kill(),
            Happens::Stops(index) if !replicas.is_empty() => {
                let index = who(index);
                replicas.remove(index).stop().await;
            }
            Happens::Trouble(index, trouble) if !replicas.is_empty() => replicas[who(index)].trouble(trouble),
            Happens::Deleted(0) => cluster.base.state().lease = None,
            Happens::Deleted(shard) => cluster.shards[shard - 1].state().lease = None,
            _ => {}
        }
        pass(&replicas, Duration::from_millis(after)).await;
    }
    for other in replicas.extract_if(.., |it| it.shards.count() != EIGHT) {
        other.kill();
    }
    replicas.push(cluster.join("last", EIGHT));
    for replica in &replicas {
        replica.trouble(Trouble::None);
    }
    // Leases expire, one that was just made waits as long, and each exchange takes some seconds.
    pass(&replicas, seconds(90)).await;
    let counts = counts(&replicas);
    assert_eq!(counts.iter().sum::<usize>(), usize::from(EIGHT), "{counts:?}");
    assert!(counts[counts.len() - 1] - counts[0] <= 1, "{counts:?}");
    let led = |replicas: &[Replica]| replicas.iter().map(Replica::leads).collect::<Vec<_>>();
    let before = led(&replicas);
    pass(&replicas, seconds(60)).await;
    assert_eq!(led(&replicas), before, "it goes to and fro");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn whatever_happens_one_leads_each_shard_and_in_the_end_all_lead_as_many(
        story in prop::collection::vec(happens(), 1..25)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(play(story));
    }
}
