//! Several expressions in one request: each series of the answer has a label with the number of its expression.
//!
//! A set operation keeps every series as it is, so an answer says the same as answers to the expressions
//! apart.

use super::labels::PART;
use super::metrics::Labelled;

/// An expression that yields the series of all these, which must yield vectors.
pub(super) fn merged(exprs: &[&str]) -> String {
    let numbered = exprs
        .iter()
        .enumerate()
        .map(|(number, expr)| format!(r#"label_replace({expr}, "{PART}", "{number}", "", "")"#));
    numbered.collect::<Vec<_>>().join(" or ")
}

/// The series of each of so many expressions that were [`merged`]. `None` if a series belongs to none of them.
pub(super) fn split(answer: Vec<Labelled>, count: usize) -> Option<Vec<Vec<Labelled>>> {
    let mut parts = vec![Vec::new(); count];
    for series in answer {
        let number: usize = series.label(PART)?.parse().ok()?;
        parts.get_mut(number)?.push(series);
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::super::prepared::labelled;
    use super::*;

    #[test]
    fn each_series_goes_to_its_expression() {
        assert_eq!(
            merged(&["a", "b and c"]),
            r#"label_replace(a, "jitsi_scaler_part", "0", "", "") or label_replace(b and c, "jitsi_scaler_part", "1", "", "")"#
        );
        let series = |part: &str, value| labelled(&[("x", "y"), (PART, part)], &[(60.0, value)]);
        let answer = vec![series("1", 1.0), series("0", 2.0), series("1", 3.0)];
        let parts = vec![vec![series("0", 2.0)], vec![series("1", 1.0), series("1", 3.0)]];
        assert_eq!(split(answer, 2), Some(parts));
        assert_eq!(split(Vec::new(), 2), Some(vec![Vec::new(), Vec::new()]));
        for wrong in [series("2", 1.0), series("x", 1.0), labelled(&[("x", "y")], &[])] {
            assert_eq!(split(vec![wrong], 2), None);
        }
    }
}
