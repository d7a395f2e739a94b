//! The quantities that the scaler reckons with, each valid by construction.
//!
//! Owns their parsing and display. Knows nothing of configuration, clouds or clocks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A number of instances. Auto Scaling groups hold far fewer than [`Capacity::LARGEST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capacity(u32);

impl Capacity {
    /// Above this a number is a mistake, not a fleet; it also keeps the arithmetic far from overflow.
    pub const LARGEST: u32 = 100_000;
    /// One instance.
    pub const ONE: Self = Self(1);
    /// No instances.
    pub const ZERO: Self = Self(0);

    /// `instances`, or `None` above [`Capacity::LARGEST`].
    #[must_use]
    pub fn try_new(instances: u32) -> Option<Self> {
        (instances <= Self::LARGEST).then_some(Self(instances))
    }

    /// `instances`, brought into the range from 0 to [`Capacity::LARGEST`].
    #[must_use]
    pub fn saturating(instances: i64) -> Self {
        Self(u32::try_from(instances.clamp(0, i64::from(Self::LARGEST))).unwrap_or(Self::LARGEST))
    }

    /// How many there are of something that is counted in a collection.
    #[must_use]
    pub fn of(count: usize) -> Self {
        Self::saturating(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The number of instances.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// The sum, at most [`Capacity::LARGEST`].
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::saturating(i64::from(self.0) + i64::from(other.0))
    }

    /// The difference, at least 0.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A share in percent, from 0 upwards; 100 is the whole.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// `percent` if it is a number from 0 to 10,000.
    #[must_use]
    pub fn try_new(percent: f64) -> Option<Self> {
        (0.0..=10_000.0).contains(&percent).then_some(Self(percent))
    }

    /// The number in front of the percent sign.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// This share of `whole`, not rounded.
    #[must_use]
    pub fn of(self, whole: Capacity) -> f64 {
        f64::from(whole.get()) * self.0 / 100.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// The length of an evaluation period in whole seconds, from one second to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u32);

impl Period {
    /// The longest period that can be asked for.
    pub const LONGEST: Duration = Duration::from_hours(24);

    /// `length` if it is whole seconds, at least one and at most [`Period::LONGEST`].
    #[must_use]
    pub fn try_new(length: Duration) -> Option<Self> {
        let whole = length.subsec_nanos() == 0 && length >= Duration::from_secs(1) && length <= Self::LONGEST;
        if whole { u32::try_from(length.as_secs()).ok().map(Self) } else { None }
    }

    /// Its length in seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::from(self.0)
    }

    /// Its length.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

/// A moment, in whole seconds since 1970-01-01T00:00:00Z: finer than any window needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The moment `seconds` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// The moment `since` after 1970-01-01T00:00:00Z, its fraction of a second dropped.
    #[must_use]
    pub fn since_1970(since: Duration) -> Self {
        Self(0).after(since)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0
    }

    /// The newest multiple of `period` that is not later than this moment.
    #[must_use]
    pub fn floor(self, period: Period) -> Self {
        Self(self.0 - self.0.rem_euclid(period.seconds()))
    }

    /// This moment plus `duration`, whose fraction of a second is dropped.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// This moment less `duration`, whose fraction of a second is dropped.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is later than this moment.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment that an RFC 3339 text names, its fraction of a second dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_second()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(at) => at.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}

/// Defines names: texts that are cheap to clone.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps `text`, cheap to clone from then on.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

names! {
    /// An EC2 instance id, such as `i-0123456789abcdef0`.
    InstanceId,
    /// The name of an Auto Scaling group.
    GroupName,
    /// The name of a fleet in the configuration.
    FleetName,
    /// The name of a policy in the configuration.
    PolicyName,
    /// An AWS region, such as `us-east-1`.
    Region,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_rounded_down_to_its_grid_point() {
        let minute = Period::try_new(Duration::from_mins(1)).expect("a minute is a period");
        assert_eq!(Time::from_unix(119).floor(minute), Time::from_unix(60));
        assert_eq!(Time::from_unix(120).floor(minute), Time::from_unix(120));
        assert_eq!(Time::from_unix(-1).floor(minute), Time::from_unix(-60));
    }

    #[test]
    fn a_moment_survives_the_way_through_its_text() {
        let at = Time::from_unix(1_790_000_000);
        assert_eq!(at.to_string(), "2026-09-21T14:13:20Z");
        assert_eq!(Time::parse(&at.to_string()), Some(at));
        assert_eq!(Time::parse("yesterday"), None);
    }

    #[test]
    fn quantities_refuse_what_they_cannot_be() {
        assert_eq!(Capacity::try_new(100_001), None);
        assert_eq!(Capacity::saturating(-3), Capacity::ZERO);
        assert_eq!(Percent::try_new(f64::NAN), None);
        assert_eq!(Percent::try_new(-1.0), None);
        assert_eq!(Period::try_new(Duration::from_millis(1500)), None);
        assert_eq!(Period::try_new(Duration::ZERO), None);
    }
}
