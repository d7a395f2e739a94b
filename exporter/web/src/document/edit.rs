//! A file in memory whose values can be replaced before its keys are read.

use serde::de::DeserializeOwned;

use super::field::Field;
use super::problem::{Problem, Problems};
use super::reader::{Context, Dialect, nearest};
use super::tree::{self, Key, Node, Value};
use super::whole::{keys, root};

/// A file that was parsed, and whose keys were not read yet.
#[derive(Clone, Debug)]
pub struct Document {
    root: Node,
}

/// A path that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no `{name}`{}", advice(.near.as_deref(), .known))]
pub struct UnknownKey {
    /// The part of the path.
    pub name: String,
    /// What was probably meant.
    pub near: Option<String>,
    /// What there is in its place.
    pub known: Vec<String>,
}

fn advice(near: Option<&str>, known: &[String]) -> String {
    match near {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => " here, nor anything else".to_owned(),
        None => format!(" here; there are {}", known.join(", ")),
    }
}

impl Document {
    /// Parses `text`; an empty one is a section without keys.
    ///
    /// # Errors
    ///
    /// The text is not YAML, or a key appears twice.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        tree::parse(text).map(|root| Self { root })
    }

    /// Reads the keys. What is wrong is added to `problems`.
    pub fn read<T: DeserializeOwned>(&self, dialect: Dialect, problems: &Problems) -> Field<T> {
        root(&self.root, &Context { problems, dialect, keys: None, all: keys::<T> })
    }

    /// Whether something stands at a path, of which each part is a key, or the `name` of an entry of a list.
    #[must_use]
    pub fn has(&self, path: &[&str]) -> bool {
        self.find(path).is_some()
    }

    /// The text of the scalar at a path.
    #[must_use]
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        match &self.find(path)?.value {
            Value::Text(text) | Value::Number(text) | Value::Bool { written: text, .. } => Some(text),
            _ => None,
        }
    }

    fn find(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, part| match &node.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.name == *part).map(|(_, node)| node),
            Value::List(list) => list.iter().find(|node| name_of(node) == Some(part)),
            _ => None,
        })
    }

    /// Sets the scalar at a path. Keys and sections that are absent are added, entries of lists are not.
    ///
    /// # Errors
    ///
    /// A list has no entry of that name, or a part of the path is below a scalar.
    pub fn set(&mut self, path: &[&str], value: &str) -> Result<(), UnknownKey> {
        let mut node = &mut self.root;
        for part in path {
            node = match &mut node.value {
                Value::Map(entries) => {
                    let place = entries.iter().position(|(key, _)| key.name == *part).unwrap_or_else(|| {
                        let key = Key { line: 0, name: (*part).to_owned() };
                        entries.push((key, Node::of(Value::Map(Vec::new()))));
                        entries.len() - 1
                    });
                    &mut entries[place].1
                }
                Value::List(list) => {
                    let place = list.iter().position(|node| name_of(node) == Some(part));
                    let place = place.ok_or_else(|| unknown(part, list.iter().filter_map(name_of)))?;
                    &mut list[place]
                }
                _ => return Err(unknown(part, std::iter::empty())),
            };
        }
        node.value = match value {
            "true" | "false" => Value::Bool { is_true: value == "true", written: value.to_owned() },
            _ => Value::Text(value.to_owned()),
        };
        Ok(())
    }
}

fn unknown<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> UnknownKey {
    UnknownKey {
        name: name.to_owned(),
        near: nearest(name, known.clone()).map(str::to_owned),
        known: known.map(str::to_owned).collect(),
    }
}

/// The name that an entry of a list gives itself.
fn name_of(node: &Node) -> Option<&str> {
    let Value::Map(entries) = &node.value else { return None };
    let (_, name) = entries.iter().find(|(key, _)| key.name == "name")?;
    match &name.value {
        Value::Text(name) | Value::Number(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "fleets:\n  - name: jvb\n    policies: [{name: stress, scale_out: {when: \"> 0.5\"}}]\n";

    #[test]
    fn a_value_is_replaced_and_an_absent_key_is_added() {
        let mut document = Document::parse(TEXT).expect("YAML");
        let when = ["fleets", "jvb", "policies", "stress", "scale_out", "when"];
        assert_eq!(document.text(&when), Some("> 0.5"));
        document.set(&when, "> 0.6").expect("a key");
        document.set(&["fleets", "jvb", "capacity", "min"], "3").expect("a key");
        assert_eq!(document.text(&when), Some("> 0.6"));
        assert_eq!(document.text(&["fleets", "jvb", "capacity", "min"]), Some("3"));
        assert!(!document.has(&["fleets", "jibri"]));
    }

    #[test]
    fn a_name_that_no_entry_has_is_an_error_with_the_nearest_one() {
        let mut document = Document::parse(TEXT).expect("YAML");
        let mut error = |path: &[&str]| document.set(path, "1").expect_err("unknown").to_string();
        assert_eq!(
            error(&["fleets", "jvb", "policies", "stres", "scale_out"]),
            "there is no `stres`; did you mean `stress`?"
        );
        assert_eq!(error(&["fleets", "jibri", "capacity"]), "there is no `jibri` here; there are jvb");
        assert_eq!(
            error(&["fleets", "jvb", "name", "capacity"]),
            "there is no `capacity` here, nor anything else"
        );
    }
}
