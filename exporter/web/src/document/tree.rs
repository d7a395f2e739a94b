//! YAML as a tree whose values know their lines and whose scalars are kept as they are written: a release `1.10` is not
//! `1.1`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::problem::{Place, Problem};

/// A value with its line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
    /// Where the text of a scalar is, in bytes: start and length.
    span: Option<(usize, usize)>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool {
        is_true: bool,
        written: String,
    },
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(Key, Node)>),
    /// The key of a struct is absent.
    Absent,
    /// A key that is probably meant for this one is there, or it cannot be read; a problem has been noted.
    Misspelt,
    /// Stands for every value while keys are listed.
    Anything,
}

/// A key with its line.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) line: u64,
    pub(super) name: String,
}

/// For keys of a struct that the file does not have.
pub(super) static ABSENT: Node = Node::of(Value::Absent);
/// For keys of a struct that the file has in another spelling.
pub(super) static MISSPELT: Node = Node::of(Value::Misspelt);
/// For keys of a struct while keys are listed.
pub(super) static ANYTHING: Node = Node::of(Value::Anything);

impl Node {
    pub(super) const fn of(value: Value) -> Self {
        Self { line: 0, value, span: None }
    }

    /// Gives scalars back the text that stands in `source`.
    fn keep_as_written(&mut self, source: &str) {
        match &mut self.value {
            Value::Number(text) | Value::Bool { written: text, .. } => {
                let written = self.span.and_then(|(start, length)| source.get(start..start + length));
                if let Some(written) = written.map(str::trim).filter(|written| !written.is_empty()) {
                    written.clone_into(text);
                }
            }
            Value::List(list) => list.iter_mut().for_each(|node| node.keep_as_written(source)),
            Value::Map(map) => map.iter_mut().for_each(|(_, node)| node.keep_as_written(source)),
            _ => {}
        }
    }
}

/// The deepest nesting of a file. No file needs half of it, and a thread has room for more.
const DEEPEST: usize = 20;

/// Reads `text` into a tree; an empty text is a section without keys.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let options =
        serde_saphyr::options! { with_snippet: false, budget: serde_saphyr::budget! { max_depth: DEEPEST } };
    let root: Result<Node, _> = serde_saphyr::from_str_with_options(text, options);
    let mut root = root.map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        Place { line, path: String::new() }.problem(advise(&error.to_string()))
    })?;
    root.keep_as_written(text);
    if matches!(root.value, Value::Null) {
        root.value = Value::Map(Vec::new());
    }
    Ok(root)
}

/// The YAML library's message, for people who write a configuration.
fn advise(message: &str) -> String {
    // The library repeats the place in its own words.
    let message = message.split(" at line ").next().unwrap_or_default();
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        let key = key.split(',').next().unwrap_or_default();
        return format!(
            "the key `{key}` appears twice in one section; remove one, or begin a new entry of a list with `- `"
        );
    }
    if message.contains("depth") {
        return format!(
            "this is nested deeper than {DEEPEST} levels, which no section is; nothing after it was read"
        );
    }
    let remedy = if message.contains("from_str_multiple") {
        return "a second document begins here; remove the line --- and what follows it".to_owned();
    } else if message.contains("tab") {
        "; indent with spaces, not with tabs"
    } else if message.contains("'-' indicator") {
        "; indent like the line before"
    } else if message.contains("'>'") || message.contains("`>'") || message.contains("block scalar") {
        "; put comparisons into quotes, as in when: \"> 2\""
    } else if message.contains("mapping") {
        "; put texts with {, }, : or # into quotes"
    } else {
        ""
    };
    format!("this is not valid YAML: {message}{remedy}; nothing after it was read")
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        // Of an alias, `defined` is where its anchor is.
        let span = spanned.defined.span();
        let bytes = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
        let span = bytes(span.byte_offset()).zip(bytes(span.byte_len()));
        Ok(Self { line: spanned.referenced.line(), value: spanned.value, span })
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

    fn visit_bool<E>(self, is_true: bool) -> Result<Value, E> {
        Ok(Value::Bool { is_true, written: is_true.to_string() })
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
