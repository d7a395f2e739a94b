//! The command line. Exit codes: 0 success, 1 failure, 2 invalid flags or configuration.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser};
use jitsi_web::build_info::LONG_VERSION;
use jitsi_web::flags::{self, LogFlags, Shell, WebFlags};
use jitsi_web::{ServeError, Server, WorkerThreads, logging, signals};
use tokio_util::sync::CancellationToken;

use crate::component::Component;
use crate::config::{Config, Raw};
use crate::http::{App, AppError, PROBE_PATH};
use crate::instance::is_id;
use crate::native::Mode;
use crate::reference;
use crate::relay;

/// The default port.
pub const DEFAULT_PORT: u16 = 10065;

/// Threads that serve connections, in addition to the one that accepts them. More would cost memory and gain little, since
/// reading statistics takes microseconds.
const WORKERS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Prometheus metrics from the statistics of Jitsi Videobridge, Jicofo and Jibri
#[derive(Clone, Debug, Parser)]
#[command(
    name = "jitsi-exporter",
    version = LONG_VERSION,
    next_help_heading = "Targets",
    after_help = "The default address is :10065. \
                  Without targets, use /probe?module=jvb|jicofo|jibri&target=host:port."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Cli {
    /// Private interface of a JVB, such as http://127.0.0.1:8080; repeatable
    #[arg(long = "jvb.url", value_name = "URL")]
    pub jvb_url: Vec<String>,

    /// REST interface of a Jicofo, such as http://127.0.0.1:8888; repeatable
    #[arg(long = "jicofo.url", value_name = "URL")]
    pub jicofo_url: Vec<String>,

    /// External API of a Jibri, such as http://127.0.0.1:2222; repeatable
    #[arg(long = "jibri.url", value_name = "URL")]
    pub jibri_url: Vec<String>,

    /// Network (10.0.0.0/8) or end of host names (.example.org or *.example.org) that /probe may fetch from; repeatable;
    /// default: loopback, and private networks if no target is given; link-local addresses never
    #[arg(long = "probe.allow", value_name = "RULE")]
    pub probe_allow: Vec<String>,

    /// File of additional modules for /probe, with timeouts, credentials, TLS and headers; reloaded by
    /// SIGHUP and POST /-/reload
    #[arg(long = "config.file", value_name = "FILE")]
    pub modules_file: Option<PathBuf>,

    /// When to read a component's own /metrics, in addition to or instead of its statistics
    #[arg(
        long = "scrape.native",
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_default_value = true
    )]
    pub native: Mode,

    /// Longest time that a scrape or probe may take, whatever timeout its request asks for
    #[arg(
        long = "scrape.max-timeout",
        value_name = "DURATION",
        default_value = "1m",
        value_parser = max_timeout
    )]
    pub max_timeout: Duration,

    /// Add the metric names of the systemli exporter (jitsi_…), so that its dashboards keep working
    #[arg(long = "compat.systemli")]
    pub compat_systemli: bool,

    /// Pass drain and shutdown requests below /relay on to the component on this host; requires
    /// authentication in the web configuration, or loopback listen addresses only
    #[arg(long = "relay.enabled", help_heading = "Relay")]
    pub relay: bool,

    /// Internal API of the Jibri, which accepts the graceful shutdown; default: http://127.0.0.1:3333
    #[arg(long = "jibri.internal-url", value_name = "URL", help_heading = "Relay")]
    pub jibri_internal_url: Option<String>,

    /// Instance id of this host: the relay refuses requests that a scaler means for another instance; default: asked of
    /// the metadata service of EC2
    #[arg(long = "instance.id", value_name = "ID", help_heading = "Relay", value_parser = instance_id)]
    pub instance_id: Option<String>,

    /// Validate the flags and the files that they name, and exit: 0 if the exporter would start with them, 2 with every
    /// mistake if not
    #[arg(long = "config.check", help_heading = None)]
    pub config_check: bool,

    /// Print the reference of all metrics as Markdown, and exit
    #[arg(long = "print-metrics-reference", exclusive = true, help_heading = None)]
    pub print_metrics_reference: bool,

    /// Print the completions of a shell, and exit: source <(jitsi-exporter --print-completion=bash)
    #[arg(long = "print-completion", value_name = "SHELL", value_enum, exclusive = true, help_heading = None)]
    pub print_completion: Option<Shell>,

    /// Flags of the HTTP server.
    #[command(flatten)]
    pub web: WebFlags,

    /// Flags of the log.
    #[command(flatten)]
    pub log: LogFlags,
}

impl Cli {
    /// The validated configuration.
    /// Fails with a line for each mistake in the flags.
    pub fn config(&self) -> Result<Config, Vec<String>> {
        let of = |component: Component, urls: &[String]| -> Vec<(Component, String)> {
            urls.iter().map(|url| (component, url.clone())).collect()
        };
        let urls = [
            of(Component::Jvb, &self.jvb_url),
            of(Component::Jicofo, &self.jicofo_url),
            of(Component::Jibri, &self.jibri_url),
        ];
        let config = Config::new(&Raw {
            urls: urls.concat(),
            allow: self.probe_allow.clone(),
            native: self.native,
            compat: self.compat_systemli,
            relay: self.relay,
            jibri_internal: self.jibri_internal_url.clone(),
            instance: self.instance_id.clone(),
            max_timeout: Some(self.max_timeout),
            modules: self.modules(),
        });
        let mut mistakes = config.as_ref().err().cloned().unwrap_or_default();
        mistakes.extend(self.web.listen_addresses(DEFAULT_PORT).err().map(|duplicate| duplicate.to_string()));
        mistakes.extend(self.path_is_taken().map(|by| {
            let path = &self.web.telemetry_path;
            format!("--web.telemetry-path={path}: the path is used by {by}: choose another, such as /metrics")
        }));
        config.ok().filter(|_| mistakes.is_empty()).ok_or(mistakes)
    }

    /// Every mistake in the flags and in the files that they name: what a start would find. Nothing listens.
    fn mistakes(&self) -> Vec<String> {
        let (config, mut mistakes) = match self.config() {
            Ok(config) => (config, Vec::new()),
            // The files do not depend on the other flags.
            Err(mistakes) => (Config { modules: self.modules(), ..Config::default() }, mistakes),
        };
        let access = Server::check(&self.web, DEFAULT_PORT);
        let more = App::mistakes(&config, access.as_ref().ok()).into_iter().map(anyhow::Error::from);
        // `config` has found an address that is given twice.
        let access = access.err().filter(|error| !matches!(error, ServeError::Address(_)));
        let more = access.map(anyhow::Error::from).into_iter().chain(more);
        mistakes.extend(more.flat_map(|error| logging::mistakes(&format!("{error:#}"))));
        mistakes
    }

    /// The file of modules. An empty name means no file, as in the other flags for files.
    fn modules(&self) -> Option<PathBuf> {
        self.modules_file.clone().filter(|path| !path.as_os_str().is_empty())
    }

    fn path_is_taken(&self) -> Option<&'static str> {
        let path = self.web.telemetry_path.as_str();
        let below_relay =
            path.strip_prefix(relay::PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match path {
            PROBE_PATH => Some("probes"),
            _ if below_relay => Some("the relay"),
            _ => None,
        }
    }
}

/// The value of `--scrape.max-timeout`. With zero every scrape would fail.
fn max_timeout(text: &str) -> Result<Duration, &'static str> {
    let duration = humantime::parse_duration(text).ok().filter(|duration| !duration.is_zero());
    duration.ok_or("write a duration such as 30s or 1m")
}

/// The value of `--instance.id`.
fn instance_id(text: &str) -> Result<String, &'static str> {
    Some(text.to_owned()).filter(|text| is_id(text)).ok_or("write an id such as i-0123456789abcdef0")
}

/// The exit code of an error.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let is_usage = error.downcast_ref::<ServeError>().is_some_and(ServeError::is_usage);
    if is_usage || error.downcast_ref::<AppError>().is_some_and(AppError::is_usage) {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// Adds a tip about the right flag if a target is given without one.
fn with_tip(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(stray)) = error.get(ContextKind::InvalidArg)
        && error.kind() == ErrorKind::UnknownArgument
        && !stray.starts_with('-')
    {
        let tip = format!(
            "give a target with the flag of its component: --jvb.url={stray}, --jicofo.url={stray} or --jibri.url={stray}"
        );
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Runs the program until a signal ends it.
pub fn run() -> anyhow::Result<()> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(error) = flags::misspelt(Cli::command(), &arguments) {
        error.exit();
    }
    let cli = Cli::try_parse_from(arguments).unwrap_or_else(|error| with_tip(error).exit());
    if cli.print_metrics_reference {
        let written = io::stdout().write_all(reference::markdown().as_bytes());
        return written.context("failed to write the reference");
    }
    if let Some(shell) = cli.print_completion {
        return io::stdout()
            .write_all(completion(shell).as_bytes())
            .context("failed to write the completions");
    }
    logging::init(&cli.log);
    let refusal = |mistakes: &[String]| Cli::command().error(ErrorKind::ValueValidation, mistakes.join("\n"));
    if cli.config_check {
        let mistakes = cli.mistakes();
        if !mistakes.is_empty() {
            refusal(&mistakes).exit();
        }
        return io::stdout().write_all(b"the configuration is valid\n").context("failed to write the answer");
    }
    let config = cli.config().unwrap_or_else(|mistakes| refusal(&mistakes).exit());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("failed to start the runtime")?.block_on(serve(&cli, config))
}

/// The completions that the packages install.
fn completion(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../packaging/completions/jitsi-exporter.bash"),
        Shell::Zsh => include_str!("../packaging/completions/_jitsi-exporter"),
        Shell::Fish => include_str!("../packaging/completions/jitsi-exporter.fish"),
    }
}

async fn serve(cli: &Cli, config: Config) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    signals::shutdown_on_signals(shutdown.clone()).context("failed to listen to signals")?;
    let workers = WorkerThreads::start(WORKERS).context("failed to start threads")?;
    let mut server =
        Server::bind(&cli.web, DEFAULT_PORT).await.context("failed to start")?.with_worker_threads(workers);
    // The landing page asks the targets, as a probe does.
    server.limit("/");
    server.limit(PROBE_PATH);
    signals::reload_on_hangup(server.reloads()).context("failed to listen to signals")?;
    if let Some(relay) = &config.relay {
        let instance = relay.instance.clone();
        tokio::spawn(async move { instance.find().await });
    }
    let mut app = App::new(config, &cli.web.telemetry_path, server.access()).context("failed to start")?;
    app.add_to(&server.reloads());
    server.register_metrics(app.registry(), "jitsi_exporter");
    server.serve(app.router(), shutdown).await.context("failed to serve")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longest_time_is_a_duration_above_zero() {
        let parse = |value: &str| Cli::try_parse_from(["jitsi-exporter", "--scrape.max-timeout", value]);
        assert_eq!(parse("90s").expect("a duration").max_timeout, Duration::from_secs(90));
        for value in ["soon", "0s", "30"] {
            let error = parse(value).expect_err("no duration").to_string();
            assert!(error.contains("write a duration such as 30s or 1m"), "{error}");
        }
    }

    #[test]
    fn a_target_without_a_flag_gets_a_tip() {
        let message = |argument: &str| {
            with_tip(Cli::try_parse_from(["jitsi-exporter", argument]).expect_err("wrong")).to_string()
        };
        let tip = "tip: give a target with the flag of its component: --jvb.url=http://a:1, ";
        assert!(message("http://a:1").contains(tip), "{}", message("http://a:1"));
        assert!(message("--jvb-url=http://a:1").contains("tip: a similar argument exists: '--jvb.url'"));
    }
}
