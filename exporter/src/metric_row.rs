//! The rows of the tables: a JSON key, the metric that it becomes, and the conversion. Rows are constants; `table` applies
//! them.

use crate::json::{Json, Object};
use crate::sample::{Kind, Unit};

/// A JSON key and the metric that it becomes.
#[derive(Clone, Copy, Debug)]
pub struct MetricRow {
    /// Path of the key, with dots. `*` matches any name, which becomes the value of `label`. Empty if no single key provides
    /// the value.
    pub key: &'static str,
    /// Name of the metric. Rows with the same name share a family. Empty if the key has no metric.
    pub name: &'static str,
    /// The HELP text. The table adds the key to it.
    pub help: &'static str,
    /// The type of the metric.
    pub kind: Kind,
    /// The base unit of the metric, if its name ends with one.
    pub unit: Option<Unit>,
    /// Name of the label whose value is the name that `*` matches.
    pub label: Option<&'static str>,
    /// Label that distinguishes this row from others of its family.
    pub fixed: Option<(&'static str, &'static str)>,
    /// How the JSON value is read.
    pub read: Read,
    /// The same value among the component's own metrics.
    pub native: Option<Native>,
    /// Known versions of the component that have the key, for the reference.
    pub versions: &'static str,
}

/// A metric among the component's own metrics.
#[derive(Clone, Copy, Debug)]
pub struct Native {
    /// Its name without the component's prefix.
    pub name: &'static str,
    /// The label whose value becomes the value of the row's label.
    pub label: Option<&'static str>,
    /// How its value is read.
    pub read: NativeRead,
}

/// How the value of a component's own metric is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeRead {
    /// A number.
    Number(Scale),
    /// 0 or 1.
    Boolean,
    /// The value of the label with this name.
    Text(&'static str),
    /// A histogram.
    Histogram,
}

/// The factor from a source's unit to the base unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The base unit itself.
    One,
    /// Thousands, such as kbit/s.
    Kilo,
    /// Millions, such as MB.
    Mega,
    /// Thousandths, such as ms.
    Milli,
    /// Billionths, such as ns.
    Nano,
}

impl MetricRow {
    /// A row for a plain number.
    #[must_use]
    pub const fn new(kind: Kind, key: &'static str, name: &'static str, help: &'static str) -> Self {
        let read = Read::Number(Scale::One);
        Self { key, name, help, kind, unit: None, label: None, fixed: None, read, native: None, versions: "" }
    }

    /// Sets the base unit, and the scale of the JSON value.
    #[must_use]
    pub const fn in_unit(self, unit: Unit, scale: Scale) -> Self {
        let read = match self.read {
            Read::Measured(_) => Read::Measured(scale),
            _ => Read::Number(scale),
        };
        Self { unit: Some(unit), read, ..self }
    }

    /// Sets how the JSON value is read.
    #[must_use]
    pub const fn read_as(self, read: Read) -> Self {
        Self { read, ..self }
    }

    /// Sets the label whose value is the name that `*` matches.
    #[must_use]
    pub const fn by(self, label: &'static str) -> Self {
        Self { label: Some(label), ..self }
    }

    /// Sets the name among the component's own metrics, where the value has the unit of the JSON.
    #[must_use]
    pub const fn native(self, name: &'static str) -> Self {
        let read = match self.read {
            Read::Number(scale) | Read::Measured(scale) => NativeRead::Number(scale),
            Read::Boolean => NativeRead::Boolean,
            Read::Text(label) => NativeRead::Text(label),
            Read::Sizes => NativeRead::Histogram,
            _ => NativeRead::Number(Scale::One),
        };
        Self { native: Some(Native { name, label: None, read }), ..self }
    }

    /// Sets the name among the component's own metrics, where the value has the base unit.
    #[must_use]
    pub const fn native_in_base_unit(self, name: &'static str) -> Self {
        let read = NativeRead::Number(Scale::One);
        Self { native: Some(Native { name, label: None, read }), ..self }
    }

    /// Sets the name among the component's own metrics, which has a series for each value of `label`. That label is renamed
    /// to `ours`.
    #[must_use]
    pub const fn native_by(self, name: &'static str, label: &'static str, ours: &'static str) -> Self {
        let row = self.native(name).by(ours);
        match row.native {
            Some(native) => Self { native: Some(Native { label: Some(label), ..native }), ..row },
            None => row,
        }
    }

    /// Sets the versions that have the key.
    #[must_use]
    pub const fn of(self, versions: &'static str) -> Self {
        Self { versions, ..self }
    }

    /// Sets the label that distinguishes this row from others of its family.
    #[must_use]
    pub const fn with(self, label: &'static str, value: &'static str) -> Self {
        Self { fixed: Some((label, value)), ..self }
    }
}

/// A row for a gauge.
#[must_use]
pub const fn gauge(key: &'static str, name: &'static str, help: &'static str) -> MetricRow {
    MetricRow::new(Kind::Gauge, key, name, help)
}

/// A row for a counter.
#[must_use]
pub const fn counter(key: &'static str, name: &'static str, help: &'static str) -> MetricRow {
    MetricRow::new(Kind::Counter, key, name, help)
}

/// A row for a boolean, exported as 0 or 1.
#[must_use]
pub const fn boolean(key: &'static str, name: &'static str, help: &'static str) -> MetricRow {
    gauge(key, name, help).read_as(Read::Boolean)
}

/// A row for a ratio, where 1 is the whole.
#[must_use]
pub const fn ratio(key: &'static str, name: &'static str, help: &'static str) -> MetricRow {
    gauge(key, name, help).in_unit(Unit::Ratio, Scale::One)
}

/// A row for a histogram of integers.
#[must_use]
pub const fn sizes(key: &'static str, name: &'static str, help: &'static str) -> MetricRow {
    MetricRow::new(Kind::Histogram, key, name, help).read_as(Read::Sizes)
}

/// A row for a text, exported as the value of the label that is named like the key.
#[must_use]
pub const fn text(key: &'static str, name: &'static str, help: &'static str) -> MetricRow {
    MetricRow::new(Kind::Info, key, name, help).read_as(Read::Text(key))
}

/// A row for a known key that has no metric.
#[must_use]
pub const fn silent(key: &'static str, name: &'static str, help: &'static str) -> MetricRow {
    gauge(key, name, help).read_as(Read::Opaque)
}

/// Rows, each as `kind "key" => "metric", setting(…), …;` below its HELP text. `kind` is a function of this module, and a
/// setting is a method of [`MetricRow`]. The first row of a family has the HELP text of the family.
macro_rules! rows {
    ($($(#[doc = $help:literal])* $kind:ident $key:literal => $name:expr $(, $setting:ident $arguments:tt)*;)*) => {
        &[$($kind($key, $name, concat!($($help),*).trim_ascii_start())$(.$setting $arguments)*),*]
    };
}
pub(crate) use rows;

impl Scale {
    /// Converts `value` to the base unit.
    #[must_use]
    pub fn apply(self, value: f64) -> f64 {
        // Dividing by a power of ten rounds once; multiplying by its inverse, which is inexact, rounds twice.
        match self {
            Self::One => value,
            Self::Kilo => value * 1e3,
            Self::Mega => value * 1e6,
            Self::Milli => value / 1e3,
            Self::Nano => value / 1e9,
        }
    }
}

/// How a JSON value is read.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// A number, quoted or not.
    Number(Scale),
    /// A number; `null`, `"NaN"` and negative values mean that nothing was measured.
    Measured(Scale),
    /// A boolean, exported as 0 or 1.
    Boolean,
    /// A text, exported as the value of the label with this name.
    Text(&'static str),
    /// The words for 1 and the words for 0.
    Choice(&'static [&'static str], &'static [&'static str]),
    /// The name of the label, and its states with the words for each. Every state has a sample: 1 for the state whose words
    /// include the value, 0 for the others.
    State(&'static str, &'static [(&'static str, &'static [&'static str])]),
    /// A histogram of sizes: an array whose element i counts the items of size i (the last one, i or more), or an object of
    /// half-open buckets that are not cumulative.
    Sizes,
    /// A function of the value and the whole object.
    Custom(fn(&Json<'_>, &Object<'_>) -> Option<f64>),
    /// An array, exported as one sample per index with the label of this name.
    Slots(&'static str),
    /// Known, without a metric; the members of an object are not read.
    Opaque,
}
