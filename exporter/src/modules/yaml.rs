//! YAML with line numbers, read so that every mistake is found at once: each question to a section
//! notes what is wrong and goes on, and what nobody asked for is noted as unknown. The one place
//! that calls the YAML library, and nothing here shows a value, because it may be a password.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A mistake in the file, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; none where the whole file is meant.
    pub line: Option<u64>,
    /// Where, as a path of keys, and what.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// Longer than any scrape may take.
const LONGEST: Duration = Duration::from_mins(2);

/// A key with its line.
struct Key {
    line: u64,
    name: String,
}

/// A value with its line.
pub(super) struct Node {
    line: u64,
    value: Value,
}

enum Value {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List,
    Map(Vec<(Key, Node)>),
}

impl Value {
    fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number => "a number",
            Self::Text(_) => "a text",
            Self::List => "a list",
            Self::Map(_) => "a section",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), name: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        while access.next_element::<Node>()?.is_some() {}
        Ok(Value::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = access.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

/// Reads `text` into a tree. A mistake in the YAML itself ends the reading, so that it comes alone.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! { with_snippet: false };
    let read: Result<Node, _> = serde_saphyr::from_str_with_options(text, options);
    read.map_err(|error| {
        let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
        Problem { line, text: advise(&error.to_string()) }
    })
}

/// What the YAML library says, for people who write a configuration.
fn advise(message: &str) -> String {
    // The library repeats the place in its own words.
    let message = message.split(" at line ").next().unwrap_or_default();
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        return format!("the key `{}` stands here twice", key.split(',').next().unwrap_or_default());
    }
    if message.contains("from_str_multiple") {
        return "a second document begins here, which nobody would read: remove the line ---".to_owned();
    }
    format!("this is not valid YAML: {message}; nothing after it was read")
}

/// Something that was found, with its place.
pub(super) struct Found<T> {
    pub(super) line: u64,
    pub(super) path: String,
    pub(super) value: T,
}

/// A section under the reader's eyes.
pub(super) struct Section {
    path: String,
    line: u64,
    entries: Vec<(Key, Node)>,
    asked: Vec<&'static str>,
}

/// Where problems are gathered.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, line: u64, path: &str, text: impl fmt::Display) {
        let text = if path.is_empty() { text.to_string() } else { format!("{path}: {text}") };
        self.0.push(Problem { line: Some(line).filter(|line| *line > 0), text });
    }
}

impl Section {
    /// Takes `node` for a section; anything else is noted, and read as an empty one.
    pub(super) fn new(node: Node, path: String, problems: &mut Problems) -> Self {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            other => {
                let text = format!("it must be a section of keys and values, not {}", other.describe());
                problems.add(node.line, &path, text);
                Vec::new()
            }
        };
        Self { path, line: node.line, entries, asked: Vec::new() }
    }

    /// Where it is.
    pub(super) fn place(&self) -> (u64, &str) {
        (self.line, &self.path)
    }

    fn child(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &'static str, problems: &mut Problems) -> Option<Found<Value>> {
        self.asked.push(key);
        let index = self.entries.iter().position(|(found, _)| found.name == key)?;
        let (Key { line, .. }, node) = self.entries.swap_remove(index);
        let path = self.child(key);
        if matches!(node.value, Value::Null) {
            problems.add(line, &path, "it has no value: write one, or leave the key out");
            return None;
        }
        Some(Found { line, path, value: node.value })
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<Found<String>> {
        let Found { line, path, value } = self.take(key, problems)?;
        match value {
            Value::Text(value) if value.is_empty() => {
                problems.add(line, &path, "it is empty: write a text, or leave the key out");
                None
            }
            Value::Text(value) => Some(Found { line, path, value }),
            other => {
                problems.add(line, &path, no_text(&other));
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn required(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Found<String>> {
        let is_there = self.entries.iter().any(|(found, _)| found.name == key);
        let is_misspelt = self.entries.iter().any(|(found, _)| is_near(&found.name, key));
        if !is_there && !is_misspelt {
            let (line, path) = self.place();
            problems.add(line, path, format!("`{key}` is missing: write for example `{key}: {example}`"));
        }
        self.text(key, problems)
    }

    /// `true` or `false`; absent is `false`.
    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> bool {
        match self.take(key, problems) {
            Some(Found { value: Value::Bool(value), .. }) => value,
            Some(Found { line, path, value }) => {
                problems.add(line, &path, format!("it must be true or false, not {}", value.describe()));
                false
            }
            None => false,
        }
    }

    /// A duration such as `5s` or `1500ms`, not longer than a scrape may take.
    pub(super) fn duration(&mut self, key: &'static str, problems: &mut Problems) -> Option<Duration> {
        let Found { line, path, value } = self.take(key, problems)?;
        let duration = match &value {
            Value::Text(text) if !text.contains('M') => humantime::parse_duration(text).ok(),
            _ => None,
        };
        let duration = duration.filter(|duration| !duration.is_zero() && *duration <= LONGEST);
        if duration.is_none() {
            problems.add(line, &path, "it must be a duration up to 2m with its unit, such as 5s or 1500ms");
        }
        duration
    }

    /// A section below this one.
    pub(super) fn section(&mut self, key: &'static str, problems: &mut Problems) -> Option<Self> {
        let Found { line, path, value } = self.take(key, problems)?;
        Some(Self::new(Node { line, value }, path, problems))
    }

    /// Every section below `key`, with its name, where the names are the operator's own.
    pub(super) fn named(&mut self, key: &'static str, problems: &mut Problems) -> Vec<(String, Self)> {
        let Some(section) = self.section(key, problems) else { return Vec::new() };
        let Self { path, entries, .. } = section;
        let mut sections = Vec::new();
        for (Key { line, name }, node) in entries {
            let path = format!("{path}.{name}");
            sections.push((name, Self::new(Node { line, value: node.value }, path, problems)));
        }
        sections
    }

    /// Every key below `key` with its text, where the keys are the operator's own.
    pub(super) fn pairs(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Vec<(String, Found<String>)> {
        let Some(Self { path, entries, .. }) = self.section(key, problems) else { return Vec::new() };
        let mut pairs = Vec::new();
        for (Key { line, name }, node) in entries {
            let path = format!("{path}.{name}");
            match node.value {
                Value::Text(value) => pairs.push((name, Found { line, path, value })),
                other => problems.add(line, &path, no_text(&other)),
            }
        }
        pairs
    }

    /// Notes every key that nobody asked for, with the nearest that is known here.
    pub(super) fn finish(self, problems: &mut Problems) {
        for (Key { line, name }, _) in &self.entries {
            if self.asked.contains(&name.as_str()) {
                continue;
            }
            let near = self.asked.iter().filter(|known| is_near(name, known));
            let text = match near.min_by_key(|known| strsim::damerau_levenshtein(name, known)) {
                Some(known) => format!("there is no key `{name}` here: did you mean `{known}`?"),
                None => {
                    let mut known = self.asked.clone();
                    known.sort_unstable();
                    format!("there is no key `{name}` here: known are {}", known.join(", "))
                }
            };
            problems.add(*line, &self.path, text);
        }
    }
}

fn no_text(value: &Value) -> String {
    let remedy = match value {
        Value::Number | Value::Bool(_) => ": put it into quotes",
        _ => "",
    };
    format!("it must be a text, not {}{remedy}", value.describe())
}

/// Whether `name` was probably meant to be `known`.
fn is_near(name: &str, known: &str) -> bool {
    strsim::damerau_levenshtein(name, known) <= known.len().max(3) / 3
}
