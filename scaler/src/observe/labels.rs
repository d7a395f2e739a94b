//! Labels, held as compactly as an answer with many series, or a notification of many alerts, needs.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

/// The labels of a series or of an alert. Clones share them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Each name and its value, without anything between them.
    text: Arc<str>,
    /// Where each of them ends in `text`.
    ends: Arc<[usize]>,
}

impl Labels {
    /// The value of a label. Absent and empty are the same in Prometheus.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(of, value)| *of == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// Names and values, as they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let pair = (&self.text[start..ends[0]], &self.text[ends[0]..ends[1]]);
            start = ends[1];
            pair
        })
    }
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
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (name, value) in pairs {
            for part in [name.as_ref(), value.as_ref()] {
                text.push_str(part);
                ends.push(text.len());
            }
        }
        Self { text: text.into(), ends: ends.into() }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the labels of a series")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                std::iter::from_fn(|| map.next_entry::<String, String>().transpose()).collect()
            }
        }

        deserializer.deserialize_map(Pairs)
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
