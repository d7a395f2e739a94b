//! What fails: for a while (troubles), or at one moment (mishaps). All of it is over when the calm hours begin.

use rand::RngExt as _;

use super::cloud::Taker;
use super::component::Process;
use super::judge::ONE_EVALUATION;
use super::setting::{Kind, Tempo};
use super::world::{Event, HOUR, HostClock, MINUTE, SECOND, World};

/// What fails for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    PrometheusDown,
    PrometheusSilent,
    PrometheusWarns,
    PrometheusLate,
    ScrapesMissing,
    RulesFail,
    CloudThrottles,
    CloudFails,
    CloudSlow,
    CloudStale,
    CloudUnheard,
    ComponentsFail,
    ComponentsSlow,
    ComponentsUnheard,
    NoCapacity,
    LooksIll,
    TwoScalers,
}

impl Trouble {
    const ALL: [Self; 17] = [
        Self::PrometheusDown,
        Self::PrometheusSilent,
        Self::PrometheusWarns,
        Self::PrometheusLate,
        Self::ScrapesMissing,
        Self::RulesFail,
        Self::CloudThrottles,
        Self::CloudFails,
        Self::CloudSlow,
        Self::CloudStale,
        Self::CloudUnheard,
        Self::ComponentsFail,
        Self::ComponentsSlow,
        Self::ComponentsUnheard,
        Self::NoCapacity,
        Self::LooksIll,
        Self::TwoScalers,
    ];
}

/// What breaks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    KillScaler,
    KillBoth,
    PrometheusRestarts,
    Crash,
    Hang,
    Broken,
    HostFails,
    Unreachable,
    Ill,
    /// Every bridge of a group that takes conferences crashes, just as another one is asked to exit.
    Lonely,
    ClockSteps,
    OtherTempo,
}

impl Mishap {
    /// The likelier ones more than once.
    const ALL: [Self; 17] = [
        Self::KillScaler,
        Self::KillScaler,
        Self::KillScaler,
        Self::KillBoth,
        Self::PrometheusRestarts,
        Self::Crash,
        Self::Crash,
        Self::Hang,
        Self::Broken,
        Self::HostFails,
        Self::Unreachable,
        Self::Ill,
        Self::Lonely,
        Self::Lonely,
        Self::ClockSteps,
        Self::OtherTempo,
        Self::OtherTempo,
    ];
}

/// What is in trouble now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    since: [i64; Trouble::ALL.len()],
    until: [i64; Trouble::ALL.len()],
    strength: [f64; Trouble::ALL.len()],
}

impl Faults {
    fn is(&self, trouble: Trouble, now: i64) -> bool {
        now < self.until[trouble as usize]
    }

    /// How likely a call meets it; 0 where there is no such trouble.
    fn odds(&self, trouble: Trouble, now: i64) -> f64 {
        if self.is(trouble, now) { self.strength[trouble as usize] } else { 0.0 }
    }

    pub(super) fn prometheus_is_down(&self, now: i64) -> bool {
        self.is(Trouble::PrometheusDown, now)
    }

    pub(super) fn prometheus_is_silent(&self, now: i64) -> f64 {
        self.odds(Trouble::PrometheusSilent, now)
    }

    pub(super) fn prometheus_warns(&self, now: i64) -> f64 {
        self.odds(Trouble::PrometheusWarns, now)
    }

    /// How late samples become visible.
    pub(super) fn lateness(&self, now: i64) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "some minutes")]
        let late = (self.odds(Trouble::PrometheusLate, now) * 8.0 * MINUTE as f64) as i64;
        late
    }

    pub(super) fn scrapes_missing(&self, now: i64) -> f64 {
        self.odds(Trouble::ScrapesMissing, now)
    }

    pub(super) fn rules_fail(&self, now: i64) -> f64 {
        self.odds(Trouble::RulesFail, now)
    }

    pub(super) fn throttles(&self, now: i64) -> f64 {
        self.odds(Trouble::CloudThrottles, now)
    }

    pub(super) fn cloud_fails(&self, now: i64) -> f64 {
        self.odds(Trouble::CloudFails, now)
    }

    pub(super) fn cloud_is_slow(&self, now: i64) -> bool {
        self.is(Trouble::CloudSlow, now)
    }

    pub(super) fn cloud_is_stale(&self, now: i64) -> bool {
        self.is(Trouble::CloudStale, now)
    }

    pub(super) fn cloud_goes_unheard(&self, now: i64) -> f64 {
        self.odds(Trouble::CloudUnheard, now)
    }

    pub(super) fn components_fail(&self, now: i64) -> f64 {
        self.odds(Trouble::ComponentsFail, now)
    }

    pub(super) fn components_are_slow(&self, now: i64) -> bool {
        self.is(Trouble::ComponentsSlow, now)
    }

    pub(super) fn components_go_unheard(&self, now: i64) -> f64 {
        self.odds(Trouble::ComponentsUnheard, now)
    }

    pub(super) fn has_no_capacity(&self, now: i64) -> bool {
        self.is(Trouble::NoCapacity, now)
    }

    /// Whether an instance looks ill and is not: a change in what its health is measured by. Not all notice at once.
    pub(super) fn looks_ill(&self, instance: usize, now: i64) -> bool {
        let late = i64::try_from(instance % 5).unwrap_or(0) * 40 * SECOND;
        let place = (instance * 37 % 100) as f64 / 100.0;
        let began = now - self.since[Trouble::LooksIll as usize] >= late;
        began && place < self.odds(Trouble::LooksIll, now)
    }

    pub(super) fn has_two_scalers(&self, now: i64) -> bool {
        self.is(Trouble::TwoScalers, now)
    }
}

impl World {
    /// After how long the next one of a kind comes that comes once in `mean`.
    pub(super) fn next_after(&mut self, mean: i64) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a day")]
        let mean = (mean as f64 / self.setting.roughness) as i64;
        self.now + Self::wait(&mut self.luck, mean)
    }

    pub(super) fn trouble(&mut self) {
        if self.is_calm() {
            return;
        }
        // Troubles rarely come alone.
        let count = if self.luck.random_bool(0.3) { 3 } else { 1 };
        for _ in 0..count {
            let trouble = Trouble::ALL[self.luck.random_range(0..Trouble::ALL.len())];
            let scale = if trouble == Trouble::TwoScalers { 5.0 } else { 1.0 };
            let minutes = scale * 120_f64.powf(self.luck.random::<f64>());
            #[expect(clippy::cast_possible_truncation, reason = "some hours")]
            let until = self.now + (minutes * MINUTE as f64) as i64;
            let strength = self.luck.random_range(0.1..1.0);
            let index = trouble as usize;
            if !self.faults.is(trouble, self.now) {
                self.faults.since[index] = self.now;
            }
            self.faults.until[index] = self.faults.until[index].max(until.min(self.calm));
            self.faults.strength[index] = strength;
            self.judge.figures.faults += 1;
            self.timeline.tell(self.now, None, &[70, index as u64], || {
                format!("trouble: {trouble:?} for {minutes:.0} minutes, strength {strength:.2}")
            });
        }
        let next = self.next_after(100 * MINUTE);
        self.schedule(next, Event::Trouble);
    }

    /// Some instance that is there.
    pub(super) fn anyone(&mut self, group: usize) -> Option<usize> {
        let members = &self.groups[group].members;
        if members.is_empty() {
            return None;
        }
        let index = self.luck.random_range(0..members.len());
        Some(self.groups[group].members[index])
    }

    pub(super) fn mishap(&mut self) {
        if self.is_calm() {
            return;
        }
        let next = self.next_after(if self.setting.large { 4 * MINUTE } else { 50 * MINUTE });
        self.schedule(next, Event::Mishap);
        let mishap = Mishap::ALL[self.luck.random_range(0..Mishap::ALL.len())];
        // Among many drains it is the kills that count.
        let is_kill = self.setting.large && self.luck.random_bool(0.8);
        let mishap = if is_kill { Mishap::KillScaler } else { mishap };
        self.judge.figures.faults += 1;
        let group = self.luck.random_range(0..self.groups.len());
        let Some(instance) = self.anyone(group) else { return };
        self.timeline.tell(self.now, None, &[71, mishap as u64], || format!("mishap: {mishap:?}"));
        let minutes = |world: &mut Self, most: i64| world.luck.random_range(MINUTE..most * MINUTE);
        let runs = self.instances[instance].process == Process::Running;
        match mishap {
            Mishap::KillScaler => self.kill_soon(0),
            Mishap::KillBoth => {
                self.kill_soon(0);
                self.kill_soon(1);
            }
            Mishap::PrometheusRestarts => {
                let lost = self.luck.random_range(0..10 * MINUTE);
                self.forget_newest(lost);
                let index = Trouble::PrometheusDown as usize;
                let until = self.now + self.luck.random_range(20 * SECOND..3 * MINUTE);
                self.faults.until[index] = self.faults.until[index].max(until.min(self.calm));
            }
            Mishap::Crash if runs => {
                let after = self.restart();
                self.process_ends(instance, Some(after));
            }
            Mishap::Hang if runs => {
                self.instances[instance].process = Process::Hung;
                let (at, life) = (self.now + minutes(self, 90), self.instances[instance].life);
                self.schedule(at.min(self.calm), Event::Unhangs(instance, life));
            }
            Mishap::Broken if runs => {
                let after = minutes(self, 90).min(self.calm - self.now);
                self.process_ends(instance, Some(after));
            }
            Mishap::HostFails if self.azure.is_some() && runs => {
                // Azure starts the machine on another host.
                let after = minutes(self, 15);
                self.process_ends(instance, Some(after));
            }
            Mishap::HostFails if self.instances[instance].process != Process::Gone => {
                // EC2 sees it after a while, and the group replaces it.
                self.instances[instance].unhealthy = true;
                self.instances[instance].taken_by = Some(Taker::Aws);
                self.process_ends(instance, Some(HOUR));
            }
            Mishap::Unreachable => {
                let until = (self.now + minutes(self, 60)).min(self.calm);
                self.instances[instance].unreachable = until;
            }
            Mishap::Ill => {
                // Somebody looks after it in the end, if nothing replaces it before.
                self.instances[instance].healthy = false;
                let (at, life) = (self.now + minutes(self, 180), self.instances[instance].life);
                self.schedule(at.min(self.calm), Event::Unhangs(instance, life));
            }
            // The first two groups are those of bridges.
            Mishap::Lonely if self.setting.closable => self.lonely = Some(group % 2),
            Mishap::Lonely => self.crash_all(group),
            Mishap::ClockSteps => self.step_clock(),
            Mishap::OtherTempo => self.change_tempo(),
            Mishap::Crash | Mishap::Hang | Mishap::Broken | Mishap::HostFails => {}
        }
    }

    /// A bridge was asked to exit: the moment in which its group may lose the others.
    pub(super) fn may_be_lonely(&mut self, group: usize) {
        if self.lonely == Some(group) {
            self.lonely = None;
            let at = self.now + self.luck.random_range(0..SECOND / 2);
            self.schedule(at, Event::OthersCrash(group));
        }
    }

    /// Every bridge of a group crashes that Jicofo could choose without need.
    pub(super) fn crash_all(&mut self, group: usize) {
        let serves = |it: &usize| {
            let it = &self.instances[*it];
            it.kind == Kind::Bridge && it.process == Process::Running && it.drain.is_none() && !it.graceful
        };
        let serving: Vec<usize> = self.groups[group].members.iter().copied().filter(serves).collect();
        self.all_crashed[group] = self.now;
        for bridge in serving {
            let after = self.restart();
            self.process_ends(bridge, Some(after));
        }
    }

    /// The clock of a scaler's host is set wrong by minutes or hours, and right again after a while.
    fn step_clock(&mut self) {
        let scaler = self.luck.random_range(0..2);
        let minutes = 200_f64.powf(self.luck.random::<f64>());
        #[expect(clippy::cast_possible_truncation, reason = "some hours")]
        let off = (minutes * MINUTE as f64) as i64;
        let off = if self.luck.random_bool(0.5) { off } else { -off };
        self.set_clock(scaler, off);
        let until = self.now + self.luck.random_range(MINUTE..3 * HOUR);
        self.schedule(until.min(self.calm), Event::ClockRight(scaler));
    }

    /// A clock is set to the true time.
    pub(super) fn clock_right(&mut self, scaler: usize) {
        self.set_clock(scaler, 0);
    }

    fn set_clock(&mut self, scaler: usize, off: i64) {
        let clock = &mut self.clocks[scaler];
        if clock.off == off {
            return;
        }
        *clock = HostClock { off, before: clock.off };
        self.timeline.tell(self.now, None, &[73, scaler as u64, off.unsigned_abs()], || {
            format!("the clock of scaler {scaler} is set {} s ahead", off / SECOND)
        });
    }

    /// The scalers are reconfigured for a while. A second is short: a tick costs as much as one of a minute.
    fn change_tempo(&mut self) {
        let (tempo, most) = match self.luck.random_range(0..3) {
            0 => (Tempo::Second, 6 * MINUTE),
            1 => (Tempo::FiveSeconds, 20 * MINUTE),
            _ => (Tempo::TenMinutes, 4 * HOUR),
        };
        let until = self.now + self.luck.random_range(most / 4..most);
        if self.tempo.0 == Tempo::TenMinutes {
            self.slow_until = self.now + ONE_EVALUATION;
        }
        self.tempo = (tempo, until.min(self.calm));
    }

    /// The distance of evaluations, in milliseconds.
    pub(super) fn tempo_length(&self) -> i64 {
        let is_slow = self.tempo.0 == Tempo::TenMinutes || self.now < self.slow_until;
        if is_slow { 10 * MINUTE } else { MINUTE }
    }

    /// The configuration to run with.
    pub(super) fn tempo(&self) -> Tempo {
        if self.now < self.tempo.1 { self.tempo.0 } else { Tempo::Usual }
    }

    pub(super) fn calm_down(&mut self) {
        self.faults = Faults::default();
        self.lonely = None;
        self.end_deeds();
        for instance in 0..self.instances.len() {
            let it = &mut self.instances[instance];
            it.unreachable = 0;
            it.healthy = true;
        }
        self.timeline.tell(self.now, None, &[72], || "calm: all faults are over".to_owned());
    }
}
