//! From what was read to text, in both formats. Families of one component stand together even when
//! several targets have them, each with its HELP and TYPE once.

use std::fmt::Write as _;
use std::time::Duration;

use jitsi_web::exposition::Format;

use crate::component::Component;
use crate::sample::{Family, Histogram, Kind, Label, Sample, Unit, Value};
use crate::table::{Reading, Table};

/// What came of one target.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'o> {
    /// What is there.
    pub component: Component,
    /// Value of the label `target`, where it needs one.
    pub target: Option<&'o str>,
    /// What was read, unless it failed.
    pub reading: Option<&'o Reading>,
    /// How long it took.
    pub took: Duration,
}

/// A metric line takes some 60 bytes, HELP and TYPE up to three times as much.
const BYTES_PER_SAMPLE: usize = 256;

/// All metrics of all targets. In OpenMetrics the end is still to be written.
#[must_use]
pub fn targets(outcomes: &[Outcome<'_>], format: Format) -> String {
    let samples: usize = outcomes
        .iter()
        .filter_map(|outcome| outcome.reading)
        .map(|reading| reading.samples.len() + reading.compat.len())
        .sum();
    let text = String::with_capacity((samples + 8) * BYTES_PER_SAMPLE);
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

/// The metrics of a probe itself.
#[must_use]
pub fn probe(success: bool, took: Duration, format: Format) -> String {
    let mut writer = Writer { text: String::new(), format };
    let gauge = |name, help: &'static str, unit| Family { name, help: help.into(), kind: Kind::Gauge, unit };
    let success_family = gauge("probe_success", "Whether the statistics were fetched and understood.", None);
    writer.number(&success_family, f64::from(success));
    let duration = gauge("probe_duration_seconds", "How long the probe took.", Some(Unit::Seconds));
    writer.number(&duration, took.as_secs_f64());
    writer.text
}

/// What ends an answer in `format`, unless a registry does it.
#[must_use]
pub fn end(format: Format) -> &'static str {
    match format {
        Format::OpenMetrics100 => "# EOF\n",
        Format::Text004 => "",
    }
}

/// The families of a component that are about fetching it: up, and how long it took.
#[must_use]
pub fn own_families(component: Component) -> [Family; 2] {
    let (up, took) = match component {
        Component::Jvb => ("jvb_up", "jvb_scrape_duration_seconds"),
        Component::Jicofo => ("jicofo_up", "jicofo_scrape_duration_seconds"),
        Component::Jibri => ("jibri_up", "jibri_scrape_duration_seconds"),
    };
    let family = |name, help: &'static str, unit| Family { name, help: help.into(), kind: Kind::Gauge, unit };
    [
        family(up, "Whether the statistics were fetched and understood at this scrape.", None),
        family(took, "How long fetching the statistics took.", Some(Unit::Seconds)),
    ]
}

/// HELP and TYPE of a family, and its UNIT where the format has one.
fn head(family: &Family, format: Format) -> String {
    let mut writer = Writer { text: String::new(), format };
    writer.head(family);
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
            let is_up = f64::from(outcome.reading.is_some());
            self.line(up.name, "", [target(outcome.target), None, None], is_up);
        }
        self.head(&took);
        for outcome in outcomes {
            self.line(took.name, "", [target(outcome.target), None, None], outcome.took.as_secs_f64());
        }
        self.families(component.table(), outcomes, |reading| &reading.samples);
        if let Some(table) = component.compat_table() {
            self.families(table, outcomes, |reading| &reading.compat);
        }
    }

    fn families(&mut self, table: &Table, outcomes: &[&Outcome<'_>], of: fn(&Reading) -> &[Sample]) {
        // Samples are in the order of families: each target is read to its end once.
        let mut left: Vec<(Option<&str>, &[Sample])> =
            outcomes.iter().filter_map(|outcome| Some((outcome.target, of(outcome.reading?)))).collect();
        let families = table.families();
        let heads = table
            .heads(|family| [Format::Text004, Format::OpenMetrics100].map(|format| head(family, format)));
        while let Some(next) = left.iter().filter_map(|(_, samples)| Some(samples.first()?.family)).min() {
            let family = &families[next];
            let [text, open_metrics] = &heads[next];
            self.text.push_str(match self.format {
                Format::Text004 => text,
                Format::OpenMetrics100 => open_metrics,
            });
            for (target, samples) in &mut left {
                while let Some((sample, rest)) =
                    samples.split_first().filter(|(sample, _)| sample.family == next)
                {
                    self.sample(family, *target, sample);
                    *samples = rest;
                }
            }
        }
    }

    fn number(&mut self, family: &Family, value: f64) {
        self.head(family);
        self.line(family.name, "", [None; 3], value);
    }

    fn head(&mut self, family: &Family) {
        let (name, kind) = match (self.format, family.kind) {
            // Another exporter's counter without the suffix cannot be one there.
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

    fn sample(&mut self, family: &Family, of: Option<&str>, sample: &Sample) {
        let labels = [target(of), sample.label.as_ref().map(borrowed), None];
        match &sample.value {
            Value::Number(value) => self.line(family.name, "", labels, *value),
            Value::Histogram(histogram) => self.histogram(family.name, labels, histogram),
        }
    }

    fn histogram(&mut self, name: &str, [target, label, _]: Labels<'_>, histogram: &Histogram) {
        let mut bound = String::new();
        for (le, count) in &histogram.cumulative {
            bound.clear();
            // OpenMetrics wants a fraction, and Prometheus 3 writes one whichever format it reads.
            let written = match whole(*le) {
                Some(whole) => write!(bound, "{whole}.0"),
                None => write!(bound, "{le:?}"),
            };
            written.expect("a string takes every write");
            self.line(name, "_bucket", [target, label, Some(("le", &bound))], *count);
        }
        self.line(name, "_bucket", [target, label, Some(("le", "+Inf"))], histogram.count);
        if let Some(sum) = histogram.sum {
            self.line(name, "_sum", [target, label, None], sum);
            self.line(name, "_count", [target, label, None], histogram.count);
        }
    }

    fn line(&mut self, name: &str, suffix: &str, labels: Labels<'_>, value: f64) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut separator = '{';
        for (name, value) in labels.into_iter().flatten() {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escaped(value);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
        self.value(value);
        self.text.push('\n');
    }

    fn escaped(&mut self, value: &str) {
        // Hardly any value has anything to escape.
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
            self.text.push_str(itoa::Buffer::new().format(whole));
            return;
        }
        let size = value.abs();
        let written = if size.is_finite() && !(1e-6..1e17).contains(&size) {
            write!(self.text, "{value:e}")
        } else {
            write!(self.text, "{value}")
        };
        written.expect("a string takes every write");
    }
}

/// The value as a whole number, which most are, and which are written several times as fast.
#[expect(clippy::cast_possible_truncation, reason = "up to 2^53 every whole number is exact")]
fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

type Labels<'l> = [Option<(&'l str, &'l str)>; 3];

fn target(target: Option<&str>) -> Option<(&str, &str)> {
    target.map(|target| ("target", target))
}

fn borrowed(label: &Label) -> (&str, &str) {
    (label.0, &label.1)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let text = written(|writer| writer.histogram("h", [Some(("a", "b")), None, None], &histogram));
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
