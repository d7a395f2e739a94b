//! Wiring only: flags, the clock, commands and exit codes.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use jitsi_scaler::access::ClientError;
use jitsi_scaler::backtest::history::files::FileError;
use jitsi_scaler::backtest::report::LeftOut;
use jitsi_scaler::backtest::tune::TuneError;
use jitsi_scaler::backtest_command::UsageError;
use jitsi_scaler::cli::{
    self, Backtest, Check, Cli, Command, ImportCloudwatch, Output, Plan, ServerFlags, Test, completion,
};
use jitsi_scaler::cloud::azure;
use jitsi_scaler::config::{self, Config, ConfigError};
use jitsi_scaler::control::Overlap;
use jitsi_scaler::decide::policy::Rules;
use jitsi_scaler::http::PathTaken;
use jitsi_scaler::import::{self, ImportError};
use jitsi_scaler::leader::kubernetes::{ConnectError, Kubernetes};
use jitsi_scaler::leader::{Lead, WrongTimes};
use jitsi_scaler::policy_test::{self, Outcome};
use jitsi_scaler::release::{self, Elected, UnknownFleet};
use jitsi_scaler::remote::{self, CommandError, RemoteError, Server, Which};
use jitsi_scaler::report::{FleetProblem, GroupStatus, Status};
use jitsi_scaler::summary::summary;
use jitsi_scaler::telemetry::{Telemetry, chain};
use jitsi_scaler::units::Time;
use jitsi_scaler::{backtest_command, network, online, service};
use jitsi_web::ServeError;
use prometheus_client::registry::Registry;
use serde_json::json;
#[cfg(feature = "jemalloc")]
use tikv_jemallocator::Jemalloc;

/// It returns what is free, where glibc keeps what bursts on several threads leave. `.cargo/config.toml` sets when.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// The exit codes.
#[repr(u8)]
enum Exit {
    /// All is well.
    Fine = 0,
    /// The answer is no: a plan could not be made in full, or the service could not go on.
    No = 1,
    /// The command line or the configuration is wrong. (clap uses 2 for the former.)
    Usage = 2,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::read().command {
        Command::Check(flags) => Box::pin(check(flags)).await,
        Command::Plan(flags) => Box::pin(plan(flags)).await,
        Command::Test(flags) => test(&flags),
        Command::Backtest(flags) => backtest(&flags).await,
        Command::Completion { shell } => say(completion(shell)).map(|()| Exit::Fine),
        Command::Status(flags) => status(&flags).await,
        Command::Pause(flags) => {
            let (server, which) = (server(&flags.server), which(&flags.groups));
            said(async {
                remote::pause(&server?, which, (flags.length.as_str(), flags.reason.as_str())).await
            })
            .await
        }
        Command::Resume(flags) => {
            let (server, which) = (server(&flags.server), which(&flags.groups));
            said(async { remote::resume(&server?, which).await }).await
        }
        Command::Drain(cli::Drain { instances, then, reason, group, server: flags }) => {
            let body = json!({"then": then.as_str(), "reason": reason});
            said(async {
                remote::order(&server(&flags)?, &instances, group.as_deref(), ("drain", &body)).await
            })
            .await
        }
        Command::Undrain(cli::Undrain { instances, reason, group, server: flags }) => {
            let body = json!({"reason": reason});
            said(async {
                remote::order(&server(&flags)?, &instances, group.as_deref(), ("undrain", &body)).await
            })
            .await
        }
        Command::Release(flags) => Box::pin(release(flags)).await,
        Command::ImportCloudwatch(flags) => import_cloudwatch(&flags),
        Command::Run(flags) => Box::pin(service::run(*flags, clock)).await.map(|()| Exit::Fine),
    };
    let exit = done.unwrap_or_else(|error| {
        complain(error.as_ref());
        if is_usage(&error) { Exit::Usage } else { Exit::No }
    });
    ExitCode::from(exit as u8)
}

/// Whether the command line or the configuration is wrong, so that a supervisor need not try again. A missing region
/// is not: the metadata of the machine may answer later than the program starts.
fn is_usage(error: &anyhow::Error) -> bool {
    let wrong = error.is::<ConfigError>() || error.is::<PathTaken>() || error.is::<ImportError>();
    let wrong = wrong || error.is::<FileError>() || error.is::<TuneError>() || error.is::<UsageError>();
    let wrong = wrong || error.downcast_ref::<CommandError>().is_some_and(CommandError::is_usage);
    let wrong = wrong || error.is::<UnknownFleet>() || error.downcast_ref::<RemoteError>().is_some();
    let wrong = wrong
        || error.is::<WrongTimes>()
        || error.is::<Overlap>()
        || error.is::<ConnectError>()
        || error.is::<azure::ConnectError>()
        || error.is::<ClientError>();
    wrong || error.downcast_ref::<ServeError>().is_some_and(ServeError::is_usage)
}

/// The service that flags name.
fn server(flags: &ServerFlags) -> Result<Server, RemoteError> {
    let user = flags.username.clone().zip(flags.password_file.clone());
    Server::new(&flags.server, user, flags.ca_file.clone())
}

/// The groups of a command; all if it names none.
fn which(groups: &[String]) -> Which<'_> {
    if groups.is_empty() { Which::All } else { Which::Named(groups) }
}

/// Prints what a command that talks to the service answers.
async fn said(answer: impl Future<Output = Result<String, CommandError>>) -> anyhow::Result<Exit> {
    say(&answer.await?)?;
    Ok(Exit::Fine)
}

/// Prints what the running service sees and does.
async fn status(flags: &cli::Status) -> anyhow::Result<Exit> {
    let (server, which) = (server(&flags.server)?, which(&flags.groups));
    let as_json = flags.output == Output::Json;
    if flags.watch {
        remote::watch(&server, which, as_json, &mut std::io::stdout()).await?;
        return Ok(Exit::Fine);
    }
    said(remote::status(&server, which, as_json)).await
}

/// Gives groups back, so that something else can scale them.
async fn release(flags: cli::Release) -> anyhow::Result<Exit> {
    let config = config::load(&flags.config.path)?;
    jitsi_web::logging::init(&flags.log);
    let elected = match flags.lease {
        Some(name) => Some(Elected::read(name.clone(), Kubernetes::connect(name).await?).await?),
        None => None,
    };
    let released = Box::pin(release::run(&config, &flags.fleets, flags.yes, clock, elected)).await?;
    say(&released.text)?;
    Ok(if released.is_done { Exit::Fine } else { Exit::No })
}

fn complain(error: &(dyn std::error::Error + 'static)) {
    // An error while writing to standard error cannot be reported anywhere.
    let _ = writeln!(std::io::stderr(), "jitsi-scaler: failed to {}", chain(error));
}

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

/// Validates the configuration; with `--online` also what it names.
async fn check(flags: Check) -> anyhow::Result<Exit> {
    let config = config::load(&flags.config.path)?;
    let report = if flags.online {
        let visits = network::visits(&config, clock).await?;
        let servers = network::servers(&config, clock)?;
        online::inspect(&config, &visits, &servers, clock).await
    } else {
        online::offline(&config)
    };
    say(&match flags.output {
        Output::Json => report.json()? + "\n",
        // Without findings the summary, which says "valid", is the whole answer.
        Output::Text if !flags.online && report.findings().is_empty() => summary(&config),
        Output::Text => format!("{}\n{}", summary(&config), report.text()),
    })?;
    Ok(if report.is_fine() { Exit::Fine } else { Exit::No })
}

/// Runs the policy tests of every file, also after a file that cannot be used.
fn test(flags: &Test) -> anyhow::Result<Exit> {
    let mut outcomes = Vec::new();
    let mut unusable = None;
    let is_wanted = |name: &str| flags.run.as_ref().is_none_or(|regex| regex.is_match(name));
    for path in &flags.files {
        let files = match policy_test::files(path) {
            Ok(files) => files,
            Err(error) => {
                let what =
                    format!("read {}; name an existing test file, or a folder of them", path.display());
                complain(anyhow::Error::new(error).context(what).as_ref());
                unusable = Some(Exit::Usage);
                continue;
            }
        };
        if files.is_empty() {
            complain(
                anyhow!("find a test file in {}: their names end with .test.yml", path.display()).as_ref(),
            );
            unusable = Some(Exit::Usage);
        }
        for file in files {
            match policy_test::run(&file, is_wanted) {
                Ok(outcome) => {
                    say(&outcome.text())?;
                    outcomes.push(outcome);
                }
                Err(_) if policy_test::is_configuration(&file) => {
                    let path = file.display();
                    complain(anyhow!("test {path}: this is a configuration, not a test file; jitsi-scaler check --config.file {path} validates it").as_ref());
                    unusable = Some(Exit::Usage);
                }
                Err(error) => {
                    complain(&error);
                    unusable = Some(Exit::Usage);
                }
            }
        }
    }
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    let (passed, failed) = (sum(Outcome::passed), sum(Outcome::failed));
    say(&format!("{passed} passed, {failed} failed\n"))?;
    if let Some(path) = &flags.junit {
        std::fs::write(path, policy_test::junit(&outcomes))
            .with_context(|| format!("write {}", path.display()))?;
    }
    if let Some(regex) = flags.run.as_ref().filter(|_| passed + failed == 0 && unusable.is_none()) {
        complain(anyhow!("find a test whose name matches {regex}").as_ref());
        unusable = Some(Exit::Usage);
    }
    Ok(unusable.unwrap_or(if failed > 0 { Exit::No } else { Exit::Fine }))
}

/// Replays history, and prints what came of it.
async fn backtest(flags: &Backtest) -> anyhow::Result<Exit> {
    let answer = Box::pin(backtest_command::run(flags, clock)).await?;
    for LeftOut { fleet, asg, why } in &answer.left_out {
        let what = match (fleet.as_str(), asg.as_str()) {
            (fleet, "") => format!("fleet {fleet}"),
            ("", asg) => format!("group {asg}"),
            (fleet, asg) => format!("group {asg} of fleet {fleet}"),
        };
        complain(anyhow!("replay {what}: {why}").as_ref());
    }
    say(&answer.text)?;
    Ok(if answer.suffices { Exit::Fine } else { Exit::No })
}

/// Prints the configuration that does what the files of AWS say.
fn import_cloudwatch(flags: &ImportCloudwatch) -> anyhow::Result<Exit> {
    say(&import::run(&flags.files)?)?;
    Ok(Exit::Fine)
}

/// Whether no policy of a group with instances has a value. An alert that does not fire has none either.
fn lacks_data(config: &Config, group: &GroupStatus) -> bool {
    let fleet = config.fleets.iter().find(|fleet| fleet.name.as_str() == group.fleet);
    let policies = fleet.into_iter().flat_map(|fleet| &fleet.policy.policies);
    let measured = policies.filter(|policy| !matches!(policy.rules, Rules::Alert { .. }));
    let mut windows = measured.filter_map(|policy| group.windows.get(policy.name.as_str())).peekable();
    group.current.desired > 0
        && windows.peek().is_some()
        && windows.flatten().all(|point| point.value.is_none())
}

/// Prints what each group's next evaluation would do.
async fn plan(flags: Plan) -> anyhow::Result<Exit> {
    let config = config::load(&flags.config.path)?;
    jitsi_web::logging::init(&flags.log);
    let telemetry = Telemetry::register(&mut Registry::default());
    let present = Time::from_unix(i64::try_from(clock().as_secs())?);
    let now = flags.at.unwrap_or(present);
    if now > present {
        bail!("plan at {now}, which lies in the future; leave --at out to plan at the present");
    }
    let mut status = Status { time: Some(now.to_string()), ..Status::default() };
    for mut controller in network::controllers(&config, clock, &telemetry, &Lead::always()).await? {
        let (groups, mut problems) = Box::pin(controller.plan(now)).await;
        if problems.is_empty() {
            problems.extend(groups.iter().filter(|group| lacks_data(&config, group)).map(|group| {
                let text =
                    format!("no policy of {} has data; `jitsi-scaler check --online` says why", group.asg);
                FleetProblem { fleet: group.fleet.clone(), text }
            }));
        }
        status.groups.extend(groups);
        status.problems.extend(problems);
    }
    say(&match flags.output {
        Output::Json => serde_json::to_string_pretty(&status)? + "\n",
        Output::Text => status.paragraphs(),
    })?;
    Ok(if status.problems.is_empty() { Exit::Fine } else { Exit::No })
}
