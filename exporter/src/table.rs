//! Turns a JSON object into samples by a table of rows. A row defines a key, its metric and the conversion of its value;
//! this module defines the rules of all components: an absent key yields no sample, an unusable value is recorded and does
//! not affect the others, and a number without a row is exported under its key.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::OnceLock;

use crate::distribution;
use crate::json::{Json, Object};
use crate::metric_row::{MetricRow, Native, Read};
use crate::sample::{Family, Kind, Label, Sample, Value};

/// Maximum number of keys without a row that are exported per reading. A newer Jitsi adds a few.
pub const MAX_UNKNOWN: usize = 200;

/// Longer keys are not names of statistics.
const MAX_UNKNOWN_KEY_BYTES: usize = 200;

/// Maximum number of members that are read of an object with arbitrary names, such as queues or message types.
const MAX_MEMBERS: usize = 200;

/// How a key was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is exported as the metric with this name.
    Exported(&'static str),
    /// It has a row, but nothing was measured.
    Nothing,
    /// It has a row, but an unexpected value.
    Unusable,
    /// It has a row without a metric.
    Silent,
    /// It has no row and is exported under its key.
    Unknown,
    /// It has no row and is not a number.
    Ignored,
    /// It exceeds a limit of number or length.
    Dropped,
    /// It is one of the component's own metrics that no row uses.
    NotUsed,
}

/// The samples of one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Samples in the order of the table's families, then by label, without duplicates.
    pub samples: Vec<Sample>,
    /// Samples with the names of the systemli exporter, in the same order. Empty unless requested.
    pub compat: Vec<Sample>,
    /// Keys (as in the rows) and names of the component's own metrics that had unexpected values.
    pub unusable: Vec<&'static str>,
    /// Whether any key has a row.
    pub recognized: bool,
}

impl Reading {
    /// Adds a sample. The reading must not have one of the same family and label.
    pub fn add(&mut self, sample: Sample) {
        let at = self
            .samples
            .partition_point(|known| (known.family, &known.label) < (sample.family, &sample.label));
        self.samples.insert(at, sample);
    }

    /// Whether there is a sample of the same family as `sample`.
    #[must_use]
    pub fn has(&self, sample: &Sample) -> bool {
        let at = self.samples.partition_point(|known| known.family < sample.family);
        self.samples.get(at).is_some_and(|known| known.family == sample.family)
    }

    /// Adds the samples of `other` whose families have no sample yet.
    pub fn add_missing(&mut self, other: Self) {
        let lacking: Vec<Sample> = other.samples.into_iter().filter(|sample| !self.has(sample)).collect();
        self.samples.extend(lacking);
        self.samples.sort_by(|a, b| (a.family, &a.label).cmp(&(b.family, &b.label)));
        self.unusable.extend(other.unusable);
    }

    /// Changes label values: `rename` gets name and value, and returns the new value or `None`. Duplicates are removed.
    pub fn relabel(&mut self, rename: impl Fn(&str, &str) -> Option<String>) {
        for (name, value) in self.samples.iter_mut().filter_map(|sample| sample.label.as_mut()) {
            if let Some(renamed) = rename(name, value) {
                *value = Cow::Owned(renamed);
            }
        }
        self.samples.sort_by(|a, b| (a.family, &a.label).cmp(&(b.family, &b.label)));
        self.samples.dedup_by(|a, b| a.family == b.family && a.label == b.label);
    }
}

/// Families and rows, indexed for lookups.
#[derive(Debug)]
pub struct Table {
    families: Vec<Family>,
    /// All rows that have a family, in the order of the table.
    listed: Vec<Indexed>,
    /// All rows that have a key, by key.
    rows: Vec<Indexed>,
    /// A hash table with open addressing: the position in `rows` counted from 1, or 0 for a free bucket. At most a quarter of
    /// the buckets are used, and the table fits the first-level cache.
    buckets: Vec<u16>,
    /// Rows by the name among the component's own metrics.
    natives: Vec<(Native, Indexed)>,
    /// Paths of objects whose members have arbitrary names.
    open: Vec<&'static str>,
    unknown: Option<usize>,
    /// The text in front of the samples of each family, in each format.
    heads: OnceLock<Vec<[String; 2]>>,
}

/// Hashes the beginning, middle, end and length of a key, in which the keys of statistics differ. Hashing every byte, or
/// comparing with several rows, would cost more than all other work on a key.
fn hash(key: &str) -> usize {
    let bytes = key.as_bytes();
    let middle = bytes.get(bytes.len() / 2..).unwrap_or_default();
    let words = match (bytes.first_chunk::<8>(), middle.first_chunk::<4>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(middle), Some(last)) => {
            [u64::from_le_bytes(*first), u64::from(u32::from_le_bytes(*middle)), u64::from_le_bytes(*last)]
        }
        _ => {
            [bytes.first(), middle.first(), bytes.last()].map(|byte| byte.map_or(0, |byte| u64::from(*byte)))
        }
    };
    let mixed = words.into_iter().fold(bytes.len() as u64, |mixed, word| {
        (mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    // The upper half of a product is mixed better.
    usize::try_from(mixed >> 32).unwrap_or_default()
}

/// A row and its position in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indexed {
    pub(crate) row: &'static MetricRow,
    pub(crate) family: usize,
    /// Position among all rows. If two rows yield the same sample, the first one counts.
    pub(crate) rank: usize,
}

impl Table {
    /// Builds a table from its parts. `unknown` names the family of numbers without a row; if it is empty, they are not
    /// exported.
    ///
    /// # Panics
    ///
    /// If two rows have the same key. Tests build every table.
    #[must_use]
    pub fn new(parts: &[&'static [MetricRow]], unknown: &'static str) -> Self {
        let mut families: Vec<Family> = Vec::new();
        let mut keys: Vec<Vec<&'static str>> = Vec::new();
        let (mut listed, mut rows) = (Vec::new(), Vec::new());
        let (mut natives, mut open) = (Vec::new(), Vec::new());
        for (rank, row) in parts.iter().copied().flatten().enumerate() {
            let mut family = usize::MAX;
            if !row.name.is_empty() {
                family = families.iter().position(|known| known.name == row.name).unwrap_or_else(|| {
                    let help = Cow::Borrowed(row.help);
                    families.push(Family { name: row.name, help, kind: row.kind, unit: row.unit });
                    keys.push(Vec::new());
                    families.len() - 1
                });
                keys[family].extend(Some(row.key).filter(|key| !key.is_empty()));
            }
            let indexed = Indexed { row, family, rank };
            listed.extend((!row.name.is_empty()).then_some(indexed));
            natives.extend(row.native.map(|native| (native, indexed)));
            if !row.key.is_empty() {
                open.extend(row.key.split_once(".*").map(|(object, _)| object));
                rows.push(indexed);
            }
        }
        for (family, keys) in families.iter_mut().zip(&keys) {
            let own = natives.iter().find(|(_, indexed)| indexed.row.name == family.name);
            family.help = match own {
                _ if !keys.is_empty() => format!("{} JSON: {}.", family.help, keys.join(", ")).into(),
                Some((native, _)) => format!("{} /metrics: {}.", family.help, native.name).into(),
                None => continue,
            };
        }
        let unknown = (!unknown.is_empty()).then(|| {
            let help = "Numbers with keys that this exporter does not know, by key.".into();
            families.push(Family { name: unknown, help, kind: Kind::Unknown, unit: None });
            families.len() - 1
        });
        rows.sort_by_key(|indexed| indexed.row.key);
        natives.sort_by_key(|(native, _)| native.name);
        assert!(rows.windows(2).all(|pair| pair[0].row.key != pair[1].row.key), "two rows read one key");
        open.sort_unstable();
        open.dedup();
        let buckets = buckets(&rows);
        let heads = OnceLock::new();
        Self { families, listed, rows, buckets, natives, open, unknown, heads }
    }

    /// All families in the order of the output.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The text in front of the samples of each family, in each format, written by `write` on the first call.
    pub(crate) fn heads(&self, write: impl Fn(&Family) -> [String; 2]) -> &[[String; 2]] {
        self.heads.get_or_init(|| self.families.iter().map(write).collect())
    }

    /// The rows of the family with this position; none for the family of unknown keys.
    pub fn rows_of(&self, family: usize) -> impl Iterator<Item = &'static MetricRow> {
        self.listed.iter().filter(move |indexed| indexed.family == family).map(|indexed| indexed.row)
    }

    /// All rows that have a key, by key.
    pub fn rows(&self) -> impl Iterator<Item = &'static MetricRow> {
        self.rows.iter().map(|indexed| indexed.row)
    }

    /// The rows for the metric `name` among the component's own metrics.
    pub(crate) fn natives(&self, name: &str) -> impl Iterator<Item = (Native, Indexed)> {
        let from = self.natives.partition_point(|(native, _)| native.name < name);
        self.natives[from..].iter().take_while(move |(native, _)| native.name == name).copied()
    }

    /// A sample of the family `name` with a value that no row reads.
    ///
    /// # Panics
    ///
    /// If the table has no such family.
    #[must_use]
    pub fn sample(&self, name: &str, value: f64) -> Sample {
        // Most of these families are at the end of their table.
        let family = self.families.iter().rposition(|family| family.name == name);
        Sample {
            family: family.expect("the table has this family"),
            label: None,
            value: Value::Number(value),
        }
    }

    /// Reads every key of `object`.
    #[must_use]
    pub fn read(&self, object: &Object<'_>) -> Reading {
        self.read_with(object, |_, _| {})
    }

    /// Reads every key of `object` and reports how it was used.
    #[must_use]
    pub fn read_with(&self, object: &Object<'_>, report: impl FnMut(&str, Fate)) -> Reading {
        let mut walk = Walk {
            table: self,
            root: object,
            report,
            real: String::new(),
            pattern: String::new(),
            found: Vec::with_capacity(object.members().size_hint().0),
            reading: Reading::default(),
            unknown: 0,
        };
        walk.members(object, None);
        walk.finish()
    }

    fn row(&self, key: &str) -> Option<&Indexed> {
        let last = self.buckets.len() - 1;
        let found = (hash(key)..).map(|at| usize::from(self.buckets[at & last]));
        found.map_while(|number| self.rows.get(number.wrapping_sub(1))).find(|indexed| indexed.row.key == key)
    }
}

/// The hash table of `rows`. Its size is a power of two.
fn buckets(rows: &[Indexed]) -> Vec<u16> {
    let mut buckets = vec![0; (rows.len() * 4).next_power_of_two()];
    let last = buckets.len() - 1;
    for (number, indexed) in (1..).zip(rows) {
        let mut from = (hash(indexed.row.key)..).map(|at| at & last);
        let free = from.find(|at| buckets[*at] == 0).expect("most buckets are free");
        buckets[free] = number;
    }
    buckets
}

struct Walk<'t, 'o, 'b, R> {
    table: &'t Table,
    root: &'o Object<'b>,
    report: R,
    /// Path of the current value.
    real: String,
    /// The same path as rows write it, with `*` for arbitrary names.
    pattern: String,
    /// Samples with the rank of their row.
    found: Vec<(usize, Sample)>,
    reading: Reading,
    unknown: usize,
}

impl<R: FnMut(&str, Fate)> Walk<'_, '_, '_, R> {
    fn members(&mut self, object: &Object<'_>, captured: Option<&str>) {
        let open = captured.is_none() && self.table.open.binary_search(&&*self.pattern).is_ok();
        for (number, (name, value)) in object.members().enumerate() {
            if self.real.is_empty()
                && let Some(row) = self.table.row(name)
                && !matches!(value, Json::Object(_))
            {
                // Most keys are like this one and need no path.
                self.known(row, name, value, None);
            } else if !open {
                self.enter(name, name, |walk| walk.value(value, captured));
            } else if number < MAX_MEMBERS {
                self.enter(name, "*", |walk| walk.value(value, Some(name)));
            } else {
                self.enter(name, "*", |walk| (walk.report)(&walk.real, Fate::Dropped));
            }
        }
    }

    /// Calls `then` with the paths extended by a member.
    fn enter(&mut self, name: &str, as_rows_write_it: &str, then: impl FnOnce(&mut Self)) {
        let (real, pattern) = (self.real.len(), self.pattern.len());
        push(&mut self.real, name);
        push(&mut self.pattern, as_rows_write_it);
        then(self);
        self.real.truncate(real);
        self.pattern.truncate(pattern);
    }

    fn value(&mut self, value: &Json<'_>, captured: Option<&str>) {
        match (self.table.row(&self.pattern), value) {
            (Some(row), value) => {
                let path = std::mem::take(&mut self.real);
                self.known(row, &path, value, captured);
                self.real = path;
                if let (Json::Object(object), Read::Sizes) = (value, row.row.read) {
                    self.members_of_sizes(object, captured);
                }
            }
            (None, Json::Object(object)) => self.members(object, captured),
            (None, value) => self.unknown(value),
        }
    }

    fn known(&mut self, indexed: &Indexed, path: &str, value: &Json<'_>, captured: Option<&str>) {
        let Indexed { row, family, rank } = *indexed;
        self.reading.recognized = true;
        let mut label = row.fixed.map(|(name, value)| (name, Cow::Borrowed(value)));
        if let (Some(name), Some(captured)) = (row.label, captured) {
            label = Some((name, Cow::Owned(captured.to_owned())));
        }
        let before = self.found.len();
        let usable = self.read(row, value, label, |label, value| (rank, Sample { family, label, value }));
        let fate = match (row.read, usable) {
            (Read::Opaque, _) => Fate::Silent,
            (_, None) => {
                self.reading.unusable.push(row.key);
                Fate::Unusable
            }
            _ if self.found.len() == before => Fate::Nothing,
            _ => Fate::Exported(row.name),
        };
        (self.report)(path, fate);
    }

    /// Reads the members of a histogram that have rows. The others repeat what the buckets say.
    fn members_of_sizes(&mut self, object: &Object<'_>, captured: Option<&str>) {
        for (name, value) in object.members() {
            self.enter(name, name, |walk| {
                if walk.table.row(&walk.pattern).is_some() {
                    walk.value(value, captured);
                } else {
                    (walk.report)(&walk.real, Fate::Silent);
                }
            });
        }
    }

    /// Adds the samples of `value` according to `row`; `None` if the value is unusable.
    fn read(
        &mut self,
        row: &MetricRow,
        value: &Json<'_>,
        label: Option<Label>,
        sample: impl Fn(Option<Label>, Value) -> (usize, Sample),
    ) -> Option<()> {
        let number = |value: f64| Value::Number(value);
        let sampled = match row.read {
            Read::Number(scale) => {
                let value = value.number().filter(|value| row.kind != Kind::Counter || *value >= 0.0)?;
                number(scale.apply(value))
            }
            Read::Measured(scale) => match value {
                Json::Null => return Some(()),
                Json::Text(text) if text == "NaN" => return Some(()),
                value => match value.number()? {
                    negative if negative < 0.0 => return Some(()),
                    value => number(scale.apply(value)),
                },
            },
            Read::Boolean => number(f64::from(value.boolean()?)),
            Read::Text(name) => {
                let Json::Text(text) = value else { return None };
                self.found.push(sample(Some((name, Cow::Owned(text.to_string()))), number(1.0)));
                return Some(());
            }
            Read::Choice(yes, no) => {
                let word = value.word()?;
                let holds = is_among(word, yes);
                if !holds && !is_among(word, no) {
                    return None;
                }
                number(f64::from(holds))
            }
            Read::State(name, states) => {
                let word = value.word()?;
                if !states.iter().any(|(_, words)| is_among(word, words)) {
                    return None;
                }
                for (state, words) in states {
                    let holds = f64::from(is_among(word, words));
                    self.found.push(sample(Some((name, Cow::Borrowed(*state))), number(holds)));
                }
                return Some(());
            }
            Read::Sizes => match value {
                Json::Array(slots) if slots.is_empty() => return Some(()),
                Json::Array(slots) => Value::Histogram(Box::new(distribution::from_slots(slots)?)),
                Json::Object(buckets) => Value::Histogram(Box::new(distribution::from_buckets(buckets)?)),
                _ => return None,
            },
            Read::Slots(name) => {
                let Json::Array(slots) = value else { return None };
                let counts: Option<Vec<f64>> = slots.iter().take(MAX_MEMBERS).map(Json::number).collect();
                for (at, count) in counts?.into_iter().enumerate() {
                    self.found.push(sample(Some((name, at.to_string().into())), number(count)));
                }
                return Some(());
            }
            Read::Custom(read) => number(read(value, self.root)?),
            Read::Opaque => return Some(()),
        };
        self.found.push(sample(label, sampled));
        Some(())
    }

    fn unknown(&mut self, value: &Json<'_>) {
        let (Json::Number(value), Some(family)) = (value, self.table.unknown) else {
            return (self.report)(&self.real, Fate::Ignored);
        };
        if self.unknown >= MAX_UNKNOWN || self.real.len() > MAX_UNKNOWN_KEY_BYTES {
            return (self.report)(&self.real, Fate::Dropped);
        }
        self.unknown += 1;
        let label = Some(("key", Cow::Owned(self.real.clone())));
        self.found.push((0, Sample { family, label, value: Value::Number(*value) }));
        (self.report)(&self.real, Fate::Unknown);
    }

    fn finish(self) -> Reading {
        Reading { samples: in_order(self.found), ..self.reading }
    }
}

/// Sorts samples with the ranks of their rows into the order of a reading. Of duplicates, the sample of the first row
/// stays.
pub(crate) fn in_order(found: Vec<(usize, Sample)>) -> Vec<Sample> {
    let mut order = by_family(&found);
    let family = |at: usize| found[at].1.family;
    for alike in order.chunk_by_mut(|a, b| family(*a) == family(*b)).filter(|alike| alike.len() > 1) {
        // The sort is stable, so that the last value of a repeated key counts, as usual for JSON.
        alike.sort_by(|a, b| {
            let ((a_rank, a), (b_rank, b)) = (&found[*a], &found[*b]);
            (&a.label, Reverse(a_rank)).cmp(&(&b.label, Reverse(b_rank)))
        });
    }
    // Derived samples are added later without another allocation.
    let mut samples: Vec<Sample> = Vec::with_capacity(found.len() + 4);
    let mut found: Vec<Option<Sample>> = found.into_iter().map(|(_, sample)| Some(sample)).collect();
    for sample in order.into_iter().filter_map(|at| found[at].take()) {
        match samples.last_mut() {
            Some(last) if last.family == sample.family && last.label == sample.label => *last = sample,
            _ => samples.push(sample),
        }
    }
    samples
}

/// Positions of the samples, ordered by family. A counting sort is faster than comparisons here, because there are few
/// families and most have one sample.
fn by_family(found: &[(usize, Sample)]) -> Vec<usize> {
    let families = found.iter().map(|(_, sample)| sample.family + 1).max().unwrap_or_default();
    let mut next = vec![0; families];
    for (_, sample) in found {
        next[sample.family] += 1;
    }
    let mut before = 0;
    for count in &mut next {
        before += std::mem::replace(count, before);
    }
    let mut order = vec![0; found.len()];
    for (at, (_, sample)) in found.iter().enumerate() {
        order[next[sample.family]] = at;
        next[sample.family] += 1;
    }
    order
}

fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn is_among(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}
