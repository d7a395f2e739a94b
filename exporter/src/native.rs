//! Reads a component's own metrics (its `/metrics`) into samples of its table. Only metrics that a row names are used, with
//! the row's name and unit; some of the others are misleading, so they are not passed on.

use std::borrow::Cow;

use clap::ValueEnum;

use crate::json::{Json, Object};
use crate::metric_row::NativeRead;
use crate::promtext::{Labels, Line, lines};
use crate::sample::{Histogram, Kind, Label, Sample, Value};
use crate::table::{Fate, Indexed, Reading, Table, in_order};

/// Maximum number of labelled samples per reading: four metrics of a thousand bridges.
pub const MAX_LABELLED: usize = 4000;

/// Longer label values are dropped.
const MAX_LABEL_BYTES: usize = 500;

/// Maximum number of buckets per histogram. Jitsi has about twenty.
const MAX_BUCKETS: usize = 200;

/// When to read a component's own metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Of bridges whose statistics are switched off; of Jicofo and Jibri for values that their
    /// statistics lack
    #[default]
    Auto,
    /// Of every component for values that its statistics lack, with a second request
    Always,
    /// Never
    Off,
}

/// Reads the text format. Names begin with `prefix`. `report` receives each name and how it was used.
#[must_use]
pub fn read_text(table: &Table, prefix: &str, body: &str, report: impl FnMut(&str, Fate)) -> Reading {
    let mut walk = Walk::new(table, report);
    for line in lines(body) {
        if let Some(name) = line.name.strip_prefix(prefix) {
            walk.sample(Line { name, ..line });
        } else {
            (walk.report)(line.name, Fate::NotUsed);
        }
    }
    walk.finish()
}

/// Reads the JSON format, which has no labelled metrics. Its names have no prefix and, in some versions, no `_total` or
/// `_info`. `report` receives each name and how it was used.
#[must_use]
pub fn read_json(table: &Table, object: &Object<'_>, report: impl FnMut(&str, Fate)) -> Reading {
    let mut walk = Walk::new(table, report);
    for (name, value) in object.members() {
        walk.member(name, value);
    }
    walk.finish()
}

struct Walk<'t, R> {
    table: &'t Table,
    report: R,
    /// Samples with the rank of their row.
    found: Vec<(usize, Sample)>,
    histograms: Vec<Parts>,
    labelled: usize,
    reading: Reading,
}

/// The parts of a histogram that were read so far.
struct Parts {
    indexed: Indexed,
    name: &'static str,
    bounds: Vec<(f64, f64)>,
    sum: Option<f64>,
}

impl<'t, R: FnMut(&str, Fate)> Walk<'t, R> {
    fn new(table: &'t Table, report: R) -> Self {
        let (found, histograms) = (Vec::new(), Vec::new());
        Self { table, report, found, histograms, labelled: 0, reading: Reading::default() }
    }

    fn sample(&mut self, line: Line<'_>) {
        let mut fate = Fate::NotUsed;
        for (native, indexed) in self.table.natives(line.name) {
            let taken = match native.read {
                NativeRead::Number(scale) => {
                    self.number(indexed, line, native.label, scale.apply(line.value))
                }
                NativeRead::Boolean if line.value.is_nan() || matches!(line.value, 0.0 | 1.0) => {
                    self.number(indexed, line, native.label, line.value)
                }
                NativeRead::Text(name) => match line.labels.get(name) {
                    Some(text) => self.text(indexed, name, &text),
                    None => Fate::Unusable,
                },
                NativeRead::Boolean | NativeRead::Histogram => Fate::Unusable,
            };
            fate = self.known(native.name, taken);
        }
        for suffix in ["_bucket", "_sum"] {
            let Some(base) = line.name.strip_suffix(suffix) else { continue };
            for (native, indexed) in self.table.natives(base) {
                if native.read == NativeRead::Histogram {
                    let bound = line.labels.get("le").map(|bound| bound.parse().unwrap_or(f64::NAN));
                    self.part(native.name, indexed, bound, line.value);
                    fate = Fate::Exported(indexed.row.name);
                }
            }
        }
        (self.report)(line.name, fate);
    }

    fn member(&mut self, name: &str, value: &Json<'_>) {
        let has = |name: &&str| self.table.natives(name).next().is_some();
        let (counter, info) = (format!("{name}_total"), format!("{name}_info"));
        let Some(full) = [name, &counter, &info].into_iter().find(has) else {
            return (self.report)(name, Fate::NotUsed);
        };
        match value {
            Json::Number(_) | Json::Bool(_) => {
                let value = value.number().or(value.boolean().map(f64::from)).unwrap_or(f64::NAN);
                self.sample(Line { name: full, labels: Labels::default(), value });
            }
            Json::Text(text) => {
                for (native, indexed) in self.table.natives(full) {
                    let taken = match native.read {
                        NativeRead::Text(label) => self.text(indexed, label, text),
                        // NaN is a string in JSON.
                        _ if text == "NaN" => Fate::Nothing,
                        _ => Fate::Unusable,
                    };
                    let fate = self.known(native.name, taken);
                    (self.report)(name, fate);
                }
            }
            Json::Object(parts) => {
                for (native, indexed) in self.table.natives(full) {
                    for (part, value) in parts.members() {
                        let bound = part.strip_prefix("bucket_le_");
                        let bound = bound.map(|bound| bound.parse().unwrap_or(f64::NAN));
                        if bound.is_some() || part == "sum" {
                            self.part(native.name, indexed, bound, value.number().unwrap_or(f64::NAN));
                        }
                    }
                    (self.report)(name, Fate::Exported(indexed.row.name));
                }
            }
            Json::Null | Json::Array(_) => {
                for (native, _) in self.table.natives(full) {
                    let fate = self.known(native.name, Fate::Unusable);
                    (self.report)(name, fate);
                }
            }
        }
    }

    /// Records how a metric with a row was used.
    fn known(&mut self, name: &'static str, fate: Fate) -> Fate {
        self.reading.recognized = true;
        if fate == Fate::Unusable {
            self.reading.unusable.push(name);
        }
        fate
    }

    fn number(&mut self, indexed: Indexed, line: Line<'_>, theirs: Option<&str>, value: f64) -> Fate {
        let row = indexed.row;
        if !value.is_finite() {
            return Fate::Nothing;
        }
        if row.kind == Kind::Counter && value < 0.0 {
            return Fate::Unusable;
        }
        let label = match (row.label, theirs) {
            (Some(ours), Some(theirs)) => match line.labels.get(theirs) {
                Some(text) if self.has_room_for(&text) => Some((ours, Cow::Owned(text.into_owned()))),
                Some(_) => return Fate::Dropped,
                None => return Fate::Unusable,
            },
            // The row has no label, so it cannot represent one of several series.
            _ if !line.labels.is_empty() => return Fate::Unusable,
            _ => row.fixed.map(|(name, value)| (name, Cow::Borrowed(value))),
        };
        self.push(indexed, label, Value::Number(value))
    }

    fn text(&mut self, indexed: Indexed, label: &'static str, text: &str) -> Fate {
        self.push(indexed, Some((label, Cow::Owned(text.to_owned()))), Value::Number(1.0))
    }

    fn push(&mut self, indexed: Indexed, label: Option<Label>, value: Value) -> Fate {
        self.found.push((indexed.rank, Sample { family: indexed.family, label, value }));
        Fate::Exported(indexed.row.name)
    }

    fn has_room_for(&mut self, label: &str) -> bool {
        self.labelled += 1;
        self.labelled <= MAX_LABELLED && label.len() <= MAX_LABEL_BYTES
    }

    /// Records a bucket, or the sum if there is no bound.
    fn part(&mut self, name: &'static str, indexed: Indexed, bound: Option<f64>, value: f64) {
        self.reading.recognized = true;
        let known = self.histograms.iter().position(|parts| parts.indexed.rank == indexed.rank);
        let at = known.unwrap_or_else(|| {
            self.histograms.push(Parts { indexed, name, bounds: Vec::new(), sum: None });
            self.histograms.len() - 1
        });
        let parts = &mut self.histograms[at];
        match bound {
            None => parts.sum = Some(value).filter(|sum| sum.is_finite()),
            Some(bound) if parts.bounds.len() < MAX_BUCKETS => parts.bounds.push((bound, value)),
            Some(_) => {}
        }
    }

    fn finish(mut self) -> Reading {
        for parts in std::mem::take(&mut self.histograms) {
            match Histogram::from_cumulative(parts.bounds, parts.sum) {
                Some(histogram) => {
                    self.push(parts.indexed, None, Value::Histogram(Box::new(histogram)));
                }
                None => self.reading.unusable.push(parts.name),
            }
        }
        Reading { samples: in_order(self.found), ..self.reading }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use crate::metric_row::{MetricRow, Scale, boolean, counter, gauge, sizes, text};
    use crate::sample::Unit;

    const ROWS: &[MetricRow] = &[
        text("region", "x_region_info", "Region.").native("region_info"),
        boolean("drain", "x_draining", "Draining.").native("drain_mode"),
        gauge("rate", "x_bits_per_second", "Rate.")
            .in_unit(Unit::BitsPerSecond, Scale::Kilo)
            .native_in_base_unit("bitrate"),
        gauge("rtt", "x_rtt_seconds", "Round trip.").in_unit(Unit::Seconds, Scale::Milli).native("rtt"),
        gauge("participants", "x_participants", "All.").native("current"),
        gauge("endpoints", "x_endpoints", "All, too.").native("current"),
        counter("remb", "x_remb_total", "Sent REMB.").native("remb"),
        counter("created", "x_created_total", "Created.").native("created_total"),
        sizes("sizes", "x_size", "Sizes.").native("by_size"),
        counter("", "x_bridge_moves_total", "Moves.").native_by("moves_total", "jvb", "bridge"),
    ];

    fn shown(table: &Table, reading: &Reading) -> Vec<String> {
        let line = |sample: &Sample| {
            let label = sample.label.as_ref().map(|(name, value)| format!("{{{name}={value}}}"));
            let name = table.families()[sample.family].name;
            match &sample.value {
                Value::Number(value) => format!("{name}{} {value}", label.unwrap_or_default()),
                Value::Histogram(it) => format!("{name} {:?} {} {:?}", it.cumulative, it.count, it.sum),
            }
        };
        reading.samples.iter().map(line).collect()
    }

    fn read(body: &str) -> (Vec<String>, Reading) {
        let table = Table::new(&[ROWS], "x_unknown");
        let reading = read_text(&table, "jitsi_", body, |_, _| {});
        (shown(&table, &reading), reading)
    }

    #[test]
    fn samples_have_the_names_units_and_types_of_the_rows() {
        let (samples, reading) = read(
            "jitsi_region_info{region=\"eu\"} 1.0\njitsi_drain_mode 1.0\njitsi_bitrate 5000.0\njitsi_rtt 20.5\n\
             jitsi_current 7.0\njitsi_remb 3\njitsi_created_total 9.0\njitsi_created_created 1.7E9\n\
             jitsi_by_size_bucket{le=\"0.0\"} 1.0\njitsi_by_size_bucket{le=\"+Inf\"} 3.0\njitsi_by_size_count 3.0\n\
             jitsi_by_size_sum 12.0\njitsi_by_size_created 1.7E9\njitsi_moves_total{jvb=\"b-1\"} 4\n\
             jitsi_moves_total{jvb=\"b-2\"} 5\njitsi_other 1\ncreated_total 8",
        );
        let expected = [
            "x_region_info{region=eu} 1",
            "x_draining 1",
            "x_bits_per_second 5000",
            "x_rtt_seconds 0.0205",
            "x_participants 7",
            "x_endpoints 7",
            "x_remb_total 3",
            "x_created_total 9",
            "x_size [(0.0, 1.0)] 3 Some(12.0)",
            "x_bridge_moves_total{bridge=b-1} 4",
            "x_bridge_moves_total{bridge=b-2} 5",
        ];
        assert_eq!(samples, expected);
        assert!(reading.recognized && reading.unusable.is_empty(), "{reading:?}");
    }

    #[test]
    fn missing_values_are_omitted_and_unusable_ones_recorded() {
        let (samples, reading) = read(
            "jitsi_rtt NaN\njitsi_bitrate +Inf\njitsi_drain_mode 2\njitsi_created_total -1\n\
             jitsi_current{conference=\"a\"} 3\njitsi_region_info{zone=\"eu\"} 1\njitsi_moves_total 3\n\
             jitsi_by_size_bucket{le=\"0.0\"} 5\njitsi_by_size_bucket{le=\"+Inf\"} 3",
        );
        assert!(samples.is_empty() && reading.recognized, "{samples:?}");
        let unusable =
            ["drain_mode", "created_total", "current", "current", "region_info", "moves_total", "by_size"];
        assert_eq!(reading.unusable, unusable);
    }

    #[test]
    fn the_json_format_has_shorter_names() {
        let body = r#"{"region": "eu", "drain_mode": true, "bitrate": 5000, "rtt": "NaN", "current": 7, "remb": 3,
            "created": 9, "by_size": {"bucket_le_0.0": 1, "bucket_le_+Inf": 3, "count": 3, "sum": 12.0},
            "moves_total": null, "other": 1}"#;
        let Ok(Json::Object(object)) = parse(body.as_bytes()) else { panic!("{body}") };
        let table = Table::new(&[ROWS], "x_unknown");
        let reading = read_json(&table, &object, |_, _| {});
        let expected = [
            "x_region_info{region=eu} 1",
            "x_draining 1",
            "x_bits_per_second 5000",
            "x_participants 7",
            "x_endpoints 7",
            "x_remb_total 3",
            "x_created_total 9",
            "x_size [(0.0, 1.0)] 3 Some(12.0)",
        ];
        assert_eq!(shown(&table, &reading), expected);
        assert_eq!(reading.unusable, ["moves_total"]);
    }

    #[test]
    fn labelled_samples_are_limited() {
        let lines: Vec<String> =
            (0..10_000).map(|bridge| format!("jitsi_moves_total{{jvb=\"{bridge}\"}} 1")).collect();
        assert_eq!(read(&lines.join("\n")).0.len(), MAX_LABELLED);
        let long = format!("jitsi_moves_total{{jvb=\"{}\"}} 1", "x".repeat(MAX_LABEL_BYTES + 1));
        assert!(read(&long).0.is_empty());
    }
}
