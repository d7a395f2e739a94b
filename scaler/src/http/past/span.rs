//! The stretches of time that a page shows, and the grids on which they are read.

use std::time::Duration;

use crate::units::{Period, Time};

/// In how many parts a chart shows a span.
const PARTS: u32 = 240;
/// How finely decisions are read, in parts of a span. A counter and a few gauges have so many points at little cost.
const FINE_PARTS: u32 = 1440;
/// No grid is finer: a usual interval of scrapes.
const FINEST: Duration = Duration::from_secs(15);

jitsi_web::words! {
    /// How far back a page shows the past.
    #[derive(Default)]
    pub(in crate::http) enum Span {
        /// One hour.
        Hour = "1h",
        /// Six hours.
        #[default]
        SixHours = "6h",
        /// One day.
        Day = "24h",
        /// One week.
        Week = "7d",
    }
}

impl Span {
    /// How long it is.
    pub(in crate::http) fn length(self) -> Duration {
        Duration::from_hours(match self {
            Self::Hour => 1,
            Self::SixHours => 6,
            Self::Day => 24,
            Self::Week => 7 * 24,
        })
    }

    /// As people say it, after "the last".
    pub(in crate::http) fn text(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::SixHours => "6 hours",
            Self::Day => "24 hours",
            Self::Week => "7 days",
        }
    }

    /// The grid of its charts.
    pub(in crate::http) fn grid(self, now: Time) -> Grid {
        Grid::new(self.length(), PARTS, now)
    }

    /// The grid on which its decisions are read.
    pub(super) fn fine_grid(self, now: Time) -> Grid {
        Grid::new(self.length(), FINE_PARTS, now)
    }
}

/// Moments at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Grid {
    /// The first one.
    pub(in crate::http) start: Time,
    /// The last one.
    pub(in crate::http) end: Time,
    /// Their distance.
    pub(in crate::http) step: Period,
}

impl Grid {
    /// The grid of the time of `length` before `now`, in `parts` or fewer.
    pub(super) fn new(length: Duration, parts: u32, now: Time) -> Self {
        let step = Duration::from_secs((length / parts).max(FINEST).as_secs());
        // A span of weeks in hundreds of parts has steps of less than the longest period.
        let step = Period::try_new(step.min(Period::LONGEST)).expect("whole seconds, fifteen or more");
        let end = now.floor(step);
        Self { start: end.before(length).floor(step), end, step }
    }

    /// How many moments it has.
    pub(super) fn count(&self) -> usize {
        let steps = self.end.since(self.start).as_secs() / self.step.duration().as_secs();
        usize::try_from(steps).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// The moment at a place.
    pub(in crate::http) fn at(&self, place: usize) -> Time {
        self.start.after(self.step.duration() * u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// Values by the moments that they belong to; `None` where nothing is known.
    pub(super) fn place(&self, points: &[(f64, f64)]) -> Vec<Option<f64>> {
        let mut placed = vec![None; self.count()];
        for &(at, value) in points {
            #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit by far")]
            let offset = at.round() as i64 - self.start.unix();
            let place = usize::try_from(offset / self.step.seconds()).ok();
            if let Some(slot) = place.filter(|_| offset >= 0).and_then(|place| placed.get_mut(place)) {
                *slot = Some(value);
            }
        }
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_ends_now_and_has_a_bounded_number_of_moments() {
        let now = Time::parse("2026-11-20T07:00:10Z").expect("a time");
        for span in Span::ALL {
            let (grid, fine) = (span.grid(now), span.fine_grid(now));
            assert!(now.since(grid.end) < grid.step.duration(), "{span:?}");
            assert!(now.since(grid.start) >= span.length(), "{span:?}");
            assert!((240..=243).contains(&grid.count()), "{span:?}: {}", grid.count());
            assert!(fine.count() <= 1443 && fine.step <= grid.step, "{span:?}: {}", fine.count());
            assert_eq!(grid.at(grid.count() - 1), grid.end);
        }
    }

    #[test]
    fn a_moment_without_a_value_stays_unknown() {
        let grid = Grid::new(Duration::from_mins(1), 4, Time::from_unix(60));
        assert_eq!(
            grid.place(&[(0.0, 1.0), (30.0, 0.0), (75.0, 9.0), (-15.0, 9.0)]),
            [Some(1.0), None, Some(0.0), None, None]
        );
    }
}
