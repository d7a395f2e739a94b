//! Earlier notifications of Alertmanager: how many more are accepted, and which alerts are news.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::observe::alertmanager::Firing;

/// How many notifications are accepted at once; then one a second. Many alerts usually have one cause, and an evaluation
/// covers the whole group anyway.
const BURST: f64 = 20.0;
/// An alert that fires again within this time is a duplicate. Longer than a pair of Alertmanagers is apart, shorter than
/// any reminder.
const SAME: Duration = Duration::from_secs(30);
/// How many alerts are remembered for that.
const REMEMBERED: usize = 10_000;

/// What is known of earlier notifications.
#[derive(Debug)]
pub(super) struct Notifications {
    state: Mutex<Recent>,
    /// The bytes of notifications that may be in memory beside those that are.
    room: Arc<Semaphore>,
    /// One notification is read at a time.
    turn: Arc<Semaphore>,
}

/// How many bytes of notifications are in memory at most.
const ROOM: usize = 8 * 1024 * 1024;

#[derive(Debug)]
struct Recent {
    tokens: f64,
    at: Instant,
    /// Digests of alerts, whose labels may be long, and when they came.
    alerts: HashMap<u64, Instant>,
    digest: RandomState,
}

impl Default for Notifications {
    fn default() -> Self {
        let recent =
            Recent { tokens: BURST, at: Instant::now(), alerts: HashMap::new(), digest: RandomState::new() };
        let (room, turn) = (Arc::new(Semaphore::new(ROOM)), Arc::new(Semaphore::new(1)));
        Self { state: Mutex::new(recent), room, turn }
    }
}

impl Notifications {
    /// Room for `bytes` of a notification, until the permit is dropped. `None` if others take it all.
    pub(super) fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }

    /// Waits until no other notification is being read, and keeps others from it until the permit is dropped.
    pub(super) async fn turn(&self) -> OwnedSemaphorePermit {
        self.turn.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Whether one more notification is accepted at `now`.
    pub(super) fn accept(&self, now: Instant) -> bool {
        let mut recent = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(recent.at).as_secs_f64();
        recent.tokens = (recent.tokens + gained).min(BURST);
        recent.at = now;
        let accepted = recent.tokens >= 1.0;
        if accepted {
            recent.tokens -= 1.0;
        }
        accepted
    }

    /// Those of `firing` that no recent notification had.
    pub(super) fn news(&self, firing: Vec<Firing>, now: Instant) -> Vec<Firing> {
        let mut recent = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        recent.alerts.retain(|_, at| now.saturating_duration_since(*at) < SAME);
        firing
            .into_iter()
            .filter(|alert| !recent.alerts.contains_key(&recent.digest.hash_one(alert)))
            .collect()
    }

    /// Remembers alerts that woke an evaluation at `now`.
    pub(super) fn remember(&self, firing: &[Firing], now: Instant) {
        let Recent { alerts, digest, .. } = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REMEMBERED.saturating_sub(alerts.len());
        alerts.extend(firing.iter().take(room).map(|alert| (digest.hash_one(alert), now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::alertmanager::Labels;

    #[test]
    fn a_burst_is_accepted_and_then_one_a_second() {
        let notifications = Notifications::default();
        let start = Instant::now() + Duration::from_secs(1);
        let accepted = (0..100).filter(|_| notifications.accept(start)).count();
        assert_eq!(accepted, 20);
        assert!(!notifications.accept(start + Duration::from_millis(900)));
        assert!(notifications.accept(start + Duration::from_millis(1900)));
    }

    #[test]
    fn notifications_in_memory_leave_room_when_they_are_dropped() {
        let notifications = Notifications::default();
        let first = notifications.room(ROOM - 10).expect("room");
        assert!(notifications.room(11).is_none());
        let second = notifications.room(10).expect("room");
        drop(first);
        assert!(notifications.room(ROOM).is_none());
        drop(second);
        assert!(notifications.room(ROOM).is_some());
    }

    #[test]
    fn an_alert_of_a_recent_notification_is_no_news() {
        let alert = |since: &str| Firing { labels: Labels::default(), since: since.to_owned() };
        let (notifications, now) = (Notifications::default(), Instant::now());
        notifications.remember(&[alert("1")], now);
        let news = |after| notifications.news(vec![alert("1"), alert("2")], now + Duration::from_secs(after));
        assert_eq!(news(29), [alert("2")]);
        assert_eq!(news(30), [alert("1"), alert("2")]);
    }

    #[test]
    fn no_more_alerts_are_remembered_than_there_is_room_for() {
        let alert = |number: usize| Firing { labels: Labels::default(), since: number.to_string() };
        let (notifications, now) = (Notifications::default(), Instant::now());
        for first in [0, REMEMBERED] {
            let alerts: Vec<_> = (first..first + REMEMBERED).map(alert).collect();
            notifications.remember(&alerts, now);
        }
        let (known, new) = (alert(REMEMBERED - 1), alert(REMEMBERED));
        assert_eq!(notifications.news(vec![known, new.clone()], now), [new]);
    }
}
