//! Rows of the tables: which key, which metric, which conversion. Constants only; how they are
//! applied is in `table`.

use crate::json::{Json, Object};
use crate::sample::{Kind, Unit};

/// One key and the metric it becomes.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Path of the key, with dots; `*` is any name, which becomes the value of `label`. Empty where
    /// no key fills the family alone.
    pub key: &'static str,
    /// Name of the metric; rows that share it share its family. Empty where there is none.
    pub name: &'static str,
    /// What it is. The key is added to it.
    pub help: &'static str,
    /// The family's kind.
    pub kind: Kind,
    /// The family's unit.
    pub unit: Option<Unit>,
    /// Label of the name that `*` stands for.
    pub label: Option<&'static str>,
    /// Label that tells this row from others of its family.
    pub fixed: Option<(&'static str, &'static str)>,
    /// From JSON to the value.
    pub read: Read,
    /// Where the component's own metrics have the same.
    pub native: Option<Native>,
    /// Versions of the component that have the key, as far as they are known; for the reference.
    pub versions: &'static str,
}

/// A metric among a component's own.
#[derive(Clone, Copy, Debug)]
pub struct Native {
    /// Its name without the component's prefix.
    pub name: &'static str,
    /// The label whose value becomes that of the row's label.
    pub label: Option<&'static str>,
    /// From its value to ours.
    pub read: NativeRead,
}

/// How a value of a component's own metrics is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeRead {
    /// A number.
    Number(Scale),
    /// 0 or 1.
    Boolean,
    /// A label of that name, which is kept.
    Text(&'static str),
    /// A histogram.
    Histogram,
}

/// Factor from the JSON's unit to the base unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// It is the base unit.
    One,
    /// Thousands, as kbit/s.
    Kilo,
    /// Millions, as MB.
    Mega,
    /// Thousandths, as ms.
    Milli,
    /// Billionths, as ns.
    Nano,
}

impl Row {
    /// A row of that kind for a plain number.
    #[must_use]
    pub const fn new(kind: Kind, key: &'static str, name: &'static str, help: &'static str) -> Self {
        let read = Read::Number(Scale::One);
        Self { key, name, help, kind, unit: None, label: None, fixed: None, read, native: None, versions: "" }
    }

    /// The same row in another unit.
    #[must_use]
    pub const fn in_unit(self, unit: Unit, scale: Scale) -> Self {
        let read = match self.read {
            Read::Measured(_) => Read::Measured(scale),
            _ => Read::Number(scale),
        };
        Self { unit: Some(unit), read, ..self }
    }

    /// The same row, read in another way.
    #[must_use]
    pub const fn read_as(self, read: Read) -> Self {
        Self { read, ..self }
    }

    /// The same row with a label for the name that `*` stands for.
    #[must_use]
    pub const fn by(self, label: &'static str) -> Self {
        Self { label: Some(label), ..self }
    }

    /// The same row with its name among the component's own metrics, in the unit of the JSON.
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

    /// The same row with its name among the component's own metrics, where these have the base unit.
    #[must_use]
    pub const fn native_in_base_unit(self, name: &'static str) -> Self {
        let read = NativeRead::Number(Scale::One);
        Self { native: Some(Native { name, label: None, read }), ..self }
    }

    /// The same row with its name among the component's own metrics, one for each value of `label`,
    /// which becomes `ours`.
    #[must_use]
    pub const fn native_by(self, name: &'static str, label: &'static str, ours: &'static str) -> Self {
        let row = self.native(name).by(ours);
        match row.native {
            Some(native) => Self { native: Some(Native { label: Some(label), ..native }), ..row },
            None => row,
        }
    }

    /// The same row with the versions that have its key.
    #[must_use]
    pub const fn of(self, versions: &'static str) -> Self {
        Self { versions, ..self }
    }

    /// The same row as one of several of its family.
    #[must_use]
    pub const fn with(self, label: &'static str, value: &'static str) -> Self {
        Self { fixed: Some((label, value)), ..self }
    }
}

/// A row for something that goes up and down.
#[must_use]
pub const fn gauge(key: &'static str, name: &'static str, help: &'static str) -> Row {
    Row::new(Kind::Gauge, key, name, help)
}

/// A row for something that grows.
#[must_use]
pub const fn counter(key: &'static str, name: &'static str, help: &'static str) -> Row {
    Row::new(Kind::Counter, key, name, help)
}

/// A row for a truth value.
#[must_use]
pub const fn boolean(key: &'static str, name: &'static str, help: &'static str) -> Row {
    gauge(key, name, help).read_as(Read::Boolean)
}

/// A row for a share of 1.
#[must_use]
pub const fn ratio(key: &'static str, name: &'static str, help: &'static str) -> Row {
    gauge(key, name, help).in_unit(Unit::Ratio, Scale::One)
}

/// A row for a distribution of whole numbers.
#[must_use]
pub const fn sizes(key: &'static str, name: &'static str, help: &'static str) -> Row {
    Row::new(Kind::Histogram, key, name, help).read_as(Read::Sizes)
}

/// A row for a text, which becomes the value of `label`.
#[must_use]
pub const fn text(key: &'static str, name: &'static str, label: &'static str, help: &'static str) -> Row {
    Row::new(Kind::Info, key, name, help).read_as(Read::Text(label))
}

/// A family that no key fills alone.
#[must_use]
pub const fn derived(name: &'static str, help: &'static str) -> Row {
    gauge("", name, help)
}

/// A row for what is known and left out.
#[must_use]
pub const fn silent(key: &'static str, read: Read) -> Row {
    gauge(key, "", "").read_as(read)
}

impl Scale {
    /// A number of the JSON in the base unit.
    #[must_use]
    pub fn apply(self, value: f64) -> f64 {
        // Division by a power of ten is exact to the last digit, multiplication by its inverse is not.
        match self {
            Self::One => value,
            Self::Kilo => value * 1e3,
            Self::Mega => value * 1e6,
            Self::Milli => value / 1e3,
            Self::Nano => value / 1e9,
        }
    }
}

/// How a value is read.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// A number, in quotes or not.
    Number(Scale),
    /// A number for which `null`, `"NaN"` and negative values mean that there is none.
    Measured(Scale),
    /// A truth value, as 0 or 1.
    Boolean,
    /// A text, as the label of that name.
    Text(&'static str),
    /// The words for yes and those for no, as 1 or 0.
    Choice(&'static [&'static str], &'static [&'static str]),
    /// One sample per state, 1 for the one whose words has the value.
    State(&'static str, &'static [(&'static str, &'static [&'static str])]),
    /// An array in which index i counts what has size i, the last index that or more; or an object
    /// of buckets, half-open and not cumulative.
    Sizes,
    /// What else decides is in the object.
    Custom(fn(&Json<'_>, &Object<'_>) -> Option<f64>),
    /// An array, as one sample per index under the label of that name.
    Slots(&'static str),
    /// Known, and without a metric; objects in it are read on.
    Silent,
    /// Known, and without a metric, whatever is in it.
    Opaque,
}
