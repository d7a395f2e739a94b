//! The past of groups, read when a page is opened: from Prometheus, and from the file of decisions.
//!
//! Owns how much page loads may ask for. A load asks a few queries with one deadline, loads that want the same share the
//! answer, and few ask at a time: pages take nothing from the evaluations, which have clients of their own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::observe::{Labelled, Metrics, QueryError};
use crate::shards::Shard;
use crate::telemetry::chain;
use crate::units::{FleetName, Time};

mod log;
mod questions;
mod shelf;
mod span;

pub(super) use log::Told;
pub(super) use questions::{Act, GroupKey, GroupPast, Since, Values};
pub(super) use span::{Grid, Span};

use shelf::Shelf;

/// How long a page load waits for Prometheus.
const DEADLINE: Duration = Duration::from_secs(2);
/// How many page loads ask at a time. Each sends three queries.
const ASKING: usize = 4;
/// How long answers serve further page loads: less than anyone notices in a chart.
const FRESH: Duration = Duration::from_secs(15);
/// How far back the lines of the overview go, and in how many parts.
const LINES: (Duration, u32) = (Duration::from_hours(6), 72);

/// An answer, or why there is none.
type Answer<T> = Result<Arc<T>, Arc<str>>;
type Asked = BoxFuture<'static, Result<Vec<Labelled>, QueryError>>;
type Ask = Arc<dyn Fn(String, Grid) -> Asked + Send + Sync>;

/// The servers that are asked, each with the fleets that read it.
type Servers = Arc<[(Vec<FleetName>, Ask)]>;

/// The lines of an overview.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lines {
    /// Their moments.
    pub(super) grid: Grid,
    /// The capacity that was wanted, in instances.
    pub(super) wanted: BTreeMap<GroupKey, Vec<Option<f64>>>,
}

/// The past of groups. Clones share it.
#[derive(Clone, Default)]
pub struct Past {
    inner: Arc<Inner>,
}

struct Inner {
    servers: RwLock<Servers>,
    log: OnceLock<PathBuf>,
    asking: Semaphore,
    groups: Shelf<(GroupKey, Span), Answer<GroupPast>>,
    lines: Shelf<Vec<GroupKey>, Answer<Lines>>,
    told: Shelf<(GroupKey, Span), Arc<Vec<Told>>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            servers: RwLock::new(Arc::new([])),
            log: OnceLock::new(),
            asking: Semaphore::new(ASKING),
            groups: Shelf::default(),
            lines: Shelf::default(),
            told: Shelf::default(),
        }
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").finish_non_exhaustive()
    }
}

impl Past {
    /// How long a page load waits at most, and so how long a query may take.
    pub const DEADLINE: Duration = DEADLINE;

    /// From now on each of `servers` is asked about the groups of its fleets, which are those of `shard`.
    pub fn ask_at<M: Metrics + 'static>(
        &self,
        shard: Shard,
        servers: impl IntoIterator<Item = (Vec<FleetName>, M)>,
    ) {
        let ask = |metrics: M| -> Ask {
            let metrics = Arc::new(metrics);
            Arc::new(move |expr: String, grid: Grid| -> Asked {
                let metrics = Arc::clone(&metrics);
                Box::pin(async move { metrics.range(&expr, grid.start, grid.end, grid.step).await })
            })
        };
        let newer = servers.into_iter().map(|(fleets, metrics)| (fleets, ask(metrics)));
        let mut servers = self.inner.servers.write().unwrap_or_else(PoisonError::into_inner);
        let others = servers.iter().filter(|(fleets, _)| !fleets.iter().any(|it| shard.has(it.as_str())));
        *servers = others.cloned().chain(newer).collect();
        drop(servers);
        self.inner.groups.clear();
        self.inner.lines.clear();
    }

    /// Decisions are also read from the file `path`, which is set once.
    pub fn read_log_at(&self, path: PathBuf) {
        let _ = self.inner.log.set(path);
    }

    /// Whether decisions are appended to a file.
    pub(super) fn has_log(&self) -> bool {
        self.inner.log.get().is_some()
    }

    /// The past of a group.
    pub(super) async fn group(&self, group: &GroupKey, span: Span, now: Time) -> Answer<GroupPast> {
        let ask = async {
            let (grid, fine) = (span.grid(now), span.fine_grid(now));
            let servers = self.servers();
            let server = servers.iter().find(|(fleets, _)| reads(fleets, group));
            let answers = self.within_deadline(server, |ask| {
                futures::future::try_join3(
                    ask(questions::figures(group, &grid), grid),
                    ask(questions::values(group, &grid), grid),
                    ask(questions::events(group), fine),
                )
            });
            let (figures, values, events) = answers.await?;
            Ok(Arc::new(questions::assemble((grid, figures, values), (fine, &events))))
        };
        self.inner.groups.get(&(group.clone(), span), FRESH, ask).await
    }

    /// The lines of these groups, which one page shows.
    pub(super) async fn lines(&self, groups: &[GroupKey], now: Time) -> Answer<Lines> {
        let mut key = groups.to_vec();
        key.sort();
        let ask = async {
            let grid = Grid::new(LINES.0, LINES.1, now);
            let servers = self.servers();
            let asked = servers.iter().filter_map(|server| {
                let own: Vec<_> = groups.iter().filter(|group| reads(&server.0, group)).cloned().collect();
                let query = (!own.is_empty()).then(|| questions::wanted(&own, &grid))?;
                Some(self.within_deadline(Some(server), move |ask| ask(query, grid)))
            });
            let mut wanted = BTreeMap::new();
            let mut failed = None;
            for answer in join_all(asked).await {
                match answer {
                    Ok(answer) => wanted.extend(questions::by_group(&grid, &answer)),
                    Err(why) => failed = Some(why),
                }
            }
            // A server that fails leaves the lines of the others.
            match failed {
                Some(why) if wanted.is_empty() => Err(why),
                _ => Ok(Arc::new(Lines { grid, wanted })),
            }
        };
        self.inner.lines.get(&key, FRESH, ask).await
    }

    /// The decisions of a group that the file has, newest first.
    pub(super) async fn told(&self, group: &GroupKey, span: Span, now: Time) -> Arc<Vec<Told>> {
        let Some(path) = self.inner.log.get().cloned() else { return Arc::default() };
        let (wanted, from) = (group.clone(), now.before(span.length()));
        let read = async {
            let read = tokio::task::spawn_blocking(move || log::read(&path, &wanted, from));
            // Only a reader that panics fails.
            Arc::new(read.await.unwrap_or_default())
        };
        self.inner.told.get(&(group.clone(), span), FRESH, read).await
    }

    fn servers(&self) -> Servers {
        self.inner.servers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn within_deadline<T, F: Future<Output = Result<T, QueryError>>>(
        &self,
        server: Option<&(Vec<FleetName>, Ask)>,
        asked: impl FnOnce(Ask) -> F,
    ) -> Result<T, Arc<str>> {
        let Some((_, ask)) = server.cloned() else { return Err("no Prometheus is configured yet".into()) };
        let answered = timeout(DEADLINE, async {
            // The semaphore is never closed.
            let _permit = self.inner.asking.acquire().await;
            asked(ask).await
        });
        match answered.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(QueryError::Timeout(_))) | Err(_) => {
                Err(format!("Prometheus did not answer in {} s", DEADLINE.as_secs()).into())
            }
            Ok(Err(error)) => Err(format!("the scaler failed to {}", chain(&error)).into()),
        }
    }
}

fn reads(fleets: &[FleetName], group: &GroupKey) -> bool {
    fleets.iter().any(|fleet| fleet.as_str() == group.fleet)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::observe::rules::Rules;
    use crate::units::Period;

    /// A server that answers with these series, or never.
    #[derive(Debug, Default)]
    pub(in crate::http) struct Server {
        pub(in crate::http) answer: Vec<Labelled>,
        pub(in crate::http) hangs: bool,
        pub(in crate::http) error: Option<QueryError>,
        asked: Arc<Mutex<Vec<String>>>,
        most: Arc<AtomicU32>,
        now: AtomicU32,
    }

    impl Metrics for Server {
        async fn range(&self, expr: &str, _: Time, _: Time, _: Period) -> Result<Vec<Labelled>, QueryError> {
            self.asked.lock().expect("no panic").push(expr.to_owned());
            let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(if self.hangs { 3_600_000 } else { 100 })).await;
            self.now.fetch_sub(1, Ordering::Relaxed);
            self.error.clone().map_or_else(|| Ok(self.answer.clone()), Err)
        }

        async fn rules(&self, _: Duration) -> Option<Arc<Rules>> {
            None
        }

        async fn instant(&self, _: &str, _: Time) -> Result<Vec<Labelled>, QueryError> {
            Ok(Vec::new())
        }
    }

    fn key(asg: &str) -> GroupKey {
        GroupKey { fleet: "jvb".to_owned(), region: "us-east-1".to_owned(), asg: asg.to_owned() }
    }

    /// The server that the fleet `jvb` reads.
    pub(in crate::http) fn for_jvb(server: Server) -> [(Vec<FleetName>, Server); 1] {
        [(vec![FleetName::new("jvb")], server)]
    }

    const NOW: Time = Time::from_unix(1_790_000_000);

    #[tokio::test(start_paused = true)]
    async fn each_server_is_asked_about_its_own_fleets() {
        let (west, east, past) = (Server::default(), Server::default(), Past::default());
        let asked = [&west, &east].map(|server| Arc::clone(&server.asked));
        past.ask_at(
            Shard::WHOLE,
            [(vec![FleetName::new("jvb")], west), (vec![FleetName::new("jibri")], east)],
        );
        let other = GroupKey { fleet: "jibri".to_owned(), ..key("b") };
        past.group(&other, Span::Hour, NOW).await.expect("an answer");
        past.lines(&[key("a"), other], NOW).await.expect("an answer");
        let asked = asked.map(|asked| asked.lock().expect("no panic").clone());
        assert_eq!((asked[0].len(), asked[1].len()), (1, 4));
        assert!(asked[0][0].contains("asg=~\"a\""), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_fails_takes_no_line_from_another() {
        let past = Past::default();
        let hangs = Server { hangs: true, ..Server::default() };
        let answers = Server { answer: questions::tests::line(&key("a")), ..Server::default() };
        past.ask_at(
            Shard::WHOLE,
            [(vec![FleetName::new("jibri")], hangs), (vec![FleetName::new("jvb")], answers)],
        );
        let other = GroupKey { fleet: "jibri".to_owned(), ..key("b") };
        let lines = past.lines(&[key("a"), other.clone()], NOW).await.expect("an answer");
        assert!(lines.wanted.contains_key(&key("a")) && !lines.wanted.contains_key(&other), "{lines:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn page_loads_share_answers_and_few_ask_at_a_time() {
        let (server, past) = (Server::default(), Past::default());
        let (asked, most) = (Arc::clone(&server.asked), Arc::clone(&server.most));
        past.ask_at(Shard::WHOLE, for_jvb(server));
        let names: Vec<GroupKey> = (0..20).map(|number| key(&number.to_string())).collect();
        let loads = names.iter().chain(&names).map(|name| past.group(name, Span::Day, NOW));
        let answers = futures::future::join_all(loads).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(asked.lock().expect("no panic").len(), 3 * names.len());
        assert!(most.load(Ordering::Relaxed) <= 12, "{most:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_holds_a_page_for_two_seconds_once() {
        let past = Past::default();
        assert!(past.group(&key("a"), Span::Hour, NOW).await.is_err(), "nothing is configured");
        past.ask_at(Shard::WHOLE, for_jvb(Server { hangs: true, ..Server::default() }));
        let began = tokio::time::Instant::now();
        let loads = (0..50).map(|number| {
            let (past, name) = (past.clone(), key(&(number % 9).to_string()));
            async move { past.group(&name, Span::Hour, NOW).await }
        });
        for answer in futures::future::join_all(loads).await {
            assert_eq!(answer.expect_err("no answer").as_ref(), "Prometheus did not answer in 2 s");
        }
        assert_eq!(began.elapsed(), DEADLINE);
        past.group(&key("1"), Span::Hour, NOW).await.expect_err("no answer");
        assert_eq!(began.elapsed(), DEADLINE, "the next load does not wait again");
        // A reload with another address asks at once.
        past.ask_at(Shard::WHOLE, for_jvb(Server::default()));
        assert!(past.group(&key("1"), Span::Hour, NOW).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_told_as_it_is() {
        let past = Past::default();
        let error = QueryError::Refused {
            expr: "x".to_owned(),
            kind: "execution".to_owned(),
            message: "no".to_owned(),
        };
        past.ask_at(Shard::WHOLE, for_jvb(Server { error: Some(error), ..Server::default() }));
        let told = past.lines(&[key("a")], NOW).await.expect_err("no answer");
        assert_eq!(told.as_ref(), "the scaler failed to evaluate `x`: prometheus says execution: no");
    }
}
