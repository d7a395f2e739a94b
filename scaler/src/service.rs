//! The running service: its start, reloads of the configuration, terms of leadership, and an orderly end.
//!
//! Owns the order in which parts start and stop. What a fleet does is decided in [`crate::control`].

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::Run;
use crate::config::{self, Config, ConfigError};
use crate::control::{self, Board, Clock, Controller, Handle};
use crate::http::{self, Past, Served};
use crate::leader::{Lead, Leadership};
use crate::network::{self, Network};
use crate::observe::prometheus::Client;
use crate::shards::Shard;
use crate::telemetry::{ShardEnd, Telemetry};
use crate::units::FleetName;

mod candidacy;

use candidacy::{Candidacy, Candidate};

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
    control::check_apart(&config.fleets, flags.leader.shards)?;
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
    let candidacy = Candidacy::stand(candidate, clock, &telemetry, &publish);

    // A standby prepares too: it reports now what it could not set up, and is not ready before.
    let setup = Setup { clock, telemetry: telemetry.clone(), past };
    let (mut services, mut places) = (Vec::new(), Vec::new());
    for (shard, leadership) in candidacy.places.clone() {
        let config = part(&config, shard);
        let prepared = tokio::select! {
            prepared = setup.prepare(&config, leadership.lead()) => prepared?,
            () = stop.cancelled() => return Ok(()),
        };
        let (renew, renewed) = mpsc::channel(1);
        places.push(Place { shard, leadership: leadership.clone(), renew });
        let (setup, publish, stop) = (setup.clone(), publish.clone(), stop.clone());
        let place = (shard, leadership);
        services.push(Service {
            place,
            config,
            prepared: Some(prepared),
            acts: false,
            setup,
            publish,
            renewed,
            stop,
        });
    }
    let serving = tokio::spawn(server.serve(routes, stop.clone()));
    let reload = Reload { flags: Arc::new(flags), setup, places: places.into() };
    reloads.add("configuration", move || reload.clone().read());
    let ran = join_all(services.into_iter().map(|service| service.run_or_stop_all(stop.clone()))).await;

    stop.cancel();
    // No evaluation is under way.
    candidacy.resign().await?;
    telemetry.stopping();
    if let Some(log) = log {
        log.flush().await;
    }
    serving.await.context("join the server")??;
    ran.into_iter().collect()
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

/// The configuration of the fleets of a shard.
fn part(config: &Config, shard: Shard) -> Config {
    let mut config = config.clone();
    config.fleets.retain(|fleet| shard.has(fleet.name.as_str()));
    config
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

/// What a reload needs of a shard.
struct Place {
    shard: Shard,
    leadership: Leadership,
    renew: mpsc::Sender<(Config, Prepared)>,
}

/// Reads the configuration again and sends it, with its controllers, to the running service.
#[derive(Clone)]
struct Reload {
    flags: Arc<Run>,
    setup: Setup,
    places: Arc<[Place]>,
}

impl Reload {
    async fn read(self) -> anyhow::Result<()> {
        let config = load(&self.flags)?;
        control::check_apart(&config.fleets, self.flags.leader.shards)?;
        let mut renewals = Vec::new();
        for Place { shard, leadership, renew } in self.places.iter() {
            let config = part(&config, *shard);
            let prepared = self.setup.prepare(&config, leadership.lead()).await?;
            renewals.push(renew.send((config, prepared)));
        }
        let sent: Result<(), _> = join_all(renewals).await.into_iter().collect();
        sent.ok().context("hand it over: the service is stopping")
    }
}

/// The service of a shard between its start and its end.
struct Service {
    place: (Shard, Leadership),
    /// Its fleets.
    config: Config,
    /// The controllers of the next term, if a standby or a reload has built them.
    prepared: Option<Prepared>,
    /// Whether a term runs.
    acts: bool,
    setup: Setup,
    publish: watch::Sender<Arc<Board>>,
    renewed: mpsc::Receiver<(Config, Prepared)>,
    stop: CancellationToken,
}

impl Service {
    /// Runs until the service stops; a failure stops the other shards too.
    async fn run_or_stop_all(self, stop: CancellationToken) -> anyhow::Result<()> {
        let ran = self.run().await;
        stop.cancel();
        ran
    }

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
                won = self.place.1.won() => {
                    won.context("stand for election: it has ended, which is a defect of jitsi-scaler")?
                }
            };
            // Until this is dropped, the lease is not handed over.
            let Some(_turn) = lead.begin().await else { continue };
            let ready = match self.prepared.take().filter(|ready| ready.lead.holds()) {
                Some(ready) => ready,
                None => self.setup.prepare(&self.config, lead).await?,
            };
            if self.term(ready).await?.is_break() {
                self.ends(ShardEnd::Stopped);
                return Ok(());
            }
        }
    }

    /// Runs the loops of the fleets until the lead is lost or handed over, or the configuration changes; breaks when the
    /// service stops.
    async fn term(&mut self, ready: Prepared) -> anyhow::Result<ControlFlow<()>> {
        let shard = self.place.0;
        self.begins();
        let Setup { clock, telemetry, past } = self.setup.clone();
        let (publish, stop) = (self.publish.clone(), self.stop.clone());
        publish.send_modify(|board| Arc::make_mut(board).begin_anew(shard));
        past.ask_at(shard, ready.archive);
        telemetry.started(ready.controllers.len(), shard);
        let these = stop.child_token();
        let names: Vec<_> = self.config.fleets.iter().map(|fleet| fleet.name.to_string()).collect();
        let mut running = pin!(control::run(ready.controllers, clock, &publish, &ready.lead, &these));
        let next = tokio::select! {
            () = overdue(&stop, &telemetry) => return Ok(ControlFlow::Break(())),
            ran = &mut running => {
                ran.context(DEFECT)?;
                if stop.is_cancelled() {
                    return Ok(ControlFlow::Break(()));
                }
                let holder = self.place.1.standing().holder().map(str::to_owned);
                self.stands_down(ShardEnd::Lost(holder));
                return Ok(ControlFlow::Continue(()));
            }
            () = ready.lead.leaving() => None,
            next = successor(&names, &publish, &mut self.renewed) => Some(next),
        };
        // Evaluations end that only ask; those that act finish, and the groups' tags hold what they began.
        these.cancel();
        tokio::select! {
            () = overdue(&stop, &telemetry) => return Ok(ControlFlow::Break(())),
            ran = &mut running => ran.context(DEFECT)?,
        }
        match next {
            None => self.stands_down(ShardEnd::HandedOver),
            Some(None) => return Ok(ControlFlow::Break(())),
            Some(Some((newer, ready))) => (self.config, self.prepared) = (newer, Some(ready)),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reports the start of a term, unless it goes on with another configuration.
    fn begins(&mut self) {
        let shard = self.place.0;
        if shard != Shard::WHOLE && !self.acts {
            self.setup.telemetry.leads_shard(shard);
        }
        self.acts = true;
    }

    /// Reports the end of the term.
    fn ends(&mut self, end: ShardEnd) {
        let shard = self.place.0;
        if shard != Shard::WHOLE && self.acts {
            self.setup.telemetry.left_shard(shard, end);
        }
        self.acts = false;
    }

    /// Shows nothing of the fleets any more, which another scaler leads.
    fn stands_down(&mut self, end: ShardEnd) {
        let shard = self.place.0;
        self.ends(end);
        self.setup.telemetry.stood_down(shard);
        self.publish.send_modify(|board| Arc::make_mut(board).begin_anew(shard));
    }
}

/// The configuration of the next term. It waits until every fleet has been evaluated once in each of its regions in this
/// term: otherwise, reloads that come faster than Prometheus answers would end every evaluation before it acts.
async fn successor(
    fleets: &[String],
    publish: &watch::Sender<Arc<Board>>,
    renewed: &mut mpsc::Receiver<(Config, Prepared)>,
) -> Option<(Config, Prepared)> {
    let mut board = publish.subscribe();
    let has_begun = |board: &Arc<Board>| fleets.iter().all(|fleet| board.handles.contains_key(fleet));
    let begun = board.wait_for(has_begun).await.ok()?.clone();
    let handles = fleets.iter().filter_map(|fleet| begun.handles.get(fleet));
    for pulse in handles.flat_map(Handle::pulses) {
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
        let names = ["a", "b"].map(str::to_owned);
        let mut next = pin!(successor(&names, &publish, &mut renewed));
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
