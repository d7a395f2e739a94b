//! Values on a grid of time, in little memory.

use crate::units::{Period, Time};

/// A value for each point of a grid, eight bytes each; a point without one is missing.
#[derive(Clone, Debug)]
pub struct Column {
    start: Time,
    period: Period,
    /// NaN where the value is missing.
    values: Vec<f64>,
}

impl Column {
    /// A column without values that begins at the first point of the grid that is not before `from`.
    #[must_use]
    pub fn new(from: Time, period: Period) -> Self {
        let floor = from.floor(period);
        let start = if floor < from { floor.after(period.duration()) } else { floor };
        Self { start, period, values: Vec::new() }
    }

    /// A column that has room for the values until `to`.
    #[must_use]
    pub fn until(from: Time, to: Time, period: Period) -> Self {
        let points = to.since(from).as_secs() / period.duration().as_secs() + 1;
        Self { values: Vec::with_capacity(usize::try_from(points).unwrap_or(0)), ..Self::new(from, period) }
    }

    /// The same column with these values behind its own. Those that are not finite are missing.
    #[must_use]
    pub fn with(mut self, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        self.extend(values);
        self
    }

    /// Appends values. Those that are not finite are missing.
    pub fn extend(&mut self, values: impl IntoIterator<Item = Option<f64>>) {
        let finite = |value: f64| if value.is_finite() { value } else { f64::NAN };
        self.values.extend(values.into_iter().map(|value| value.map_or(f64::NAN, finite)));
    }

    /// The same values, each less what `other` has at its moment.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        let mut less = self.clone();
        for (at, value) in other.known() {
            if let Some(own) = self.at(at) {
                less.set(at, (own - value).max(0.0));
            }
        }
        less
    }

    /// Sets the value at a moment that is on the grid and not before the start.
    pub fn set(&mut self, at: Time, value: f64) {
        if let Some(place) = self.place(at) {
            if self.values.len() <= place {
                self.values.resize(place + 1, f64::NAN);
            }
            self.values[place] = value;
        }
    }

    /// The first point of the grid.
    #[must_use]
    pub fn start(&self) -> Time {
        self.start
    }

    /// The distance of the points.
    #[must_use]
    pub fn period(&self) -> Period {
        self.period
    }

    /// The value at a moment. `None` where it is missing, and beside the grid.
    #[must_use]
    pub fn at(&self, at: Time) -> Option<f64> {
        self.values.get(self.place(at)?).copied().filter(|value| value.is_finite())
    }

    /// The newest value that is not later than a moment and at most `age` points old.
    #[must_use]
    pub fn latest(&self, at: Time, age: usize) -> Option<f64> {
        let newest = self.place(at.floor(self.period))?;
        (newest.saturating_sub(age)..=newest)
            .rev()
            .find_map(|place| self.values.get(place).copied().filter(|value| value.is_finite()))
    }

    /// The moments that have a value, and the values, oldest first.
    pub fn known(&self) -> impl Iterator<Item = (Time, f64)> {
        let places = (0_u32..).zip(&self.values).filter(|(_, value)| value.is_finite());
        places.map(|(place, value)| (self.start.after(self.period.duration() * place), *value))
    }

    fn place(&self, at: Time) -> Option<usize> {
        let offset = at.unix() - self.start.unix();
        let on_grid = offset >= 0 && offset % self.period.seconds() == 0;
        if on_grid { usize::try_from(offset / self.period.seconds()).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn minutes() -> Period {
        Period::try_new(Duration::from_mins(1)).expect("a period")
    }

    #[test]
    fn a_value_stands_at_its_moment_and_nowhere_else() {
        let column =
            Column::new(Time::from_unix(61), minutes()).with([Some(1.0), None, Some(f64::NAN), Some(0.0)]);
        let at = |unix| column.at(Time::from_unix(unix));
        assert_eq!(
            [60, 120, 121, 180, 240, 300, 360].map(at),
            [None, Some(1.0), None, None, None, Some(0.0), None]
        );
        assert_eq!(
            column.known().map(|(at, value)| (at.unix(), value)).collect::<Vec<_>>(),
            [(120, 1.0), (300, 0.0)]
        );
    }

    #[test]
    fn a_value_that_is_set_late_leaves_a_gap_before_it() {
        let mut column = Column::new(Time::from_unix(0), minutes());
        column.set(Time::from_unix(120), 2.0);
        column.set(Time::from_unix(30), 9.0);
        assert_eq!([0, 60, 120].map(|unix| column.at(Time::from_unix(unix))), [None, None, Some(2.0)]);
        let latest = |unix, age| column.latest(Time::from_unix(unix), age);
        assert_eq!(
            [latest(119, 5), latest(150, 0), latest(200, 0), latest(200, 1)],
            [None, Some(2.0), None, Some(2.0)]
        );
    }
}
