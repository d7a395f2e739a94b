//! The scaler with one of its protections taken away, without touching it: what stands behind its traits lies.
//!
//! Owns how each lie equals the missing protection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jitsi_scaler::decide::observation::Reading;
use jitsi_scaler::jitsi::{Address, Components, JitsiError, Permitted, Reply, Request};
use jitsi_scaler::observe::Metrics;
use jitsi_scaler::observe::rules::Rules;
use jitsi_scaler::observe::{Labelled, QueryError};
use jitsi_scaler::units::{Period, Time};

use super::Check;
use super::cloud::Lifecycle;
use super::jitsi::Relays;
use super::questions::Queries;
use super::world::MINUTE;

/// For how long a first look is taken for all later ones: longer than a drain of what is empty takes.
const REMEMBERED: i64 = 10 * MINUTE;

/// Prometheus, possibly lying.
///
/// - Without the victim check every instance is said to be free, and to have been for long: whoever is chosen, nobody
///   has seen whether it is.
/// - Without unknown-is-not-zero a query that fails, or lacks a point, is answered with zeros, as by a scaler that
///   takes the absence of load for its absence.
/// - Without ambiguous only one of the series of an instance is there.
#[derive(Debug)]
pub(super) struct ToldMetrics {
    pub(super) inner: Queries,
    pub(super) without: Option<Check>,
    /// The groups that a query is about, by the beginning of its text.
    pub(super) groups: [(&'static str, [&'static str; 2]); 2],
}

impl Metrics for ToldMetrics {
    async fn range(
        &self,
        expr: &str,
        start: Time,
        end: Time,
        step: Period,
    ) -> Result<Vec<Labelled>, QueryError> {
        let answer = self.inner.range(expr, start, end, step).await;
        if self.without != Some(Check::UnknownIsNotZero) {
            return answer;
        }
        let answer = answer.unwrap_or_default();
        let Some((_, groups)) = self.groups.iter().find(|(prefix, _)| expr.starts_with(prefix)) else {
            return Ok(answer);
        };
        let of = |group: &str| {
            let told = answer.iter().find(|it| it.label("asg") == Some(group));
            let at = |at: i64| {
                let known =
                    told.and_then(|it| it.points.iter().find(|(then, _)| (then - at as f64).abs() < 0.5));
                known.copied().unwrap_or((at as f64, 0.0))
            };
            let grid = (start.unix()..=end.unix()).step_by(usize::try_from(step.seconds()).unwrap_or(1));
            let labels = [("asg", group)].into_iter().collect();
            Labelled { labels, points: grid.map(at).collect() }
        };
        Ok(groups.iter().map(|group| of(group)).collect())
    }

    async fn rules(&self, max_age: Duration) -> Option<Arc<Rules>> {
        self.inner.rules(max_age).await
    }

    async fn instant(&self, expr: &str, at: Time) -> Result<Vec<Labelled>, QueryError> {
        let mut answer = self.inner.instant(expr, at).await?;
        if self.without == Some(Check::Ambiguous) {
            answer.retain(|series| series.label("jibri") != Some("second"));
        }
        if self.without == Some(Check::VictimCheck) {
            if expr.starts_with("max_over_time(timestamp({__name__=~\"jibri_available") {
                answer.clear();
            }
            for series in &mut answer {
                let free = match series.label("__name__") {
                    Some("jvb_local_endpoints") => 0.0,
                    Some("jibri_available") => 1.0,
                    _ => continue,
                };
                for (_, value) in &mut series.points {
                    *value = free;
                }
            }
        }
        Ok(answer)
    }
}

/// The components, possibly lying.
///
/// - Without the victim check whoever answers is said to be empty. (That Prometheus calls a victim free is not enough:
///   it is asked itself before anything happens to it, which is the same check made twice.)
/// - Without the second look the first answer "empty" is repeated in place of looking again.
/// - Without the final request it is said to have been accepted, and nobody was asked.
/// - Without unknown-is-not-zero what does not answer is said to be empty.
/// - Without hook-when-empty what a hook holds is said to be empty.
/// - Without unreadable a bridge that never says whether it is empty answers as long as it is not drained.
///
/// The others are lies of AWS: a heartbeat or a protection is said to have been taken, and was never sent; a pause, a
/// refresh or weights are not shown. The share of what may look ill, the limit of drains and the distance of looks are
/// taken away where they stand, in the configuration.
#[derive(Debug)]
pub(super) struct ToldComponents {
    pub(super) inner: Relays,
    pub(super) without: Option<Check>,
    pub(super) looks: Arc<Mutex<HashMap<usize, (i64, Reading)>>>,
}

impl ToldComponents {
    async fn first_look(&self, address: &Address) -> Result<Reading, JitsiError> {
        let (instance, now) = {
            let world = self.inner.shared.lock();
            (world.at(address), world.now)
        };
        let looks = || self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = looks().get(&instance).copied();
        if let Some((_, reading)) = known.filter(|(at, _)| now - at < REMEMBERED) {
            return Ok(reading);
        }
        let reading = self.inner.read(address).await?;
        if reading.is_empty() {
            looks().insert(instance, (now, reading));
        }
        Ok(reading)
    }
}

impl Components for ToldComponents {
    async fn read(&self, address: &Address) -> Result<Reading, JitsiError> {
        let empty = Reading::Answered { empty: true, draining: true, closing: false };
        match self.without {
            Some(Check::HookWhenEmpty) => {
                let read = self.inner.read(address).await?;
                let world = self.inner.shared.lock();
                let is_held = world.instances[world.at(address)].lifecycle == Lifecycle::TerminatingWait;
                Ok(if is_held { empty } else { read })
            }
            None
            | Some(
                Check::FinalRequest
                | Check::Heartbeat
                | Check::IllShare
                | Check::ProtectBusy
                | Check::DrainLimit
                | Check::Settle
                | Check::Pause
                | Check::Refresh
                | Check::Ambiguous
                | Check::Weighted,
            ) => self.inner.read(address).await,
            Some(Check::Unreadable) => self.inner.read(address).await.or_else(|error| {
                let world = self.inner.shared.lock();
                let it = &world.instances[world.at(address)];
                if it.unreadable && it.drained_since.is_none() {
                    return Ok(Reading::Answered { empty: false, draining: false, closing: false });
                }
                Err(error)
            }),
            Some(Check::SecondLook) => self.first_look(address).await,
            Some(Check::UnknownIsNotZero) => Ok(match self.inner.read(address).await {
                Ok(reading @ Reading::Answered { .. }) => reading,
                _ => empty,
            }),
            Some(Check::VictimCheck) => Ok(match self.inner.read(address).await? {
                Reading::Answered { draining, closing, .. } => {
                    Reading::Answered { empty: true, draining, closing }
                }
                other => other,
            }),
        }
    }

    async fn request(&self, address: &Address, permitted: Permitted) -> Result<Reply, JitsiError> {
        match (self.without, permitted.request()) {
            (Some(Check::FinalRequest), Request::Close) => Ok(Reply::Accepted),
            _ => self.inner.request(address, permitted).await,
        }
    }
}
