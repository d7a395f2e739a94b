//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgGroup, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use jitsi_web::document::nearest;
use jitsi_web::flags::{self, LogFlags, Shell, WebFlags};
use regex_lite::Regex;

use crate::backtest::history::files::HistoryFile;
use crate::backtest::tune::Axis;
use crate::cloud::tags::{Asked, Pause as PauseTag};
use crate::config::link::Link;
use crate::leader::LeaseName;
use crate::shards::Shards;
use crate::units::Time;

/// Scales Auto Scaling groups of Jitsi Videobridges and Jibris by what Prometheus says
#[derive(Debug, Parser)]
#[command(name = "jitsi-scaler", version = jitsi_web::build_info::LONG_VERSION, propagate_version = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line; a wrong one ends the program with a message.
    #[must_use]
    pub fn read() -> Self {
        Self::parsed(std::env::args_os().collect()).unwrap_or_else(|error| error.exit())
    }

    fn parsed(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        let arguments = command_first(arguments);
        if let Some(error) = flags::misspelt(Self::command(), &arguments) {
            return Err(error);
        }
        Self::try_parse_from(&arguments).map_err(|error| with_tip(error, &arguments))
    }
}

/// The arguments with `--config.file` and `--output` moved behind the command, where they stand before it.
fn command_first(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let mut command = 1;
    while let Some(flag) = arguments.get(command).and_then(|it| it.to_str()) {
        command += match flag {
            "-c" | "--config.file" | "-o" | "--output" => 2,
            _ if ["-c", "--config.file=", "-o", "--output="].iter().any(|it| flag.starts_with(it)) => 1,
            _ => break,
        };
    }
    if let Some(moved) = arguments.get_mut(1..=command) {
        moved.rotate_right(1);
    }
    arguments
}

/// Adds a tip to the error of an unknown argument or command.
fn with_tip(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let tip =
        match (error.kind(), error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidSubcommand)) {
            (ErrorKind::UnknownArgument, Some(ContextValue::String(stray)), _) => {
                tip(&error, stray, arguments)
            }
            (ErrorKind::InvalidSubcommand, _, Some(ContextValue::String(stray))) => {
                let is_known = error.get(ContextKind::SuggestedSubcommand).is_some();
                let command = Cli::command();
                let near = nearest(stray, command.get_subcommands().map(clap::Command::get_name));
                near.filter(|_| !is_known).map(|near| format!("a similar command exists: {near}"))
            }
            _ => None,
        };
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// What to write instead of an unknown argument, where clap has no suggestion or a wrong one.
fn tip(error: &clap::Error, stray: &str, arguments: &[OsString]) -> Option<String> {
    let command = arguments.get(1).and_then(|it| it.to_str()).unwrap_or_default();
    let asks_service = ["status", "pause", "resume", "drain", "undrain"].contains(&command);
    if asks_service && (stray.starts_with("--config") || stray == "-c") {
        Some(format!(
            "{command} asks a running service, and reads no configuration: give its address with --server=URL"
        ))
    } else if error.get(ContextKind::SuggestedArg).is_some() {
        None
    } else if !stray.starts_with('-') {
        Some(format!("give the configuration file with its flag: --config.file={stray}"))
    } else if command.starts_with('-') {
        Some("write flags after their command, as in jitsi-scaler run --config.file=FILE".to_owned())
    } else {
        Some("the command has no such flag; --help lists those that it has".to_owned())
    }
}

/// The completions that the packages install.
#[must_use]
pub fn completion(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../packaging/completions/jitsi-scaler.bash"),
        Shell::Zsh => include_str!("../packaging/completions/_jitsi-scaler"),
        Shell::Fish => include_str!("../packaging/completions/jitsi-scaler.fish"),
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service: observe, decide, act and publish, until SIGTERM
    Run(Box<Run>),
    /// Validate the configuration; with --online, also check it against Prometheus, AWS and the components
    Check(Check),
    /// Print what the next evaluation would do, and why; changes nothing
    Plan(Plan),
    /// Run unit tests of policies: given series, and the decisions that they must lead to
    Test(Test),
    /// Replay history through the configuration: what it would have cost, and where capacity would have been short
    Backtest(Box<Backtest>),
    /// Print what the running service sees and does
    Status(Status),
    /// Keep the running service from changing groups for a time; drains that operators order go on
    Pause(Pause),
    /// End the pauses of groups
    Resume(Resume),
    /// Drain instances through the running service, whatever policies say
    Drain(Drain),
    /// End the drains of instances that are not asked to exit yet
    Undrain(Undrain),
    /// End all drains and remove the tags of the scaler, so that something else can scale the groups; the service must not
    /// run
    Release(Release),
    /// Print the completions of a shell: source <(jitsi-scaler completion bash)
    Completion {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Translate CloudWatch alarms, scaling policies and scheduled actions into a configuration that names what you must choose
    ImportCloudwatch(ImportCloudwatch),
}

/// The configuration file.
#[derive(Args, Debug)]
pub struct ConfigFlag {
    /// The configuration file
    #[arg(
        short = 'c',
        long = "config.file",
        value_name = "FILE",
        default_value = "/etc/jitsi-scaler/scaler.yml",
        env = "JITSI_SCALER_CONFIG_FILE"
    )]
    pub path: PathBuf,
}

/// Flags of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The configuration file
    #[command(flatten)]
    pub config: ConfigFlag,
    /// Decide and report for every fleet, but change nothing
    #[arg(long = "dry-run")]
    pub dry_run: bool,
    /// Append each decision that differs from the one before to this file, as JSON lines; if it is renamed, in a new one
    #[arg(long = "decision-log", value_name = "FILE", env = "JITSI_SCALER_DECISION_LOG")]
    pub decision_log: Option<PathBuf>,
    /// Flags of leadership
    #[command(flatten)]
    pub leader: LeaderFlags,
    /// Flags of serving
    #[command(flatten)]
    pub web: WebFlags,
    /// A link that each group has on the page, such as to its dashboard; {fleet}, {asg} and {region} become those of the
    /// group; repeatable
    #[arg(long = "web.link", value_name = "NAME=URL", help_heading = "Web")]
    pub links: Vec<Link>,
    /// Flags of logging
    #[command(flatten)]
    pub log: LogFlags,
}

/// Flags of leadership.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Leader")]
pub struct LeaderFlags {
    /// Act only while this replica holds the given Lease of Kubernetes; other replicas stand by and take over. Needs a
    /// build with the feature `kubernetes`, such as the container image
    #[arg(long = "leader.lease", value_name = "NAMESPACE/NAME", env = "JITSI_SCALER_LEADER_LEASE")]
    pub lease: Option<LeaseName>,

    /// Spread the fleets over so many shards. Each shard has a Lease beside that of --leader.lease, and every replica leads
    /// some of them; all replicas need the same number
    #[arg(
        long = "leader.shards",
        value_name = "NUMBER",
        default_value = "1",
        requires = "lease",
        value_parser = shards,
        env = "JITSI_SCALER_LEADER_SHARDS"
    )]
    pub shards: Shards,

    /// The name of this replica in the lease, to which a few random characters are added; default: the name of the host,
    /// which is that of the pod
    #[arg(long = "leader.identity", value_name = "NAME", env = "POD_NAME")]
    pub identity: Option<String>,

    /// How long standby replicas wait after the last renewal before one takes over; whole seconds
    #[arg(
        long = "leader.lease-duration",
        value_name = "DURATION",
        default_value = "15s",
        value_parser = humantime::parse_duration
    )]
    pub lease_duration: Duration,

    /// How long after its last renewal a leader stops acting; shorter than the lease duration
    #[arg(
        long = "leader.renew-deadline",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = humantime::parse_duration
    )]
    pub renew_deadline: Duration,

    /// How often the leader renews the lease and standby replicas read it
    #[arg(
        long = "leader.retry-period",
        value_name = "DURATION",
        default_value = "2s",
        value_parser = humantime::parse_duration
    )]
    pub retry_period: Duration,
}

fn shards(text: &str) -> Result<Shards, String> {
    let count = text.parse().ok().and_then(Shards::try_new);
    count.ok_or_else(|| format!("write a number from 1 to {}", Shards::MOST))
}

/// Flags of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// The configuration file
    #[command(flatten)]
    pub config: ConfigFlag,
    /// Also check Prometheus, AWS and the components, without changing anything; exit 1 if something would not work
    #[arg(long)]
    pub online: bool,
    /// The output format
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Flags of `test`.
#[derive(Args, Debug)]
pub struct Test {
    /// Test files, and folders of files whose names end with .test.yml
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Run only the tests whose names match
    #[arg(long, value_name = "REGEX")]
    pub run: Option<Regex>,

    /// Write the results to a file as JUnit's XML, too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// Flags of `backtest`.
#[derive(Args, Debug)]
pub struct Backtest {
    /// The configuration file
    #[command(flatten)]
    pub config: ConfigFlag,
    /// Where history begins: a time such as 2026-11-20T07:00:00Z, or how long ago; default: 7d, or where the files begin
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Moment>,
    /// Where history ends, written as for --from; default: now, or where the files end
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Option<Moment>,
    /// Replay only this fleet; may be repeated
    #[arg(long = "fleet", value_name = "NAME")]
    pub fleets: Vec<String>,
    /// Replay only this group; may be repeated
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// Replay the same history through a second configuration, too, and compare
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Try all combinations of the values of keys, such as jvb.stress.scale_out.when=0.4..0.8/0.05, and show which are
    /// best; may be repeated
    #[arg(long, value_name = "KEY=VALUES")]
    pub tune: Vec<Axis>,
    /// Read history from a file and not from Prometheus: CSV with the header time,asg,series,value, or the JSON of `aws
    /// cloudwatch get-metric-data`, whose results are named by FILE:ID=POLICY or FILE:ID=POLICY@GROUP; may be repeated
    #[arg(long, value_name = "FILE")]
    pub history: Vec<HistoryFile>,
    /// What an hour of an instance costs
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub price: Option<f64>,
    /// The currency of --price, for the report
    #[arg(long, value_name = "NAME", default_value = "USD")]
    pub currency: String,
    /// How long an instance takes from its launch until it takes work; default: the median of history, else the warm-up
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub boot: Option<Duration>,
    /// How long a bridge in use takes to become empty; default: the median of history, else 30m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub drain: Option<Duration>,
    /// The format of the report
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Text)]
    pub output: ReportFormat,
}

/// A moment on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long before now.
    Ago(Duration),
    /// This one.
    At(Time),
}

fn moment(text: &str) -> Result<Moment, String> {
    if text == "now" {
        return Ok(Moment::Ago(Duration::ZERO));
    }
    let at = Time::parse(text).map(Moment::At);
    let moment = at.or_else(|| humantime::parse_duration(text).ok().map(Moment::Ago));
    moment.ok_or_else(|| "write a time such as 2026-11-20T07:00:00Z, or a duration such as 7d".to_owned())
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse().ok().filter(|price: &f64| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| "write the price of an hour such as 0.17".to_owned())
}

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For a terminal
    Text,
    /// For a program
    Json,
    /// A page with charts, in one file
    Html,
}

/// The running service.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Service")]
pub struct ServerFlags {
    /// The address of the service
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:10066", env = "JITSI_SCALER_SERVER")]
    pub server: String,
    /// The user, if the service has users
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub username: Option<String>,
    /// The file of the user's password
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Trust only the authorities in this file of PEM certificates
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// Flags of `status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Only these groups: FLEET, ASG or FLEET/ASG
    #[arg(value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Print it again every five seconds
    #[arg(long)]
    pub watch: bool,
    /// The output format
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// The service
    #[command(flatten)]
    pub server: ServerFlags,
}

/// Flags of `pause`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct Pause {
    /// The groups: FLEET, ASG or FLEET/ASG
    #[arg(value_name = "GROUP", group = "which", conflicts_with = "all")]
    pub groups: Vec<String>,
    /// Every group
    #[arg(long, group = "which")]
    pub all: bool,
    /// How long the pause lasts, at most 30d
    #[arg(long = "for", value_name = "DURATION", value_parser = pause_length)]
    pub length: String,
    /// Why, for other operators
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| reason(text, PauseTag::LONGEST_REASON))]
    pub reason: String,
    /// The service
    #[command(flatten)]
    pub server: ServerFlags,
}

/// The value of `--for`, as the service reads it.
fn pause_length(text: &str) -> Result<String, &'static str> {
    let length = humantime::parse_duration(text).ok().filter(|it| !it.is_zero() && *it <= PauseTag::LONGEST);
    length.map(|_| text.to_owned()).ok_or("write a duration such as 2h, of 30d at most")
}

/// The value of `--reason`, of `longest` characters at most.
fn reason(text: &str, longest: usize) -> Result<String, String> {
    let length = text.trim().chars().count();
    let is_right = (1..=longest).contains(&length) && !text.trim().chars().any(char::is_control);
    let wrong = || format!("write why, in one line of at most {longest} characters");
    is_right.then(|| text.to_owned()).ok_or_else(wrong)
}

/// Flags of `resume`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct Resume {
    /// The groups: FLEET, ASG or FLEET/ASG
    #[arg(value_name = "GROUP", group = "which", conflicts_with = "all")]
    pub groups: Vec<String>,
    /// Every group
    #[arg(long, group = "which")]
    pub all: bool,
    /// The service
    #[command(flatten)]
    pub server: ServerFlags,
}

/// Flags of `drain`.
#[derive(Args, Debug)]
pub struct Drain {
    /// The instances
    #[arg(value_name = "INSTANCE", required = true)]
    pub instances: Vec<String>,
    /// What follows once an instance is empty
    #[arg(long, value_enum, default_value_t = Then::Replace)]
    pub then: Then,
    /// Why, for other operators
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| reason(text, Asked::LONGEST_REASON))]
    pub reason: String,
    /// The group of the instances, where the status does not show it: FLEET, ASG or FLEET/ASG
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// The service
    #[command(flatten)]
    pub server: ServerFlags,
}

/// What follows a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Then {
    /// It is terminated, and another one comes in its place
    Replace,
    /// It is terminated, and the desired capacity is lowered by one
    Shrink,
    /// It stays in its group and takes nothing, until it is undrained; bridges only
    Keep,
}

impl Then {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Shrink => "shrink",
            Self::Keep => "keep",
        }
    }
}

/// Flags of `undrain`.
#[derive(Args, Debug)]
pub struct Undrain {
    /// The instances
    #[arg(value_name = "INSTANCE", required = true)]
    pub instances: Vec<String>,
    /// Why, for other operators
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| reason(text, Asked::LONGEST_REASON))]
    pub reason: Option<String>,
    /// The group of the instances, where the status does not show it: FLEET, ASG or FLEET/ASG
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// The service
    #[command(flatten)]
    pub server: ServerFlags,
}

/// Flags of `release`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("does").required(true))]
pub struct Release {
    /// Only these fleets
    #[arg(value_name = "FLEET")]
    pub fleets: Vec<String>,
    /// The configuration file
    #[command(flatten)]
    pub config: ConfigFlag,
    /// Print what would be done
    #[arg(long, group = "does", conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do it
    #[arg(long, group = "does")]
    pub yes: bool,
    /// The Lease that `run` is given as --leader.lease; nothing is done while a service holds it
    #[arg(long = "leader.lease", value_name = "NAMESPACE/NAME", env = "JITSI_SCALER_LEADER_LEASE")]
    pub lease: Option<LeaseName>,
    /// Flags of logging
    #[command(flatten)]
    pub log: LogFlags,
}

/// Flags of `import-cloudwatch`.
#[derive(Args, Debug)]
pub struct ImportCloudwatch {
    /// JSON output of `aws cloudwatch describe-alarms`, `aws autoscaling describe-policies` and `aws autoscaling
    /// describe-scheduled-actions`
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Flags of `plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// The configuration file
    #[command(flatten)]
    pub config: ConfigFlag,
    /// Use the datapoints of this time, such as 2026-11-20T07:00:00Z, instead of now; groups are read as they are now
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Time>,
    /// The output format
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Flags of logging
    #[command(flatten)]
    pub log: LogFlags,
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "write a time such as 2026-11-20T07:00:00Z".to_owned())
}

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For a person
    Text,
    /// For a program; `plan` prints the shape of `/api/v1/status`
    Json,
}

#[cfg(test)]
mod tests;
