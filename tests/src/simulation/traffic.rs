//! People: conferences that begin, grow, shrink and end, and recordings with their uploads, by the time of day.
//!
//! Owns how Jicofo chooses: the least stressed bridge that does not drain, a draining one if there is no other, and the
//! Jibri that has been idle for longest. It hears of a bridge's state up to five seconds late, and a bridge in its last
//! minute accepts what comes. Sources: Jicofo's selectors, and real components.

use rand::RngExt as _;

use super::component::{Job, Process, Twin};
use super::setting::Kind;
use super::world::{Event, HOUR, MINUTE, SECOND, World};

/// Marks the numbers of the recordings of second Jibris.
const OF_TWIN: u32 = 1 << 31;

/// A conference.
#[derive(Debug)]
pub(super) struct Conference {
    group: usize,
    began: i64,
    bridge: Option<usize>,
    people: u32,
    /// People who are being invited anew, and are on no bridge for a moment.
    away: u32,
    /// How many it has at most.
    most: u32,
    ends: i64,
    /// Counted up with every move, so that one that is overtaken is known.
    turn: u32,
}

impl Conference {
    /// Its group, and when it began: no other one has both.
    pub(super) fn identity(&self) -> [i64; 2] {
        [i64::try_from(self.group).unwrap_or(i64::MAX), self.began]
    }
}

/// How much of the highest rate there is at a time of day.
fn level(at: i64) -> f64 {
    const BY_HOUR: [f64; 24] = [
        0.04, 0.03, 0.02, 0.02, 0.03, 0.06, 0.15, 0.35, 0.7, 0.95, 1.0, 0.9, 0.7, 0.85, 1.0, 0.95, 0.8, 0.55,
        0.4, 0.35, 0.3, 0.2, 0.12, 0.07,
    ];
    let hours = at.div_euclid(HOUR);
    let weekend = (hours.div_euclid(24) + 4).rem_euclid(7) >= 5;
    let hour = usize::try_from(hours.rem_euclid(24)).unwrap_or(0);
    let next = BY_HOUR[(hour + 1) % 24];
    let part = at.rem_euclid(HOUR) as f64 / HOUR as f64;
    let level = BY_HOUR[hour] + (next - BY_HOUR[hour]) * part;
    if weekend { level * 0.3 } else { level }
}

impl World {
    /// Waits for the next arrival of a stream with `highest` an hour; whether this one happens at all.
    fn arrives(&mut self, highest: f64, event: Event) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of an hour")]
        let mean = (HOUR as f64 / highest) as i64;
        let next = self.now + Self::wait(&mut self.traffic, mean);
        self.schedule(next, event);
        self.traffic.random::<f64>() < level(self.now)
    }

    pub(super) fn conference_arrives(&mut self, group: usize) {
        if !self.arrives(self.setting.conferences(group), Event::ConferenceArrives(group)) {
            return;
        }
        let most = self.traffic.random_range(1..=24_u32).min(self.traffic.random_range(2..=24));
        let mean = if self.traffic.random_bool(0.04) { 5 * HOUR } else { 35 * MINUTE };
        let ends = self.now + 2 * MINUTE + Self::wait(&mut self.traffic, mean).min(10 * HOUR);
        let began = self.now;
        let conference = Conference { group, began, bridge: None, people: 0, away: 1, most, ends, turn: 0 };
        self.judge.figures.conferences += 1;
        let index = match self.free_conferences.pop() {
            Some(index) => {
                let turn = self.conferences[index].turn + 1;
                self.conferences[index] = Conference { turn, ..conference };
                index
            }
            None => {
                self.conferences.push(conference);
                self.conferences.len() - 1
            }
        };
        let turn = self.conferences[index].turn;
        self.conference_moves(index, turn);
    }

    pub(super) fn conference_moves(&mut self, index: usize, turn: u32) {
        if self.conferences[index].turn != turn {
            return;
        }
        self.conferences[index].turn += 1;
        if self.now >= self.conferences[index].ends {
            let people = std::mem::take(&mut self.conferences[index].people);
            if let Some(bridge) = self.conferences[index].bridge.take() {
                self.leave(bridge, people);
            }
            self.free_conferences.push(index);
            return;
        }
        let usable = |world: &Self, bridge: usize| {
            let it = &world.instances[bridge];
            it.is_alive() && !it.heard_closing
        };
        let bridge = self.conferences[index].bridge.filter(|&bridge| usable(self, bridge));
        let bridge = bridge.or_else(|| self.choose_bridge(self.conferences[index].group));
        self.conferences[index].bridge = bridge;
        let Some(bridge) = bridge else {
            // They try again; nobody is on a bridge until then.
            self.judge.figures.turned_away += 1;
            let people = std::mem::take(&mut self.conferences[index].people);
            self.conferences[index].away += people;
            return self.move_again(index, 20 * SECOND);
        };
        if self.conferences[index].away > 0 {
            let back = std::mem::take(&mut self.conferences[index].away);
            self.conferences[index].people += back;
            self.join(bridge, back);
        } else if self.traffic.random_bool(0.015) {
            // Jicofo invites them anew: for some seconds nobody of them is there.
            let people = std::mem::take(&mut self.conferences[index].people);
            self.conferences[index].away = people;
            self.leave(bridge, people);
            let wait = self.traffic.random_range(4 * SECOND..15 * SECOND);
            return self.move_again(index, wait);
        } else if self.conferences[index].people < self.conferences[index].most
            && self.traffic.random_bool(0.7)
        {
            let room = self.conferences[index].most - self.conferences[index].people;
            let come = self.traffic.random_range(1..=room.min(4));
            self.conferences[index].people += come;
            self.join(bridge, come);
        } else if self.conferences[index].people > 1 {
            self.conferences[index].people -= 1;
            self.leave(bridge, 1);
        }
        let wait = Self::wait(&mut self.traffic, 5 * MINUTE).min(self.conferences[index].ends - self.now);
        self.move_again(index, wait);
    }

    fn move_again(&mut self, index: usize, wait: i64) {
        let turn = self.conferences[index].turn;
        self.schedule(self.now + wait.max(1), Event::ConferenceMoves(index, turn));
    }

    fn join(&mut self, bridge: usize, people: u32) {
        let now = self.now;
        let it = &mut self.instances[bridge];
        if it.people == 0 {
            it.busy_since = now;
        }
        it.people += people;
        let now_there = it.people;
        self.tell(bridge, 50 + u64::from(people), |_| format!("{people} come, {now_there} are there"));
    }

    fn leave(&mut self, bridge: usize, people: u32) {
        let now = self.now;
        let it = &mut self.instances[bridge];
        it.people = it.people.saturating_sub(people);
        if it.people == 0 {
            it.empty_since = now;
        }
        let left = it.people;
        self.tell(bridge, 150 + u64::from(people), |_| format!("{people} go, {left} are there"));
        self.may_shut_down(bridge);
    }

    /// Jicofo's choice for a new conference.
    fn choose_bridge(&mut self, group: usize) -> Option<usize> {
        let takes = |&&it: &&usize| {
            let it = &self.instances[it];
            let accepts = it.shutting_down || !it.graceful;
            it.process == Process::Running
                && it.healthy
                && accepts
                && !it.heard_closing
                && it.joined <= self.now
        };
        self.groups[group]
            .members
            .iter()
            .filter(takes)
            .min_by_key(|&&it| (self.heard_draining(it), self.instances[it].people, it))
            .copied()
    }

    /// Everybody on a bridge has to find another one.
    pub(super) fn evacuate(&mut self, bridge: usize) {
        self.instances[bridge].people = 0;
        self.instances[bridge].empty_since = self.now;
        for index in 0..self.conferences.len() {
            let it = &mut self.conferences[index];
            if it.bridge != Some(bridge) || it.people + it.away == 0 {
                continue;
            }
            it.bridge = None;
            it.away += std::mem::take(&mut it.people);
            it.turn += 1;
            let wait = self.traffic.random_range(300..25 * SECOND);
            self.move_again(index, wait);
        }
    }

    pub(super) fn recording_arrives(&mut self, group: usize) {
        if !self.arrives(self.setting.recordings.0, Event::RecordingArrives(group)) {
            return;
        }
        let Some((_, instance, by_twin)) = self.choose_jibri(group) else {
            self.judge.figures.turned_away += 1;
            return;
        };
        // Where there are many, long ones would fill every pool up to its maximum, and nothing would ever be free.
        let long = if self.setting.recordings.1 < 10 { 0.005 } else { 0.05 };
        let mean = if self.traffic.random_bool(long) { 2 * HOUR } else { self.setting.recordings.1 * MINUTE };
        let length = 20 * SECOND + Self::wait(&mut self.traffic, mean).min(6 * HOUR);
        let now = self.now;
        let it = &mut self.instances[instance];
        let recording = match &mut it.twin {
            Some(twin) if by_twin => {
                let recording = twin.recording + 1;
                *twin = Twin { job: Job::Recording, recording, last_selected: now };
                recording | OF_TWIN
            }
            _ => {
                it.job = Job::Recording;
                it.busy_since = now;
                it.recording += 1;
                it.last_selected = now;
                it.recording
            }
        };
        self.schedule(now + length, Event::RecordingEnds(instance, recording));
        self.judge.figures.recordings += 1;
        self.tell(instance, 60, |_| "begins a recording".to_owned());
    }

    /// Jicofo's choice for a recording: when it was last selected, the instance, and whether it is its second Jibri.
    fn choose_jibri(&self, group: usize) -> Option<(i64, usize, bool)> {
        let members = &self.groups[group].members;
        let free = members.iter().filter_map(|&index| {
            let it = &self.instances[index];
            let joined = it.process == Process::Running && it.joined <= self.now;
            (joined && it.job == Job::Idle && it.healthy).then_some((it.last_selected, index, false))
        });
        let twins = members.iter().filter_map(|&index| {
            let it = &self.instances[index];
            let twin = it.twin.filter(|twin| twin.job == Job::Idle && it.process != Process::Booting)?;
            Some((twin.last_selected, index, true))
        });
        free.chain(twins).min()
    }

    /// Moves the Jibri that made a recording from one state to the next, if it still is in it.
    fn moves_on(&mut self, instance: usize, recording: u32, from: Job, to: Job) -> bool {
        let it = &mut self.instances[instance];
        let (job, newest) = match &mut it.twin {
            Some(twin) if recording & OF_TWIN > 0 => (&mut twin.job, twin.recording | OF_TWIN),
            _ => (&mut it.job, it.recording),
        };
        let is_current = *job == from && newest == recording;
        if is_current {
            *job = to;
        }
        is_current
    }

    pub(super) fn recording_ends(&mut self, instance: usize, recording: u32) {
        if !self.moves_on(instance, recording, Job::Recording, Job::Uploading) {
            return;
        }
        let most = self.setting.recordings.1 * MINUTE / 2;
        let length = self.traffic.random_range(10 * SECOND..most);
        self.schedule(self.now + length, Event::UploadEnds(instance, recording));
        self.tell(instance, 61, |_| "uploads".to_owned());
    }

    pub(super) fn upload_ends(&mut self, instance: usize, recording: u32) {
        if !self.moves_on(instance, recording, Job::Uploading, Job::Idle) {
            return;
        }
        let now = self.now;
        let it = &mut self.instances[instance];
        if recording & OF_TWIN > 0 {
            return self.tell(instance, 63, |_| "has uploaded what its second Jibri recorded".to_owned());
        }
        it.empty_since = now;
        let (life, graceful) = (it.life, it.graceful);
        self.tell(instance, 62, |_| "has uploaded".to_owned());
        if graceful {
            self.component_exits(instance, life);
        }
    }

    /// Where a group has how much to do: for the judge.
    pub(super) fn is_bridges(&self, group: usize) -> bool {
        self.groups[group].kind == Kind::Bridge
    }
}
