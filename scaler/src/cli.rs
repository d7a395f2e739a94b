//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};
use jitsi_web::flags::{LogFlags, WebFlags};

use crate::leader::LeaseName;
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
    /// What was written, or the end of the program with what is wrong with it.
    #[must_use]
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| advised(error).exit())
    }
}

/// Adds what was probably meant to an argument that nobody knows.
fn advised(mut error: clap::Error) -> clap::Error {
    let tip = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(stray)) if error.kind() == ErrorKind::UnknownArgument => {
            if !stray.starts_with('-') {
                format!("the configuration stands behind its flag: --config.file={stray}")
            } else if error.get(ContextKind::SuggestedArg).is_none() {
                "flags stand behind the command that they belong to, as in jitsi-scaler run --config.file=FILE"
                    .to_owned()
            } else {
                return error;
            }
        }
        _ => return error,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service: observe, decide, act and publish, until SIGTERM
    Run(Box<Run>),
    /// Validate the configuration; with --online also what it names at Prometheus, AWS and the components
    Check(Check),
    /// Say what would be done now, and why; changes nothing
    Plan(Plan),
    /// Run unit tests of policies: scripted series, and what is to be decided
    Test(Test),
    /// Write a configuration that does what CloudWatch alarms and scaling policies do, with comments where you choose
    ImportCloudwatch(ImportCloudwatch),
}

/// The configuration file.
#[derive(Args, Debug)]
pub struct ConfigFlag {
    /// The configuration file
    #[arg(
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
    /// Decide and say so for every fleet, but change nothing
    #[arg(long = "dry-run")]
    pub dry_run: bool,
    /// Append every decision that says something else than the one before to this file, as JSON lines; opened anew at
    /// SIGHUP
    #[arg(long = "decision-log", value_name = "FILE", env = "JITSI_SCALER_DECISION_LOG")]
    pub decision_log: Option<PathBuf>,
    /// Flags of leadership
    #[command(flatten)]
    pub leader: LeaderFlags,
    /// Flags of serving
    #[command(flatten)]
    pub web: WebFlags,
    /// Flags of logging
    #[command(flatten)]
    pub log: LogFlags,
}

/// Flags of leadership.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Leader")]
pub struct LeaderFlags {
    /// Act only while holding this Lease of Kubernetes, so that several replicas can run; the others stand by and take
    /// over. Needs a build with the feature `kubernetes`, as the container image is
    #[arg(long = "leader.lease", value_name = "NAMESPACE/NAME", env = "JITSI_SCALER_LEADER_LEASE")]
    pub lease: Option<LeaseName>,

    /// What this replica calls itself in the lease, before a few characters of its own that tell it from any other of the
    /// name; by default the name of the host, which is the pod's
    #[arg(long = "leader.identity", value_name = "NAME", env = "POD_NAME")]
    pub identity: Option<String>,

    /// How long others wait after the last renewal that they saw before they take over; whole seconds
    #[arg(
        long = "leader.lease-duration",
        value_name = "DURATION",
        default_value = "15s",
        value_parser = humantime::parse_duration
    )]
    pub lease_duration: Duration,

    /// How long after its last renewal a leader stops acting if it cannot renew the lease; shorter than the duration
    #[arg(
        long = "leader.renew-deadline",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = humantime::parse_duration
    )]
    pub renew_deadline: Duration,

    /// How often the lease is renewed, or looked at by whoever stands by
    #[arg(
        long = "leader.retry-period",
        value_name = "DURATION",
        default_value = "2s",
        value_parser = humantime::parse_duration
    )]
    pub retry_period: Duration,
}

/// Flags of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// The configuration file
    #[command(flatten)]
    pub config: ConfigFlag,
    /// Look also at Prometheus, AWS and the components, and change nothing there; exit 1 if something would not work
    #[arg(long)]
    pub online: bool,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Flags of `test`.
#[derive(Args, Debug)]
pub struct Test {
    /// Test files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Flags of `import-cloudwatch`.
#[derive(Args, Debug)]
pub struct ImportCloudwatch {
    /// What `aws cloudwatch describe-alarms` and `aws autoscaling describe-policies` print, as JSON
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Flags of `plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// The configuration file
    #[command(flatten)]
    pub config: ConfigFlag,
    /// As of this time instead of now, such as 2026-11-20T07:00:00Z: the datapoints of then, the groups as they are now
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Time>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Flags of logging
    #[command(flatten)]
    pub log: LogFlags,
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "write a time such as 2026-11-20T07:00:00Z".to_owned())
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For a person
    Text,
    /// For a program; of a plan, the shape of `/api/v1/status`
    Json,
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(&["check", "scaler.yml"], "tip: the configuration stands behind its flag: --config.file=scaler.yml"; "a file without its flag")]
    #[test_case(&["--config.file=scaler.yml"], "tip: flags stand behind the command that they belong to"; "a flag without a command")]
    #[test_case(&["test", "--config.file=scaler.yml"], "tip: flags stand behind the command that they belong to"; "a flag of another command")]
    #[test_case(&["run", "--config-file=scaler.yml"], "tip: a similar argument exists: '--config.file'"; "a flag misspelt")]
    fn who_misreads_is_told_what_to_write(arguments: &[&str], tip: &str) {
        let error = Cli::try_parse_from([&["jitsi-scaler"], arguments].concat()).expect_err("wrong");
        let told = advised(error).to_string();
        assert!(told.contains(tip), "{told}");
        assert_eq!(told.matches("tip:").count(), 1, "{told}");
    }
}
