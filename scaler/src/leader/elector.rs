//! The candidate at work: reads and writes the lease as the election says, and tells how it stands.
//!
//! Owns the limits of requests and the pauses between them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Standing;
use super::election::{Election, Move, Record};
use crate::telemetry::Telemetry;

/// A request to the place where leases are that did not do what it was to.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has written meanwhile, or an earlier request of ours whose answer was lost.
    #[error("write the lease: it has changed meanwhile")]
    Conflict,
    /// No answer in time.
    #[error("get an answer of the API server in time; whether the lease was written shows when it is read")]
    Timeout,
    /// The API server refused it.
    #[error("{call} the lease: {message}{}", remedy(*.code))]
    Refused {
        /// What was asked for.
        call: &'static str,
        /// The HTTP status.
        code: u16,
        /// What the API server says.
        message: String,
    },
    /// The API server could not be asked.
    #[error("{call} the lease: cannot reach the API server")]
    Unreachable {
        /// What was asked for.
        call: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn remedy(code: u16) -> &'static str {
    match code {
        403 => "; allow get, create and update of leases in its namespace by a Role and a RoleBinding",
        401 => {
            "; mount a token of the service account, by automountServiceAccountToken; a new one is read once a minute"
        }
        404 => "; create its namespace",
        _ => "",
    }
}

impl LeaseError {
    /// The word for it in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Timeout => "timeout",
            Self::Refused { .. } => "refused",
            Self::Unreachable { .. } => "unreachable",
        }
    }
}

/// Where a lease is kept. A write is refused with [`LeaseError::Conflict`] where the lease is not of the version that it
/// was read in.
pub trait Leases {
    /// The record and its version; `None` where there is no lease.
    fn read(&self) -> impl Future<Output = Result<Option<(Record, String)>, LeaseError>> + Send;

    /// Makes the lease, and gives its version.
    fn create(&self, record: &Record) -> impl Future<Output = Result<String, LeaseError>> + Send;

    /// Writes the lease, and gives its new version.
    fn replace(
        &self,
        record: &Record,
        version: &str,
    ) -> impl Future<Output = Result<String, LeaseError>> + Send;
}

/// A candidate.
#[derive(Debug)]
pub struct Elector<L> {
    leases: L,
    election: Election,
    clock: fn() -> Duration,
    tell: watch::Sender<Standing>,
    telemetry: Telemetry,
    /// What the newest request failed with.
    failing: Option<&'static str>,
}

impl<L: Leases> Elector<L> {
    /// A candidate, and where it tells how it stands.
    pub fn new(
        leases: L,
        election: Election,
        clock: fn() -> Duration,
        telemetry: Telemetry,
    ) -> (Self, watch::Receiver<Standing>) {
        let (tell, told) = watch::channel(Standing::default());
        telemetry.stands_by(None);
        (Self { leases, election, clock, tell, telemetry, failing: None }, told)
    }

    /// Stands for election until `stop`, and then gives up what it holds.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let again = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                again = self.round() => again,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(again) => self.election.waited(),
            }
        }
        self.resign().await;
    }

    /// Reads and writes as far as it goes, and says when to go on.
    async fn round(&mut self) -> Instant {
        let mut failures = 0;
        loop {
            self.told();
            let now = Instant::now();
            let done = match self.election.next(now, (self.clock)()) {
                Move::Wait => break,
                Move::Read => self.read().await,
                Move::Create(record) => {
                    let version = Self::limited(&self.election, now, self.leases.create(&record)).await;
                    version.map(|version| self.election.written(record, version, now)).map(|()| true)
                }
                Move::Replace(record, version) => {
                    let replace = self.leases.replace(&record, &version);
                    let version = Self::limited(&self.election, now, replace).await;
                    version.map(|version| self.election.written(record, version, now)).map(|()| true)
                }
            };
            match done {
                Ok(false) => self.failing = None,
                Ok(true) => {
                    self.failing = None;
                    break;
                }
                Err(error) => {
                    self.failed(&error);
                    failures += 1;
                    // It may have been done, or been overtaken by a request of ours whose answer was lost: that shows at
                    // once when the lease is read.
                    if !matches!(error, LeaseError::Conflict | LeaseError::Timeout) || failures > 1 {
                        break;
                    }
                }
            }
        }
        self.told();
        self.election.again(Instant::now())
    }

    async fn read(&mut self) -> Result<bool, LeaseError> {
        let found = Self::limited(&self.election, Instant::now(), self.leases.read()).await?;
        self.election.read(found, Instant::now());
        Ok(false)
    }

    /// A request ends with its own limit, or with the term: then there is something to be told.
    async fn limited<T>(
        election: &Election,
        now: Instant,
        request: impl Future<Output = Result<T, LeaseError>>,
    ) -> Result<T, LeaseError> {
        let answer = timeout_at(election.limit(now), request).await;
        answer.unwrap_or(Err(LeaseError::Timeout))
    }

    /// Tells how it stands, if that has changed.
    fn told(&mut self) {
        let now = Instant::now();
        let standing = self.election.standing(now);
        let before = self.tell.borrow().clone();
        if standing == before {
            return;
        }
        // The right to act comes and goes before anything is said of it.
        self.tell.send_replace(standing.clone());
        match (before.until.is_some(), standing.until.is_some()) {
            (false, true) => self.telemetry.leads(self.election.identity()),
            (true, false) => self.telemetry.lost_lead(standing.holder()),
            (false, false) if before.holder != standing.holder => self.telemetry.stands_by(standing.holder()),
            _ => {}
        }
    }

    fn failed(&mut self, error: &LeaseError) {
        self.election.unsure();
        // What goes on failing is said once. That somebody else was faster is nothing that went wrong.
        let reason = error.as_str();
        let news = self.failing != Some(reason) && !matches!(error, LeaseError::Conflict);
        self.failing = Some(reason);
        self.telemetry.lease_failed(reason, error, news);
    }

    async fn resign(mut self) {
        let wall = (self.clock)();
        let Some((record, version)) = self.election.resign(wall) else { return };
        self.tell.send_replace(self.election.standing(Instant::now()));
        self.telemetry.resigns();
        let limit = self.election.patience();
        let given_up = async {
            match self.leases.replace(&record, &version).await {
                // A renewal that was under way has got there.
                Err(LeaseError::Conflict) => match self.leases.read().await? {
                    Some((found, version)) if found.holder == self.election.identity() => {
                        self.leases.replace(&record, &version).await.map(drop)
                    }
                    _ => Ok(()),
                },
                written => written.map(drop),
            }
        };
        match timeout(limit, given_up).await.unwrap_or(Err(LeaseError::Timeout)) {
            Ok(()) => {}
            Err(error) => self.telemetry.lease_failed(error.as_str(), &error, true),
        }
    }
}

#[cfg(test)]
mod tests;
