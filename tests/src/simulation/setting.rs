//! What a stretch is like: the fleets, their configuration as an operator would write it, and how rough it gets.
//!
//! Owns everything that is drawn once per stretch. The configuration goes through the scaler's own loader.

use std::fmt::Write as _;

use jitsi_scaler::config::{self, Config};
use jitsi_scaler::units::Capacity;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::Check;
use super::world::{HOUR, MINUTE};

/// Where everything is.
pub(super) const REGION: &str = "eu-west-1";
/// The zones of every group.
pub(super) const ZONES: [&str; 3] = ["eu-west-1a", "eu-west-1b", "eu-west-1c"];
/// The name of every hook.
pub(super) const HOOK: &str = "drain";
/// The share of a group that may look ill, in percent. The judge goes by this one, whatever the configuration says.
pub(super) const MOST_ILL: u32 = 34;

/// The smallest and largest capacity of the fleet with a large group.
const LARGE: (u32, u32) = (20, 300);

/// The hours of the day, in UTC, in which the ceiling of a schedule holds.
const CEILING: (i64, i64) = (15, 21);

/// What runs on the instances of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bridge,
    Jibri,
}

/// The terminating hook of the groups of a fleet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hook {
    pub(super) heartbeat: i64,
    /// Source: the API reference of PutLifecycleHook, a hundred heartbeat timeouts or 48 hours.
    pub(super) limit: i64,
}

/// What becomes of a drain that takes longer than the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    Wait,
    Undrain,
    Terminate,
}

/// What an operator may wish for beside policies, of one fleet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Care {
    pub(super) hook: Option<Hook>,
    /// Whether the configuration names it.
    hook_named: bool,
    /// At how many periods in a row an instance must be ill to be replaced.
    pub(super) replace: Option<u16>,
    /// How old an instance may become, in hours.
    pub(super) recycle: Option<u32>,
    pub(super) protect_busy: bool,
    pub(super) drain_limit: Option<(i64, Overdue)>,
}

impl Care {
    fn draw(luck: &mut ChaCha8Rng, kind: Kind) -> Self {
        let hook = luck.random_bool(0.6).then(|| {
            let heartbeat = [5, 10, 30, 60][luck.random_range(0..4)] * MINUTE;
            Hook { heartbeat, limit: (100 * heartbeat).min(48 * HOUR) }
        });
        let then = match luck.random_range(0..3) {
            1 if kind == Kind::Bridge => Overdue::Undrain,
            2 => Overdue::Terminate,
            _ => Overdue::Wait,
        };
        let after = [30, 90, 240][luck.random_range(0..3)] * MINUTE;
        Self {
            hook,
            hook_named: luck.random_bool(0.5),
            replace: luck.random_bool(0.6).then(|| luck.random_range(2..=5)),
            recycle: luck.random_bool(0.5).then(|| [2, 6, 20][luck.random_range(0..3)]),
            protect_busy: luck.random_bool(0.5),
            drain_limit: luck.random_bool(0.4).then_some((after, then)),
        }
    }

    /// What belongs into `drain`.
    fn of_drain(&self, without: Option<Check>) -> String {
        // Without their distance two looks may be as close as two webhooks.
        let settle = if without == Some(Check::Settle) { ", settle: 0s" } else { "" };
        let Some((after, then)) = self.drain_limit else { return settle.to_owned() };
        let then = match then {
            Overdue::Wait => "wait",
            Overdue::Undrain => "undrain",
            Overdue::Terminate => "terminate",
        };
        // Without its limit a drain is over before it began.
        let after = if without == Some(Check::DrainLimit) { 1 } else { after / 1000 };
        format!(", timeout: {after}s, on_timeout: {then}{settle}")
    }

    /// Further keys of the fleet, one a line.
    fn keys(&self, series: &str, without: Option<Check>) -> String {
        let mut keys = String::new();
        if self.hook.is_some() && self.hook_named {
            let _ = writeln!(keys, "    lifecycle_hook: {HOOK}");
        }
        if let Some(periods) = self.replace {
            let share = if without == Some(Check::IllShare) { 100 } else { MOST_ILL };
            let _ = writeln!(
                keys,
                "    replace_unhealthy: {{expr: '{series}_healthy == 0', periods: {periods}, max_share: {share}%}}"
            );
        }
        if let Some(age) = self.recycle {
            let _ = writeln!(
                keys,
                "    recycle: {{max_age: {age}h, from: '03:00', to: '05:30', timezone: Europe/Paris}}"
            );
        }
        let _ = writeln!(keys, "    protect_busy: {}", self.protect_busy);
        keys
    }
}

/// The distance of evaluations that a configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tempo {
    /// A minute; some policies evaluate every second one only.
    Usual,
    Second,
    FiveSeconds,
    TenMinutes,
}

impl Tempo {
    const ALL: [Self; 4] = [Self::Usual, Self::Second, Self::FiveSeconds, Self::TenMinutes];

    /// The period of all policies in seconds; `None` for their own.
    fn period(self) -> Option<u32> {
        match self {
            Self::Usual => None,
            Self::Second => Some(1),
            Self::FiveSeconds => Some(5),
            Self::TenMinutes => Some(600),
        }
    }
}

/// One stretch.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are drawn independently of each other")]
pub(super) struct Setting {
    /// Between two scrapes, in seconds.
    pub(super) scrape: i64,
    /// Whether bridges have the shutdown interface.
    pub(super) closable: bool,
    /// Whether a bridge that exited is brought back by its supervisor.
    pub(super) bridges_return: bool,
    /// Whether a Jibri that exited is brought back by its supervisor.
    pub(super) jibris_return: bool,
    /// Whether instances are protected from scale-in when they are launched.
    pub(super) protected: bool,
    /// How many conferences an hour a shard has at its busiest.
    pub(super) conferences: f64,
    /// How many recordings an hour a group has at its busiest, and how long one is in the middle, in minutes. Many
    /// short ones make it likely that one begins just as its Jibri goes.
    pub(super) recordings: (f64, i64),
    /// People that a bridge bears at a stress of 1.
    pub(super) bearable: f64,
    /// How many milliseconds the clocks of the two scalers are off.
    pub(super) skew: [i64; 2],
    /// How often faults begin, as a factor.
    pub(super) roughness: f64,
    /// The smallest and largest capacity of each fleet, from its configuration.
    pub(super) bounds: [(u32, u32); 2],
    /// What else is wished for of each fleet.
    pub(super) care: [Care; 2],
    /// The share of the bridges whose load cannot be read from themselves.
    pub(super) unreadable: f64,
    /// The share of the hosts of `jibri-b` that carry a second Jibri.
    pub(super) twins: f64,
    /// A group whose capacity counts weights.
    pub(super) weighted: Option<usize>,
    /// The ceiling of a schedule, for one of the fleets.
    pub(super) ceiling: Option<(usize, u32)>,
    /// How often alerts wake the scalers, as the mean wait between two bursts in milliseconds.
    pub(super) webhooks: i64,
    /// The usual configuration.
    pub(super) config: Config,
    /// The configuration at each tempo.
    tempos: [Config; Tempo::ALL.len()],
    /// Whether a group of bridges is large.
    pub(super) large: bool,
}

impl Setting {
    /// The largest capacity that the configuration allows a fleet at `at`, in milliseconds.
    pub(super) fn max(&self, fleet: usize, at: i64) -> u32 {
        let (_, max) = self.bounds[fleet];
        let (from, to) = CEILING;
        let ceiling = self.ceiling.filter(|&(of, _)| of == fleet);
        let ceiling = ceiling.filter(|_| (from * HOUR..to * HOUR).contains(&at.rem_euclid(24 * HOUR)));
        ceiling.map_or(max, |(_, ceiling)| ceiling.min(max))
    }

    /// The configuration at a tempo.
    pub(super) fn config_at(&self, tempo: Tempo) -> &Config {
        &self.tempos[tempo as usize]
    }

    /// The same world under this configuration, without anything else that an operator may wish for.
    pub(super) fn with_config(self, text: &str) -> Self {
        let config = config::parse(text, std::path::Path::new(""))
            .unwrap_or_else(|problems| panic!("{text}\n{problems:?}"));
        let bounds = [0, 1].map(|fleet| {
            let policy = &config.fleets[fleet].policy;
            (policy.min.map_or(1, Capacity::get), policy.max.map_or(20, Capacity::get))
        });
        Self {
            scrape: 60,
            protected: false,
            skew: [0, 0],
            bounds,
            care: [Care::default(); 2],
            unreadable: 0.0,
            twins: 0.0,
            weighted: None,
            ceiling: None,
            webhooks: 365 * 24 * HOUR,
            tempos: Tempo::ALL.map(|_| config.clone()),
            config,
            ..self
        }
    }

    pub(super) fn draw(luck: &mut ChaCha8Rng, without: Option<Check>, is_azure: bool, large: bool) -> Self {
        let bounds = [(2, luck.random_range(8..=10)), (luck.random_range(2..=3), luck.random_range(9..=14))];
        let bounds = if large { [LARGE, bounds[1]] } else { bounds };
        let bridges_in_flight = ["25%", "1", "50%"][luck.random_range(0..3)];
        let (bridges_in_flight, bridges_go) = if large { ("60%", "60%") } else { (bridges_in_flight, "1") };
        let jibris_order = ["longest_idle", "oldest", "newest"][luck.random_range(0..3)];
        let idle_for = ["5m", "0s", "2m"][luck.random_range(0..3)];
        let delay = [0, 0, 15][luck.random_range(0..3)];
        let mut care = [Kind::Bridge, Kind::Jibri].map(|kind| Care::draw(luck, kind));
        if is_azure {
            // No hook holds an instance there.
            for care in &mut care {
                care.hook = None;
            }
        }
        let periods = [(); 3].map(|()| [60, 60, 120][luck.random_range(0..3)]);
        let ceiling = luck.random_bool(0.3).then(|| {
            let fleet = luck.random_range(0..2);
            (fleet, bounds[fleet].0 + 1)
        });
        let drawn = Drawn {
            periods,
            bounds,
            ceiling,
            bridges_in_flight,
            bridges_go,
            jibris_order,
            idle_for,
            delay,
            care,
            without,
        };
        let tempos = Tempo::ALL.map(|tempo| {
            let text = drawn.yaml(tempo);
            config::parse(&text, std::path::Path::new(""))
                .unwrap_or_else(|problems| panic!("{text}\n{problems:?}"))
        });
        let skew = luck.random_range(-3000..=5000);
        Self {
            scrape: if luck.random_bool(0.25) { 15 } else { 60 },
            closable: luck.random_bool(0.6) || without == Some(Check::Settle),
            bridges_return: luck.random_bool(0.4),
            jibris_return: luck.random_bool(0.25),
            protected: luck.random_bool(0.5),
            conferences: luck.random_range(25.0..60.0),
            recordings: if luck.random_bool(0.4) {
                (luck.random_range(40.0..90.0), 3)
            } else {
                (luck.random_range(6.0..16.0), 22)
            },
            bearable: luck.random_range(70.0..100.0),
            // Two that agree on the time get into each other's way the most.
            skew: [skew, if luck.random_bool(0.6) { skew } else { luck.random_range(-3000..=5000) }],
            roughness: [0.5, 1.0, 1.0, 2.5][luck.random_range(0..4)],
            bounds,
            care,
            unreadable: if luck.random_bool(0.15) || without == Some(Check::Unreadable) { 0.3 } else { 0.0 },
            twins: if luck.random_bool(0.2) || without == Some(Check::Ambiguous) { 0.35 } else { 0.0 },
            weighted: (luck.random_bool(0.15) || without == Some(Check::Weighted))
                .then(|| luck.random_range(0..4))
                .filter(|_| !is_azure),
            ceiling,
            webhooks: [24 * HOUR, HOUR, 10 * MINUTE, 3 * MINUTE][luck.random_range(0..4)],
            config: tempos[Tempo::Usual as usize].clone(),
            tempos,
            large,
        }
        .filled()
    }

    /// In a large group every bridge has something to do for most of the day.
    fn filled(self) -> Self {
        if self.large {
            Self { conferences: 2000.0, bearable: 55.0, weighted: None, unreadable: 0.0, ..self }
        } else {
            self
        }
    }

    /// How many conferences an hour a group has at its busiest. Beside a large group the other one is small.
    pub(super) fn conferences(&self, group: usize) -> f64 {
        if self.large && group == 1 { self.conferences / 40.0 } else { self.conferences }
    }
}

/// What the configuration is made of.
struct Drawn {
    /// The usual period of each policy, in seconds.
    periods: [u32; 3],
    bounds: [(u32, u32); 2],
    ceiling: Option<(usize, u32)>,
    bridges_in_flight: &'static str,
    /// How many bridges leave at a time.
    bridges_go: &'static str,
    jibris_order: &'static str,
    idle_for: &'static str,
    delay: u32,
    care: [Care; 2],
    without: Option<Check>,
}

impl Drawn {
    /// The configuration, as an operator would write it.
    fn yaml(&self, tempo: Tempo) -> String {
        let Self { bridges_in_flight, bridges_go, jibris_order, idle_for, delay, without, .. } = *self;
        let [(bridges_min, bridges_max), (jibris_min, jibris_max)] = self.bounds;
        let [bridges, jibris] = &self.care;
        let (bridges_limit, jibris_limit) = (bridges.of_drain(without), jibris.of_drain(without));
        let (bridges, jibris) = (bridges.keys("jvb", without), jibris.keys("jibri", without));
        let ceiling = |fleet| match self.ceiling {
            Some((of, max)) if of == fleet => {
                let (from, to) = CEILING;
                let times = format!("from: '{from}:00', to: '{to}:00', timezone: UTC");
                format!("    schedules: [{{name: evening, {times}, max: {max}}}]\n")
            }
            _ => String::new(),
        };
        let (bridges, jibris) = (bridges + &ceiling(0), jibris + &ceiling(1));
        let [stress, pool, demand] = self.periods.map(|usual| tempo.period().unwrap_or(usual));
        format!(
            "
prometheus: {{url: http://prometheus.invalid:9090, delay: {delay}s}}
fleets:
  - name: jvb
    component: jvb
    asg: {{regions: [{REGION}], names: [jvb-a, jvb-b]}}
    capacity: {{min: {bridges_min}, max: {bridges_max}}}
    warmup: 2m
    policies:
      - name: stress
        expr: asg:jvb_stress:avg
        period: {stress}s
        measures: load
        scale_out:
          when: '>= 0.6'
          periods: 4
          breaching: 3
          cooldown: 4m
          steps: [{{from: 0, to: 0.3, add: 1}}, {{from: 0.3, add: 40%}}]
        scale_in: {{when: '<= 0.3', periods: 8, remove: {bridges_go}, cooldown: 8m}}
    victims: {{order: least_loaded, min_age: 20m}}
    drain: {{via: 'http://{{private_ip}}:10065/relay/jvb', max_in_flight: {bridges_in_flight}{bridges_limit}}}
{bridges}
  - name: jibri
    component: jibri
    asg: {{regions: [{REGION}], names: [jibri-a, jibri-b]}}
    capacity: {{min: {jibris_min}, max: {jibris_max}}}
    policies:
      - name: pool
        expr: asg:jibri_available:sum
        period: {pool}s
        measures: idle
        scale_out: {{when: '< 2', periods: 3, add: 1, cooldown: 3m}}
        scale_in: {{when: '> 3', periods: 6, remove: 1, cooldown: 5m}}
      - name: demand
        desired: asg:jibri_busy:sum + 3
        period: {demand}s
        scale_out: {{periods: 2}}
        scale_in: {{periods: 6}}
    victims: {{order: {jibris_order}, idle_for: {idle_for}}}
    drain: {{via: 'http://{{private_ip}}:10065/relay/jibri', max_in_flight: 34%{jibris_limit}}}
{jibris}
"
        )
    }
}
