//! Wiring only: flags, configuration, clock, signals and exit codes.

use std::collections::HashMap;
use std::io::Write as _;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use jitsi_scaler::access::ClientError;
use jitsi_scaler::cloud::aws::Aws;
use jitsi_scaler::cloud::{self, client::TOGETHER};
use jitsi_scaler::config::{self, Config, ConfigError, Fleet};
use jitsi_scaler::control::{self, Board, Claims, Controller, Deps, World};
use jitsi_scaler::http::{self, PathTaken, Served};
use jitsi_scaler::import::{self, ImportError};
use jitsi_scaler::jitsi::{self, http::Http};
use jitsi_scaler::leader::election::Election;
use jitsi_scaler::leader::elector::Elector;
use jitsi_scaler::leader::kubernetes::{ConnectError, Kubernetes};
use jitsi_scaler::leader::{Lead, Leadership, LeaseName, Times, WrongTimes};
use jitsi_scaler::observe::prometheus::Client;
use jitsi_scaler::observe::shared::Shared;
use jitsi_scaler::online::{self, Report, Visit};
use jitsi_scaler::policy_test;
use jitsi_scaler::report::Status;
use jitsi_scaler::summary::summary;
use jitsi_scaler::telemetry::{Telemetry, chain};
use jitsi_scaler::units::{FleetName, Region, Time};
use jitsi_web::ServeError;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use jitsi_scaler::cli::{Check, Cli, Command, ImportCloudwatch, LeaderFlags, Output, Plan, Run, Test};

/// For how long what is under way at the end may go on. A supervisor kills after a minute, and before that the lease is
/// given up and the decisions are written.
const LAST: Duration = Duration::from_secs(45);
/// The port of the scaler, next to the exporter's.
const PORT: u16 = 10066;

/// The exit codes.
enum Exit {
    /// All is well.
    Fine,
    /// The answer is no: a plan could not be made in full, or the service could not go on.
    No,
    /// The command line or the configuration is wrong. (clap uses 2 for the former.)
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::No => 1,
            Exit::Usage => 2,
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::read();
    let done = match cli.command {
        Command::Check(flags) => Box::pin(check(flags)).await,
        Command::Plan(flags) => Box::pin(plan(flags)).await,
        Command::Test(flags) => test(&flags),
        Command::ImportCloudwatch(flags) => import_cloudwatch(&flags),
        Command::Run(flags) => Box::pin(run(*flags)).await,
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Nothing can be done about a standard error that is gone.
            let _ = writeln!(std::io::stderr(), "jitsi-scaler: failed to {}", chain(error.as_ref()));
            if is_usage(&error) { Exit::Usage.into() } else { Exit::No.into() }
        }
    }
}

/// Whether what was written is wrong, so that a supervisor need not try again. A region that nobody tells may only be
/// late: the metadata of the machine does not always answer at its start.
fn is_usage(error: &anyhow::Error) -> bool {
    let wrong = error.is::<ConfigError>() || error.is::<PathTaken>() || error.is::<ImportError>();
    let wrong = wrong || error.is::<WrongTimes>() || error.is::<ConnectError>() || error.is::<ClientError>();
    wrong || error.downcast_ref::<ServeError>().is_some_and(ServeError::is_usage)
}

/// A fleet that nobody knows the place of.
#[derive(Debug, thiserror::Error)]
#[error("find the region of fleet {0}: write asg.regions, or set AWS_REGION")]
struct NoRegion(FleetName);

fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")
}

/// The one caller of the system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the program, handed to everything that needs it"
)]
fn clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What the service controls fleets through.
#[derive(Debug)]
struct Network;

impl World for Network {
    type Cloud = Aws;
    type Metrics = Shared<Client>;
    type Components = Http;
}

/// Everything that acts, for one term.
async fn controllers(
    config: &Config,
    telemetry: &Telemetry,
    lead: &Lead,
) -> anyhow::Result<Vec<Controller<Network>>> {
    let prometheus =
        Client::new(config.prometheus.clone(), clock).context("set up the client of prometheus")?;
    // Fleets that tick together ask the same of their instances.
    let prometheus = Shared::new(prometheus);
    let claims = Claims::default();
    // Fleets of one role share a client, so that they share describes.
    let mut clouds: HashMap<Option<String>, (cloud::client::Client<Aws>, Option<Region>)> = HashMap::new();
    let mut controllers = Vec::new();
    for fleet in &config.fleets {
        let role = fleet.asg.role_arn.clone();
        // Only a fleet without regions needs that of the AWS configuration, which off EC2 takes seconds to find out.
        let known = clouds.get(&role).filter(|(_, chain)| chain.is_some() || !fleet.asg.regions.is_empty());
        let (cloud, chain) = match known {
            Some(known) => known.clone(),
            None => {
                let aws = Aws::load(role.clone(), fleet.asg.regions.first()).await;
                let chain = aws.region().filter(|_| fleet.asg.regions.is_empty());
                let cloud = cloud::client::Client::new(aws, telemetry.clone(), lead.clone(), TOGETHER);
                let made = (cloud, chain);
                clouds.insert(role, made.clone());
                made
            }
        };
        let regions = match (fleet.asg.regions.as_slice(), chain) {
            ([], Some(region)) => vec![region],
            ([], None) => return Err(NoRegion(fleet.name.clone()).into()),
            (regions, _) => regions.to_vec(),
        };
        let deps = Deps {
            cloud,
            metrics: prometheus.clone(),
            components: jitsi::client::Client::new(components(fleet)?, lead.clone()),
            telemetry: telemetry.clone(),
            claims: claims.clone(),
            delay: config.prometheus.delay,
            regions,
        };
        controllers.extend(Controller::new(fleet.clone(), deps));
    }
    Ok(controllers)
}

/// How the components of a fleet are reached.
fn components(fleet: &Fleet) -> anyhow::Result<Http> {
    Http::new(fleet.drain.as_ref())
        .with_context(|| format!("set up the client of components of the fleet {}", fleet.name))
}

/// Validates the configuration and, if asked to, looks at everything that it names.
async fn check(flags: Check) -> anyhow::Result<Exit> {
    let config = config::load(&flags.config.path)?;
    let report = if flags.online { inspect(&config).await? } else { online::offline(&config) };
    say(&match flags.output {
        Output::Json => report.json()? + "\n",
        // Where there is nothing to say but that it is valid, nothing else is said.
        Output::Text if !flags.online && report.findings().is_empty() => summary(&config),
        Output::Text => format!("{}\n{}", summary(&config), report.text()),
    })?;
    Ok(if report.is_fine() { Exit::Fine } else { Exit::No })
}

async fn inspect(config: &Config) -> anyhow::Result<Report> {
    let mut visits = Vec::new();
    for fleet in &config.fleets {
        let aws = Aws::load(fleet.asg.role_arn.clone(), fleet.asg.regions.first()).await;
        let regions = match fleet.asg.regions.as_slice() {
            [] => vec![aws.region().ok_or_else(|| NoRegion(fleet.name.clone()))?],
            regions => regions.to_vec(),
        };
        visits.push(Visit { fleet, cloud: aws, regions, components: components(fleet)? });
    }
    let deps = online::Deps {
        prometheus: &Client::new(config.prometheus.clone(), clock)
            .context("set up the client of prometheus")?,
        clock,
    };
    Ok(online::inspect(config, &visits, &deps).await)
}

/// Runs the policy tests of every file; a file that cannot be used is no reason not to run the others.
fn test(flags: &Test) -> anyhow::Result<Exit> {
    let (mut passed, mut failed) = (0, 0);
    let mut unusable = None;
    for file in &flags.files {
        match policy_test::run(file) {
            Ok(outcome) => {
                passed += outcome.passed;
                failed += outcome.failed;
                say(&outcome.text)?;
            }
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "jitsi-scaler: failed to {}", chain(&error));
                unusable = Some(Exit::Usage);
            }
        }
    }
    say(&format!("{passed} passed, {failed} failed\n"))?;
    Ok(unusable.unwrap_or(if failed > 0 { Exit::No } else { Exit::Fine }))
}

/// Prints what the files of AWS become.
fn import_cloudwatch(flags: &ImportCloudwatch) -> anyhow::Result<Exit> {
    say(&import::run(&flags.files)?)?;
    Ok(Exit::Fine)
}

async fn plan(flags: Plan) -> anyhow::Result<Exit> {
    let config = config::load(&flags.config.path)?;
    jitsi_web::logging::init(&flags.log);
    let telemetry = Telemetry::register(&mut Registry::default());
    let now = match flags.at {
        Some(at) => at,
        None => Time::from_unix(i64::try_from(clock().as_secs())?),
    };
    let mut status = Status { time: Some(now.to_string()), ..Status::default() };
    for mut controller in controllers(&config, &telemetry, &Lead::always()).await? {
        let (groups, problems) = Box::pin(controller.plan(now)).await;
        status.groups.extend(groups);
        status.problems.extend(problems);
    }
    let text = match flags.output {
        Output::Json => serde_json::to_string_pretty(&status)? + "\n",
        Output::Text => status.paragraphs(),
    };
    say(&text)?;
    Ok(if status.problems.is_empty() { Exit::Fine } else { Exit::No })
}

/// The configuration of `run`.
fn load(flags: &Run) -> Result<Config, ConfigError> {
    let mut config = config::load(&flags.config.path)?;
    for fleet in &mut config.fleets {
        fleet.dry_run |= flags.dry_run;
    }
    Ok(config)
}

async fn run(flags: Run) -> anyhow::Result<Exit> {
    let mut config = load(&flags)?;
    let candidate = candidate(&flags.leader).await?;
    jitsi_web::logging::init(&flags.log);
    let server = jitsi_web::Server::bind(&flags.web, PORT).await.context("serve")?;
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
    if let Some(log) = log.clone() {
        reloads.add("decision log", move || log.clone().reopen());
    }
    let (publish, board) = watch::channel(Board::default());
    let access = server.access();
    let shown = Served::new(registry, board, clock, move || access.authenticates(), telemetry.clone());
    let routes = http::router(shown, &flags.web.telemetry_path)?;
    let Candidacy { leadership, resign, elector } = stand(candidate, &telemetry, &publish);
    let (renew, mut renewed) = mpsc::channel(1);
    // What cannot be set up is said now, and not when this scaler comes to lead; nor is it ready before.
    let mut prepared = tokio::select! {
        prepared = Prepared::new(&config, &telemetry, leadership.lead()) => Some(prepared?),
        () = stop.cancelled() => return Ok(Exit::Fine),
    };
    let serving = tokio::spawn(server.serve(routes, stop.clone()));
    let renewal = Renewal {
        flags: Arc::new(flags),
        telemetry: telemetry.clone(),
        leadership: leadership.clone(),
        renew,
    };
    reloads.add("configuration", move || renewal.clone().read());
    let ran = loop {
        let lead = tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(()),
            Some((newer, ready)) = renewed.recv() => {
                (config, prepared) = (newer, Some(ready));
                continue;
            }
            won = leadership.won() => match won {
                Some(lead) => lead,
                None => break Err(anyhow::anyhow!("stand for election: it has ended, which is a defect of jitsi-scaler")),
            },
        };
        let ready = match prepared.take().filter(|ready| ready.lead.holds()) {
            Some(ready) => ready,
            None => match Prepared::new(&config, &telemetry, lead).await {
                Ok(ready) => ready,
                Err(error) => break Err(error),
            },
        };
        publish.send_modify(Board::begin_anew);
        telemetry.started(ready.controllers.len());
        let these = stop.child_token();
        let mut running = pin!(control::run(ready.controllers, clock, &publish, &ready.lead, &these));
        let next = tokio::select! {
            () = overdue(&stop, &telemetry) => break Ok(()),
            ran = &mut running => match ran {
                Ok(()) if stop.is_cancelled() => break Ok(()),
                Ok(()) => {
                    // The lead is lost.
                    telemetry.stood_down();
                    publish.send_modify(Board::begin_anew);
                    continue;
                }
                Err(failed) => break Err(failed).context(DEFECT),
            },
            next = renewed.recv() => next,
        };
        // What is under way is finished; what it began is on the groups' tags.
        these.cancel();
        tokio::select! {
            () = overdue(&stop, &telemetry) => break Ok(()),
            ran = &mut running => if let Err(failed) = ran {
                break Err(failed).context(DEFECT);
            },
        }
        let Some((newer, ready)) = next else { break Ok(()) };
        (config, prepared) = (newer, Some(ready));
    };
    stop.cancel();
    // Nothing is under way any more: whoever stands by need not wait until the lease runs out.
    resign.cancel();
    if let Some(elector) = elector {
        elector.await.context("join the election")?;
    }
    telemetry.stopping();
    if let Some(log) = log {
        log.flush().await;
    }
    serving.await.context("join the server")??;
    ran?;
    Ok(Exit::Fine)
}

/// Waits until what goes on after `stop` has gone on for too long, and tells.
async fn overdue(stop: &CancellationToken, telemetry: &Telemetry) {
    stop.cancelled().await;
    tokio::time::sleep(LAST).await;
    telemetry.cut_short(LAST);
}

/// What a loop that ends by itself has failed to.
const DEFECT: &str = "go on: a fleet's loop has failed, which is a defect of jitsi-scaler";

/// Controllers, and the term that they may act in.
struct Prepared {
    lead: Lead,
    controllers: Vec<Controller<Network>>,
}

impl Prepared {
    async fn new(config: &Config, telemetry: &Telemetry, lead: Lead) -> anyhow::Result<Self> {
        let controllers = controllers(config, telemetry, &lead).await?;
        Ok(Self { lead, controllers })
    }
}

/// Reads the configuration again, and hands what becomes of it to the running service.
#[derive(Clone)]
struct Renewal {
    flags: Arc<Run>,
    telemetry: Telemetry,
    leadership: Leadership,
    renew: mpsc::Sender<(Config, Prepared)>,
}

impl Renewal {
    async fn read(self) -> anyhow::Result<()> {
        let config = load(&self.flags)?;
        let prepared = Prepared::new(&config, &self.telemetry, self.leadership.lead()).await?;
        self.renew.send((config, prepared)).await.ok().context("hand it over: the service is stopping")
    }
}

/// A candidate with its lease, before it stands for election.
struct Candidate {
    name: LeaseName,
    election: Election,
    leases: Kubernetes,
}

/// Who stands for election, if the flags ask for one.
async fn candidate(flags: &LeaderFlags) -> anyhow::Result<Option<Candidate>> {
    let Some(name) = flags.lease.clone() else { return Ok(None) };
    let times = Times::try_new(flags.lease_duration, flags.renew_deadline, flags.retry_period)?;
    let election = Election::new(identity(flags.identity.as_deref())?, times);
    let leases = Kubernetes::connect(name.clone()).await?;
    Ok(Some(Candidate { name, election, leases }))
}

/// A name that no other process has: whoever has died cannot be taken for the one that came in its place.
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

/// An election that this scaler stands for, or none.
struct Candidacy {
    leadership: Leadership,
    /// Ends the election and gives up the lease.
    resign: CancellationToken,
    elector: Option<JoinHandle<()>>,
}

fn stand(candidate: Option<Candidate>, telemetry: &Telemetry, publish: &watch::Sender<Board>) -> Candidacy {
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

    #[test]
    fn a_fleet_without_a_region_is_told_what_to_write() {
        let error = NoRegion(FleetName::new("jvb"));
        insta::assert_snapshot!(format!("failed to {error}"), @"failed to find the region of fleet jvb: write asg.regions, or set AWS_REGION");
    }
}
