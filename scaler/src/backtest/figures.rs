//! What a group cost and lacked over a time, in figures.
//!
//! Owns what is counted, once for the group as it was and for the group as it would have been.

use std::time::Duration;

use serde::Serialize;

use crate::decide::policy::Direction;
use crate::units::Time;

/// What a group cost and lacked. `None` is unknown, or without a meaning for the group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Hours of instances that report, those that drain included where they are known. While it is unknown how many there
    /// were, none are counted, neither of what was nor of what is simulated.
    pub instance_hours: f64,
    /// The hours times the price of one.
    pub cost: Option<f64>,
    /// Minutes in which a policy's condition for scaling out held: that of the configuration that runs now, whatever is
    /// simulated, so that figures can be compared.
    pub minutes_short: f64,
    /// The longest of these times in one piece.
    pub longest_short_minutes: f64,
    /// Minutes in which no Jibri was free; unknown without a policy that measures idle ones.
    pub minutes_without_free: Option<f64>,
    /// Minutes at the maximum.
    pub minutes_at_maximum: Option<f64>,
    /// How often capacity was added.
    pub scale_outs: u32,
    /// How often capacity was removed.
    pub scale_ins: u32,
    /// How many drains began.
    pub drains: Option<u32>,
    /// The shortest time between a change and one in the other direction.
    pub shortest_reversal_seconds: Option<u64>,
    /// How many instances served at the end.
    pub last_capacity: Option<u32>,
}

/// One tick of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tick {
    /// How many instances report; unknown ones count for nothing.
    pub(super) reporting: Option<f64>,
    /// How many take new work.
    pub(super) serving: Option<f64>,
    /// Whether a condition for scaling out holds.
    pub(super) short: bool,
    /// How many Jibris are free.
    pub(super) free: Option<f64>,
    /// Whether it is at its maximum.
    pub(super) at_maximum: Option<bool>,
    /// How its wanted capacity changes.
    pub(super) change: Option<Direction>,
    /// How many drains begin.
    pub(super) drains: u32,
}

/// Adds ticks up.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    length: Duration,
    figures: Figures,
    short: u32,
    longest_short: u32,
    run: u32,
    without_free: Option<u32>,
    at_maximum: Option<u32>,
    changed: Option<(Direction, Time)>,
    reversal: Option<Duration>,
    instances: f64,
}

impl Meter {
    /// A meter for ticks of this length.
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            figures: Figures::default(),
            short: 0,
            longest_short: 0,
            run: 0,
            without_free: None,
            at_maximum: None,
            changed: None,
            reversal: None,
            instances: 0.0,
        }
    }

    /// Adds a tick at a time.
    pub(super) fn add(&mut self, at: Time, tick: Tick) {
        self.instances += tick.reporting.unwrap_or(0.0);
        self.run = if tick.short { self.run + 1 } else { 0 };
        self.short += u32::from(tick.short);
        self.longest_short = self.longest_short.max(self.run);
        let count = |known: &mut Option<u32>, holds: Option<bool>| {
            if let Some(holds) = holds {
                *known = Some(known.unwrap_or(0) + u32::from(holds));
            }
        };
        count(&mut self.without_free, tick.free.map(|free| free < 1.0));
        count(&mut self.at_maximum, tick.at_maximum);
        if let Some(direction) = tick.change {
            match direction {
                Direction::Out => self.figures.scale_outs += 1,
                Direction::In => self.figures.scale_ins += 1,
            }
            if let Some((_, before)) = self.changed.filter(|(other, _)| *other != direction) {
                let since = at.since(before);
                self.reversal = Some(self.reversal.map_or(since, |shortest| shortest.min(since)));
            }
            self.changed = Some((direction, at));
        }
        if let Some(serving) = tick.serving {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count of instances"
            )]
            let serving = serving.round().max(0.0) as u32;
            self.figures.last_capacity = Some(serving);
        }
        self.figures.drains = Some(self.figures.drains.unwrap_or(0) + tick.drains);
    }

    /// The figures, where an hour of an instance costs `price`.
    pub(super) fn figures(self, price: Option<f64>) -> Figures {
        let minutes = |ticks: u32| f64::from(ticks) * self.length.as_secs_f64() / 60.0;
        let instance_hours = self.instances * self.length.as_secs_f64() / 3600.0;
        Figures {
            instance_hours,
            cost: price.map(|price| price * instance_hours),
            minutes_short: minutes(self.short),
            longest_short_minutes: minutes(self.longest_short),
            minutes_without_free: self.without_free.map(minutes),
            minutes_at_maximum: self.at_maximum.map(minutes),
            shortest_reversal_seconds: self.reversal.map(|reversal| reversal.as_secs()),
            ..self.figures
        }
    }
}

impl Figures {
    /// The figures of several groups together. What is unknown of one is unknown of all.
    pub(super) fn sum<'f>(all: impl IntoIterator<Item = &'f Self>) -> Self {
        let mut all = all.into_iter();
        let Some(first) = all.next().cloned() else { return Self::default() };
        let both = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        all.fold(first, |sum, it| Self {
            instance_hours: sum.instance_hours + it.instance_hours,
            cost: both(sum.cost, it.cost),
            minutes_short: sum.minutes_short + it.minutes_short,
            longest_short_minutes: sum.longest_short_minutes.max(it.longest_short_minutes),
            // Of the groups that have Jibris.
            minutes_without_free: match (sum.minutes_without_free, it.minutes_without_free) {
                (Some(sum), Some(it)) => Some(sum + it),
                (one, other) => one.or(other),
            },
            minutes_at_maximum: both(sum.minutes_at_maximum, it.minutes_at_maximum),
            scale_outs: sum.scale_outs + it.scale_outs,
            scale_ins: sum.scale_ins + it.scale_ins,
            drains: sum.drains.zip(it.drains).map(|(a, b)| a + b),
            shortest_reversal_seconds: [sum.shortest_reversal_seconds, it.shortest_reversal_seconds]
                .into_iter()
                .flatten()
                .min(),
            last_capacity: sum.last_capacity.zip(it.last_capacity).map(|(a, b)| a + b),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(ticks: &[Tick]) -> Figures {
        let mut meter = Meter::new(Duration::from_mins(1));
        for (minute, tick) in (0..).zip(ticks) {
            meter.add(Time::from_unix(minute * 60), *tick);
        }
        meter.figures(Some(0.5))
    }

    #[test]
    fn what_is_unknown_costs_and_lacks_nothing() {
        let known = Tick { reporting: Some(60.0), ..Tick::default() };
        let figures = ticks(&[known, Tick::default()]);
        assert_eq!((figures.instance_hours, figures.cost), (1.0, Some(0.5)));
        assert_eq!((figures.minutes_without_free, figures.minutes_at_maximum), (None, None));
        assert_eq!((figures.minutes_short, figures.last_capacity), (0.0, None));
    }

    #[test]
    fn shortages_and_reversals_are_measured() {
        let tick = |short, change, free| Tick { short, change, free: Some(free), ..Tick::default() };
        let figures = ticks(&[
            tick(true, Some(Direction::Out), 0.0),
            tick(false, None, 0.0),
            tick(true, Some(Direction::Out), 1.0),
            tick(true, None, 2.0),
            tick(false, Some(Direction::In), 3.0),
            tick(false, Some(Direction::Out), 3.0),
        ]);
        assert_eq!((figures.minutes_short, figures.longest_short_minutes), (3.0, 2.0));
        assert_eq!((figures.scale_outs, figures.scale_ins), (3, 1));
        assert_eq!(figures.shortest_reversal_seconds, Some(60));
        assert_eq!(figures.minutes_without_free, Some(2.0));
    }
}
