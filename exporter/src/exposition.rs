//! Writes readings as text in both formats. A family of several targets is written once, with one HELP and one TYPE.

use std::fmt::Write as _;
use std::time::Duration;

use jitsi_web::exposition::Format;

use crate::component::Component;
use crate::sample::{Family, Histogram, Kind, Label, Sample, Unit, Value};
use crate::table::{Reading, Table};

/// The outcome of one target.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'o> {
    /// The component of the target.
    pub component: Component,
    /// Value of the label `target`, if the metrics have it.
    pub target: Option<&'o str>,
    /// The samples; `None` if the scrape failed.
    pub reading: Option<&'o Reading>,
    /// The duration of the scrape.
    pub took: Duration,
}

/// Estimated length of a line after the name: label, value and line break.
const BYTES_PER_VALUE: usize = 24;

/// Estimated length of a line of a histogram.
const BYTES_PER_BUCKET: usize = 56;

/// Estimated length of everything else: the metrics of scrape and probe, and the end.
const BYTES_OF_OWN: usize = 1024;

/// The metrics of all targets. In OpenMetrics, [`end`] must follow.
#[must_use]
pub fn targets(outcomes: &[Outcome<'_>], format: Format) -> String {
    // Reserving avoids copies of the text, which would take as long as writing it.
    let length: usize = outcomes.iter().map(|outcome| estimated_length(outcome, format)).sum();
    let text = String::with_capacity(length + BYTES_OF_OWN);
    let mut writer = Writer { text, format };
    for component in Component::ALL {
        let of: Vec<&Outcome<'_>> =
            outcomes.iter().filter(|outcome| outcome.component == component).collect();
        if !of.is_empty() {
            writer.component(component, &of);
        }
    }
    writer.text
}

/// Estimated length of the samples of an outcome, in bytes.
fn estimated_length(outcome: &Outcome<'_>, format: Format) -> usize {
    let of = |table: &'static Table, samples: &[Sample]| -> usize {
        let heads = heads(table);
        let one = |sample: &Sample| match &sample.value {
            Value::Number(_) => BYTES_PER_VALUE,
            Value::Histogram(histogram) => (histogram.cumulative.len() + 3) * BYTES_PER_BUCKET,
        };
        samples.iter().map(|sample| heads[sample.family][format as usize].len() + one(sample)).sum()
    };
    let compat = outcome.component.compat_table();
    outcome.reading.map_or(0, |reading| {
        of(outcome.component.table(), &reading.samples) + compat.map_or(0, |table| of(table, &reading.compat))
    })
}

/// The metrics about a probe.
#[must_use]
pub fn probe(success: bool, took: Duration, format: Format) -> String {
    let mut writer = Writer { text: String::with_capacity(BYTES_OF_OWN / 2), format };
    let successful = gauge("probe_success", "Whether the statistics were fetched and understood.", None);
    let duration = gauge("probe_duration_seconds", "How long the probe took.", Some(Unit::Seconds));
    for (family, value) in [(successful, f64::from(success)), (duration, took.as_secs_f64())] {
        writer.head(&family);
        writer.text.push_str(family.name);
        writer.number([None; 2], value);
    }
    writer.text
}

fn gauge(name: &'static str, help: &'static str, unit: Option<Unit>) -> Family {
    Family { name, help: help.into(), kind: Kind::Gauge, unit }
}

/// The end of a response in `format`, unless an encoded registry ends it.
#[must_use]
pub fn end(format: Format) -> &'static str {
    match format {
        Format::OpenMetrics100 => "# EOF\n",
        Format::Text004 => "",
    }
}

/// The families about scraping a component: whether it is up, and the duration.
#[must_use]
pub fn own_families(component: Component) -> [Family; 2] {
    let (up, took) = match component {
        Component::Jvb => ("jvb_up", "jvb_scrape_duration_seconds"),
        Component::Jicofo => ("jicofo_up", "jicofo_scrape_duration_seconds"),
        Component::Jibri => ("jibri_up", "jibri_scrape_duration_seconds"),
    };
    [
        gauge(up, "Whether the statistics were fetched and understood at this scrape.", None),
        gauge(took, "How long fetching the statistics took.", Some(Unit::Seconds)),
    ]
}

/// The text in front of the samples of each family, by `Format as usize`. It is longer than the samples and never changes, so
/// it is written once.
fn heads(table: &Table) -> &[[String; 2]] {
    table.heads(|family| [Format::OpenMetrics100, Format::Text004].map(|format| head(family, format)))
}

/// HELP, TYPE and (in OpenMetrics) UNIT of a family, followed by the name of its first sample.
fn head(family: &Family, format: Format) -> String {
    let mut writer = Writer { text: String::new(), format };
    writer.head(family);
    writer.text.push_str(family.name);
    writer.text
}

struct Writer {
    text: String,
    format: Format,
}

impl Writer {
    fn component(&mut self, component: Component, outcomes: &[&Outcome<'_>]) {
        let [up, took] = own_families(component);
        self.head(&up);
        for outcome in outcomes {
            self.text.push_str(up.name);
            self.number([target(outcome.target), None], f64::from(outcome.reading.is_some()));
        }
        self.head(&took);
        for outcome in outcomes {
            self.text.push_str(took.name);
            self.number([target(outcome.target), None], outcome.took.as_secs_f64());
        }
        self.families(component.table(), outcomes, |reading| &reading.samples);
        if let Some(table) = component.compat_table() {
            self.families(table, outcomes, |reading| &reading.compat);
        }
    }

    fn families(&mut self, table: &Table, outcomes: &[&Outcome<'_>], of: fn(&Reading) -> &[Sample]) {
        // Samples are sorted by family, so each target's samples are read once from the first to the last.
        let mut left: Vec<(Option<&str>, &[Sample])> =
            outcomes.iter().filter_map(|outcome| Some((outcome.target, of(outcome.reading?)))).collect();
        let (families, heads) = (table.families(), heads(table));
        while let Some(next) = left.iter().filter_map(|(_, samples)| Some(samples.first()?.family)).min() {
            let family = &families[next];
            let mut before = heads[next][self.format as usize].as_str();
            for (target, samples) in &mut left {
                while let Some((sample, rest)) =
                    samples.split_first().filter(|(sample, _)| sample.family == next)
                {
                    self.sample(before, family, *target, sample);
                    before = family.name;
                    *samples = rest;
                }
            }
        }
    }

    fn head(&mut self, family: &Family) {
        let (name, kind) = match (self.format, family.kind) {
            // Counters of the systemli exporter without `_total` are not valid counters in OpenMetrics.
            (Format::OpenMetrics100, Kind::Counter) if family.base_name() == family.name => {
                (family.name, "unknown")
            }
            (Format::OpenMetrics100, Kind::Counter) => (family.base_name(), "counter"),
            (Format::OpenMetrics100, Kind::Info) => (family.base_name(), "info"),
            (Format::OpenMetrics100, Kind::Unknown) => (family.name, "unknown"),
            (Format::Text004, Kind::Counter) => (family.name, "counter"),
            (Format::Text004, Kind::Unknown) => (family.name, "untyped"),
            (_, Kind::Info | Kind::Gauge) => (family.name, "gauge"),
            (_, Kind::Histogram) => (family.name, "histogram"),
        };
        for piece in ["# HELP ", name, " ", &family.help, "\n# TYPE ", name, " ", kind, "\n"] {
            self.text.push_str(piece);
        }
        if let (Format::OpenMetrics100, Some(unit)) = (self.format, family.unit) {
            for piece in ["# UNIT ", name, " ", unit.as_str(), "\n"] {
                self.text.push_str(piece);
            }
        }
    }

    /// Writes a sample after `before`, which ends with the family's name.
    fn sample(&mut self, before: &str, family: &Family, of: Option<&str>, sample: &Sample) {
        let labels = [target(of), sample.label.as_ref().map(borrowed)];
        match &sample.value {
            Value::Number(value) => {
                self.text.push_str(before);
                self.number(labels, *value);
            }
            Value::Histogram(histogram) => {
                self.text.push_str(&before[..before.len() - family.name.len()]);
                self.histogram(family.name, labels, histogram);
            }
        }
    }

    fn histogram(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        let start = self.text.len();
        self.text.push_str(name);
        self.text.push_str("_bucket");
        let separator = self.labels(labels);
        self.text.push(separator);
        self.text.push_str("le=\"");
        // Every bucket's line begins with this text.
        let begin = start..self.text.len();
        for (le, count) in &histogram.cumulative {
            // OpenMetrics requires a fraction, and Prometheus 3 adds one in both formats.
            match whole(*le) {
                Some(whole) => {
                    self.text.push_str(itoa::Buffer::new().format(whole));
                    self.text.push_str(".0\"} ");
                }
                None => write!(self.text, "{le:?}\"}} ").expect("writing to a string cannot fail"),
            }
            self.value(*count);
            self.text.push('\n');
            self.text.extend_from_within(begin.clone());
        }
        self.text.push_str("+Inf\"} ");
        self.value(histogram.count);
        self.text.push('\n');
        if let Some(sum) = histogram.sum {
            for (suffix, value) in [("_sum", sum), ("_count", histogram.count)] {
                self.text.push_str(name);
                self.text.push_str(suffix);
                self.number(labels, value);
            }
        }
    }

    /// Writes the part of a line after the name: labels and value.
    fn number(&mut self, labels: Labels<'_>, value: f64) {
        if labels != [None; 2] {
            self.labels(labels);
            self.text.push('}');
        }
        self.text.push(' ');
        self.value(value);
        self.text.push('\n');
    }

    /// Writes labels, and returns the separator for a further label.
    fn labels(&mut self, labels: Labels<'_>) -> char {
        let mut separator = '{';
        for (name, value) in labels.into_iter().flatten() {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escaped(value);
            self.text.push('"');
            separator = ',';
        }
        separator
    }

    fn escaped(&mut self, value: &str) {
        // Few values contain a character to escape.
        if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
            return self.text.push_str(value);
        }
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                _ => self.text.push(character),
            }
        }
    }

    fn value(&mut self, value: f64) {
        if let Some(whole) = whole(value) {
            return match u8::try_from(whole) {
                // Half of all numbers have one digit.
                Ok(digit @ 0..=9) => self.text.push(char::from(b'0' + digit)),
                _ => self.text.push_str(itoa::Buffer::new().format(whole)),
            };
        }
        let size = value.abs();
        if (1e-4..EXACT).contains(&size) {
            // Writes the shortest digits, as `write!` below, in a third of the time. Outside of these bounds it would use an
            // exponent too early.
            return self.text.push_str(zmij::Buffer::new().format_finite(value));
        }
        let written = if size.is_finite() && !(1e-6..1e17).contains(&size) {
            write!(self.text, "{value:e}")
        } else {
            write!(self.text, "{value}")
        };
        written.expect("writing to a string cannot fail");
    }
}

/// 2^53, up to which an `f64` represents every integer exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value as an integer, as most values are. Integers are written several times faster.
#[expect(clippy::cast_possible_truncation, reason = "a value that does not fit differs afterwards")]
#[expect(clippy::float_cmp, reason = "the comparison must be exact")]
fn whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    (whole as f64 == value && value.abs() <= EXACT).then_some(whole)
}

type Labels<'l> = [Option<(&'l str, &'l str)>; 2];

fn target(target: Option<&str>) -> Option<(&str, &str)> {
    target.map(|target| ("target", target))
}

fn borrowed(label: &Label) -> (&str, &str) {
    (label.0, &label.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    fn written(write: impl FnOnce(&mut Writer)) -> String {
        let mut writer = Writer { text: String::new(), format: Format::Text004 };
        write(&mut writer);
        writer.text
    }

    #[test_case(0.0, "0" ; "nothing")]
    #[test_case(42.0, "42" ; "whole")]
    #[test_case(-3.0, "-3" ; "less than nothing")]
    #[test_case(9_007_199_254_740_992.0, "9007199254740992" ; "the last that is exact")]
    #[test_case(1e20, "1e20" ; "large")]
    #[test_case(0.1, "0.1" ; "a fraction")]
    #[test_case(6.183_674_922_412_229e-5, "0.00006183674922412229" ; "a small one")]
    #[test_case(1e-9, "1e-9" ; "a very small one")]
    #[test_case(1_729_738_047.605, "1729738047.605" ; "a time")]
    fn numbers(value: f64, expected: &str) {
        assert_eq!(written(|writer| writer.value(value)), expected);
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_what_they_were(value in prop::num::f64::NORMAL, scaled in -1e16..1e16_f64) {
            for value in [value, scaled, scaled / 1e14, scaled / 1e20] {
                let text = written(|writer| writer.value(value));
                let is_plain = value == 0.0 || (1e-6..1e17).contains(&value.abs());
                let expected = if is_plain { format!("{value}") } else { format!("{value:e}") };
                // The last digit may be another one where two are as near, and nothing has no sign.
                prop_assert_eq!(text.parse::<f64>(), Ok(value));
                prop_assert!(text.len() == expected.len() || text == "0", "{} {}", text, expected);
            }
        }
    }

    #[test_case("plain", "plain" ; "plain")]
    #[test_case("a\"b", "a\\\"b" ; "a quote")]
    #[test_case("\\", "\\\\" ; "a backslash")]
    #[test_case("a\nb\n", "a\\nb\\n" ; "line breaks")]
    #[test_case("\u{0}é", "\u{0}é" ; "everything else stays")]
    fn label_values(value: &str, expected: &str) {
        assert_eq!(written(|writer| writer.escaped(value)), expected);
    }

    #[test]
    fn a_histogram_without_a_sum_has_buckets_only() {
        let histogram = Histogram { cumulative: vec![(0.0, 1.0)], count: 3.0, sum: None };
        let text = written(|writer| writer.histogram("h", [Some(("a", "b")), None], &histogram));
        assert_eq!(text, "h_bucket{a=\"b\",le=\"0.0\"} 1\nh_bucket{a=\"b\",le=\"+Inf\"} 3\n");
    }

    #[test]
    fn a_component_that_is_down_still_has_its_head() {
        let outcome =
            |target| Outcome { component: Component::Jibri, target, reading: None, took: Duration::ZERO };
        let expected = "\
# HELP jibri_up Whether the statistics were fetched and understood at this scrape.
# TYPE jibri_up gauge
jibri_up{target=\"a\"} 0
jibri_up{target=\"b\"} 0
# HELP jibri_scrape_duration_seconds How long fetching the statistics took.
# TYPE jibri_scrape_duration_seconds gauge
jibri_scrape_duration_seconds{target=\"a\"} 0
jibri_scrape_duration_seconds{target=\"b\"} 0
";
        assert_eq!(targets(&[outcome(Some("a")), outcome(Some("b"))], Format::Text004), expected);
    }
}
