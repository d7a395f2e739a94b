//! The running service: its start, reloads of the configuration, terms of leadership, and an orderly end.
//!
//! Owns the order in which parts start and stop. What a fleet does is decided in [`crate::control`].

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::{LeaderFlags, Run};
use crate::config::{self, Config, ConfigError};
use crate::control::{self, Board, Clock, Controller, Handle};
use crate::http::{self, Past, Served};
use crate::leader::election::Election;
use crate::leader::elector::Elector;
use crate::leader::kubernetes::Kubernetes;
use crate::leader::{Lead, Leadership, LeaseName, Times};
use crate::network::{self, Network};
use crate::observe::prometheus::Client;
use crate::telemetry::Telemetry;
use crate::units::FleetName;

/// How long evaluations may go on after SIGTERM. A supervisor kills the process after a minute; the lease and the
/// decision log need some of that.
const GRACE: Duration = Duration::from_secs(45);
/// The default port of the scaler, next to the exporter's.
const PORT: u16 = 10066;
/// Context of an error that only a fault in this program can cause.
const DEFECT: &str = "go on: a fleet's loop has failed, which is a defect of jitsi-scaler";

/// Runs the service until SIGTERM. An error means that it could not start or could not go on.
pub async fn run(flags: Run, clock: Clock) -> anyhow::Result<()> {
    let config = load(&flags)?;
    let candidate = Candidate::connect(&flags.leader).await?;
    jitsi_web::logging::init(&flags.log);
    let mut server = jitsi_web::Server::bind(&flags.web, PORT).await.context("serve")?;
    let stop = CancellationToken::new();
    jitsi_web::signals::shutdown_on_signals(stop.clone()).context("listen for signals")?;
    let reloads = server.reloads();
    jitsi_web::signals::reload_on_hangup(reloads.clone()).context("listen for signals")?;

    let mut registry = Registry::default();
    jitsi_web::build_info::register(&mut registry, "jitsi_scaler");
    jitsi_web::process::register(&mut registry);
    server.register_metrics(&mut registry, "jitsi_scaler");
    let mut telemetry = Telemetry::register(&mut registry);
    let log = match &flags.decision_log {
        Some(path) => Some(telemetry.append_to(path).context("log decisions")?),
        None => None,
    };
    let (publish, board) = watch::channel(Arc::<Board>::default());
    let watched = board.clone();
    server.healthy_unless(move || stalled(&watched.borrow()));
    let access = server.access();
    let past = Past::default();
    if let Some(path) = &flags.decision_log {
        past.read_log_at(path.clone());
    }
    let shown = Served::new(registry, board, clock, move || access.authenticates(), telemetry.clone())
        .with_links(&flags.links)
        .with_past(past.clone());
    let routes = http::router(shown, &flags.web.telemetry_path)?;
    let Candidacy { leadership, resign, elector } = stand(candidate, clock, &telemetry, &publish);

    // A standby prepares too: it reports now what it could not set up, and is not ready before.
    let setup = Setup { clock, telemetry: telemetry.clone(), leadership, past };
    let prepared = tokio::select! {
        prepared = setup.prepare(&config, setup.leadership.lead()) => Some(prepared?),
        () = stop.cancelled() => return Ok(()),
    };
    let serving = tokio::spawn(server.serve(routes, stop.clone()));
    let (renew, renewed) = mpsc::channel(1);
    let reload = Reload { flags: Arc::new(flags), setup: setup.clone(), renew };
    reloads.add("configuration", move || reload.clone().read());
    let ran = Service { config, prepared, setup, publish, renewed, stop: stop.clone() }.run().await;

    stop.cancel();
    // No evaluation is under way, so a standby need not wait until the lease runs out.
    resign.cancel();
    if let Some(elector) = elector {
        elector.await.context("join the election")?;
    }
    telemetry.stopping();
    if let Some(log) = log {
        log.flush().await;
    }
    serving.await.context("join the server")??;
    ran
}

/// That the loops hang, for `/-/healthy` and systemd's watchdog: none of the fleets has been evaluated for long. A scaler that
/// does not lead has no loops.
fn stalled(board: &Board) -> Option<String> {
    let now = Instant::now();
    let overdue: Option<Vec<_>> =
        board.handles.values().flat_map(Handle::pulses).map(|pulse| pulse.overdue(now)).collect();
    let longest = overdue?.into_iter().max()?;
    Some(format!("no fleet has been evaluated for {} s", longest.as_secs()))
}

/// The configuration of `run`.
fn load(flags: &Run) -> Result<Config, ConfigError> {
    let mut config = config::load(&flags.config.path)?;
    for fleet in &mut config.fleets {
        fleet.dry_run |= flags.dry_run;
    }
    Ok(config)
}

/// Controllers, and the term that they may act in.
struct Prepared {
    lead: Lead,
    controllers: Vec<Controller<Network>>,
    /// The client with which pages ask for the past.
    archive: Vec<(Vec<FleetName>, Client)>,
}

/// What controllers are built with.
#[derive(Clone)]
struct Setup {
    clock: Clock,
    telemetry: Telemetry,
    leadership: Leadership,
    past: Past,
}

impl Setup {
    async fn prepare(&self, config: &Config, lead: Lead) -> anyhow::Result<Prepared> {
        let controllers = network::controllers(config, self.clock, &self.telemetry, &lead).await?;
        // Pages have a client of their own: a page load takes no connection and no permit from an evaluation.
        let archive = network::archives(config, self.clock, Past::DEADLINE)?;
        Ok(Prepared { lead, controllers, archive })
    }
}

/// Reads the configuration again and sends it, with its controllers, to the running service.
#[derive(Clone)]
struct Reload {
    flags: Arc<Run>,
    setup: Setup,
    renew: mpsc::Sender<(Config, Prepared)>,
}

impl Reload {
    async fn read(self) -> anyhow::Result<()> {
        let config = load(&self.flags)?;
        let prepared = self.setup.prepare(&config, self.setup.leadership.lead()).await?;
        self.renew.send((config, prepared)).await.ok().context("hand it over: the service is stopping")
    }
}

/// The service between its start and its end.
struct Service {
    config: Config,
    /// The controllers of the next term, if a standby or a reload has built them.
    prepared: Option<Prepared>,
    setup: Setup,
    publish: watch::Sender<Arc<Board>>,
    renewed: mpsc::Receiver<(Config, Prepared)>,
    stop: CancellationToken,
}

impl Service {
    /// Runs term after term until the service stops.
    async fn run(mut self) -> anyhow::Result<()> {
        loop {
            let lead = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                Some((config, newer)) = self.renewed.recv() => {
                    (self.config, self.prepared) = (config, Some(newer));
                    continue;
                }
                won = self.setup.leadership.won() => {
                    won.context("stand for election: it has ended, which is a defect of jitsi-scaler")?
                }
            };
            let ready = match self.prepared.take().filter(|ready| ready.lead.holds()) {
                Some(ready) => ready,
                None => self.setup.prepare(&self.config, lead).await?,
            };
            if self.term(ready).await?.is_break() {
                return Ok(());
            }
        }
    }

    /// Runs the loops of all fleets until the lead is lost or the configuration changes; breaks when the service stops.
    async fn term(&mut self, ready: Prepared) -> anyhow::Result<ControlFlow<()>> {
        let Self { config, prepared, setup: Setup { clock, telemetry, past, .. }, publish, renewed, stop } =
            self;
        publish.send_modify(|board| Arc::make_mut(board).begin_anew());
        past.ask_at(ready.archive);
        telemetry.started(ready.controllers.len());
        let these = stop.child_token();
        let mut running = pin!(control::run(ready.controllers, *clock, publish, &ready.lead, &these));
        let next = tokio::select! {
            () = overdue(stop, telemetry) => return Ok(ControlFlow::Break(())),
            ran = &mut running => {
                ran.context(DEFECT)?;
                if stop.is_cancelled() {
                    return Ok(ControlFlow::Break(()));
                }
                // The lead is lost.
                telemetry.stood_down();
                publish.send_modify(|board| Arc::make_mut(board).begin_anew());
                return Ok(ControlFlow::Continue(()));
            }
            next = successor(publish, renewed) => next,
        };
        // Evaluations end that only ask; those that act finish, and the groups' tags hold what they began.
        these.cancel();
        tokio::select! {
            () = overdue(stop, telemetry) => return Ok(ControlFlow::Break(())),
            ran = &mut running => ran.context(DEFECT)?,
        }
        let Some((newer, ready)) = next else { return Ok(ControlFlow::Break(())) };
        (*config, *prepared) = (newer, Some(ready));
        Ok(ControlFlow::Continue(()))
    }
}

/// The configuration of the next term. It waits until every fleet has been evaluated once in each of its regions in this
/// term: otherwise, reloads that come faster than Prometheus answers would end every evaluation before it acts.
async fn successor(
    publish: &watch::Sender<Arc<Board>>,
    renewed: &mut mpsc::Receiver<(Config, Prepared)>,
) -> Option<(Config, Prepared)> {
    let mut board = publish.subscribe();
    let begun = board.wait_for(|board| !board.handles.is_empty()).await.ok()?.clone();
    for pulse in begun.handles.values().flat_map(Handle::pulses) {
        pulse.first().await;
    }
    renewed.recv().await
}

/// Waits until evaluations have gone on for [`GRACE`] after `stop`, and reports that.
async fn overdue(stop: &CancellationToken, telemetry: &Telemetry) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
    telemetry.cut_short(GRACE);
}

/// A candidate with its lease, before it stands for election.
struct Candidate {
    name: LeaseName,
    election: Election,
    leases: Kubernetes,
}

impl Candidate {
    /// The candidate that the flags ask for, if any.
    async fn connect(flags: &LeaderFlags) -> anyhow::Result<Option<Self>> {
        let Some(name) = flags.lease.clone() else { return Ok(None) };
        let times = Times::try_new(flags.lease_duration, flags.renew_deadline, flags.retry_period)?;
        let election = Election::new(identity(flags.identity.as_deref())?, times);
        let leases = Kubernetes::connect(name.clone()).await?;
        Ok(Some(Self { name, election, leases }))
    }
}

/// A name of this process alone: a replica that restarts must not be taken for the one that died.
fn identity(given: Option<&str>) -> anyhow::Result<String> {
    let name = match given.filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => std::fs::read_to_string("/proc/sys/kernel/hostname")
            .context("find the name of the host; give --leader.identity")?
            .trim()
            .to_owned(),
    };
    let mut own = [0; 4];
    aws_lc_rs::rand::fill(&mut own).context("draw a random number")?;
    Ok(format!("{name}_{:08x}", u32::from_be_bytes(own)))
}

/// The election that this scaler stands for, or leadership without one.
struct Candidacy {
    leadership: Leadership,
    /// Ends the election and gives up the lease.
    resign: CancellationToken,
    elector: Option<JoinHandle<()>>,
}

fn stand(
    candidate: Option<Candidate>,
    clock: Clock,
    telemetry: &Telemetry,
    publish: &watch::Sender<Arc<Board>>,
) -> Candidacy {
    let resign = CancellationToken::new();
    let Some(Candidate { name, election, leases }) = candidate else {
        return Candidacy { leadership: Leadership::alone(), resign, elector: None };
    };
    let identity = election.identity().to_owned();
    let (elector, standing) = Elector::new(leases, election, clock, telemetry.clone());
    tokio::spawn(control::show_leader(standing.clone(), (name.to_string(), identity), publish.clone()));
    let elector = Some(tokio::spawn(elector.run(resign.clone())));
    Candidacy { leadership: Leadership::by(standing), resign, elector }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::FleetName;

    #[tokio::test(start_paused = true)]
    async fn a_scaler_whose_fleets_are_all_overdue_is_unhealthy() {
        let handle = || Handle::for_tests(&FleetName::new("jvb"), ("asg", None)).0;
        let board = |handles| Board { handles, ..Board::default() };
        let first = handle();
        tokio::time::advance(Duration::from_mins(6)).await;
        let both = board([("a".to_owned(), first.clone()), ("b".to_owned(), handle())].into());
        assert_eq!(stalled(&both), None, "one of them is evaluated");
        let only = board([("a".to_owned(), first)].into());
        assert_eq!(stalled(&only).as_deref(), Some("no fleet has been evaluated for 360 s"));
        assert_eq!(stalled(&Board::default()), None, "it does not lead");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_waits_until_every_region_of_each_fleet_has_been_evaluated_once() {
        let (publish, _board) = watch::channel(Arc::<Board>::default());
        // The channel is closed, so the wait is for the fleets alone.
        let mut renewed = mpsc::channel(1).1;
        let mut next = pin!(successor(&publish, &mut renewed));
        let mut is_over = async || tokio::time::timeout(Duration::from_secs(1), &mut next).await.is_ok();
        assert!(!is_over().await, "the term has not begun");
        let handle = || Handle::for_tests(&FleetName::new("jvb"), ("asg", None)).0;
        let (one, other) = (handle(), handle());
        let handles = [("a".to_owned(), one.clone()), ("b".to_owned(), other.clone())].into();
        publish.send_replace(Arc::new(Board { handles, ..Board::default() }));
        let mut pulses: Vec<_> = one.pulses().chain(other.pulses()).collect();
        let last = pulses.pop().expect("a region");
        for pulse in pulses {
            pulse.beat();
            pulse.beat();
        }
        assert!(!is_over().await, "one region has not been evaluated");
        last.beat();
        assert!(is_over().await);
    }
}
