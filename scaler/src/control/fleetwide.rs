//! What the regions of a fleet share, although each is evaluated apart: the answers of Prometheus, and what each region saw.
//!
//! Owns what one region may assume of the others without waiting for them. Unknown is never zero. What another region held
//! when it was last read goes on counting: its instances keep their addresses, its groups keep their names. Once a region
//! is unknown, because its newest description failed or none has been answered lately, nothing is concluded from what it may
//! lack: a series that names no region belongs to no group, and instances that Prometheus knows count as held there. So a
//! silent region blocks the policies of fleets whose series carry no region, and the drain of an instance whose address
//! another one may have. It blocks nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::deps::{Deps, World};
use super::facts::Answers;
use crate::cloud::client::LONGEST;
use crate::config::{Fleet, Groups};
use crate::observe::QueryError;
use crate::observe::questions::{self, Grid};
use crate::report::FleetProblem;
use crate::units::{GroupName, InstanceId, Period, Region, Time};

/// For how long a region joins a query that another one sent. Regions are evaluated at the same grid points; a wake wants
/// what is known at its own time.
const TOGETHER: Duration = Duration::from_secs(1);
/// After how many periods without an answer a region is unknown.
const PERIODS_KNOWN: u32 = 2;

/// What a region saw when it was last read.
#[derive(Clone, Debug, Default)]
pub(super) struct Sighting {
    /// When its newest description was answered; `None` if the newest one failed.
    pub(super) read: Option<Instant>,
    /// The groups that the fleet has in it.
    pub(super) groups: Vec<GroupName>,
    /// Where the instances of these groups are reached.
    pub(super) addresses: Vec<(InstanceId, String)>,
    /// What went wrong there, in words for a person.
    pub(super) problems: Vec<String>,
}

/// What one region may assume of the others.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// The regions of which too little is known.
    pub(super) unknown: BTreeSet<Region>,
    /// The groups in all other regions, as last seen.
    pub(super) groups: Vec<GroupName>,
    /// Where the instances of these groups are reached.
    pub(super) addresses: Vec<(InstanceId, String)>,
}

/// The queries of one moment.
#[derive(Debug)]
struct Asked {
    at: Time,
    sent: Instant,
    /// The regions that have not joined yet.
    awaited: BTreeSet<Region>,
    answers: Shared<BoxFuture<'static, Arc<Answers>>>,
}

/// What the regions of a fleet share.
#[derive(Debug)]
pub(super) struct Fleetwide<W: World> {
    fleet: Arc<Fleet>,
    deps: Arc<Deps<W>>,
    tick: Period,
    asked: Mutex<Option<Asked>>,
    seen: watch::Sender<BTreeMap<Region, Sighting>>,
}

impl<W: World> Fleetwide<W> {
    /// Nothing has been asked or seen yet. `tick` is the distance of evaluations.
    pub(super) fn new(fleet: Arc<Fleet>, deps: Arc<Deps<W>>, tick: Period) -> Self {
        Self { fleet, deps, tick, asked: Mutex::default(), seen: watch::Sender::default() }
    }

    /// What Prometheus answers at `grid`. Regions that ask at the same moment share the answers, so that queries grow with
    /// policies only.
    pub(super) async fn answers(&self, region: &Region, grid: Grid) -> Arc<Answers> {
        let answers = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(joined) = asked.as_mut()
                && joined.at == grid.at
                && joined.sent.elapsed() < TOGETHER
                && joined.awaited.remove(region)
            {
                let answers = joined.answers.clone();
                // Answers for thousands of groups are large, and every region has these now.
                if joined.awaited.is_empty() {
                    *asked = None;
                }
                answers
            } else {
                let (fleet, deps) = (Arc::clone(&self.fleet), Arc::clone(&self.deps));
                let answers = async move { Arc::new(ask(&fleet, &deps, grid).await) }.boxed().shared();
                let others = self.deps.regions.iter().filter(|it| *it != region);
                let awaited: BTreeSet<_> = others.cloned().collect();
                let new = Asked { at: grid.at, sent: Instant::now(), awaited, answers: answers.clone() };
                *asked = Some(new).filter(|new| !new.awaited.is_empty());
                answers
            }
        };
        answers.await
    }

    /// Notes what a region saw.
    pub(super) fn note(&self, region: &Region, sighting: Sighting) {
        self.seen.send_modify(|seen| {
            let known = seen.entry(region.clone()).or_default();
            *known = if sighting.read.is_some() {
                Sighting { problems: mem::take(&mut known.problems), ..sighting }
            } else {
                Sighting { read: None, ..mem::take(known) }
            };
        });
    }

    /// Notes what went wrong in a region at its newest evaluation.
    pub(super) fn note_problems(&self, region: &Region, problems: Vec<String>) {
        self.seen.send_modify(|seen| seen.entry(region.clone()).or_default().problems = problems);
    }

    /// What may be assumed of the regions other than `region`. Waits for at most `patience` until each has been read for the
    /// first time.
    pub(super) async fn others(&self, region: &Region, patience: Duration) -> Others {
        let regions = &self.deps.regions;
        let mut seen = self.seen.subscribe();
        // Whether it came or not: what is known is used.
        let _ = timeout(patience, seen.wait_for(|seen| seen.len() == regions.len())).await;
        let seen = seen.borrow();
        let mut others = Others::default();
        for other in regions.iter().filter(|other| *other != region) {
            let sighting = seen.get(other);
            if !sighting.is_some_and(|it| self.is_known(it)) {
                others.unknown.insert(other.clone());
            }
            if let Some(Sighting { groups, addresses, .. }) = sighting {
                others.groups.extend_from_slice(groups);
                others.addresses.extend_from_slice(addresses);
            }
        }
        others
    }

    fn is_known(&self, sighting: &Sighting) -> bool {
        let most = self.tick.duration() * PERIODS_KNOWN + LONGEST;
        sighting.read.is_some_and(|read| read.elapsed() <= most)
    }

    /// How many groups the fleet has, as last seen.
    pub(super) fn groups(&self) -> usize {
        self.seen.borrow().values().map(|it| it.groups.len()).sum()
    }

    /// The groups that the configuration names and that exist in no region. Unknown while a region is.
    pub(super) fn missing(&self) -> Vec<String> {
        let Groups::Names(names) = &self.fleet.asg.groups else { return Vec::new() };
        let seen = self.seen.borrow();
        if !self.all_known(&seen) {
            return Vec::new();
        }
        let found: BTreeSet<_> = seen.values().flat_map(|it| &it.groups).collect();
        names.iter().filter(|name| !found.contains(name)).map(ToString::to_string).collect()
    }

    /// Whether no group carries the tags of the fleet, although every region could be read.
    pub(super) fn is_empty(&self) -> bool {
        let seen = self.seen.borrow();
        let is_empty = |it: &Sighting| it.groups.is_empty() && it.problems.is_empty();
        self.all_known(&seen)
            && seen.values().all(is_empty)
            && matches!(self.fleet.asg.groups, Groups::Tags(_))
    }

    fn all_known(&self, seen: &BTreeMap<Region, Sighting>) -> bool {
        let regions = &self.deps.regions;
        regions.iter().all(|region| seen.get(region).is_some_and(|it| self.is_known(it)))
    }

    /// What could not be read at the newest evaluation of each region, in words for a person. What regions share is said
    /// once.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for text in self.seen.borrow().values().flat_map(|it| &it.problems) {
            if !texts.contains(text) {
                texts.push(text.clone());
            }
        }
        texts
    }

    /// What is wrong with the fleet, in words for a person.
    pub(super) fn problems(&self) -> Vec<FleetProblem> {
        let regions: Vec<&str> = self.deps.regions.iter().map(Region::as_str).collect();
        let regions = regions.join(", ");
        let mut texts = self.failures();
        let missing = self.missing().into_iter();
        let [names, tags, places, _] = self.fleet.asg.keys();
        texts.extend(
            missing.map(|name| format!("no group \"{name}\" in {regions}; check {names} and {places}")),
        );
        if self.is_empty() {
            texts.push(format!("no group in {regions} carries the tags; check {tags} and {places}"));
        }
        texts.into_iter().map(|text| FleetProblem { fleet: self.fleet.name.to_string(), text }).collect()
    }
}

/// Asks Prometheus everything that an evaluation needs for the whole fleet.
async fn ask<W: World>(fleet: &Fleet, deps: &Deps<W>, grid: Grid) -> Answers {
    let windows = async {
        let started = Instant::now();
        let windows = questions::windows(&deps.metrics, fleet, &grid).await;
        for window in &windows {
            count(fleet, deps, window, started);
        }
        windows
    };
    let now = grid.at.before(grid.delay);
    let reports = timed(fleet, deps, questions::reports(&deps.metrics, fleet, now, grid.tick));
    let ill = async {
        match (fleet.policy.replace, &fleet.replace_expr) {
            (Some(replace), Some(expr)) => {
                let at = now.floor(grid.tick);
                let ill = questions::ill(&deps.metrics, fleet, expr, replace.periods, at, grid.tick);
                timed(fleet, deps, ill).await
            }
            _ => Ok(questions::Ill::default()),
        }
    };
    let (windows, reports, ill) = futures::join!(windows, reports, ill);
    Answers { windows, reports, ill }
}

/// Times a query.
pub(super) async fn timed<W: World, T>(
    fleet: &Fleet,
    deps: &Deps<W>,
    question: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError> {
    let started = Instant::now();
    let answer = question.await;
    count(fleet, deps, &answer, started);
    answer
}

/// Counts a query.
fn count<W: World, T>(fleet: &Fleet, deps: &Deps<W>, answer: &Result<T, QueryError>, started: Instant) {
    let outcome = answer.as_ref().map_or_else(QueryError::as_str, |_| "ok");
    deps.telemetry.queried(&fleet.name, outcome, started.elapsed());
}
