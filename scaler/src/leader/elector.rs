//! The running candidate: it reads and writes the lease as the election says, and publishes its standing.
//!
//! This module has the deadlines of requests and the pauses between them. What a lease is for has [`super::part`].

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Standing;
use super::election::{Election, Move, Record};
use super::part::Part;
use crate::telemetry::Telemetry;

/// Why a request for the lease failed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another candidate wrote it meanwhile, or an earlier request of this one did, whose answer was lost.
    #[error("write the lease: it has changed meanwhile")]
    Conflict,
    /// No answer in time.
    #[error("get an answer from the API server in time; the next read shows whether the lease was written")]
    Timeout,
    /// The API server refused it.
    #[error("{call} the lease: {message}{}", remedy(*.code))]
    Refused {
        /// What the request was to do: `read`, `create` or `update`.
        call: &'static str,
        /// The HTTP status.
        code: u16,
        /// The text of the API server.
        message: String,
    },
    /// The API server did not answer.
    #[error("{call} the lease: cannot reach the API server")]
    Unreachable {
        /// What the request was to do: `read`, `create` or `update`.
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
            "; mount the token of the service account (automountServiceAccountToken); it is read again every minute"
        }
        404 => "; create its namespace",
        _ => "",
    }
}

impl LeaseError {
    /// Its label value in metrics.
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

/// Where the lease is kept. A write fails with [`LeaseError::Conflict`] unless the lease still has the version that was
/// read.
pub trait Leases {
    /// The record and its version; `None` where there is no lease.
    fn read(&self) -> impl Future<Output = Result<Option<(Record, String)>, LeaseError>> + Send;

    /// Creates the lease and returns its version.
    fn create(&self, record: &Record) -> impl Future<Output = Result<String, LeaseError>> + Send;

    /// Writes the lease and returns its new version.
    fn replace(
        &self,
        record: &Record,
        version: &str,
    ) -> impl Future<Output = Result<String, LeaseError>> + Send;
}

/// A running candidate.
#[derive(Debug)]
pub struct Elector<L> {
    leases: L,
    election: Election,
    part: Part,
    clock: fn() -> Duration,
    publisher: watch::Sender<Standing>,
    telemetry: Telemetry,
    /// The reason why the newest request failed; `None` after a success.
    failing: Option<&'static str>,
}

impl<L: Leases> Elector<L> {
    /// A candidate, and the receiver of its standing. `clock` returns the time since 1970.
    pub fn new(
        (leases, part): (L, Part),
        election: Election,
        clock: fn() -> Duration,
        telemetry: Telemetry,
    ) -> (Self, watch::Receiver<Standing>) {
        let (publisher, standing) = watch::channel(Standing::default());
        match part {
            Part::Whole => telemetry.stands_by(None),
            Part::Agreement(_) => telemetry.waits_for_agreement(None),
            Part::Shard { .. } => {}
        }
        (Self { leases, election, part, clock, publisher, telemetry, failing: None }, standing)
    }

    /// Takes part in the election until `stop`, and then resigns.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.part.begins() => {}
        }
        loop {
            let next_attempt = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                next_attempt = self.round() => next_attempt,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_idle) = self.part.idle(), if self.election.is_leaving() => self.resign().await,
                () = sleep_until(next_attempt) => self.election.waited(),
            }
        }
        self.resign().await;
    }

    /// Takes steps until it has to wait, and returns when to go on.
    async fn round(&mut self) -> Instant {
        let mut failures = 0;
        if self.election.holds() && !self.part.may_hold() {
            self.resign().await;
        }
        loop {
            self.publish();
            let (now, wall) = (Instant::now(), (self.clock)());
            let written = match self.election.next(now, wall) {
                Move::Wait => {
                    self.wish(now, wall).await;
                    break;
                }
                Move::Create(_) | Move::Replace(..) if !self.election.holds() && !self.part.may_hold() => {
                    break;
                }
                Move::Read => self.read().await.map(|()| None),
                Move::Create(record) => {
                    let version = Self::limited(&self.election, now, self.leases.create(&record)).await;
                    version.map(|version| Some((record, version)))
                }
                Move::Replace(record, version) => {
                    let replace = self.leases.replace(&record, &version);
                    let version = Self::limited(&self.election, now, replace).await;
                    version.map(|version| Some((record, version)))
                }
            };
            match written {
                Ok(written) => {
                    self.failing = None;
                    if let Some((record, version)) = written {
                        self.election.written(record, version, now, Instant::now());
                        break;
                    }
                }
                Err(error) => {
                    self.failed(&error);
                    failures += 1;
                    // The write may have happened, or lost against an earlier one of ours that got no answer: reading the
                    // lease at once shows it.
                    if !matches!(error, LeaseError::Conflict | LeaseError::Timeout) || failures > 1 {
                        break;
                    }
                }
            }
        }
        self.publish();
        let now = Instant::now();
        let next = self.election.next_attempt(now);
        // A lease that is about to be handed over is read more often, so that its fleets wait no longer than they must.
        if self.part.waits() { next.min(now + self.election.retry_period() / 4) } else { next }
    }

    async fn read(&mut self) -> Result<(), LeaseError> {
        let sent = Instant::now();
        let found = Self::limited(&self.election, sent, self.leases.read()).await?;
        self.election.read(found, sent, Instant::now());
        self.part.note(&mut self.election);
        Ok(())
    }

    /// Writes that this candidate wishes for the lease of another one, if it does.
    async fn wish(&mut self, now: Instant, wall: Duration) {
        if !self.part.wishes(now, now + self.election.lease_duration()) {
            return;
        }
        let Some((record, version)) = self.election.wish(wall) else { return };
        match Self::limited(&self.election, now, self.leases.replace(&record, &version)).await {
            Ok(version) => self.election.wished(record, version),
            // The next reading shows whether it was written.
            Err(error) => self.failed(&error),
        }
    }

    /// Gives a request up at its deadline.
    async fn limited<T>(
        election: &Election,
        now: Instant,
        request: impl Future<Output = Result<T, LeaseError>>,
    ) -> Result<T, LeaseError> {
        let answer = timeout_at(election.request_deadline(now), request).await;
        answer.unwrap_or(Err(LeaseError::Timeout))
    }

    /// Publishes the standing if it has changed.
    fn publish(&mut self) {
        let now = Instant::now();
        self.part.note(&mut self.election);
        let standing = self.election.standing(now);
        let before = self.publisher.borrow().clone();
        if standing == before {
            return;
        }
        // The right to act changes before logs and metrics say so.
        self.publisher.send_replace(standing.clone());
        let is_new_holder = before.holder != standing.holder;
        match (&self.part, before.until.is_some(), standing.until.is_some()) {
            (Part::Whole, false, true) => self.telemetry.leads(self.election.identity()),
            (Part::Whole, true, false) => self.telemetry.lost_lead(standing.holder()),
            (Part::Whole, false, false) if is_new_holder => self.telemetry.stands_by(standing.holder()),
            (Part::Agreement(_), _, false) if is_new_holder => {
                let other = standing.holder().filter(|holder| *holder != self.election.identity());
                self.telemetry.waits_for_agreement(other);
            }
            _ => {}
        }
    }

    fn failed(&mut self, error: &LeaseError) {
        self.election.unsure();
        // A lasting failure is logged once. A conflict is no failure: another candidate was faster.
        let reason = error.as_str();
        let news = self.failing != Some(reason) && !matches!(error, LeaseError::Conflict);
        self.failing = Some(reason);
        self.telemetry.lease_failed(reason, error, news);
    }

    async fn resign(&mut self) {
        let wall = (self.clock)();
        let resignation = self.election.resign(wall);
        self.publisher.send_replace(self.election.standing(Instant::now()));
        self.election.unsure();
        let Some((record, version)) = resignation else { return };
        if matches!(self.part, Part::Whole) {
            self.telemetry.resigns();
        }
        let limit = self.election.request_timeout();
        let resigned = async {
            match self.leases.replace(&record, &version).await {
                // An earlier renewal, which got no answer, arrived meanwhile.
                Err(LeaseError::Conflict) => match self.leases.read().await? {
                    Some((found, version)) if found.holder == self.election.identity() => {
                        self.leases.replace(&record, &version).await.map(Some)
                    }
                    _ => Ok(None),
                },
                written => written.map(Some),
            }
        };
        match timeout(limit, resigned).await.unwrap_or(Err(LeaseError::Timeout)) {
            Ok(Some(version)) => self.election.resigned(record, version, Instant::now()),
            Ok(None) => {}
            Err(error) => self.telemetry.lease_failed(error.as_str(), &error, true),
        }
    }
}

#[cfg(test)]
mod tests;
