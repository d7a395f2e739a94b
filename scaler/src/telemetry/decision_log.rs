//! `--decision-log`: appends each decision that differs from the one before to a file, as a JSON object.
//!
//! Owns the file. A thread writes it, so that a disk that hangs delays no decision; lines that do not fit into its queue
//! are counted and dropped. Rotation is left to the usual tools, which rename the file and send SIGHUP.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::error;

/// How many lines may wait for the disk: a few minutes of a thousand groups that change all the time.
const WAITING: usize = 4096;

/// The file cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open {}, named in --decision-log, for appending", path.display())]
pub struct OpenError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

enum Job {
    Append(String),
    Reopen(oneshot::Sender<Result<(), OpenError>>),
    /// Answers when all lines before it are written.
    Flush(oneshot::Sender<()>),
}

/// A file that decisions are appended to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DecisionLog {
    jobs: SyncSender<Job>,
    lost: Counter,
}

fn open(path: &Path) -> Result<File, OpenError> {
    let file = File::options().create(true).append(true).open(path);
    file.map_err(|source| OpenError { path: path.to_owned(), source })
}

fn write(mut file: File, path: &Path, jobs: &Receiver<Job>, lost: &Counter) {
    let mut healthy = true;
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Append(line) => {
                // One write per line, so that a reader that follows the file sees whole lines.
                let written = file.write_all(line.as_bytes());
                if let Err(error) = &written {
                    lost.inc();
                    // One log line per outage, not per decision.
                    if healthy {
                        error!(file = %path.display(), %error, "failed to write the decision log; free space, or send SIGHUP once it can be written");
                    }
                }
                healthy = written.is_ok();
            }
            Job::Reopen(done) => {
                let opened = open(path).map(|opened| file = opened);
                let _ = done.send(opened);
            }
            Job::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

impl DecisionLog {
    /// Opens the file for appending and starts its thread. `lost` counts lines that could not be written.
    pub fn open(path: &Path, lost: Counter) -> Result<Self, OpenError> {
        let file = open(path)?;
        let (jobs, queue) = sync_channel(WAITING);
        let (path, counter) = (path.to_owned(), lost.clone());
        std::thread::spawn(move || write(file, &path, &queue, &counter));
        Ok(Self { jobs, lost })
    }

    /// Appends a line.
    pub fn append(&self, decision: &impl Serialize) {
        // Serializing structures of this crate cannot fail.
        let Ok(json) = serde_json::to_string(decision) else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.jobs.try_send(Job::Append(json + "\n"))
        {
            self.lost.inc();
        }
    }

    /// Opens the file again by its name, after it was renamed. If that fails, the old file stays in use.
    pub async fn reopen(self) -> Result<(), OpenError> {
        self.queue(Job::Reopen).await.unwrap_or(Ok(()))
    }

    /// Waits until all lines are written.
    pub async fn flush(self) {
        let _ = self.queue(Job::Flush).await;
    }

    /// Waits for a full queue on a thread that serves no requests, and then until the job is done.
    async fn queue<T>(self, job: fn(oneshot::Sender<T>) -> Job) -> Option<T> {
        let (done, answer) = oneshot::channel();
        let job = job(done);
        let _ = tokio::task::spawn_blocking(move || self.jobs.send(job)).await;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_appended_and_a_renamed_file_is_left_behind() -> Result<(), Box<dyn std::error::Error>>
    {
        let folder = std::env::temp_dir().join(format!("decision-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (path, old) = (folder.join("decisions.jsonl"), folder.join("decisions.jsonl.1"));
        std::fs::write(&path, "{\"before\":1}\n")?;
        let log = DecisionLog::open(&path, Counter::default())?;
        log.append(&serde_json::json!({"first": 1}));
        log.clone().flush().await;
        std::fs::rename(&path, &old)?;
        log.append(&serde_json::json!({"still": "old"}));
        log.clone().reopen().await?;
        log.append(&serde_json::json!({"a": "new\nfile"}));
        log.clone().flush().await;
        assert_eq!(std::fs::read_to_string(&old)?, "{\"before\":1}\n{\"first\":1}\n{\"still\":\"old\"}\n");
        assert_eq!(std::fs::read_to_string(&path)?, "{\"a\":\"new\\nfile\"}\n");

        std::fs::remove_dir_all(&folder)?;
        let error = log.clone().reopen().await.expect_err("the folder is gone");
        assert!(error.to_string().contains("named in --decision-log"), "{error}");
        log.append(&serde_json::json!({"goes": "to the old one"}));
        log.clone().flush().await;
        assert_eq!(log.lost.get(), 0);
        Ok(())
    }

    #[test]
    fn a_file_that_cannot_be_had_is_told() {
        let error =
            DecisionLog::open(Path::new("/nonexistent/d.jsonl"), Counter::default()).expect_err("none");
        insta::assert_snapshot!(format!("failed to {error}"), @"failed to open /nonexistent/d.jsonl, named in --decision-log, for appending");
    }
}
