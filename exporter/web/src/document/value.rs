//! Kinds of values that configurations share.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, Error as _};

/// A duration such as `90s`, `10m` or `7d`, at most 90 days. An `M`, which humantime takes for a month, and a `y` are
/// refused: they are slips here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub Duration);

/// Longer than anything that a configuration waits for.
const LONGEST: Duration = Duration::from_hours(24 * 90);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut units = text.split(|c: char| c.is_ascii_digit() || c == ' ').filter(|unit| !unit.is_empty());
        if units.clone().any(|unit| unit == "M") {
            return Err(D::Error::custom(format!("\"{text}\" is in months; for minutes write m")));
        }
        let known = units.all(|unit| ["ms", "s", "m", "h", "d"].contains(&unit));
        let read: Result<Duration, D::Error> = humantime_serde::deserialize(StrDeserializer::new(&text));
        match read.ok().filter(|_| known) {
            Some(duration) if duration <= LONGEST => Ok(Self(duration)),
            Some(_) => Err(D::Error::custom(format!("\"{text}\" is longer than 90d"))),
            None => Err(D::Error::custom(format!(
                "must be a duration with its unit, such as 90s, 10m or 7d, not \"{text}\""
            ))),
        }
    }
}

/// A text that no log may show. A number is refused, because YAML may take `0815` for another one.
#[derive(Clone, Debug, Deserialize)]
pub struct Secret(pub SecretString);

/// A text, or a list of texts.
#[derive(Clone, Debug, Deserialize)]
pub enum OneOrMany {
    /// A single text.
    Text(String),
    /// Any number of them.
    List(Vec<String>),
}

impl OneOrMany {
    /// The texts in the order of the file.
    #[must_use]
    pub fn into_texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(texts) => texts,
        }
    }
}
