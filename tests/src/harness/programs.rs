//! Both programs of the project, and moto.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::process::{Process, free_port};
use super::tools::tool;

/// The timeout of a command that ends by itself.
const ANSWERING: Duration = Duration::from_secs(30);

/// The path of a program of this workspace, from the same build as the caller.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    // A test is in target/PROFILE/deps, a binary in target/PROFILE.
    own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file()).with_context(
        || format!("{name} is not built; run `cargo build --workspace`, or tests/run.sh, which does"),
    )
}

/// The address from the log line that `jitsi-web` writes when it listens.
fn listening(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("listening"))?;
    let (_, rest) = line.split_once("address=")?;
    rest.split_whitespace().next()?.trim_matches('"').parse().ok()
}

/// jitsi-exporter on a free port.
#[derive(Debug)]
pub struct Exporter {
    /// The process.
    pub process: Process,
    /// The address that it listens on.
    pub address: SocketAddr,
}

impl Exporter {
    /// Starts it with these further flags.
    pub async fn start(folder: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(program("jitsi-exporter")?);
        command.args(["--web.listen-address", "127.0.0.1:0", "--log.format", "logfmt"]).args(flags);
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        let mut process = Process::spawn("jitsi-exporter", &mut command, folder)?;
        let address = process.wait_for(async |log| listening(log)).await?;
        Ok(Self { process, address })
    }
}

/// The environment of the scaler.
#[derive(Clone, Debug)]
pub struct ScalerEnvironment {
    /// The endpoint of the Auto Scaling API.
    pub aws: String,
}

impl ScalerEnvironment {
    fn apply(&self, command: &mut Command) {
        command
            .env("AWS_ENDPOINT_URL", &self.aws)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN");
    }
}

/// jitsi-scaler on a free port.
#[derive(Debug)]
pub struct Scaler {
    /// The process.
    pub process: Process,
    /// The address that it listens on.
    pub address: SocketAddr,
}

impl Scaler {
    /// Runs it with the configuration `config`. Its log is `NAME.log`, to which it appends.
    pub async fn start(
        name: &str,
        folder: &Path,
        config: &Path,
        environment: &ScalerEnvironment,
    ) -> anyhow::Result<Self> {
        Self::start_with(name, folder, config, environment, &[]).await
    }

    /// As [`Scaler::start`], with further flags.
    pub async fn start_with(
        name: &str,
        folder: &Path,
        config: &Path,
        environment: &ScalerEnvironment,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        Self::start_as(name, folder, config, environment, flags, &[]).await
    }

    /// As [`Scaler::start_with`], with further environment variables.
    pub async fn start_as(
        name: &str,
        folder: &Path,
        config: &Path,
        environment: &ScalerEnvironment,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program("jitsi-scaler")?);
        // Debug level logs every decision, not only those that differ from the previous one.
        command.args(["run", "--web.listen-address", "127.0.0.1:0", "--log.level", "debug"]);
        command.arg("--config.file").arg(config).args(flags);
        environment.apply(&mut command);
        command.envs(variables.iter().copied());
        let mut process = Process::spawn(name, &mut command, folder)?;
        let address = process.wait_for(async |log| listening(log)).await?;
        Ok(Self { process, address })
    }

    /// A command of the scaler that ends by itself, such as `plan`.
    pub fn command(
        name: &str,
        folder: &Path,
        arguments: &[&str],
        environment: &ScalerEnvironment,
    ) -> anyhow::Result<Process> {
        let mut command = Command::new(program("jitsi-scaler")?);
        command.args(arguments);
        environment.apply(&mut command);
        Process::spawn(name, &mut command, folder)
    }

    /// As [`Scaler::command`], with standard output and standard error separately.
    pub async fn output(arguments: &[&str], environment: &ScalerEnvironment) -> anyhow::Result<Output> {
        Self::output_as(arguments, environment, &[]).await
    }

    /// As [`Scaler::output`], with further environment variables.
    pub async fn output_as(
        arguments: &[&str],
        environment: &ScalerEnvironment,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Output> {
        let mut command = Command::new(program("jitsi-scaler")?);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        environment.apply(&mut command);
        command.envs(variables.iter().copied());
        Ok(timeout(ANSWERING, command.output()).await.context("jitsi-scaler does not end")??)
    }
}

/// moto, the independent emulator of AWS.
#[derive(Debug)]
pub struct Moto {
    /// The process.
    pub process: Process,
    /// Its endpoint.
    pub url: String,
}

impl Moto {
    /// Starts its server.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(tool("moto_server")?);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut process = Process::spawn("moto", &mut command, folder)?;
        let url = format!("http://127.0.0.1:{port}");
        process.wait_for_ok(&format!("{url}/moto-api/data.json")).await?;
        Ok(Self { process, url })
    }
}
