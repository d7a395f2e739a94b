//! Labels, held as compactly as an answer with many series, or a notification of many alerts, needs.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

/// The label with the number of an expression, where several expressions are asked together.
pub(super) const PART: &str = "jitsi_scaler_part";

/// The labels of a series or of an alert. Clones share them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Those that tell the series of one instance apart: the name of the metric, and [`PART`].
    own: Arc<Pairs>,
    /// The others, which all series of an instance have.
    common: Arc<Pairs>,
}

/// Names and values.
#[derive(Default, PartialEq, Eq, Hash)]
struct Pairs {
    /// Each name and its value, without anything between them.
    text: Box<str>,
    /// Where each of them ends in `text`.
    ends: Box<[u32]>,
}

/// Names and values that are being read.
#[derive(Default)]
struct Reading {
    text: String,
    ends: Vec<u32>,
}

/// The labels of an answer, of which equal ones are held once.
#[derive(Default)]
pub(super) struct Known(HashSet<Arc<Pairs>>);

impl Known {
    /// These labels, as they are held already if they are.
    pub(super) fn share(&mut self, labels: Labels) -> Labels {
        let mut share = |pairs: Arc<Pairs>| {
            let known = self.0.get(&pairs).cloned();
            known.unwrap_or_else(|| {
                self.0.insert(Arc::clone(&pairs));
                pairs
            })
        };
        Labels { own: share(labels.own), common: share(labels.common) }
    }
}

impl Labels {
    /// The value of a label. Absent and empty are the same in Prometheus.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(of, value)| *of == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// Names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.own.iter().chain(self.common.iter())
    }

    fn read(own: Reading, common: Reading) -> Self {
        Self { own: Arc::new(own.end()), common: Arc::new(common.end()) }
    }
}

impl Pairs {
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let [middle, end] = [ends[0] as usize, ends[1] as usize];
            let pair = (&self.text[start..middle], &self.text[middle..end]);
            start = end;
            pair
        })
    }
}

impl Reading {
    /// Adds a name or a value.
    fn push(&mut self, part: &str) {
        self.text.push_str(part);
        self.ends.push(u32::try_from(self.text.len()).expect("no answer and no notification has 4 GiB"));
    }

    fn end(self) -> Pairs {
        Pairs { text: self.text.into(), ends: self.ends.into() }
    }
}

fn is_own(name: &str) -> bool {
    name == "__name__" || name == PART
}

/// The names of the labels in which these differ, in alphabetical order.
#[must_use]
pub fn differing<'a>(all: &[&'a Labels]) -> Vec<&'a str> {
    let names: BTreeSet<&str> = all.iter().flat_map(|labels| labels.iter()).map(|(name, _)| name).collect();
    let differ = |name: &&str| all.windows(2).any(|pair| pair[0].get(name) != pair[1].get(name));
    names.into_iter().filter(differ).collect()
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let (mut own, mut common) = (Reading::default(), Reading::default());
        for (name, value) in pairs {
            let to = if is_own(name.as_ref()) { &mut own } else { &mut common };
            to.push(name.as_ref());
            to.push(value.as_ref());
        }
        Self::read(own, common)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the labels of a series")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let (mut own, mut common) = (Reading::default(), Reading::default());
                let mut name = String::new();
                while map.next_key_seed(Append(&mut name))?.is_some() {
                    let to = if is_own(&name) { &mut own } else { &mut common };
                    to.push(&name);
                    map.next_value_seed(Append(&mut to.text))?;
                    to.push("");
                    name.clear();
                }
                Ok(Labels::read(own, common))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

/// Reads a text to the end of another one.
struct Append<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_by_name() {
        let labels: Labels =
            serde_json::from_str(r#"{"asg":"a","as":"ga","é":"ü","":"b","zone":""}"#).expect("labels");
        assert_eq!(labels.get("asg"), Some("a"));
        assert_eq!(labels.get("as"), Some("ga"));
        assert_eq!(labels.get("é"), Some("ü"));
        assert_eq!(labels.get(""), Some("b"));
        // Absent and empty are the same.
        assert_eq!((labels.get("zone"), labels.get("region")), (None, None));
        assert_eq!(Labels::default().get("asg"), None);
        assert_eq!(labels.clone(), labels);
        assert_ne!(labels, [("asg", "a")].into_iter().collect());
    }

    #[test]
    fn what_the_series_of_an_instance_have_in_common_is_held_once() {
        let series = |name: &str, instance: &str| {
            format!(r#"{{"__name__":"{name}","instance":"{instance}","jitsi_scaler_part":"0","zone":"a"}}"#)
        };
        let all = [("up", "x"), ("load", "x"), ("up", "y")];
        let read =
            |(name, instance)| serde_json::from_str::<Labels>(&series(name, instance)).expect("labels");
        let mut known = Known::default();
        let shared = all.map(|it| known.share(read(it)));
        assert_eq!(shared, all.map(read));
        assert_eq!(shared[1].get("__name__"), Some("load"));
        assert_eq!(shared[2].get("instance"), Some("y"));
        let same = |one: usize, other: usize| {
            let (one, other) = (&shared[one], &shared[other]);
            (Arc::ptr_eq(&one.own, &other.own), Arc::ptr_eq(&one.common, &other.common))
        };
        assert_eq!((same(0, 1), same(0, 2), same(1, 2)), ((false, true), (true, false), (false, false)));
    }

    #[test]
    fn only_texts_are_labels() {
        for body in [r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":["b"]}"#, r#"["a"]"#] {
            serde_json::from_str::<Labels>(body).expect_err(body);
        }
    }

    #[test]
    fn the_labels_that_differ_are_named() {
        let labels = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Labels>();
        let all = [
            labels(&[("region", "r"), ("asg", "a")]),
            labels(&[("region", "r"), ("asg", "a"), ("job", "x")]),
            labels(&[("region", "s"), ("asg", "a"), ("zone", "")]),
        ];
        let of = |count: usize| differing(&all.iter().take(count).collect::<Vec<_>>());
        assert_eq!((of(1), of(2), of(3)), (vec![], vec!["job"], vec!["job", "region"]));
    }
}
