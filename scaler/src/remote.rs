//! Commands that talk to a running service: `status`, `pause`, `resume`, `drain` and `undrain`.
//!
//! Owns how names that people type become requests, and what is printed. The service decides; nothing here reads a
//! configuration or asks a cloud.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use serde_json::{Value, json};

mod names;
mod server;
mod table;

use names::{Group, NameError};
pub use server::{RemoteError, Server};

/// The time between two looks of `status --watch`.
const WATCHED: Duration = Duration::from_secs(5);

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The service was not reached, or refused.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A name is not known, or not enough.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The output could not be written.
    #[error("write to standard output")]
    Output(#[source] io::Error),
}

impl CommandError {
    /// Whether the command line is wrong, and not what it asks for.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Name(_)) || matches!(self, Self::Remote(error) if error.is_usage())
    }
}

/// The groups that a command is about.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// Every group.
    All,
    /// Those that these names mean: `FLEET`, `ASG` or `FLEET/ASG`.
    Named(&'a [String]),
}

impl Which<'_> {
    fn of(self, status: &Value) -> Result<Vec<Group>, NameError> {
        match self {
            Self::All => Ok(names::groups(status)),
            Self::Named(wanted) => names::select(status, wanted),
        }
    }
}

/// What the service sees and does, as a table or as JSON.
pub async fn status(server: &Server, which: Which<'_>, as_json: bool) -> Result<String, CommandError> {
    let status = server.status().await?;
    let groups = which.of(&status)?;
    if as_json {
        let mut status = status;
        if let Some(all) = status["groups"].as_array_mut() {
            all.retain(|it| groups.contains(&Group::of(it)));
        }
        return Ok(format!("{status:#}\n"));
    }
    Ok(table::table(&status, &groups))
}

/// Prints the status again and again, until it cannot be had.
pub async fn watch(
    server: &Server,
    which: Which<'_>,
    as_json: bool,
    out: &mut (dyn io::Write + Send),
) -> Result<(), CommandError> {
    loop {
        let text = status(server, which, as_json).await?;
        // The screen is cleared for a person alone: a program reads one document after the other.
        let text = if as_json { text } else { format!("\x1b[2J\x1b[H{text}") };
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CommandError::Output)?;
        tokio::time::sleep(WATCHED).await;
    }
}

/// Pauses groups. Returns a line for each.
pub async fn pause(
    server: &Server,
    which: Which<'_>,
    (length, reason): (&str, &str),
) -> Result<String, CommandError> {
    let body = json!({"for": length, "reason": reason});
    let paused =
        |answer: &Value| format!("paused until {}", answer["paused"]["until"].as_str().unwrap_or("?"));
    of_groups(server, which, "pause", &body, paused).await
}

/// Ends the pauses of groups. Returns a line for each.
pub async fn resume(server: &Server, which: Which<'_>) -> Result<String, CommandError> {
    of_groups(server, which, "resume", &json!({}), |_| "resumed".to_owned()).await
}

async fn of_groups(
    server: &Server,
    which: Which<'_>,
    action: &str,
    body: &Value,
    done: impl Fn(&Value) -> String,
) -> Result<String, CommandError> {
    let mut text = String::new();
    for group in which.of(&server.status().await?)? {
        let answer = server.change(&group, &[action], body).await?;
        // Writing to a string succeeds.
        let _ = writeln!(
            text,
            "{group}: {}",
            answer["text"].as_str().map_or_else(|| done(&answer), str::to_owned)
        );
    }
    Ok(text)
}

/// Orders the same of instances, in the group `named` or in the one that the status shows for each. Returns a line for
/// each.
pub async fn order(
    server: &Server,
    instances: &[String],
    named: Option<&str>,
    (action, body): (&str, &Value),
) -> Result<String, CommandError> {
    let status = server.status().await?;
    // Either all names are known, or nothing is done.
    let groups: Vec<Group> = instances
        .iter()
        .map(|instance| names::group_of(&status, instance, named))
        .collect::<Result<_, _>>()?;
    let mut text = String::new();
    for (instance, group) in instances.iter().zip(groups) {
        let answer = server.change(&group, &["instances", instance, action], body).await?;
        // Writing to a string succeeds.
        let _ = writeln!(text, "{group}: {}", answer["text"].as_str().unwrap_or("done"));
    }
    Ok(text)
}
