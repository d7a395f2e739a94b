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
    /// On a process that died of a fault, or that exited under them.
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

    /// A world without any Jicofo instance has one that nobody sees; one whose Jicofos are down has none.
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
            let (lag, stress) = (self.settings.presence_lag, self.settings.participant_stress());
            let key = self.focus.choose_bridge(&struck_out, self.now, lag, stress)?;
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
        self.focus.sent(bridge, self.now, self.settings.presence_lag, joined);
        self.set_on_bridge(bridge, id, present);
    }

    fn set_on_bridge(&mut self, key: InstanceKey, id: ConferenceId, present: u32) {
        if let Some(Component::Jvb(bridge)) = self.instances.get_mut(&key).map(|i| &mut i.component) {
            bridge.set_participants(self.now, id, present, &self.settings);
            self.shut_down_if_due(key, false);
            self.announce(key);
        }
    }

    /// Everybody leaves. The bridge counts the empty conference for a while.
    pub(super) fn end_conference(&mut self, id: ConferenceId) {
        let Some(conference) = self.forget_conference(id) else { return };
        self.totals.conferences.completed += 1;
        let lasted = self.now.saturating_sub(conference.started);
        self.set_on_bridge(conference.bridge, id, 0);
        self.plan(self.settings.conference_linger, Event::ConferenceExpire(id, conference.bridge, lasted));
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
            self.announce(key);
        }
    }

    /// Takes a conference off the books of Jicofo, and ends its recording.
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

    /// Jicofo moves the conferences of a bridge that is about to exit. What it finds no place for stays.
    pub(super) fn move_conferences_away(&mut self, key: InstanceKey) {
        let here: Vec<_> = match self.running_bridge(key) {
            Ok(bridge) => bridge.occupied().collect(),
            Err(_) => return,
        };
        for (id, participants) in here {
            let Some(target) = self.choose_bridge() else { return };
            let Some(conference) = self.conferences.get_mut(&id) else { continue };
            conference.bridge = target;
            let (jicofo, lasted) = (conference.jicofo, self.now.saturating_sub(conference.started));
            if let Some(jicofo) = self.jicofo(jicofo) {
                jicofo.participants_moved += u64::from(participants);
                jicofo.bridges_removed += 1;
            }
            self.expire_conference(id, key, lasted);
            self.focus.sent(target, self.now, self.settings.presence_lag, participants);
            self.set_on_bridge(target, id, participants);
        }
    }

    // --- recordings ---

    /// Somebody presses the button: Jicofo asks one idle Jibri after the other, the longest unused first.
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
        if !self.running_jibri(key)?.takes_work() {
            return Err(WorldError::TakesNoWork(id.to_owned()));
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
        self.announce(jibri);
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

    /// The upload is done: the Jibri is idle again, or, if it was asked to leave, exits without ever saying so.
    pub(super) fn end_upload(&mut self, id: RecordingId) {
        let Some(recording) = self.recordings.remove(&id) else { return };
        self.totals.recordings.completed += 1;
        let Ok(jibri) = self.running_jibri(recording.jibri) else { return };
        jibri.session = None;
        if jibri.leaving {
            self.exit_jibri(recording.jibri, Duration::ZERO);
        } else {
            self.announce(recording.jibri);
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
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;
    use serde_json::json;

    use super::{
        super::{
            fault::Faults,
            instance::{Block, InstanceSpec},
            load::{Load, Profile},
            payload::statistics,
            settings::{Lengths, Settings},
            status::{Status, status},
        },
        *,
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// A world of settled instances, one second old.
    fn world(instances: &[(&str, ComponentKind)]) -> World {
        let mut world = World::new(Settings::default(), Block(20), jiff::Timestamp::UNIX_EPOCH);
        for (id, component) in instances {
            let spec = serde_json::from_value::<InstanceSpec>(json!({"component": component}));
            world.launch(Duration::ZERO, id, spec.expect("a spec")).expect("it launches");
        }
        world.advance(SECOND);
        world
    }

    fn record(world: &mut World, lasts: Duration) {
        let id = world.place_conference(world.now, "b-1", 3, 60.0).expect("the bridge takes it");
        world.record_conference(id, PlannedRecording { after: Duration::ZERO, lasts, upload: 2 * SECOND });
    }

    fn state_of(world: &World, id: &str) -> String {
        let Status { instances, .. } = status(world);
        let found = instances.into_values().flatten().find(|instance| instance.id == id);
        found.map_or_else(|| "gone".to_owned(), |instance| instance.state)
    }

    const ONE_BRIDGE_TWO_JIBRIS: [(&str, ComponentKind); 3] =
        [("b-1", ComponentKind::Jvb), ("r-1", ComponentKind::Jibri), ("r-2", ComponentKind::Jibri)];

    #[test]
    fn a_recording_just_before_the_shutdown_is_finished_with_its_upload() {
        let mut world = world(&ONE_BRIDGE_TWO_JIBRIS);
        record(&mut world, 3 * SECOND);
        world.shut_jibri_down(world.now, "r-1").expect("it runs");
        for (second, expected) in [(3, "recording"), (5, "uploading"), (6, "exited")] {
            world.advance(second * SECOND);
            assert_eq!(state_of(&world, "r-1"), expected, "after {second} s");
        }
        assert_eq!((world.totals.recordings.completed, world.totals.recordings.cut), (1, 0));
    }

    #[test]
    fn a_recording_just_after_the_shutdown_goes_to_another_jibri() {
        let mut world = world(&ONE_BRIDGE_TWO_JIBRIS);
        world.shut_jibri_down(world.now, "r-1").expect("it runs");
        record(&mut world, 3 * SECOND);
        assert_eq!(state_of(&world, "r-2"), "recording");
        // Gone, but Jicofo has not seen it go.
        world.advance(world.now + world.settings.exit_delay);
        assert_eq!(state_of(&world, "r-1"), "exited");
        record(&mut world, 3 * SECOND);
        assert_eq!((world.totals.recordings.started, world.totals.recordings.refused), (1, 1));
    }

    #[test]
    fn recordings_go_to_the_jibri_that_was_unused_for_longest() {
        let mut world = world(&ONE_BRIDGE_TWO_JIBRIS);
        for (jibri, other) in [("r-1", "r-2"), ("r-2", "r-1"), ("r-1", "r-2")] {
            record(&mut world, SECOND);
            assert_eq!(
                (state_of(&world, jibri).as_str(), state_of(&world, other).as_str()),
                ("recording", "idle")
            );
            world.advance(world.now + 4 * SECOND);
        }
    }

    #[test]
    fn a_bridge_that_is_told_to_go_at_once_has_its_calls_moved() {
        let bridges =
            [("b-1", ComponentKind::Jvb), ("b-2", ComponentKind::Jvb), ("f-1", ComponentKind::Jicofo)];
        let mut world = world(&bridges);
        world.place_conference(SECOND, "b-1", 5, 60.0).expect("the bridge takes it");
        world.shut_bridge_down(SECOND, "b-1", false).expect("it runs");
        world.advance(2 * SECOND);
        let of = |id: &str| statistics(&world, id).expect("it runs");
        assert_eq!((&of("b-1")["local_endpoints"], &of("b-2")["local_endpoints"]), (&json!(0), &json!(5)));
        assert_eq!(of("f-1")["bridge_failures"]["participants_moved"], 5);
        let cut = world.terminate(2 * SECOND, "b-1").expect("it is there");
        assert_eq!(cut, Cut::default());
        assert_eq!(world.terminate(2 * SECOND, "b-2").expect("it is there").cut_participants, 5);
    }

    #[test]
    fn with_its_jicofos_down_a_world_takes_no_calls() {
        let mut world = world(&[("b-1", ComponentKind::Jvb), ("f-1", ComponentKind::Jicofo)]);
        let die = Faults { die: true, ..Faults::default() };
        world.set_faults(SECOND, "f-1", die).expect("it is there");
        let profile = Profile::Steady { conferences_per_minute: 60.0, duration_seconds: Some(60.0) };
        world.set_load(SECOND, &Load { profile, ..Load::default() }, 1).expect("a good load");
        world.advance(120 * SECOND);
        assert_eq!(world.totals.conferences.started, 0);
        assert!(world.totals.conferences.refused > 30);
    }

    /// Whatever is done to it, everything that began goes on or has met exactly one fate.
    #[test]
    fn nothing_is_lost_from_the_books() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut world = world(&ONE_BRIDGE_TWO_JIBRIS);
            let profile = Profile::Steady { conferences_per_minute: 120.0, duration_seconds: None };
            let lengths = Some(Lengths { recorded_share: 0.5, ..Lengths::default() });
            world.set_load(SECOND, &Load { profile, lengths, seed: None }, seed).expect("a good load");
            let mut ids: Vec<String> = ONE_BRIDGE_TWO_JIBRIS.map(|(id, _)| id.to_owned()).into();
            for step in 0..400 {
                let now = world.now + Duration::from_millis(rng.random_range(0..700));
                let id = ids[rng.random_range(0..ids.len())].clone();
                // Most of these are refused by most instances, which must not matter either.
                match rng.random_range(0..9) {
                    0 => drop(world.terminate(now, &id)),
                    1 => drop(world.set_drain(now, &id, rng.random())),
                    2 => drop(world.shut_bridge_down(now, &id, rng.random_bool(0.8))),
                    3 => drop(world.shut_jibri_down(now, &id)),
                    4 => drop(world.set_faults(now, &id, Faults { die: rng.random(), ..Faults::default() })),
                    5 => drop(world.stop_recording(now, &id)),
                    6 => drop(world.end_conferences(now, &id)),
                    _ => {
                        let component = if rng.random() { ComponentKind::Jvb } else { ComponentKind::Jibri };
                        let spec = json!({"component": component, "boot_seconds": 0.5});
                        ids.push(format!("n-{step}"));
                        let spec = serde_json::from_value(spec).expect("a spec");
                        world.launch(now, &format!("n-{step}"), spec).expect("it launches");
                    }
                }
                let now = status(&world);
                for (tally, what) in [(now.conferences, "conferences"), (now.recordings, "recordings")] {
                    let ended = tally.completed + tally.cut + tally.lost;
                    assert_eq!(
                        tally.started,
                        ended + tally.active as u64,
                        "{what}, seed {seed}, step {step}"
                    );
                }
                let on_bridges: u32 = now.instances.values().flatten().map(|i| i.participants).sum();
                assert_eq!(now.participants.active, u64::from(on_bridges), "seed {seed}, step {step}");
            }
            assert!(world.totals.conferences.cut > 0 && world.totals.recordings.completed > 0, "seed {seed}");
        }
    }
}
