//! Reads the histograms of integers in Jitsi's JSON: arrays whose element i counts the items of size i, and objects of
//! half-open buckets that are not cumulative.

use crate::json::{Json, Object};
use crate::sample::Histogram;

/// Reads an array. Its last element counts the items of that size or more. `None` if it is empty, or an element is not a
/// count.
#[must_use]
pub fn from_slots(slots: &[Json<'_>]) -> Option<Histogram> {
    let (last, sized) = slots.split_last()?;
    let mut sum = 0.0;
    let mut counts = Vec::with_capacity(slots.len());
    for (size, slot) in sized.iter().enumerate() {
        let count = slot.number()?;
        sum += size as f64 * count;
        counts.push((size as f64, count));
    }
    let last = last.number()?;
    counts.push((f64::INFINITY, last));
    // Items in the last slot may be larger than its index, so the sum is unknown if there are any.
    Histogram::from_counts(counts, (last == 0.0).then_some(sum))
}

/// Reads an object in either of Jitsi's two styles. `None` if it has no bucket, or a bucket is not a count.
#[must_use]
pub fn from_buckets(object: &Object<'_>) -> Option<Histogram> {
    let buckets = object.object("buckets").unwrap_or(object);
    let mut counts = Vec::new();
    // Members without a bound are percentiles, or other statistics in the older style.
    for (bound, count) in buckets.members().filter_map(|(name, count)| Some((bound(name)?, count))) {
        counts.push((bound, count.number()?));
    }
    if counts.is_empty() {
        return None;
    }
    Histogram::from_counts(counts, object.get("total_value").and_then(Json::number))
}

/// The inclusive upper bound of a bucket of integers: `3_to_5` contains 3 and 4.
fn bound(name: &str) -> Option<f64> {
    let whole = |text: &str| text.parse::<i64>().ok().map(|number| number as f64);
    if let Some((from, to)) = name.split_once("_to_") {
        whole(from)?;
        return if to == "max" { Some(f64::INFINITY) } else { whole(to).map(|to| to - 1.0) };
    }
    if let Some(bound) = name.strip_prefix("<= ") {
        return whole(bound);
    }
    name.strip_prefix("> ").and_then(whole).map(|_| f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use test_case::test_case;

    fn read(text: &str) -> Option<Histogram> {
        match parse(text.as_bytes()).expect("json") {
            Json::Array(slots) => from_slots(&slots),
            Json::Object(object) => from_buckets(&object),
            other => panic!("{other:?}"),
        }
    }

    #[test_case("[1, 0, 2, 0]", &[(0.0, 1.0), (1.0, 1.0), (2.0, 3.0)], 3.0, Some(4.0) ; "slots")]
    #[test_case("[1, 0, 2, 1]", &[(0.0, 1.0), (1.0, 1.0), (2.0, 3.0)], 4.0, None ; "slots, one of unknown size")]
    #[test_case(r#"{"total_value": 7, "buckets": {"3_to_5": 1, "0_to_1": 2, "1_to_3": 2, "5_to_max": 0, "p99_upper_bound": -1}}"#, &[(0.0, 2.0), (2.0, 4.0), (4.0, 5.0)], 5.0, Some(7.0) ; "half-open buckets out of order")]
    #[test_case(r#"{"total_value": 3, "buckets": {"<= 0": 1, "<= 1": 1, "<= 2": 1, "> 2": 0, "p99<=": 2}}"#, &[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)], 3.0, Some(3.0) ; "the older style")]
    #[test_case(r#"{"<= 0": 1, "> 0": 2, "total_value": 9, "average": "NaN"}"#, &[(0.0, 1.0)], 3.0, Some(9.0) ; "the older style without an object of its own")]
    fn distributions(text: &str, cumulative: &[(f64, f64)], count: f64, sum: Option<f64>) {
        let histogram = read(text).expect("a histogram");
        assert_eq!(histogram.cumulative, cumulative);
        assert_eq!((histogram.count, histogram.sum), (count, sum));
    }

    #[test_case("[]" ; "no slot")]
    #[test_case("[1, \"x\"]" ; "a slot that is no number")]
    #[test_case("[1, -1]" ; "less than none")]
    #[test_case("{}" ; "no bucket")]
    #[test_case("{\"buckets\": {\"0_to_1\": null}}" ; "a bucket that is no number")]
    fn invalid_distributions_are_refused(text: &str) {
        assert_eq!(read(text), None);
    }
}
