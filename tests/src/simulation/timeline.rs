//! What happened, as a fingerprint always, and as text where a person will read it.
//!
//! Owns the record. Texts are only made while one is kept, because they would cost more than the simulation itself.

use jitsi_scaler::units::Time;

/// How far back a timeline goes.
const HOURS: i64 = 5;

/// Mixes a number into a fingerprint.
pub(super) fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// The record of one stretch.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub(super) fingerprint: u64,
    recording: bool,
    /// When, which group if it concerns just one, and what.
    lines: Vec<(i64, Option<usize>, String)>,
}

impl Timeline {
    pub(super) fn new(recording: bool) -> Self {
        Self { recording, ..Self::default() }
    }

    /// Something happened at `at` (milliseconds): into the fingerprint go `marks`, into the record the text.
    pub(super) fn tell(
        &mut self,
        at: i64,
        group: Option<usize>,
        marks: &[u64],
        text: impl FnOnce() -> String,
    ) {
        let mut hash = mix(self.fingerprint, at.unsigned_abs());
        for &mark in marks {
            hash = mix(hash, mark);
        }
        self.fingerprint = hash;
        if self.recording {
            self.lines.push((at, group, text()));
        }
    }

    /// The last hours of a group and of what concerns all; of an instance that is named, also what was asked of it
    /// before.
    pub(super) fn of(&self, group: usize, named: &str) -> String {
        let end = self.lines.last().map_or(0, |(at, ..)| *at);
        let concerns = |of: Option<usize>| of.is_none_or(|of| of == group);
        let id = named.split_whitespace().find(|word| word.starts_with("i-"));
        let of_instance = |text: &str| id.is_some_and(|id| text.contains(id) && text.contains("scaler "));
        self.lines
            .iter()
            .filter(|(at, of, text)| concerns(*of) && (end - at < HOURS * 3_600_000 || of_instance(text)))
            .map(|(at, _, text)| format!("{}  {text}\n", moment(*at)))
            .collect()
    }
}

/// A moment in milliseconds for a person.
pub(super) fn moment(at: i64) -> String {
    let text = Time::from_unix(at.div_euclid(1000)).to_string();
    format!("{}.{:03}", text.trim_end_matches('Z'), at.rem_euclid(1000))
}
