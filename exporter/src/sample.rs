//! What is exported: families of metrics, their kinds and units, and samples of them. Nothing here
//! knows where a value comes from or how it is written.

use std::borrow::Cow;

/// The kind of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows until its process restarts; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
    /// A text as a label of the value 1; its name ends in `_info`.
    Info,
    /// Numbers of which nothing is known.
    Unknown,
}

/// The base unit that a family's name ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, of a length of time or since 1970.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share of 1; some may exceed it.
    Ratio,
    /// Bits in a second.
    BitsPerSecond,
    /// Packets in a second.
    PacketsPerSecond,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Seconds, Self::Bytes, Self::Ratio, Self::BitsPerSecond, Self::PacketsPerSecond];

    /// The unit as names end with it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
            Self::BitsPerSecond => "bits_per_second",
            Self::PacketsPerSecond => "packets_per_second",
        }
    }
}

/// A family: one name, one kind, one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name of its samples in text 0.0.4, with `_total` or `_info`.
    pub name: &'static str,
    /// What it is, and the JSON key that it comes from. No line break, no backslash.
    pub help: Cow<'static, str>,
    /// Its kind.
    pub kind: Kind,
    /// Its unit, where the name ends with one.
    pub unit: Option<Unit>,
}

impl Family {
    /// The name without the suffix of its kind, as OpenMetrics calls the family.
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

/// The label that tells the samples of one family apart.
pub type Label = (&'static str, Cow<'static, str>);

/// One line of a family, or, for a histogram, its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Where the family stands in its table.
    pub family: usize,
    /// Its label, where the family has one.
    pub label: Option<Label>,
    /// Its value.
    pub value: Value,
}

/// What a sample says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// Counts by upper bound.
    Histogram(Box<Histogram>),
}

/// A histogram of whole numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Inclusive upper bounds in ascending order, each with how many values are at most it.
    pub cumulative: Vec<(f64, f64)>,
    /// How many values there are.
    pub count: f64,
    /// Their sum, where it is known.
    pub sum: Option<f64>,
}

impl Histogram {
    /// From counts per bucket with their inclusive upper bounds, infinity for the one without.
    /// `None` if two buckets share a bound or a count is not a whole number.
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

    /// From how many values are at most each of some bounds, of which infinity must be one. `None`
    /// if two bounds are alike, or a count is no whole number or less than that of a lower bound.
    #[must_use]
    pub fn from_cumulative(mut bounds: Vec<(f64, f64)>, sum: Option<f64>) -> Option<Self> {
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let counts = bounds.iter().all(|(_, count)| is_count(*count));
        let rises = bounds.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let (bound, count) = bounds.pop().filter(|_| counts && rises)?;
        bound.total_cmp(&f64::INFINITY).is_eq().then_some(Self { cumulative: bounds, count, sum })
    }
}

/// Whether it is a whole number from 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what does not fit is not equal afterwards"
)]
#[expect(clippy::float_cmp, reason = "whether it is exactly the same is the question")]
fn is_count(number: f64) -> bool {
    // Larger ones have no fraction. `fract` is a call where this is two instructions.
    number >= 0.0 && (number as u64 as f64 == number || (number > 1e16 && number.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_cumulative_whatever_their_order() {
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
    fn what_cannot_be_cumulative_is_no_histogram() {
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
    fn what_cannot_be_counts_is_no_histogram() {
        assert_eq!(Histogram::from_counts(vec![(0.0, -1.0)], None), None);
        assert_eq!(Histogram::from_counts(vec![(0.0, 0.5)], None), None);
        assert_eq!(Histogram::from_counts(vec![(0.0, 1.0), (0.0, 1.0)], None), None);
    }
}
