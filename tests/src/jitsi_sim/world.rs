//! The simulated world: instances, the events ahead, and what is asked of the components.
//!
//! Synchronous and pure: the time is an argument, as a [`Duration`] since the world began; the schedule of the
//! load is the only randomness, and nothing here knows of sockets. A server drives it by the clock, a simulation
//! in virtual time by jumping to [`World::next_event`]. Conferences and recordings are in [`super::calls`].

use std::{collections::BTreeMap, iter::Peekable, net::Ipv4Addr, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    bridge::{Bridge, Shutdown},
    calls::{Conference, Recording, Totals},
    fault::Faults,
    focus::{BridgePresence, Focus, JibriPresence},
    instance::{
        Block, Component, ComponentKind, ConferenceId, Instance, InstanceKey, InstanceSpec, Process,
        RecordingId,
    },
    load::{Arrivals, Load, PlannedRecording},
    recorder::Recorder,
    settings::{Lengths, Settings},
};

/// All instances and what goes on between them.
#[derive(Debug, Clone)]
pub struct World {
    pub(super) settings: Settings,
    block: Block,
    began: Timestamp,
    pub(super) now: Duration,
    next_number: u32,
    pub(super) instances: BTreeMap<InstanceKey, Instance>,
    keys: BTreeMap<String, InstanceKey>,
    pub(super) focus: Focus,
    pub(super) conferences: BTreeMap<ConferenceId, Conference>,
    pub(super) recordings: BTreeMap<RecordingId, Recording>,
    pub(super) totals: Totals,
    pub(super) last_id: u64,
    events: BTreeMap<(Duration, u64), Event>,
    last_event: u64,
    load: Option<(Duration, Peekable<Arrivals>)>,
}

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// No such instance.
    #[error("there is no instance {0}")]
    Unknown(String),
    /// It runs something else.
    #[error("instance {id} runs {runs}, not {asked}")]
    WrongComponent {
        /// The instance.
        id: String,
        /// Its component.
        runs: &'static str,
        /// The component that was asked for.
        asked: &'static str,
    },
    /// Booting, exited or dead.
    #[error("the component on instance {0} does not run")]
    NotRunning(String),
    /// It has work already, or leaves.
    #[error("instance {0} takes no work: it is busy or shutting down")]
    TakesNoWork(String),
    /// The Chrome of a Jibri does not start.
    #[error("the Chrome of instance {0} does not start")]
    BrokenChrome(String),
    /// Every address of the block was used.
    #[error("no address is left in the block: a simulator holds 64516 instances in its life")]
    Full,
    /// The number is no length of time.
    #[error("{0} must be a finite number of seconds, not negative")]
    NotSeconds(&'static str),
    /// A number of the load is out of range.
    #[error("{0}")]
    Load(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Boot(InstanceKey, u32),
    /// The ports of a Jibri close; its process ends later.
    ClosePorts(InstanceKey, u32),
    Exit(InstanceKey, u32),
    /// A bridge sends its state to Jicofo, where it arrives later.
    SendPresence(InstanceKey, u32),
    BridgePresence(InstanceKey, u32, BridgePresence),
    JibriPresence(InstanceKey, u32, JibriPresence),
    PresenceGone(InstanceKey),
    ParticipantsChange(ConferenceId, u32),
    ConferenceEnd(ConferenceId),
    EndpointsExpire(ConferenceId, InstanceKey, u32),
    ConferenceExpire(ConferenceId, InstanceKey, Duration),
    RecordingStart(ConferenceId, PlannedRecording),
    RecordingEnd(RecordingId),
    UploadEnd(RecordingId),
}

impl World {
    /// An empty world that begins at this time of day.
    #[must_use]
    pub fn new(settings: Settings, block: Block, began: Timestamp) -> Self {
        Self {
            settings,
            block,
            began,
            now: Duration::ZERO,
            next_number: 0,
            instances: BTreeMap::new(),
            keys: BTreeMap::new(),
            focus: Focus::default(),
            conferences: BTreeMap::new(),
            recordings: BTreeMap::new(),
            totals: Totals::default(),
            last_id: 0,
            events: BTreeMap::new(),
            last_event: 0,
            load: None,
        }
    }

    /// The time of day in the world.
    #[must_use]
    pub fn time_of_day(&self) -> Timestamp {
        // A world that ran for ages stands still rather than panics.
        self.began.checked_add(self.now).unwrap_or(self.began)
    }

    /// The time since the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// When the next thing happens by itself.
    #[must_use]
    pub fn next_event(&mut self) -> Option<Duration> {
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let arrival = self
            .load
            .as_mut()
            .and_then(|(began, load)| load.peek().map(|next| began.saturating_add(next.at)));
        [event, arrival].into_iter().flatten().min()
    }

    /// Lets everything happen, in order, that is due until `now`. A time that is past changes nothing.
    pub fn advance(&mut self, now: Duration) {
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            match self.events.first_entry().filter(|entry| entry.key().0 <= at) {
                Some(entry) => {
                    let event = entry.remove();
                    self.happen(event);
                }
                None => {
                    if let Some(arrival) = self.load.as_mut().and_then(|(_, load)| load.next()) {
                        self.arrive(arrival);
                    }
                }
            }
        }
        self.now = self.now.max(now);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Boot(key, life) => self.boot(key, life),
            Event::ClosePorts(key, life) if self.lives(key, life) => {
                if let Some(instance) = self.instances.get_mut(&key) {
                    instance.process = Process::Exiting;
                }
                self.plan(self.settings.jibri_exit_delay, Event::Exit(key, life));
            }
            Event::Exit(key, life) if self.lives(key, life) => self.stop_process(key, Process::Exited),
            Event::SendPresence(key, life) if self.lives(key, life) => {
                self.announce(key);
                // However short, an interval lets time go on.
                let interval = self.settings.presence_interval.max(Duration::from_millis(1));
                self.plan(interval, Event::SendPresence(key, life));
            }
            Event::BridgePresence(key, life, presence) if self.lives(key, life) => {
                if self.focus.see_bridge(key, presence) {
                    self.move_conferences_away(key);
                }
            }
            Event::JibriPresence(key, life, presence) if self.lives(key, life) => {
                self.focus.see_jibri(key, presence);
            }
            Event::ClosePorts(..)
            | Event::Exit(..)
            | Event::SendPresence(..)
            | Event::BridgePresence(..)
            | Event::JibriPresence(..) => {}
            Event::PresenceGone(key) => self.focus.left(key),
            Event::ParticipantsChange(id, present) => self.set_participants(id, present),
            Event::ConferenceEnd(id) => self.end_conference(id),
            Event::EndpointsExpire(id, key, count) => self.expire_endpoints(id, key, count),
            Event::ConferenceExpire(id, key, lasted) => self.expire_conference(id, key, lasted),
            Event::RecordingStart(id, planned) => self.record_conference(id, planned),
            Event::RecordingEnd(id) => self.end_recording(id),
            Event::UploadEnd(id) => self.end_upload(id),
        }
    }

    pub(super) fn plan(&mut self, after: Duration, event: Event) {
        self.last_event += 1;
        self.events.insert((self.now.saturating_add(after), self.last_event), event);
    }

    fn lives(&self, key: InstanceKey, life: u32) -> bool {
        self.instances.get(&key).is_some_and(|i| i.life == life && i.process.is_alive())
    }

    // --- instances ---

    /// The address that the next instance gets.
    #[must_use]
    pub fn next_address(&self) -> Option<Ipv4Addr> {
        (self.next_number < Block::CAPACITY).then(|| self.block.address(self.next_number))
    }

    /// Leaves the next address unused, because something else has it.
    pub fn skip_address(&mut self) {
        self.next_number += 1;
    }

    /// Launches an instance. One that exists already stays as it is; false says so.
    pub fn launch(
        &mut self,
        now: Duration,
        id: &str,
        spec: InstanceSpec,
    ) -> Result<(Ipv4Addr, bool), WorldError> {
        self.advance(now);
        if let Ok(instance) = self.instance(id) {
            if instance.spec.component != spec.component {
                return Err(instance.wrong(spec.component));
            }
            return Ok((instance.private_ip, false));
        }
        let boot = seconds("boot_seconds", spec.boot_seconds)?;
        let private_ip = self.next_address().ok_or(WorldError::Full)?;
        let key = InstanceKey(self.next_number);
        self.next_number += 1;
        let component = Component::fresh(spec.component, self.now);
        self.keys.insert(id.to_owned(), key);
        let faults = Faults::default();
        let process = Process::Booting;
        let instance = Instance { id: id.to_owned(), spec, private_ip, faults, process, life: 0, component };
        self.instances.insert(key, instance);
        self.plan(boot, Event::Boot(key, 0));
        self.advance(now);
        Ok((private_ip, true))
    }

    fn boot(&mut self, key: InstanceKey, life: u32) {
        let now = self.now;
        let Some(instance) = self.instances.get_mut(&key).filter(|i| i.life == life) else { return };
        if instance.process != Process::Booting {
            return;
        }
        instance.process = Process::Running;
        instance.component = Component::fresh(instance.spec.component, now);
        instance.apply_faults();
        if instance.spec.component == ComponentKind::Jvb {
            self.plan(Duration::ZERO, Event::SendPresence(key, life));
        } else {
            self.announce(key);
        }
    }

    /// Removes the machine at once; what it carried is cut.
    pub fn terminate(&mut self, now: Duration, id: &str) -> Result<Cut, WorldError> {
        self.advance(now);
        let key = self.key(id)?;
        let cut = self.drop_work(key);
        self.totals.conferences.cut += cut.cut_conferences;
        self.totals.participants.cut += cut.cut_participants;
        self.totals.recordings.cut += cut.cut_recordings;
        self.keys.remove(id);
        if let Some(instance) = self.instances.remove(&key)
            && instance.process.is_alive()
        {
            self.plan(self.settings.presence_delay, Event::PresenceGone(key));
        }
        self.totals.terminated += 1;
        Ok(cut)
    }

    fn stop_process(&mut self, key: InstanceKey, how: Process) {
        let lost = self.drop_work(key);
        self.totals.conferences.lost += lost.cut_conferences;
        self.totals.participants.lost += lost.cut_participants;
        self.totals.recordings.lost += lost.cut_recordings;
        if let Some(instance) = self.instances.get_mut(&key) {
            instance.process = how;
            instance.component = Component::fresh(instance.spec.component, self.now);
            self.plan(self.settings.presence_delay, Event::PresenceGone(key));
        }
    }

    /// Replaces the faults of an instance.
    pub fn set_faults(&mut self, now: Duration, id: &str, faults: Faults) -> Result<(), WorldError> {
        self.advance(now);
        let key = self.key(id)?;
        if let Some(slow) = faults.slow_seconds {
            seconds("slow_seconds", slow)?;
        }
        if !(0.0..=100.0).contains(&faults.other_load) {
            return Err(WorldError::Load("other_load must be between 0 and 100"));
        }
        let Some(instance) = self.instances.get_mut(&key) else { return Ok(()) };
        let dies = faults.die;
        instance.faults = faults;
        instance.apply_faults();
        match (dies, instance.process) {
            (true, Process::Booting | Process::Running | Process::Exiting) => {
                instance.life += 1;
                self.stop_process(key, Process::Died);
            }
            (false, Process::Died) => {
                instance.process = Process::Booting;
                let life = instance.life;
                self.boot(key, life);
            }
            _ => self.announce_jibri(key),
        }
        Ok(())
    }

    /// Replaces the load. What goes on, goes on.
    pub fn set_load(&mut self, now: Duration, load: &Load, seed: u64) -> Result<(), WorldError> {
        self.advance(now);
        load.check().map_err(WorldError::Load)?;
        let lengths = load.lengths.unwrap_or(self.settings.lengths);
        let arrivals = Arrivals::new(load.profile, lengths, load.seed.unwrap_or(seed));
        self.load = Some((self.now, arrivals.peekable()));
        Ok(())
    }

    pub(super) fn key(&self, id: &str) -> Result<InstanceKey, WorldError> {
        self.keys.get(id).copied().ok_or_else(|| WorldError::Unknown(id.to_owned()))
    }

    /// The instance of this id.
    pub fn instance(&self, id: &str) -> Result<&Instance, WorldError> {
        self.key(id)
            .and_then(|key| self.instances.get(&key).ok_or_else(|| WorldError::Unknown(id.to_owned())))
    }

    /// The instance of this key, while it exists.
    pub(super) fn by_key(&self, key: InstanceKey) -> Option<&Instance> {
        self.instances.get(&key)
    }

    /// How long conferences and recordings last whose length is not given.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        self.settings.lengths
    }

    /// All instances, in the order of their launch.
    pub fn instances(&self) -> impl Iterator<Item = (InstanceKey, &Instance)> {
        self.instances.iter().map(|(key, instance)| (*key, instance))
    }

    /// Announces a change of a Jibri's state at once. A bridge's waits for its next presence.
    pub(super) fn announce_jibri(&mut self, key: InstanceKey) {
        if self.instances.get(&key).is_some_and(|i| i.spec.component == ComponentKind::Jibri) {
            self.announce(key);
        }
    }

    /// Sends the state of an instance to Jicofo.
    fn announce(&mut self, key: InstanceKey) {
        let Some(instance) = self.instances.get(&key).filter(|i| i.process == Process::Running) else {
            return;
        };
        let event = match &instance.component {
            Component::Jvb(bridge) => {
                Event::BridgePresence(key, instance.life, bridge.presence(&self.settings))
            }
            Component::Jibri(jibri) => Event::JibriPresence(key, instance.life, jibri.presence()),
            Component::Jicofo(_) => return,
        };
        self.plan(self.settings.presence_delay, event);
    }

    // --- what is asked of the components ---

    /// Drain mode of a bridge, on or off.
    pub fn set_drain(&mut self, now: Duration, id: &str, drain: bool) -> Result<(), WorldError> {
        self.advance(now);
        let key = self.key(id)?;
        self.running_bridge(key)?.drain = drain;
        Ok(())
    }

    /// Shutdown of a bridge: once its last endpoint has left, or regardless of them.
    pub fn shut_bridge_down(&mut self, now: Duration, id: &str, gracefully: bool) -> Result<(), WorldError> {
        self.advance(now);
        let key = self.key(id)?;
        let bridge = self.running_bridge(key)?;
        if bridge.shutdown == Shutdown::Running {
            bridge.shutdown = Shutdown::Graceful;
        }
        self.shut_down_if_due(key, !gracefully);
        Ok(())
    }

    /// A bridge in graceful shutdown reaches the next state when it has no endpoints, or by request.
    pub(super) fn shut_down_if_due(&mut self, key: InstanceKey, at_once: bool) {
        let Some(instance) = self.instances.get_mut(&key) else { return };
        let Component::Jvb(bridge) = &mut instance.component else { return };
        if bridge.shutdown == Shutdown::Graceful && (at_once || bridge.local_endpoints() == 0) {
            bridge.shutdown = Shutdown::ShuttingDown;
            let exit = Event::Exit(key, instance.life);
            self.plan(self.settings.shutting_down_delay, exit);
        }
    }

    /// Graceful shutdown of a Jibri: it leaves once it is idle.
    pub fn shut_jibri_down(&mut self, now: Duration, id: &str) -> Result<(), WorldError> {
        self.advance(now);
        let key = self.key(id)?;
        let jibri = self.running_jibri(key)?;
        let first = !jibri.leaving;
        jibri.leaving = true;
        if first && jibri.is_idle() {
            self.close_jibri(key, self.settings.jibri_close_delay);
        }
        self.advance(now);
        Ok(())
    }

    pub(super) fn close_jibri(&mut self, key: InstanceKey, after: Duration) {
        if let Some(instance) = self.instances.get(&key) {
            let close = Event::ClosePorts(key, instance.life);
            self.plan(after, close);
        }
    }

    pub(super) fn running_bridge(&mut self, key: InstanceKey) -> Result<&mut Bridge, WorldError> {
        let instance = self.running(key)?;
        let wrong = instance.wrong(ComponentKind::Jvb);
        if let Component::Jvb(bridge) = &mut instance.component { Ok(bridge) } else { Err(wrong) }
    }

    pub(super) fn running_jibri(&mut self, key: InstanceKey) -> Result<&mut Recorder, WorldError> {
        let instance = self.running(key)?;
        let wrong = instance.wrong(ComponentKind::Jibri);
        if let Component::Jibri(jibri) = &mut instance.component { Ok(jibri) } else { Err(wrong) }
    }

    fn running(&mut self, key: InstanceKey) -> Result<&mut Instance, WorldError> {
        let instance = self.instances.get_mut(&key).ok_or_else(|| WorldError::Unknown(format!("{key:?}")))?;
        if instance.process == Process::Running {
            Ok(instance)
        } else {
            Err(WorldError::NotRunning(instance.id.clone()))
        }
    }
}

/// What was on an instance when it disappeared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Recordings that ran or uploaded.
    pub cut_recordings: u64,
    /// Conferences with somebody in them.
    pub cut_conferences: u64,
    /// The people in these.
    pub cut_participants: u64,
}

/// A number of seconds from outside, which may be invalid.
pub(super) fn seconds(name: &'static str, value: f64) -> Result<Duration, WorldError> {
    Duration::try_from_secs_f64(value).map_err(|_| WorldError::NotSeconds(name))
}
