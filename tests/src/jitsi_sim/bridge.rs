//! A JVB: its conferences, its shutdown states and its counters.
//!
//! It knows nothing of other bridges, of Jicofo or of sockets.

use std::{collections::BTreeMap, time::Duration};

use super::{focus::BridgePresence, instance::ConferenceId, settings::Settings};

/// The states that a JVB goes through on its way out. There is no way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Not asked to leave.
    Running,
    /// Takes no new conferences and waits for its endpoints to leave.
    Graceful,
    /// Exits after a fixed time, whatever comes meanwhile: it takes conferences again.
    ShuttingDown,
}

/// The state of one JVB process.
#[derive(Debug, Clone)]
pub struct Bridge {
    pub(super) drain: bool,
    pub(super) healthy: bool,
    pub(super) shutdown: Shutdown,
    /// What other work on the host adds to its stress.
    pub(super) other_load: f64,
    /// People leave it without hanging up.
    pub(super) people_vanish: bool,
    /// When the process came up.
    pub(super) up_since: Duration,
    /// An empty conference stays for a while after its last endpoint.
    conferences: BTreeMap<ConferenceId, Room>,
    incoming: Meter,
    outgoing: Meter,
    pub(super) totals: BridgeTotals,
}

/// The endpoints of one conference on a bridge.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    /// Of people who are there.
    present: u32,
    /// Of people who vanished, until they expire.
    vanished: u32,
}

impl Room {
    fn endpoints(self) -> u32 {
        self.present + self.vanished
    }
}

/// What a JVB counts over the life of its process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BridgeTotals {
    pub(super) conferences_created: u64,
    pub(super) conferences_completed: u64,
    /// Of completed conferences only, as the real counter.
    pub(super) conference_time: Duration,
    pub(super) participants: u64,
    pub(super) participants_left: u64,
}

impl Bridge {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            drain: false,
            healthy: true,
            shutdown: Shutdown::Running,
            other_load: 0.0,
            people_vanish: false,
            up_since: now,
            conferences: BTreeMap::new(),
            incoming: Meter::new(now),
            outgoing: Meter::new(now),
            totals: BridgeTotals::default(),
        }
    }

    /// Only a bridge that waits for its last endpoint refuses new conferences. In drain mode and in the last minute before
    /// its exit it takes them: Jicofo is to choose another bridge.
    pub(super) fn takes_conferences(&self) -> bool {
        self.shutdown != Shutdown::Graceful
    }

    /// True once a graceful shutdown was accepted, and until the end.
    pub(super) fn in_graceful_shutdown(&self) -> bool {
        self.shutdown != Shutdown::Running
    }

    /// The endpoints on this bridge: what it must be empty of before it may go.
    #[must_use]
    pub fn local_endpoints(&self) -> u32 {
        self.sizes().sum()
    }

    /// The people on this bridge.
    #[must_use]
    pub fn people(&self) -> u32 {
        self.conferences.values().map(|room| room.present).sum()
    }

    /// The endpoints of each conference, empty ones included.
    pub(super) fn sizes(&self) -> impl Iterator<Item = u32> + '_ {
        self.conferences.values().map(|room| room.endpoints())
    }

    /// Conferences with somebody in them, and how many people.
    pub(super) fn occupied(&self) -> impl Iterator<Item = (ConferenceId, u32)> + '_ {
        self.conferences.iter().map(|(id, room)| (*id, room.present)).filter(|(_, present)| *present > 0)
    }

    pub(super) fn stress(&self, settings: &Settings) -> f64 {
        f64::from(self.local_endpoints()) * settings.participant_stress() + self.other_load
    }

    pub(super) fn presence(&self, settings: &Settings) -> BridgePresence {
        BridgePresence {
            healthy: self.healthy,
            drain: self.drain,
            graceful: self.in_graceful_shutdown(),
            shutting_down: self.shutdown == Shutdown::ShuttingDown,
            stress: self.stress(settings),
        }
    }

    /// Creates the conference here, or sets how many people are in it now. Returns how many of those who left vanished.
    pub(super) fn set_participants(
        &mut self,
        now: Duration,
        conference: ConferenceId,
        present: u32,
        settings: &Settings,
    ) -> u32 {
        self.totals.conferences_created += u64::from(!self.holds(conference));
        let room = self.conferences.entry(conference).or_default();
        let left = room.present.saturating_sub(present);
        let vanished = if self.people_vanish { left } else { 0 };
        self.totals.participants += u64::from(present.saturating_sub(room.present));
        self.totals.participants_left += u64::from(left - vanished);
        *room = Room { present, vanished: room.vanished + vanished };
        self.set_rates(now, settings);
        vanished
    }

    /// Endpoints of people who vanished from the conference expire.
    pub(super) fn expire_endpoints(
        &mut self,
        now: Duration,
        conference: ConferenceId,
        count: u32,
        settings: &Settings,
    ) {
        let Some(room) = self.conferences.get_mut(&conference) else { return };
        let expired = count.min(room.vanished);
        room.vanished -= expired;
        self.totals.participants_left += u64::from(expired);
        self.set_rates(now, settings);
    }

    /// The conference is over here, or went to another bridge.
    pub(super) fn expire(
        &mut self,
        now: Duration,
        conference: ConferenceId,
        lasted: Duration,
        settings: &Settings,
    ) {
        let Some(room) = self.conferences.remove(&conference) else { return };
        self.totals.participants_left += u64::from(room.endpoints());
        self.totals.conferences_completed += 1;
        self.totals.conference_time += lasted;
        self.set_rates(now, settings);
    }

    pub(super) fn holds(&self, conference: ConferenceId) -> bool {
        self.conferences.contains_key(&conference)
    }

    fn set_rates(&mut self, now: Duration, settings: &Settings) {
        let participants = f64::from(self.people());
        let bytes_per_second = |kbps: u32| participants * f64::from(kbps) * 1000.0 / 8.0;
        self.incoming.set_rate(now, bytes_per_second(settings.incoming_kbps_per_participant));
        self.outgoing.set_rate(now, bytes_per_second(settings.outgoing_kbps_per_participant));
    }

    pub(super) fn incoming(&self) -> &Meter {
        &self.incoming
    }

    pub(super) fn outgoing(&self) -> &Meter {
        &self.outgoing
    }
}

/// A byte counter of a flow whose rate is constant between changes, so that its value at a moment does not
/// depend on who asked before.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    bytes: f64,
    bytes_per_second: f64,
    since: Duration,
}

impl Meter {
    fn new(now: Duration) -> Self {
        Self { bytes: 0.0, bytes_per_second: 0.0, since: now }
    }

    fn set_rate(&mut self, now: Duration, bytes_per_second: f64) {
        self.bytes = self.exact(now);
        self.since = now;
        self.bytes_per_second = bytes_per_second;
    }

    fn exact(&self, now: Duration) -> f64 {
        self.bytes + self.bytes_per_second * now.saturating_sub(self.since).as_secs_f64()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive count of whole bytes"
    )]
    pub(super) fn bytes(&self, now: Duration) -> u64 {
        self.exact(now) as u64
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive rate in whole bit/s"
    )]
    pub(super) fn bits_per_second(&self) -> u64 {
        (self.bytes_per_second * 8.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_only_grow_and_rates_follow_participants() {
        let settings = Settings::default();
        let second = Duration::from_secs;
        let conference = ConferenceId(1);
        let mut bridge = Bridge::new(second(0));
        bridge.set_participants(second(0), conference, 4, &settings);
        assert_eq!(bridge.outgoing().bits_per_second(), 4 * 2_500_000);
        assert_eq!(bridge.outgoing().bytes(second(8)), 4 * 2_500_000);

        bridge.set_participants(second(8), conference, 1, &settings);
        bridge.expire(second(16), conference, second(16), &settings);
        let sent = bridge.outgoing().bytes(second(16));
        assert_eq!(sent, 5 * 2_500_000);
        assert_eq!(bridge.outgoing().bytes(second(99)), sent);
        assert_eq!(bridge.totals.participants, 4);
        assert_eq!(bridge.totals.participants_left, 4);
        assert_eq!(bridge.totals.conferences_completed, 1);
    }
}
