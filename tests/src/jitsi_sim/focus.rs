//! What Jicofo knows of bridges and Jibris, and which of them it chooses.
//!
//! Its knowledge is their last presence, so it lags: Jicofo may choose a bridge that has begun to drain or to shut down,
//! or a bridge or a Jibri that refuses. In the latter case the caller strikes the choice out and asks again.
//!
//! All Jicofos of a simulation see the same bridges and Jibris. A conference lives on one bridge: neither
//! regions nor relays between bridges are simulated.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::instance::{ConferenceId, InstanceKey, RecordingId};

/// What a bridge announces of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of a bridge's presence, independent of each other"
)]
pub struct BridgePresence {
    pub(super) healthy: bool,
    pub(super) drain: bool,
    pub(super) graceful: bool,
    pub(super) shutting_down: bool,
    pub(super) stress: f64,
}

/// What a Jibri announces of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JibriPresence {
    pub(super) healthy: bool,
    pub(super) idle: bool,
}

/// The view that all Jicofos share.
#[derive(Debug, Clone, Default)]
pub struct Focus {
    bridges: BTreeMap<InstanceKey, BridgeView>,
    jibris: BTreeMap<InstanceKey, JibriPresence>,
    /// Bridges that disappeared without a graceful shutdown.
    pub(super) lost_bridges: u64,
}

#[derive(Debug, Clone)]
struct BridgeView {
    presence: BridgePresence,
    /// When Jicofo sent how many participants there, for which it corrects the stress of the presence.
    recently_added: Vec<(Duration, u32)>,
}

impl BridgeView {
    /// As Jicofo counts it: a bridge that drains or shuts down is operational.
    fn operational(&self) -> bool {
        self.presence.healthy
    }
}

/// How many bridges Jicofo counts, as its selector's statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BridgeCounts {
    pub(super) known: usize,
    /// Healthy; bridges that drain or shut down are among them.
    pub(super) operational: usize,
    pub(super) in_shutdown: usize,
    /// Operational and not in graceful shutdown: without one, Jicofo calls itself unhealthy.
    pub(super) serving: usize,
}

impl Focus {
    /// Takes in a bridge's presence; true if the bridge has just begun to shut down for good.
    pub(super) fn see_bridge(&mut self, key: InstanceKey, presence: BridgePresence) -> bool {
        let known = self.bridges.get(&key).is_some_and(|view| view.presence.shutting_down);
        self.bridges
            .entry(key)
            .and_modify(|view| view.presence = presence)
            .or_insert_with(|| BridgeView { presence, recently_added: Vec::new() });
        presence.shutting_down && !known
    }

    pub(super) fn see_jibri(&mut self, key: InstanceKey, presence: JibriPresence) {
        self.jibris.insert(key, presence);
    }

    /// The presence of an instance ended.
    pub(super) fn left(&mut self, key: InstanceKey) {
        self.jibris.remove(&key);
        if let Some(view) = self.bridges.remove(&key) {
            self.lost_bridges += u64::from(!view.presence.graceful);
        }
    }

    /// The bridge for a new conference, among those that were not struck out.
    ///
    /// Never one that is unhealthy or about to exit. Of the others those that do not drain, of these those
    /// not in graceful shutdown, of these the least stressed. A draining bridge is used if there is no other.
    pub(super) fn choose_bridge(
        &self,
        struck_out: &BTreeSet<InstanceKey>,
        now: Duration,
        recently_added: Duration,
        participant_stress: f64,
    ) -> Option<InstanceKey> {
        let usable: Vec<_> = self
            .bridges
            .iter()
            .filter(|(key, view)| {
                view.operational() && !view.presence.shutting_down && !struck_out.contains(key)
            })
            .collect();
        let preferred = prefer(usable, |view| !view.presence.drain);
        let preferred = prefer(preferred, |view| !view.presence.graceful);
        preferred
            .into_iter()
            .map(|(key, view)| {
                let recent = view.recently_added.iter().filter(|(at, _)| *at + recently_added > now);
                let added: u32 = recent.map(|(_, participants)| participants).sum();
                (*key, view.presence.stress + f64::from(added) * participant_stress)
            })
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(key, _)| key)
    }

    /// Remembers for a while how many participants were sent to a bridge.
    pub(super) fn sent(
        &mut self,
        key: InstanceKey,
        now: Duration,
        recently_added: Duration,
        participants: u32,
    ) {
        if let Some(view) = self.bridges.get_mut(&key) {
            view.recently_added.retain(|(at, _)| *at + recently_added > now);
            view.recently_added.push((now, participants));
        }
    }

    /// Jibris that announced themselves healthy and idle.
    pub(super) fn available_jibris(&self) -> impl Iterator<Item = InstanceKey> + '_ {
        self.jibris.iter().filter(|(_, presence)| presence.healthy && presence.idle).map(|(key, _)| *key)
    }

    pub(super) fn jibri_count(&self) -> usize {
        self.jibris.len()
    }

    pub(super) fn bridge_counts(&self) -> BridgeCounts {
        let count =
            |wanted: fn(&BridgeView) -> bool| self.bridges.values().filter(|view| wanted(view)).count();
        BridgeCounts {
            known: self.bridges.len(),
            operational: count(BridgeView::operational),
            in_shutdown: count(|view| view.presence.graceful),
            serving: count(|view| view.operational() && !view.presence.graceful),
        }
    }
}

type Candidates<'a> = Vec<(&'a InstanceKey, &'a BridgeView)>;

/// The candidates that are preferred; all of them if none is.
fn prefer(candidates: Candidates<'_>, is_preferred: impl Fn(&BridgeView) -> bool) -> Candidates<'_> {
    if candidates.iter().any(|(_, view)| is_preferred(view)) {
        candidates.into_iter().filter(|(_, view)| is_preferred(view)).collect()
    } else {
        candidates
    }
}

/// The state of one Jicofo process: the conferences that it runs, and what it counts.
#[derive(Debug, Clone, Default)]
pub struct Jicofo {
    pub(super) unhealthy: bool,
    pub(super) conferences: BTreeMap<ConferenceId, u32>,
    pub(super) recordings: BTreeSet<RecordingId>,
    pub(super) total_participants: u64,
    pub(super) total_conferences_created: u64,
    pub(super) recording_failures: u64,
    pub(super) participants_moved: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVING: BridgePresence =
        BridgePresence { healthy: true, drain: false, graceful: false, shutting_down: false, stress: 0.1 };

    fn choice(bridges: &[BridgePresence]) -> Option<u32> {
        let mut focus = Focus::default();
        for (key, presence) in (0..).zip(bridges) {
            focus.see_bridge(InstanceKey(key), *presence);
        }
        focus
            .choose_bridge(&BTreeSet::new(), Duration::ZERO, Duration::from_millis(100), 0.01)
            .map(|InstanceKey(key)| key)
    }

    #[test]
    fn selection_follows_jicofos_preferences() {
        let stressed = BridgePresence { stress: 0.9, ..SERVING };
        let draining = BridgePresence { drain: true, ..SERVING };
        let graceful = BridgePresence { graceful: true, ..SERVING };
        let leaving = BridgePresence { graceful: true, shutting_down: true, ..SERVING };
        let ill = BridgePresence { healthy: false, ..SERVING };
        let cases: [(&str, &[BridgePresence], Option<u32>); 8] = [
            ("no bridge", &[], None),
            ("least stressed", &[stressed, SERVING], Some(1)),
            ("not draining, though stressed", &[draining, stressed], Some(1)),
            ("draining, if it is the only one", &[draining], Some(0)),
            ("not in graceful shutdown", &[graceful, stressed], Some(1)),
            ("draining counts before graceful", &[draining, graceful], Some(1)),
            ("never about to exit", &[leaving], None),
            ("never unhealthy", &[ill, draining], Some(1)),
        ];
        for (name, bridges, expected) in cases {
            assert_eq!(choice(bridges), expected, "{name}");
        }
    }

    #[test]
    fn bridges_that_drain_or_shut_down_count_as_operational() {
        let mut focus = Focus::default();
        let draining = BridgePresence { drain: true, ..SERVING };
        let leaving = BridgePresence { graceful: true, shutting_down: true, ..SERVING };
        let ill = BridgePresence { healthy: false, ..SERVING };
        for (key, presence) in (0..).zip([draining, leaving, ill]) {
            focus.see_bridge(InstanceKey(key), presence);
        }
        let expected = BridgeCounts { known: 3, operational: 2, in_shutdown: 1, serving: 1 };
        assert_eq!(focus.bridge_counts(), expected);
    }

    #[test]
    fn conferences_that_arrive_together_spread_before_presence_reports_them() {
        let (lag, now) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut focus = Focus::default();
        focus.see_bridge(InstanceKey(0), SERVING);
        focus.see_bridge(InstanceKey(1), BridgePresence { stress: 0.15, ..SERVING });
        focus.sent(InstanceKey(0), now, lag, 10);
        let choose = |now| focus.choose_bridge(&BTreeSet::new(), now, lag, 0.01);
        assert_eq!(choose(now), Some(InstanceKey(1)));
        assert_eq!(choose(now + lag), Some(InstanceKey(0)));
    }

    #[test]
    fn only_a_bridge_that_leaves_unannounced_is_lost() {
        let mut focus = Focus::default();
        focus.see_bridge(InstanceKey(0), SERVING);
        focus.see_bridge(InstanceKey(1), BridgePresence { graceful: true, ..SERVING });
        focus.left(InstanceKey(1));
        assert_eq!(focus.lost_bridges, 0);
        focus.left(InstanceKey(0));
        assert_eq!(focus.lost_bridges, 1);
    }
}
