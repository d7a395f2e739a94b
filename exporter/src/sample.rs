//! Metric families and their samples, independent of where values come from and how they are written.

use std::borrow::Cow;

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Increases until the process restarts; the name ends with `_total`.
    Counter,
    /// Can go up and down.
    Gauge,
    /// Counts values by upper bound.
    Histogram,
    /// A text as the label of a sample with the value 1; the name ends with `_info`.
    Info,
    /// Numbers of an unknown type.
    Unknown,
}

jitsi_web::words! {
    /// The base unit that a family's name ends with, as it is written there.
    pub enum Unit {
        /// Seconds: a duration, or a Unix time.
        Seconds = "seconds",
        /// Bytes.
        Bytes = "bytes",
        /// A ratio, where 1 is the whole; some may exceed 1.
        Ratio = "ratio",
        /// Bits per second.
        BitsPerSecond = "bits_per_second",
        /// Packets per second.
        PacketsPerSecond = "packets_per_second",
    }
}

/// A metric family: samples with the same name, type and unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name of the samples, with `_total` or `_info`.
    pub name: &'static str,
    /// The meaning and the JSON key, without line breaks and backslashes.
    pub help: Cow<'static, str>,
    /// The type.
    pub kind: Kind,
    /// The unit, if the name ends with one.
    pub unit: Option<Unit>,
}

impl Family {
    /// The family's name in OpenMetrics, without `_total` and `_info`.
    #[must_use]
    pub fn base_name(&self) -> &'static str {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram | Kind::Unknown => "",
        };
        self.name.strip_suffix(suffix).unwrap_or(self.name)
    }
}

/// Name and value of the label that distinguishes the samples of a family.
pub type Label = (&'static str, Cow<'static, str>);

/// A sample of a family; a histogram is one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Position of the family in its table.
    pub family: usize,
    /// The label, if the family has one.
    pub label: Option<Label>,
    /// The value in the unit of the family.
    pub value: Value,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A histogram.
    Histogram(Box<Histogram>),
}

/// A histogram of integers.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Inclusive upper bounds in ascending order, each with the number of values up to it.
    pub cumulative: Vec<(f64, f64)>,
    /// The number of values.
    pub count: f64,
    /// The sum of the values, if it is known.
    pub sum: Option<f64>,
}

impl Histogram {
    /// A histogram of inclusive upper bounds, one of which may be infinity, and the counts of their buckets. `None` if two
    /// buckets have the same bound or a count is not an integer.
    #[must_use]
    pub fn from_counts(mut counts: Vec<(f64, f64)>, sum: Option<f64>) -> Option<Self> {
        if !counts.iter().all(|(_, count)| is_count(*count)) {
            return None;
        }
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        if counts.windows(2).any(|pair| pair[0].0.total_cmp(&pair[1].0).is_eq()) {
            return None;
        }
        let mut count = 0.0;
        for (_, in_bucket) in &mut counts {
            count += *in_bucket;
            *in_bucket = count;
        }
        counts.retain(|(bound, _)| bound.is_finite());
        Some(Self { cumulative: counts, count, sum })
    }

    /// A histogram of inclusive upper bounds, one of which must be infinity, and cumulative counts. `None` if two bounds are
    /// equal, a count is not an integer, or a count is less than that of a lower bound.
    #[must_use]
    pub fn from_cumulative(mut bounds: Vec<(f64, f64)>, sum: Option<f64>) -> Option<Self> {
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let counts = bounds.iter().all(|(_, count)| is_count(*count));
        let rises = bounds.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let (bound, count) = bounds.pop().filter(|_| counts && rises)?;
        bound.total_cmp(&f64::INFINITY).is_eq().then_some(Self { cumulative: bounds, count, sum })
    }
}

/// Whether `number` is an integer and not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number that does not fit differs afterwards"
)]
#[expect(clippy::float_cmp, reason = "the comparison must be exact")]
fn is_count(number: f64) -> bool {
    // Larger numbers have no fraction. This takes two instructions, while `fract` is a function call.
    number >= 0.0 && (number as u64 as f64 == number || (number > 1e16 && number.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_any_order_become_cumulative() {
        let counts = vec![(f64::INFINITY, 1.0), (2.0, 3.0), (0.0, 2.0)];
        let histogram = Histogram::from_counts(counts, Some(12.0)).expect("a histogram");
        assert_eq!(histogram.cumulative, [(0.0, 2.0), (2.0, 5.0)]);
        assert_eq!((histogram.count, histogram.sum), (6.0, Some(12.0)));
    }

    #[test]
    fn cumulative_counts_are_put_in_order() {
        let counts = vec![(f64::INFINITY, 3.0), (2.0, 3.0), (0.0, 2.0)];
        let histogram = Histogram::from_cumulative(counts, None).expect("a histogram");
        assert_eq!(histogram.cumulative, [(0.0, 2.0), (2.0, 3.0)]);
        assert_eq!((histogram.count, histogram.sum), (3.0, None));
    }

    #[test]
    fn invalid_cumulative_counts_are_refused() {
        for bounds in [
            vec![],
            vec![(0.0, 1.0)],
            vec![(0.0, 2.0), (f64::INFINITY, 1.0)],
            vec![(0.0, 2.0), (1.0, 1.0), (f64::INFINITY, 3.0)],
            vec![(0.0, 1.0), (0.0, 1.0), (f64::INFINITY, 1.0)],
            vec![(f64::INFINITY, f64::NAN)],
            vec![(f64::INFINITY, -1.0)],
            vec![(f64::NAN, 1.0), (f64::INFINITY, 1.0)],
            vec![(f64::INFINITY, f64::INFINITY)],
        ] {
            assert_eq!(Histogram::from_cumulative(bounds.clone(), None), None, "{bounds:?}");
        }
    }

    #[test]
    fn invalid_counts_are_refused() {
        assert_eq!(Histogram::from_counts(vec![(0.0, -1.0)], None), None);
        assert_eq!(Histogram::from_counts(vec![(0.0, 0.5)], None), None);
        assert_eq!(Histogram::from_counts(vec![(0.0, 1.0), (0.0, 1.0)], None), None);
    }
}
