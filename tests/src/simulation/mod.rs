//! The deterministic simulation: days of fleets in virtual time, with faults, on the scaler's real control loop.
//!
//! Owns the run as a whole: it is cut into stretches of some days, each a world of its own that is drawn from the seed
//! and ends in calm hours. [`jitsi_scaler::control::run`] runs as it does in the service, with its commands; the cloud,
//! Prometheus and the components behind its traits are this module's, and its clocks are virtual. Deliberately without
//! sockets and threads: the same seed gives the same run, to the letter.

use std::fmt;
use std::str::FromStr;

mod azure;
mod calls;
mod care;
mod cloud;
mod component;
mod drains;
mod driver;
mod faults;
mod hooks;
mod jitsi;
mod judge;
mod lies;
mod orders;
mod others;
mod prometheus;
mod questions;
mod recording;
mod scaling;
mod setting;
mod timeline;
mod traffic;
mod world;

pub use judge::{Figures, Tally};
pub use recording::{Made, Recorded};

/// How long a stretch is, in days. Its last hours are calm, and what is not in order by then counts as stuck.
pub const STRETCH: u32 = 4;

/// Whose rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Provider {
    /// Auto Scaling groups.
    #[default]
    Aws,
    /// Virtual Machine Scale Sets.
    Azure,
}

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// For how many days.
    pub days: u32,
    /// Whose rules hold.
    pub cloud: Provider,
    /// What everything is drawn from.
    pub seed: u64,
    /// Whether anything fails, and whether anybody else meddles.
    pub faults: bool,
    /// Whether a group of bridges has 300 instances, of which 60 % may drain at once, scalers are killed every few minutes, and
    /// somebody raises that group to its maximum every hour.
    pub large: bool,
    /// How many scalers run all the time: one or two. Beside one, a second one runs now and then, as a fault.
    pub scalers: u8,
    /// The protection that is missing, if one is.
    pub without: Option<Check>,
    /// The stretch to begin with; each is the same whatever came before it.
    pub first_stretch: u32,
    /// Whether the first stretch with a violation ends the run; without a protection, the first with one of the kind
    /// that its lack must lead to.
    pub first_only: bool,
    /// A configuration instead of drawn ones, in one stretch that is recorded.
    pub recorded: Option<Recorded>,
}

/// A protection that can be taken away, to see that its lack is found. Module `lies` says how each is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// That a victim is seen to be free.
    VictimCheck,
    /// That it is looked at a second time, and again right before the end.
    SecondLook,
    /// That it is asked to take nothing new and to exit.
    FinalRequest,
    /// That what cannot be seen may be anything.
    UnknownIsNotZero,
    /// That a hook is told to go on holding.
    Heartbeat,
    /// That a hook lets go only of what is empty.
    HookWhenEmpty,
    /// That nothing is replaced where much looks ill.
    IllShare,
    /// That what is in use is protected from AWS' choice.
    ProtectBusy,
    /// That an operator's limit for drains is waited for before anything ends with what it carries.
    DrainLimit,
    /// That looks keep their distance from requests and from each other.
    Settle,
    /// That nothing changes in a group that is paused.
    Pause,
    /// That no scale-in begins during an instance refresh.
    Refresh,
    /// That an instance id of several series is never drained.
    Ambiguous,
    /// That a bridge is read before it is drained.
    Unreadable,
    /// That nothing scales where capacity counts weights.
    Weighted,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::VictimCheck,
        Self::SecondLook,
        Self::FinalRequest,
        Self::UnknownIsNotZero,
        Self::Heartbeat,
        Self::HookWhenEmpty,
        Self::IllShare,
        Self::ProtectBusy,
        Self::DrainLimit,
        Self::Settle,
        Self::Pause,
        Self::Refresh,
        Self::Ambiguous,
        Self::Unreadable,
        Self::Weighted,
    ];

    /// The word for it on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VictimCheck => "victim-check",
            Self::SecondLook => "second-look",
            Self::FinalRequest => "final-request",
            Self::UnknownIsNotZero => "unknown-is-not-zero",
            Self::Heartbeat => "heartbeat",
            Self::HookWhenEmpty => "hook-when-empty",
            Self::IllShare => "ill-share",
            Self::ProtectBusy => "protect-busy",
            Self::DrainLimit => "drain-limit",
            Self::Settle => "settle",
            Self::Pause => "pause",
            Self::Refresh => "refresh",
            Self::Ambiguous => "ambiguous",
            Self::Unreadable => "unreadable",
            Self::Weighted => "weighted",
        }
    }

    /// Whether what its lack must lead to was found.
    #[must_use]
    pub fn is_missed(self, tally: &Tally) -> bool {
        match self {
            Self::VictimCheck
            | Self::SecondLook
            | Self::FinalRequest
            | Self::HookWhenEmpty
            | Self::Settle
            | Self::DrainLimit => tally.has_cuts(),
            Self::UnknownIsNotZero => tally.has_cuts() && tally.unseen_scale_ins > 0,
            Self::Heartbeat => tally.has_cuts() && tally.stuck > 0,
            Self::IllShare | Self::Pause => tally.limits_broken > 0,
            Self::Refresh | Self::Ambiguous | Self::Unreadable | Self::Weighted => tally.unseen_scale_ins > 0,
            Self::ProtectBusy => tally.stuck > 0,
        }
    }
}

impl FromStr for Check {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|check| check.as_str() == word)
            .ok_or_else(|| format!("no such protection; write one of {words}"))
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many days were simulated.
    pub days: u32,
    /// What may never happen, and how often it did.
    pub tally: Tally,
    /// How much of everything there was.
    pub figures: Figures,
    /// A fingerprint of everything that happened, in its order.
    pub fingerprint: u64,
    /// The last hours before the first violation, for a person.
    pub timeline: Option<String>,
    /// Every stretch with violations, and the first of each.
    pub violations: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simulate: days {}, {}", self.days, self.tally)
    }
}

/// Simulates. The timeline of a violation is had by running its stretch a second time, now with a record kept; that
/// this second run ends in the same violation is checked on the way.
///
/// # Panics
///
/// If the folder of a recording cannot be written to, or two runs of one seed differ.
#[must_use]
pub fn run(options: &Options) -> Outcome {
    let mut outcome = Outcome {
        days: 0,
        tally: Tally::default(),
        figures: Figures::default(),
        fingerprint: 0,
        timeline: None,
        violations: Vec::new(),
    };
    let mut index = options.first_stretch;
    while outcome.days < options.days {
        let most = if options.recorded.is_some() { u32::MAX } else { STRETCH };
        let days = most.min(options.days - outcome.days);
        let stretch = driver::Stretch { index, days, options };
        let mut ended = stretch.run(None).world;
        if let Some(recorder) = ended.recorder.take() {
            recorder.finish().expect("the folder of the recording can be written to");
        }
        if let Some(first) = &ended.judge.first {
            if outcome.timeline.is_none() {
                let again = stretch.run(Some(first.at));
                outcome.timeline = Some(again.timeline(options.seed, index, first));
            }
            let days = (index * STRETCH + 1, index * STRETCH + days);
            outcome
                .violations
                .push(format!("days {} to {}: {}; first: {}", days.0, days.1, ended.judge.tally, first.what));
        }
        outcome.days += days;
        outcome.tally.add(&ended.judge.tally);
        outcome.figures.add(&ended.judge.figures);
        outcome.fingerprint = timeline::mix(outcome.fingerprint, ended.timeline.fingerprint);
        index += 1;
        let tally = &outcome.tally;
        let found = options.without.map_or(!tally.is_clean(), |check| check.is_missed(tally));
        if options.first_only && found {
            break;
        }
    }
    outcome
}
