//! The load: which conferences arrive when, and what becomes of them, worked out ahead from a seed.
//!
//! A schedule depends on its profile, its lengths and its seed only, never on what the components do with it, so
//! that the same seed brings the same people to every policy under test.

use std::{f64::consts::PI, time::Duration};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::settings::Lengths;

/// The smallest and the largest conference that arrives by itself.
const SIZES: (u32, u32) = (2, 12);

/// Where the parts of a morning end, as shares of its duration: rise, plateau, fall. What comes after is the
/// time that the last conferences take to end.
const MORNING: (f64, f64, f64) = (0.25, 0.5, 0.75);

/// How the rate of arriving conferences goes with time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Profile {
    /// No conferences arrive.
    #[default]
    None,
    /// The same rate all the time.
    Steady {
        /// The rate.
        conferences_per_minute: f64,
        /// Arrivals end after this time; without it they go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_seconds: Option<f64>,
    },
    /// Rise, plateau and fall; the load is near zero at the end.
    Morning {
        /// Conferences going on at once on the plateau, on average.
        peak: f64,
        /// From the first arrival until the load is gone.
        duration_seconds: f64,
    },
}

/// A profile with what else its schedule depends on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// When conferences arrive.
    pub profile: Profile,
    /// Another seed, another morning of the same kind. The simulator's own seed if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How long things last; the simulator's own lengths if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
}

impl Load {
    /// What is wrong with the numbers, if anything is.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let (rate, duration) = match self.profile {
            Profile::None => (0.0, 0.0),
            Profile::Steady { conferences_per_minute, duration_seconds } => {
                (conferences_per_minute, duration_seconds.unwrap_or_default())
            }
            Profile::Morning { peak, duration_seconds } => (peak, duration_seconds),
        };
        if !(0.0..=MOST_CONFERENCES).contains(&rate) {
            return Err("conferences_per_minute and peak must be between 0 and 100000");
        }
        let lengths = self.lengths.unwrap_or_default();
        let seconds =
            [duration, lengths.conference_seconds, lengths.recording_seconds, lengths.upload_seconds];
        if !seconds.iter().all(|seconds| (0.0..=LONGEST_SECONDS).contains(seconds)) {
            return Err("lengths and durations must be between 0 and a year, in seconds");
        }
        if !(0.0..=1.0).contains(&lengths.recorded_share) {
            return Err("recorded_share must be between 0 and 1");
        }
        Ok(())
    }
}

/// Larger values are more likely a typing error than meant.
const MOST_CONFERENCES: f64 = 100_000.0;
const LONGEST_SECONDS: f64 = 366.0 * 86_400.0;

/// A conference that will arrive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arrival {
    /// When, since the schedule began.
    pub at: Duration,
    /// How many come at first.
    pub participants: u32,
    /// How long it lasts.
    pub lasts: Duration,
    /// Somebody joins or leaves: after how long, and how many there are then.
    pub changes: Vec<(Duration, u32)>,
    /// The recording that somebody starts in it.
    pub recording: Option<PlannedRecording>,
}

/// A recording that will be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlannedRecording {
    /// After how long in the conference.
    pub after: Duration,
    /// How long it runs.
    pub lasts: Duration,
    /// How long its upload takes.
    pub upload: Duration,
}

/// The schedule: an iterator over the arrivals, in the order of time.
#[derive(Debug, Clone)]
pub struct Arrivals {
    rng: ChaCha8Rng,
    profile: Profile,
    lengths: Lengths,
    /// Seconds since the schedule began.
    time: f64,
}

impl Arrivals {
    /// The schedule of `profile` from `seed`.
    #[must_use]
    pub fn new(profile: Profile, lengths: Lengths, seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), profile, lengths, time: 0.0 }
    }

    fn arrival(&mut self) -> Arrival {
        let seconds = self.around(self.lengths.conference_seconds).max(0.1);
        // The smaller of two draws: many small conferences, few large ones.
        let (least, most) = SIZES;
        let participants = self.rng.random_range(least..=most).min(self.rng.random_range(least..=most));
        let changes = self.changes(participants, seconds);
        let recording = self.recording(seconds);
        Arrival {
            // Overflows only at a rate of almost zero.
            at: Duration::try_from_secs_f64(self.time).unwrap_or(Duration::MAX),
            participants,
            lasts: Duration::from_secs_f64(seconds),
            changes,
            recording,
        }
    }

    /// Up to four times somebody joins or leaves; at least one stays.
    fn changes(&mut self, participants: u32, seconds: f64) -> Vec<(Duration, u32)> {
        let mut times: Vec<f64> = (0..self.rng.random_range(0..=4)).map(|_| self.rng.random()).collect();
        times.sort_by(f64::total_cmp);
        let mut present = participants;
        times
            .into_iter()
            .map(|share| {
                let joins = self.rng.random_bool(0.5) || present == 1;
                present = if joins { present + 1 } else { present - 1 };
                (Duration::from_secs_f64(share * seconds), present)
            })
            .collect()
    }

    fn recording(&mut self, conference: f64) -> Option<PlannedRecording> {
        // Drawn whether needed or not, so that another share does not change who arrives.
        let wanted = self.rng.random::<f64>() < self.lengths.recorded_share;
        let seconds = self.around(self.lengths.recording_seconds).min(conference);
        let after = self.rng.random::<f64>() * (conference - seconds);
        let upload = self.around(self.lengths.upload_seconds);
        wanted.then(|| PlannedRecording {
            after: Duration::from_secs_f64(after),
            lasts: Duration::from_secs_f64(seconds),
            upload: Duration::from_secs_f64(upload),
        })
    }

    fn around(&mut self, mean: f64) -> f64 {
        mean.max(0.0) * self.rng.random_range(0.5..=1.5)
    }

    /// The highest rate of the profile per second, and when arrivals end.
    fn bounds(&self) -> (f64, f64) {
        match self.profile {
            Profile::None => (0.0, 0.0),
            Profile::Steady { conferences_per_minute, duration_seconds } => {
                (conferences_per_minute / 60.0, duration_seconds.unwrap_or(f64::INFINITY))
            }
            Profile::Morning { peak, duration_seconds } => {
                // Little's law: as many at once as arrive during the life of one.
                (peak / self.lengths.conference_seconds.max(0.1), duration_seconds * MORNING.2)
            }
        }
    }

    /// The share of the highest rate that holds now.
    fn shape(&self) -> f64 {
        let Profile::Morning { duration_seconds, .. } = self.profile else { return 1.0 };
        let x = self.time / duration_seconds;
        let (rise, plateau, fall) = MORNING;
        if x < rise {
            (1.0 - (PI * x / rise).cos()) / 2.0
        } else if x < plateau {
            1.0
        } else {
            f64::midpoint(1.0, (PI * (x - plateau) / (fall - plateau)).cos())
        }
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    /// A Poisson process of the profile's highest rate, thinned to the rate of the moment.
    fn next(&mut self) -> Option<Arrival> {
        let (highest, end) = self.bounds();
        if highest.is_nan() || highest <= 0.0 {
            return None;
        }
        loop {
            self.time += -(1.0 - self.rng.random::<f64>()).ln() / highest;
            if self.time >= end {
                return None;
            }
            if self.rng.random::<f64>() < self.shape() {
                return Some(self.arrival());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MORNING_OF_90_S: Profile = Profile::Morning { peak: 20.0, duration_seconds: 90.0 };

    #[test]
    fn a_seed_repeats_to_the_letter_and_another_does_not() {
        let schedule = |seed| Arrivals::new(MORNING_OF_90_S, Lengths::default(), seed).collect::<Vec<_>>();
        assert_eq!(schedule(1), schedule(1));
        assert_ne!(schedule(1), schedule(2));
    }

    #[test]
    fn a_morning_rises_to_its_peak_and_ends_empty() {
        for seed in 1..=5 {
            let arrivals: Vec<_> = Arrivals::new(MORNING_OF_90_S, Lengths::default(), seed).collect();
            let at_once = |second: f64| {
                let moment = Duration::from_secs_f64(second);
                arrivals.iter().filter(|a| a.at <= moment && a.at + a.lasts > moment).count()
            };
            assert!(at_once(5.0) <= 8, "seed {seed}: {} at the start", at_once(5.0));
            assert!(
                (10..=32).contains(&at_once(45.0)),
                "seed {seed}: {} at the plateau's end",
                at_once(45.0)
            );
            assert!(at_once(90.0) <= 3, "seed {seed}: {} at the end", at_once(90.0));
        }
    }

    #[test]
    fn recordings_fit_into_their_conference_which_is_never_empty() {
        let lengths = Lengths { recorded_share: 1.0, ..Lengths::default() };
        let steady = Profile::Steady { conferences_per_minute: 60.0, duration_seconds: Some(600.0) };
        for arrival in Arrivals::new(steady, lengths, 7) {
            let recording = arrival.recording.expect("every conference is recorded");
            assert!(recording.after + recording.lasts <= arrival.lasts + Duration::from_micros(1));
            assert!(arrival.changes.iter().all(|(after, present)| *after <= arrival.lasts && *present >= 1));
        }
    }

    #[test]
    fn profiles_are_written_as_yaml_and_json_people_expect() {
        let load =
            |text| serde_json::from_str::<Load>(text).map(|load| load.profile).map_err(|e| e.to_string());
        assert_eq!(load(r#"{"profile":"none"}"#), Ok(Profile::None));
        assert_eq!(
            load(r#"{"profile":{"morning":{"peak":20,"duration_seconds":90}},"seed":3}"#),
            Ok(MORNING_OF_90_S)
        );
        assert!(load(r#"{"profile":{"morning":{"peak":20}}}"#).is_err());
        assert!(load(r#"{"profile":"none","sed":3}"#).is_err());
    }
}
