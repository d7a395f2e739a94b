//! From what was read to text, in both formats. Families of one component stand together even when
//! several targets have them, each with its HELP and TYPE once.

use std::fmt::Write as _;
use std::time::Duration;

use jitsi_web::exposition::Format;

use crate::component::Component;
use crate::sample::{Family, Histogram, Kind, Label, Sample, Unit, Value};
use crate::table::Reading;

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

/// A metric line takes some 60 bytes, HELP and TYPE twice as much.
const BYTES_PER_SAMPLE: usize = 200;

/// All metrics of all targets. In OpenMetrics the end is still to be written.
#[must_use]
pub fn targets(outcomes: &[Outcome<'_>], format: Format) -> String {
    let samples: usize = outcomes.iter().filter_map(|outcome| Some(outcome.reading?.samples.len())).sum();
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
        // Samples are in the order of families: each target is read to its end once.
        let mut left: Vec<(Option<&str>, &[Sample])> = outcomes
            .iter()
            .filter_map(|outcome| Some((outcome.target, &*outcome.reading?.samples)))
            .collect();
        let families = component.table().families();
        while let Some(next) = left.iter().filter_map(|(_, samples)| Some(samples.first()?.family)).min() {
            let family = &families[next];
            self.head(family);
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
            (Format::OpenMetrics100, Kind::Counter) => (family.base_name(), "counter"),
            (Format::OpenMetrics100, Kind::Info) => (family.base_name(), "info"),
            (Format::OpenMetrics100, Kind::Unknown) => (family.name, "unknown"),
            (Format::Text004, Kind::Counter) => (family.name, "counter"),
            (Format::Text004, Kind::Unknown) => (family.name, "untyped"),
            (_, Kind::Info | Kind::Gauge) => (family.name, "gauge"),
            (_, Kind::Histogram) => (family.name, "histogram"),
        };
        self.push(&["# HELP ", name, " ", &family.help, "\n# TYPE ", name, " ", kind, "\n"]);
        if let (Format::OpenMetrics100, Some(unit)) = (self.format, family.unit) {
            self.push(&["# UNIT ", name, " ", unit.as_str(), "\n"]);
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
            write!(bound, "{le:?}").expect("a string takes every write");
            self.line(name, "_bucket", [target, label, Some(("le", &bound))], *count);
        }
        self.line(name, "_bucket", [target, label, Some(("le", "+Inf"))], histogram.count);
        if let Some(sum) = histogram.sum {
            self.line(name, "_sum", [target, label, None], sum);
            self.line(name, "_count", [target, label, None], histogram.count);
        }
    }

    fn line(&mut self, name: &str, suffix: &str, labels: Labels<'_>, value: f64) {
        self.push(&[name, suffix]);
        let mut separator = '{';
        for (name, value) in labels.into_iter().flatten() {
            self.text.push(separator);
            self.push(&[name, "=\""]);
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

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.text.push_str(part);
        }
    }

    fn escaped(&mut self, value: &str) {
        for part in value.split_inclusive(['\\', '"', '\n']) {
            let (plain, special) = match part.as_bytes().last() {
                Some(b'\\') => (&part[..part.len() - 1], "\\\\"),
                Some(b'"') => (&part[..part.len() - 1], "\\\""),
                Some(b'\n') => (&part[..part.len() - 1], "\\n"),
                _ => (part, ""),
            };
            self.push(&[plain, special]);
        }
    }

    fn value(&mut self, value: f64) {
        // Up to 2^53 every whole number is exact; most values are whole.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let size = value.abs();
        let written = if value.fract() == 0.0 && size <= EXACT {
            write!(self.text, "{value:.0}")
        } else if size.is_finite() && !(1e-6..1e17).contains(&size) {
            write!(self.text, "{value:e}")
        } else {
            write!(self.text, "{value}")
        };
        written.expect("a string takes every write");
    }
}

type Labels<'l> = [Option<(&'l str, &'l str)>; 3];

fn target(target: Option<&str>) -> Option<(&str, &str)> {
    target.map(|target| ("target", target))
}

fn borrowed(label: &Label) -> (&str, &str) {
    (label.0, &label.1)
}
