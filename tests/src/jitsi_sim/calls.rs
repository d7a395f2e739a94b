//! Conferences and recordings: where they go, how they end, and what is counted.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    focus::Jicofo,
    instance::{Component, ComponentKind, ConferenceId, InstanceKey, Process, RecordingId},
    load::{Arrival, PlannedRecording},
    world::{Cut, Event, World, WorldError, seconds},
};

/// A conference with somebody in it.
#[derive(Debug, Clone)]
pub(super) struct Conference {
    bridge: InstanceKey,
    /// The Jicofo that runs it, if the world has one.
    jicofo: Option<InstanceKey>,
    participants: u32,
    started: Duration,
    recording: Option<RecordingId>,
}

/// A recording, until its upload is done.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    pub(super) jibri: InstanceKey,
    jicofo: Option<InstanceKey>,
    upload: Duration,
    pub(super) phase: Phase,
    /// Started over XMPP, as Jicofo does it, and not over the Jibri's own HTTP interface.
    pub(super) over_xmpp: bool,
}

/// Where a recording is in its life. The Jibri is BUSY in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Uploading,
}

/// What became of all conferences, participants and recordings so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Conferences.
    pub conferences: Fates,
    /// Recordings.
    pub recordings: Fates,
    /// People.
    pub participants: People,
    /// Instances that were terminated.
    pub terminated: u64,
}

/// The ways in which conferences and recordings end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fates {
    /// Begun.
    pub started: u64,
    /// Ended by themselves; a recording with its upload.
    pub completed: u64,
    /// On an instance that was terminated.
    pub cut: u64,
    /// On a process that died or exited, or on a bridge about to exit while there was no other.
    pub lost: u64,
    /// Never begun: no bridge, no Jibri.
    pub refused: u64,
}

/// What became of participants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    /// Ever joined.
    pub joined: u64,
    /// The most at once.
    pub peak: u64,
    /// In conferences that were cut.
    pub cut: u64,
    /// In conferences that were lost.
    pub lost: u64,
}

impl World {
    // --- conferences ---

    /// A conference comes to Jicofo, which looks for a bridge.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let bridge = self.has_jicofo().then(|| self.choose_bridge()).flatten();
        let Some(bridge) = bridge else {
            self.totals.conferences.refused += 1;
            self.totals.recordings.refused += u64::from(arrival.recording.is_some());
            return;
        };
        let id = self.start_conference(bridge, arrival.participants, arrival.lasts);
        for (after, present) in arrival.changes {
            self.plan(after, Event::ParticipantsChange(id, present));
        }
        if let Some(planned) = arrival.recording {
            self.plan(planned.after, Event::RecordingStart(id, planned));
        }
    }

    /// A world without Jicofo instances has an invisible one; a world whose Jicofos are down has none.
    fn has_jicofo(&self) -> bool {
        let registered = self.instances.values().any(|i| i.spec.component == ComponentKind::Jicofo);
        !registered || self.least_busy_jicofo().is_some()
    }

    fn least_busy_jicofo(&self) -> Option<InstanceKey> {
        let running = self.instances.iter().filter(|(_, i)| i.process == Process::Running);
        running
            .filter_map(|(key, instance)| match &instance.component {
                Component::Jicofo(jicofo) => Some((jicofo.conferences.len(), *key)),
                Component::Jvb(_) | Component::Jibri(_) => None,
            })
            .min()
            .map(|(_, key)| key)
    }

    /// Asks Jicofo until a bridge takes the conference: what Jicofo knows may be out of date.
    fn choose_bridge(&mut self) -> Option<InstanceKey> {
        let mut struck_out = BTreeSet::new();
        loop {
            let (recently, stress) = (self.settings.recently_added, self.settings.participant_stress());
            let key = self.focus.choose_bridge(&struck_out, self.now, recently, stress)?;
            if self.running_bridge(key).is_ok_and(|bridge| bridge.takes_conferences()) {
                return Some(key);
            }
            struck_out.insert(key);
        }
    }

    /// Puts a conference on this bridge, whatever Jicofo would say; it ends by itself.
    pub fn place_conference(
        &mut self,
        now: Duration,
        id: &str,
        participants: u32,
        lasts: f64,
    ) -> Result<ConferenceId, WorldError> {
        self.advance(now);
        let lasts = seconds("seconds", lasts)?;
        let key = self.key(id)?;
        if !self.running_bridge(key)?.takes_conferences() {
            return Err(WorldError::TakesNoWork(id.to_owned()));
        }
        Ok(self.start_conference(key, participants.max(1), lasts))
    }

    fn start_conference(&mut self, bridge: InstanceKey, participants: u32, lasts: Duration) -> ConferenceId {
        self.last_id += 1;
        let id = ConferenceId(self.last_id);
        let jicofo = self.least_busy_jicofo();
        let conference = Conference { bridge, jicofo, participants: 0, started: self.now, recording: None };
        self.conferences.insert(id, conference);
        self.totals.conferences.started += 1;
        if let Some(jicofo) = self.jicofo(jicofo) {
            jicofo.total_conferences_created += 1;
        }
        self.set_participants(id, participants);
        self.plan(lasts, Event::ConferenceEnd(id));
        id
    }

    /// People join or leave; a conference that is over stays over.
    pub(super) fn set_participants(&mut self, id: ConferenceId, present: u32) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        let joined = present.saturating_sub(conference.participants);
        conference.participants = present;
        let (bridge, jicofo) = (conference.bridge, conference.jicofo);
        if let Some(jicofo) = self.jicofo(jicofo) {
            jicofo.total_participants += u64::from(joined);
            jicofo.conferences.insert(id, present);
        }
        self.totals.participants.joined += u64::from(joined);
        self.totals.participants.peak = self.totals.participants.peak.max(self.participants());
        self.focus.sent(bridge, self.now, self.settings.recently_added, joined);
        self.set_on_bridge(bridge, id, present);
    }

    fn set_on_bridge(&mut self, key: InstanceKey, id: ConferenceId, present: u32) {
        if let Some(Component::Jvb(bridge)) = self.instances.get_mut(&key).map(|i| &mut i.component) {
            let vanished = bridge.set_participants(self.now, id, present, &self.settings);
            if vanished > 0 {
                self.plan(self.settings.endpoint_expiry, Event::EndpointsExpire(id, key, vanished));
            }
            self.shut_down_if_due(key, false);
        }
    }

    pub(super) fn expire_endpoints(&mut self, id: ConferenceId, key: InstanceKey, count: u32) {
        if let Some(Component::Jvb(bridge)) = self.instances.get_mut(&key).map(|i| &mut i.component) {
            bridge.expire_endpoints(self.now, id, count, &self.settings);
            self.shut_down_if_due(key, false);
        }
    }

    /// Everybody leaves. The bridge counts the empty conference for a while.
    pub(super) fn end_conference(&mut self, id: ConferenceId) {
        let Some(conference) = self.forget_conference(id) else { return };
        self.totals.conferences.completed += 1;
        self.empty_conference(id, &conference);
    }

    /// Everybody has left the conference, which stays on the bridge for a while.
    fn empty_conference(&mut self, id: ConferenceId, conference: &Conference) {
        let lasted = self.now.saturating_sub(conference.started);
        self.set_on_bridge(conference.bridge, id, 0);
        let vanish = self.running_bridge(conference.bridge).is_ok_and(|bridge| bridge.people_vanish);
        let expiry = if vanish { self.settings.endpoint_expiry } else { Duration::ZERO };
        let after = expiry + self.settings.conference_linger;
        self.plan(after, Event::ConferenceExpire(id, conference.bridge, lasted));
    }

    /// Ends all conferences of a bridge, and says how many.
    pub fn end_conferences(&mut self, now: Duration, id: &str) -> Result<usize, WorldError> {
        self.advance(now);
        let key = self.key(id)?;
        let here: Vec<_> = self.running_bridge(key)?.occupied().map(|(id, _)| id).collect();
        for id in &here {
            self.end_conference(*id);
        }
        Ok(here.len())
    }

    pub(super) fn expire_conference(&mut self, id: ConferenceId, key: InstanceKey, lasted: Duration) {
        if let Some(Component::Jvb(bridge)) = self.instances.get_mut(&key).map(|i| &mut i.component)
            && bridge.holds(id)
        {
            bridge.expire(self.now, id, lasted, &self.settings);
        }
    }

    /// Removes a conference from its Jicofo, and ends its recording.
    fn forget_conference(&mut self, id: ConferenceId) -> Option<Conference> {
        let conference = self.conferences.remove(&id)?;
        if let Some(jicofo) = self.jicofo(conference.jicofo) {
            jicofo.conferences.remove(&id);
        }
        if let Some(recording) = conference.recording {
            self.end_recording(recording);
        }
        Some(conference)
    }

    /// Jicofo has heard that a bridge is about to exit: it moves the conferences there, and ends those for which there is
    /// no other bridge.
    pub(super) fn move_conferences_away(&mut self, key: InstanceKey) {
        let here: Vec<_> = match self.running_bridge(key) {
            Ok(bridge) => bridge.occupied().collect(),
            Err(_) => return,
        };
        for (id, participants) in here {
            let jicofo = self.conferences.get(&id).and_then(|conference| conference.jicofo);
            if let Some(jicofo) = self.jicofo(jicofo) {
                jicofo.participants_moved += u64::from(participants);
            }
            if let Some(target) = self.choose_bridge() {
                self.move_conference(id, target, participants);
            } else if let Some(conference) = self.forget_conference(id) {
                self.totals.conferences.lost += 1;
                self.totals.participants.lost += u64::from(participants);
                self.empty_conference(id, &conference);
            }
        }
    }

    fn move_conference(&mut self, id: ConferenceId, target: InstanceKey, participants: u32) {
        let Some(conference) = self.conferences.get_mut(&id) else { return };
        let from = std::mem::replace(&mut conference.bridge, target);
        let lasted = self.now.saturating_sub(conference.started);
        self.expire_conference(id, from, lasted);
        self.focus.sent(target, self.now, self.settings.recently_added, participants);
        self.set_on_bridge(target, id, participants);
    }

    // --- recordings ---

    /// Somebody starts a recording: Jicofo asks one idle Jibri after the other, the longest unused first.
    pub(super) fn record_conference(&mut self, id: ConferenceId, planned: PlannedRecording) {
        let Some(jicofo) = self.conferences.get(&id).map(|conference| conference.jicofo) else { return };
        let mut candidates: Vec<_> = self.focus.available_jibris().collect();
        candidates.sort_by_key(|key| (self.running_jibri(*key).map_or(0, |jibri| jibri.last_selected), *key));
        for key in candidates {
            if self.running_jibri(key).is_ok_and(|jibri| jibri.takes_work()) {
                let recording = self.start_recording(key, jicofo, planned.lasts, planned.upload, true);
                if let Some(conference) = self.conferences.get_mut(&id) {
                    conference.recording = Some(recording);
                }
                return;
            }
            if let Some(jicofo) = self.jicofo(jicofo) {
                jicofo.recording_failures += 1;
            }
        }
        self.totals.recordings.refused += 1;
    }

    /// Starts a recording on this Jibri, as Jicofo would, or over its HTTP interface.
    pub fn place_recording(
        &mut self,
        now: Duration,
        id: &str,
        lasts: f64,
        upload: f64,
        over_xmpp: bool,
    ) -> Result<RecordingId, WorldError> {
        self.advance(now);
        let (lasts, upload) = (seconds("seconds", lasts)?, seconds("upload_seconds", upload)?);
        let key = self.key(id)?;
        let jibri = self.running_jibri(key)?;
        if !jibri.is_idle() || jibri.leaving {
            return Err(WorldError::TakesNoWork(id.to_owned()));
        }
        if jibri.broken_chrome {
            return Err(WorldError::BrokenChrome(id.to_owned()));
        }
        let jicofo = over_xmpp.then(|| self.least_busy_jicofo()).flatten();
        Ok(self.start_recording(key, jicofo, lasts, upload, over_xmpp))
    }

    fn start_recording(
        &mut self,
        jibri: InstanceKey,
        jicofo: Option<InstanceKey>,
        lasts: Duration,
        upload: Duration,
        over_xmpp: bool,
    ) -> RecordingId {
        self.last_id += 1;
        let id = RecordingId(self.last_id);
        if let Ok(recorder) = self.running_jibri(jibri) {
            recorder.session = Some(id);
            recorder.last_selected = id.0;
        }
        let phase = Phase::Running;
        self.recordings.insert(id, Recording { jibri, jicofo, upload, phase, over_xmpp });
        self.totals.recordings.started += 1;
        if let Some(jicofo) = self.jicofo(jicofo) {
            jicofo.recordings.insert(id);
        }
        self.plan(lasts, Event::RecordingEnd(id));
        self.announce_jibri(jibri);
        id
    }

    /// The recording stops and its upload begins.
    pub(super) fn end_recording(&mut self, id: RecordingId) {
        let Some(recording) = self.recordings.get_mut(&id).filter(|r| r.phase == Phase::Running) else {
            return;
        };
        recording.phase = Phase::Uploading;
        let (upload, jicofo) = (recording.upload, recording.jicofo);
        if let Some(jicofo) = self.jicofo(jicofo) {
            jicofo.recordings.remove(&id);
        }
        self.plan(upload, Event::UploadEnd(id));
    }

    /// Ends the recording of a Jibri, if it has one, and names it: its upload still runs.
    pub fn stop_recording(&mut self, now: Duration, id: &str) -> Result<Option<RecordingId>, WorldError> {
        self.advance(now);
        let key = self.key(id)?;
        let session = self.running_jibri(key)?.session;
        if let Some(recording) = session {
            self.end_recording(recording);
        }
        Ok(session)
    }

    /// True until the upload of the recording is done.
    #[must_use]
    pub fn carries_recording(&self, recording: RecordingId) -> bool {
        self.recordings.contains_key(&recording)
    }

    /// The upload is done: the Jibri is idle again. If it was asked to leave, it leaves without ever reporting IDLE.
    pub(super) fn end_upload(&mut self, id: RecordingId) {
        let Some(recording) = self.recordings.remove(&id) else { return };
        self.totals.recordings.completed += 1;
        let Ok(jibri) = self.running_jibri(recording.jibri) else { return };
        if jibri.leaving {
            // It stays BUSY until its ports are closed.
            self.close_jibri(recording.jibri, Duration::ZERO);
        } else {
            jibri.session = None;
            self.announce_jibri(recording.jibri);
        }
    }

    // --- counting ---

    /// Ends what an instance carries, without a fate: the caller knows whether it is cut or lost.
    pub(super) fn drop_work(&mut self, key: InstanceKey) -> Cut {
        let mut dropped = Cut::default();
        let here: Vec<_> = match self.running_bridge(key) {
            Ok(bridge) => bridge.occupied().collect(),
            Err(_) => Vec::new(),
        };
        for (id, participants) in here {
            self.forget_conference(id);
            dropped.cut_conferences += 1;
            dropped.cut_participants += u64::from(participants);
        }
        if let Ok(Some(id)) = self.running_jibri(key).map(|jibri| jibri.session.take())
            && let Some(recording) = self.recordings.remove(&id)
        {
            if let Some(jicofo) = self.jicofo(recording.jicofo) {
                jicofo.recordings.remove(&id);
            }
            dropped.cut_recordings += 1;
        }
        // Calls outlive the Jicofo that set them up.
        for conference in self.conferences.values_mut().filter(|c| c.jicofo == Some(key)) {
            conference.jicofo = None;
        }
        for recording in self.recordings.values_mut().filter(|r| r.jicofo == Some(key)) {
            recording.jicofo = None;
        }
        dropped
    }

    fn jicofo(&mut self, key: Option<InstanceKey>) -> Option<&mut Jicofo> {
        match &mut self.instances.get_mut(&key?)?.component {
            Component::Jicofo(jicofo) => Some(jicofo),
            Component::Jvb(_) | Component::Jibri(_) => None,
        }
    }

    /// People in conferences now.
    #[must_use]
    pub fn participants(&self) -> u64 {
        self.conferences.values().map(|conference| u64::from(conference.participants)).sum()
    }

    /// What became of everything so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Conferences and recordings that go on, uploads included.
    #[must_use]
    pub fn going_on(&self) -> (usize, usize) {
        (self.conferences.len(), self.recordings.len())
    }
}

#[cfg(test)]
mod tests;
