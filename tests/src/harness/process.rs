//! A child process whose output goes to a file, and which ends with its handle.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::wait::wait_until;

/// The time for a process to become ready.
const STARTING: Duration = Duration::from_secs(30);
/// The time for a process to end after SIGTERM.
const ENDING: Duration = Duration::from_secs(15);

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// The length of the log when it was started.
    before: usize,
}

/// The state of a process.
pub type Exited = ExitStatus;

impl Process {
    /// Starts `command`; its output is appended to `NAME.log` in `folder`.
    pub fn spawn(name: &str, command: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let before = usize::try_from(file.metadata()?.len())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log, before })
    }

    /// Its whole output.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `ready`, which is polled with the output of this process, returns a value.
    pub async fn wait_for<T>(&mut self, mut ready: impl AsyncFnMut(&str) -> Option<T>) -> anyhow::Result<T> {
        let mut found = None;
        let waited = wait_until(STARTING, async || {
            found = ready(self.output().get(self.before..).unwrap_or_default()).await;
            found.is_some() || matches!(self.child.try_wait(), Ok(Some(_)))
        })
        .await;
        match (found, waited) {
            (Some(found), _) => Ok(found),
            (None, Ok(())) => bail!("{} has ended:\n{}", self.name, self.output()),
            (None, Err(_)) => bail!("{} is not ready after {STARTING:?}:\n{}", self.name, self.output()),
        }
    }

    /// Waits until it answers 200 at `url`.
    pub async fn wait_for_ok(&mut self, url: &str) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        self.wait_for(async |_| {
            let answer = client.get(url).send().await;
            answer.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await
    }

    /// Its process ID, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends SIGKILL and waits; its current work is lost.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.cut_off().await
    }

    /// As [`Process::kill`], for a process that will be replaced.
    pub async fn cut_off(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("failed to kill {}", self.name))
    }

    /// Sends a signal, such as `STOP`, if it still runs.
    pub async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        if let Some(id) = self.child.id() {
            let sent = Command::new("kill").args(["-s", signal, &id.to_string()]).status().await?;
            anyhow::ensure!(sent.success(), "failed to signal {}", self.name);
        }
        Ok(())
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn stop(mut self) -> anyhow::Result<Exited> {
        self.terminate().await
    }

    /// As [`Process::stop`], for a process that will be replaced.
    pub async fn terminate(&mut self) -> anyhow::Result<Exited> {
        self.signal("TERM").await?;
        let ended = timeout(ENDING, self.child.wait()).await;
        ended
            .with_context(|| format!("{} has not ended {ENDING:?} after SIGTERM", self.name))?
            .map_err(Into::into)
    }

    /// Waits for the end of a process that ends by itself.
    pub async fn finished(mut self, within: Duration) -> anyhow::Result<(Exited, String)> {
        let ended = timeout(within, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} has not ended within {within:?}", self.name))??;
        Ok((status, self.output()))
    }
}

/// A currently free loopback port, for programs that cannot choose one and report it.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
