//! YAML with line numbers, read so that every mistake is found at once.
//!
//! Owns the one place where a YAML library is called, and a reader over its tree: each `take…` notes what is wrong and
//! goes on, and what nobody took is reported as unknown. Knows nothing of what the keys mean.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; 0 where the whole file is meant.
    pub line: u64,
    /// Where it is, as a path of keys; empty for the whole file.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.text)
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    line: u64,
    /// Where its text stands, in bytes.
    span: Option<(usize, usize)>,
    value: Value,
}

/// A key with its line.
#[derive(Clone, Debug)]
struct Key {
    line: u64,
    name: String,
}

#[derive(Clone, Debug)]
enum Value {
    Null,
    Bool(bool),
    /// What YAML takes for a number, kept as it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Value {
    fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => text.clone(),
            Self::Text(text) => format!("\"{text}\""),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a section".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let at = spanned.referenced.span();
        let byte = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
        let span = byte(at.byte_offset()).zip(byte(at.byte_len()));
        Ok(Self { line: spanned.referenced.line(), span, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), name: spanned.value })
    }
}

impl Node {
    /// Gives numbers back the text that stands in `source`: 1.10 is not 1.1 where a name or a tag is meant.
    fn as_written(&mut self, source: &str) {
        match &mut self.value {
            Value::Number(text) => {
                let written = self.span.and_then(|(start, length)| source.get(start..start + length));
                if let Some(written) = written.map(str::trim).filter(|written| !written.is_empty()) {
                    written.clone_into(text);
                }
            }
            Value::List(list) => list.iter_mut().for_each(|node| node.as_written(source)),
            Value::Map(map) => map.iter_mut().for_each(|(_, node)| node.as_written(source)),
            Value::Null | Value::Bool(_) | Value::Text(_) => {}
        }
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

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
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
        let mut list = Vec::new();
        while let Some(node) = access.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = access.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

/// Reads `text` into a tree. Syntax errors and duplicate keys end the reading, so they come alone.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! { with_snippet: false };
    let read: Result<Node, _> = serde_saphyr::from_str_with_options(text, options);
    match read {
        Ok(mut node) => {
            node.as_written(text);
            Ok(node)
        }
        Err(error) => {
            let line = error.location().map_or(0, |location| location.line());
            Err(Problem { line, path: String::new(), text: advise(&error.to_string()) })
        }
    }
}

/// What the YAML library says, for people who write a configuration.
fn advise(message: &str) -> String {
    // The library repeats the place in its own words.
    let message = message.split(" at line ").next().unwrap_or_default();
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        let key = key.split(',').next().unwrap_or_default();
        return format!("the key `{key}` stands here twice; a new entry of a list begins with `- `");
    }
    let remedy = if message.contains("from_str_multiple") {
        return "this is a second document; remove the line ---".to_owned();
    } else if message.contains("tab") {
        "; indent with spaces, not with tabs"
    } else if message.contains("`>'") || message.contains("'>'") || message.contains("block scalar") {
        "; put comparisons into quotes, as in when: \"> 2\""
    } else if message.contains("mapping") {
        "; put texts with {, }, : or # into quotes"
    } else {
        ""
    };
    format!("this is not valid YAML: {message}{remedy}; nothing after it was read")
}

/// Where problems are gathered while a file is read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    wrong: RefCell<Vec<Problem>>,
    odd: RefCell<Vec<Problem>>,
}

impl Problems {
    pub(super) fn add(&self, line: u64, path: &str, text: impl Into<String>) {
        self.wrong.borrow_mut().push(Problem { line, path: path.to_owned(), text: text.into() });
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.wrong.borrow().is_empty()
    }

    /// All that is wrong and all that is only odd, each in the order of the file.
    pub(super) fn into_sorted(self) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |problems: RefCell<Vec<Problem>>| {
            let mut problems = problems.into_inner();
            problems.sort_by_key(|problem| problem.line);
            problems
        };
        (sorted(self.wrong), sorted(self.odd))
    }
}

/// A map under the reader's eyes.
pub(super) struct Section<'a> {
    problems: &'a Problems,
    path: String,
    line: u64,
    entries: Vec<(Key, Node)>,
    asked: Vec<&'static str>,
}

/// A value that was found, with its place, so that a later judgement can point at it.
pub(super) struct Found<'a, T> {
    problems: &'a Problems,
    pub(super) path: String,
    pub(super) line: u64,
    pub(super) value: T,
}

impl<'a, T> Found<'a, T> {
    /// Notes that this value is wrong.
    pub(super) fn wrong(&self, text: impl Into<String>) {
        self.problems.add(self.line, &self.path, text);
    }

    /// Notes that this value can be meant, and hardly is.
    pub(super) fn odd(&self, text: impl Into<String>) {
        let problem = Problem { line: self.line, path: self.path.clone(), text: text.into() };
        self.problems.odd.borrow_mut().push(problem);
    }

    /// The value as `convert` understands it; its error says what to write instead.
    pub(super) fn convert<U>(self, convert: impl FnOnce(T) -> Result<U, String>) -> Option<Found<'a, U>> {
        let Self { problems, path, line, value } = self;
        match convert(value) {
            Ok(value) => Some(Found { problems, path, line, value }),
            Err(text) => {
                problems.add(line, &path, text);
                None
            }
        }
    }
}

impl Found<'_, Duration> {
    /// Notes a fraction of a second where nothing is timed that finely: it is a slip of the unit.
    pub(super) fn whole_seconds(&self) {
        if self.value.subsec_nanos() > 0 {
            self.wrong("must be whole seconds; for minutes write m, not ms");
        }
    }

    /// Notes a duration that nobody means, and what comes of it.
    pub(super) fn odd_above(&self, longest: Duration, consequence: &str) {
        if self.value > longest {
            let hours = longest.as_secs() / 3600;
            let longest = match longest.as_secs() {
                seconds if seconds < 3600 => format!("{}m", seconds / 60),
                _ if hours > 12 => format!("{}d", hours / 24),
                _ => format!("{hours}h"),
            };
            self.odd(format!("is longer than {longest}: {consequence}"));
        }
    }
}

impl<'a> Section<'a> {
    /// Takes `node` for a section; anything else is noted as a problem and read as an empty one.
    pub(super) fn new(node: Node, path: &str, problems: &'a Problems) -> Self {
        let line = node.line;
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            other => {
                problems.add(
                    line,
                    path,
                    format!("must be a section of keys and values, not {}", other.describe()),
                );
                Vec::new()
            }
        };
        Self { problems, path: path.to_owned(), line, entries, asked: Vec::new() }
    }

    /// Its line.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Every section below `key`, with its name, where the names are the operator's own.
    pub(super) fn named_sections(&mut self, key: &'static str) -> Vec<(String, Section<'a>)> {
        let Some(found) = self.take(key) else { return Vec::new() };
        let (problems, path) = (found.problems, found.path);
        match found.value {
            Value::Map(map) => map
                .into_iter()
                .map(|(name, node)| {
                    let section = Section::new(node, &format!("{path}.{}", name.name), problems);
                    (name.name, section)
                })
                .collect(),
            other => {
                problems.add(found.line, &path, format!("must be a section, not {}", other.describe()));
                Vec::new()
            }
        }
    }

    /// Notes a problem of the section as a whole.
    pub(super) fn wrong(&self, text: impl Into<String>) {
        self.problems.add(self.line, &self.path, text);
    }

    /// Notes that something of the section can be meant, and hardly is.
    pub(super) fn odd(&self, text: impl Into<String>) {
        let problem = Problem { line: self.line, path: self.path.clone(), text: text.into() };
        self.problems.odd.borrow_mut().push(problem);
    }

    fn child(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &'static str) -> Option<Found<'a, Value>> {
        self.asked.push(key);
        #[cfg(test)]
        known::note(&self.child(key));
        let index = self.entries.iter().position(|(name, _)| name.name == key)?;
        let (Key { line, .. }, node) = self.entries.swap_remove(index);
        let (problems, path) = (self.problems, self.child(key));
        if matches!(node.value, Value::Null) {
            problems.add(line, &path, "has no value; write one, or leave the key out");
            return None;
        }
        Some(Found { problems, path, line, value: node.value })
    }

    /// Notes that `key` is missing, unless a key stands here that was probably meant for it.
    pub(super) fn missing(&self, key: &str, text: impl Into<String>) {
        if !self
            .entries
            .iter()
            .any(|(name, _)| !self.asked.contains(&name.name.as_str()) && is_near(&name.name, key))
        {
            self.wrong(text);
        }
    }

    /// A text, or a number as it is written.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Found<'a, String>> {
        self.take(key)?.convert(|value| match value {
            Value::Text(text) | Value::Number(text) => Ok(text),
            other => Err(format!("must be a text, not {}", other.describe())),
        })
    }

    /// As [`Section::text`]; its absence is a problem.
    pub(super) fn required_text(&mut self, key: &'static str, example: &str) -> Option<Found<'a, String>> {
        let present = self.has(key);
        let found = self.text(key);
        if !present {
            self.missing(key, format!("`{key}` is missing; write for example `{key}: {example}`"));
        }
        found
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.take(key)?
            .convert(|value| match value {
                Value::Bool(value) => Ok(value),
                other => Err(format!("must be true or false, not {}", other.describe())),
            })
            .map(|found| found.value)
    }

    /// A duration such as `90s`, `10m` or `7d`.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Found<'a, Duration>> {
        self.text(key)?.convert(|text| duration(&text))
    }

    /// A list of texts; a single text is a list of one.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Found<'a, Vec<String>>> {
        self.take(key)?.convert(|value| match value {
            Value::Text(text) | Value::Number(text) => Ok(vec![text]),
            Value::List(list) => list
                .into_iter()
                .map(|node| match node.value {
                    Value::Text(text) | Value::Number(text) => Ok(text),
                    other => Err(format!("must be a list of texts, and holds {}", other.describe())),
                })
                .collect(),
            other => Err(format!("must be a list of texts, not {}", other.describe())),
        })
    }

    /// A section below this one.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'a>> {
        let found = self.take(key)?;
        let node = Node { line: found.line, span: None, value: found.value };
        Some(Section::new(node, &found.path, found.problems))
    }

    /// A section, or a text that stands for one.
    pub(super) fn section_or_text(&mut self, key: &'static str) -> Option<SectionOrText<'a>> {
        let found = self.take(key)?;
        if let Value::Text(_) = found.value {
            return found
                .convert(|value| match value {
                    Value::Text(text) => Ok(text),
                    other => Err(other.describe()),
                })
                .map(SectionOrText::Text);
        }
        let node = Node { line: found.line, span: None, value: found.value };
        Some(SectionOrText::Section(Section::new(node, &found.path, found.problems)))
    }

    /// A list of sections.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some(found) = self.take(key) else { return Vec::new() };
        let (problems, path) = (found.problems, found.path);
        match found.value {
            Value::List(list) => list
                .into_iter()
                .enumerate()
                .map(|(index, node)| Section::new(node, &format!("{path}[{index}]"), problems))
                .collect(),
            other => {
                problems.add(found.line, &path, format!("must be a list, not {}", other.describe()));
                Vec::new()
            }
        }
    }

    /// Every key with its text, where the keys are the operator's own.
    pub(super) fn pairs(&mut self, key: &'static str) -> Option<Found<'a, Vec<(String, String)>>> {
        self.take(key)?.convert(|value| match value {
            Value::Map(map) => map
                .into_iter()
                .map(|(name, node)| match node.value {
                    Value::Text(text) | Value::Number(text) => Ok((name.name, text)),
                    Value::Bool(value) => {
                        Err(format!("`{}` must be a text; write \"{value}\" in quotes", name.name))
                    }
                    other => Err(format!("`{}` must be a text, not {}", name.name, other.describe())),
                })
                .collect(),
            other => Err(format!("must be a section of names and texts, not {}", other.describe())),
        })
    }

    /// Takes `key` without a look, because of a mistake that has been told.
    pub(super) fn ignore(&mut self, key: &'static str) {
        drop(self.take(key));
    }

    /// Whether `key` is there and not yet taken, with a value or without.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.name == key)
    }

    /// Notes every key that nobody asked for, with the nearest that is known here.
    pub(super) fn finish(self) {
        for (Key { line, name }, _) in &self.entries {
            if self.asked.contains(&name.as_str()) {
                continue;
            }
            let near = self.asked.iter().filter(|known| is_near(name, known));
            let text = match near.min_by_key(|known| strsim::damerau_levenshtein(name, known)) {
                Some(known) => format!("there is no key `{name}` here; did you mean `{known}`?"),
                None => {
                    let mut known = self.asked.clone();
                    known.sort_unstable();
                    format!("there is no key `{name}` here; known are {}", known.join(", "))
                }
            };
            self.problems.add(*line, &self.path, text);
        }
    }
}

/// Whether `name` was probably meant to be `known`.
fn is_near(name: &str, known: &str) -> bool {
    strsim::damerau_levenshtein(name, known) <= known.len().max(3) / 3
}

/// A duration in milliseconds, seconds, minutes, hours or days. Months and years, which an `M` or a `y` would be, are
/// refused: nobody means them here.
fn duration(text: &str) -> Result<Duration, String> {
    let units: Vec<&str> =
        text.split(|c: char| c.is_ascii_digit() || c == ' ').filter(|unit| !unit.is_empty()).collect();
    if units.contains(&"M") {
        return Err(format!("\"{text}\" is in months; for minutes write m"));
    }
    let known = units.iter().all(|unit| ["ms", "s", "m", "h", "d"].contains(unit));
    let parsed = humantime::parse_duration(text).ok().filter(|_| known);
    let duration =
        parsed.ok_or_else(|| format!("must be a duration such as 90s, 10m or 7d, not \"{text}\""))?;
    if duration > LONGEST { Err(format!("\"{text}\" is longer than 90d")) } else { Ok(duration) }
}

/// Longer than anything that is waited for here.
const LONGEST: Duration = Duration::from_hours(24 * 90);

/// What [`Section::section_or_text`] found.
pub(super) enum SectionOrText<'a> {
    /// Keys and values.
    Section(Section<'a>),
    /// A single text.
    Text(Found<'a, String>),
}

/// Every key that was asked for, there or not, for the test that holds the guide against them.
#[cfg(test)]
pub(super) mod known {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static KEYS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    }

    /// Notes the key at `path`; all entries of a list are one.
    pub(super) fn note(path: &str) {
        let path: String = path
            .split(['[', ']'])
            .enumerate()
            .map(|(at, part)| if at % 2 == 1 { "[]" } else { part })
            .collect();
        KEYS.with_borrow_mut(|keys| keys.insert(path));
    }

    /// What this thread has asked for since the last time.
    pub(crate) fn take() -> BTreeSet<String> {
        KEYS.take()
    }
}
