//! `--decision-log`: appends each decision that differs from the one before to a file, as a JSON object.
//!
//! Owns the file. A thread writes it, so that a disk that hangs delays no decision; lines that do not fit into its queue
//! are counted and dropped. Rotation is left to the usual tools, which rename the file: the next line goes to a new one. No
//! signal is needed, because one that reloads would also put a configuration in force that somebody is still editing.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
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

/// Whether `path` is not the name of `file` any more.
fn has_moved(file: &File, path: &Path) -> bool {
    let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => place(open) != place(named),
        _ => true,
    }
}

fn write(mut file: File, path: &Path, jobs: &Receiver<Job>, lost: &Counter) {
    let mut healthy = true;
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Append(line) => {
                let reopened = if !healthy || has_moved(&file, path) {
                    open(path).map(|opened| file = opened).map_err(|error| error.source)
                } else {
                    Ok(())
                };
                // One write per line, so that a reader that follows the file sees whole lines.
                let written = file.write_all(line.as_bytes());
                if written.is_err() {
                    lost.inc();
                }
                let outcome = reopened.and(written);
                // One log line per outage, not per decision.
                if let (Err(error), true) = (&outcome, healthy) {
                    error!(file = %path.display(), %error, "failed to write the decision log; free space, or let the scaler create the file: it retries with each decision");
                }
                healthy = outcome.is_ok();
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

    /// Waits until all lines are written. Waits for a full queue on a thread that serves no requests.
    pub async fn flush(self) {
        let (done, answer) = oneshot::channel();
        let _ = tokio::task::spawn_blocking(move || self.jobs.send(Job::Flush(done))).await;
        let _ = answer.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_moved_away_is_followed_by_a_new_one() -> Result<(), Box<dyn std::error::Error>> {
        let folder = std::env::temp_dir().join(format!("decision-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (path, old) = (folder.join("decisions.jsonl"), folder.join("decisions.jsonl.1"));
        std::fs::write(&path, "{\"before\":1}\n")?;
        let log = DecisionLog::open(&path, Counter::default())?;
        let append = async |what: &str| {
            log.append(&serde_json::json!({ what: "new\nline" }));
            log.clone().flush().await;
        };
        append("first").await;
        append("second").await;
        std::fs::rename(&path, &old)?;
        append("third").await;
        let line = |what: &str| format!("{{\"{what}\":\"new\\nline\"}}\n");
        let first = format!("{{\"before\":1}}\n{}{}", line("first"), line("second"));
        assert_eq!(std::fs::read_to_string(&old)?, first);
        assert_eq!(std::fs::read_to_string(&path)?, line("third"));

        // Another file under the name, as after a rotation that creates one.
        std::fs::rename(&path, &old)?;
        std::fs::write(&path, "")?;
        append("fourth").await;
        assert_eq!(std::fs::read_to_string(&path)?, line("fourth"));

        // While the name cannot be had, the lines go to the old file, and none is lost.
        let elsewhere = folder.with_extension("moved");
        std::fs::rename(&folder, &elsewhere)?;
        append("fifth").await;
        assert_eq!(
            std::fs::read_to_string(elsewhere.join("decisions.jsonl"))?,
            line("fourth") + &line("fifth")
        );
        std::fs::create_dir_all(&folder)?;
        append("sixth").await;
        assert_eq!(std::fs::read_to_string(&path)?, line("sixth"));
        assert_eq!(log.lost.get(), 0);
        std::fs::remove_dir_all(&folder)?;
        std::fs::remove_dir_all(&elsewhere)?;
        Ok(())
    }

    #[test]
    fn a_file_that_cannot_be_had_is_told() {
        let error =
            DecisionLog::open(Path::new("/nonexistent/d.jsonl"), Counter::default()).expect_err("none");
        insta::assert_snapshot!(format!("failed to {error}"), @"failed to open /nonexistent/d.jsonl, named in --decision-log, for appending");
    }
}
