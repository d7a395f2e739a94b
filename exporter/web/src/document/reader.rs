//! A deserializer over a [`Node`] that notes what is wrong and goes on.
//!
//! Of a struct it delivers every key, absent ones too, so that a `Field` always knows its place; it notes
//! keys that the struct does not have. An enum is chosen by the shape of its value: `Text`, `List` or `Section`. Sequences,
//! maps, texts and booleans are all that a configuration has; numbers are read as texts and parsed where their bounds are
//! known.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::iter::once;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::problem::{Place, Problems};
use super::tree::{ABSENT, ANYTHING, Key, MISSPELT, Node, Value};

/// How a file's YAML is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A key without a value is a mistake, and a boolean is no text.
    Strict,
    /// As Go's YAML 1.1 reads into structs: a key without a value is absent, and a boolean may stand for a text.
    Go,
}

/// What all readers of one file share.
pub(super) struct Context<'a> {
    pub(super) problems: &'a Problems,
    pub(super) dialect: Dialect,
    /// Where the paths of all keys are noted, if they are asked for.
    pub(super) keys: Option<&'a RefCell<BTreeSet<String>>>,
}

/// The name by which a `Field` asks for its place.
pub(super) const FIELD: &str = "jitsi_web::document::Field";
/// The derived name of a `Secret`, which is a text that YAML takes for nothing else.
const SECRET: &str = "Secret";

/// One value of a file, and how it is read.
pub(super) struct Reader<'a> {
    node: &'a Node,
    place: Place,
    context: &'a Context<'a>,
}

/// A mistake on its way to the field that it is in.
#[derive(Debug)]
pub(super) struct Error {
    /// Where it is, if that is known better than by the field.
    place: Option<Place>,
    text: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self { place: None, text: text.to_string() }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(node: &'a Node, place: Place, context: &'a Context<'a>) -> Self {
        Self { node, place, context }
    }

    /// A value below this one.
    fn below(&self, node: &'a Node, line: u64, key: &str) -> Self {
        let line = if line > 0 { line } else { self.place.line };
        let dot = if self.place.path.is_empty() || key.starts_with('[') { "" } else { "." };
        let path = format!("{}{dot}{key}", self.place.path);
        Self { node, place: Place { line, path }, context: self.context }
    }

    /// The error that `expected` must stand here. It names the kind of what stands here, never the value.
    fn must_be(&self, expected: &str) -> Error {
        let (kind, remedy) = match &self.node.value {
            Value::Bool { .. } if expected.starts_with("a text") => ("a boolean", "; put it into quotes"),
            Value::Number(_) if expected.starts_with("a text") => ("a number", "; put it into quotes"),
            Value::Text(text) if is_boolean(text) && expected.starts_with("true") => {
                ("a text", "; write it without quotes")
            }
            Value::Bool { .. } => ("a boolean", ""),
            Value::Number(_) => ("a number", ""),
            Value::Text(_) => ("a text", ""),
            Value::List(_) => ("a list", ""),
            Value::Map(_) => ("a section", ""),
            Value::Null | Value::Absent | Value::Misspelt | Value::Anything => ("nothing", ""),
        };
        let text = format!("must be {expected}, not {kind}{remedy}");
        Error { place: Some(self.place.clone()), text }
    }

    /// Notes the keys that `known` does not have; gives those that were probably meant.
    fn note_unknown(&self, entries: &[(Key, Node)], known: &[&'static str]) -> Vec<&'static str> {
        let mut meant = Vec::new();
        for (Key { line, name }, _) in entries.iter().filter(|(key, _)| !known.contains(&&*key.name)) {
            let text = match nearest(name, known.iter().copied()) {
                Some(near) => {
                    meant.push(near);
                    format!("there is no key `{name}` here; did you mean `{near}`?")
                }
                None => {
                    let mut known = known.to_vec();
                    known.sort_unstable();
                    format!("there is no key `{name}` here; known are {}", known.join(", "))
                }
            };
            Place { line: *line, path: self.place.path.clone() }.wrong(self.context.problems, text);
        }
        meant
    }
}

/// The name that is probably meant by another one.
pub(super) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    known.filter(|known| distance(known) <= known.len().max(3) / 3).min_by_key(|known| distance(known))
}

/// Whether Go's YAML takes a plain `text` for a boolean.
fn is_boolean(text: &str) -> bool {
    let words = ["true", "yes", "on", "y", "false", "no", "off", "n"];
    let lower = text.to_ascii_lowercase();
    let upper_rest = text.chars().skip(1).all(|c| c.is_ascii_uppercase());
    let lower_rest = text.chars().skip(1).all(|c| c.is_ascii_lowercase());
    let is_capital = text.starts_with(|c: char| c.is_ascii_uppercase());
    words.contains(&&*lower) && (lower_rest || is_capital && upper_rest)
}

impl<'de, 'a> Deserializer<'de> for Reader<'a> {
    type Error = Error;

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (name, &self.node.value) {
            (FIELD, _) => visitor.visit_seq(FieldParts { reader: Some(self), next: 0 }),
            (SECRET, Value::Number(_)) => Err(self.must_be("a text")),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (entries, meant) = match &self.node.value {
            Value::Map(entries) => (entries.as_slice(), self.note_unknown(entries, fields)),
            Value::Anything => (&[][..], Vec::new()),
            _ => return Err(self.must_be("a section of keys and values")),
        };
        let find = |field: &'static str| match entries.iter().find(|(key, _)| key.name == field) {
            Some((key, node)) => self.below(node, key.line, field),
            None if meant.contains(&field) => self.below(&MISSPELT, 0, field),
            None => match self.context.keys {
                Some(keys) => {
                    let below = self.below(&ANYTHING, 0, field);
                    keys.borrow_mut().insert(below.place.path.clone());
                    below
                }
                None => self.below(&ABSENT, 0, field),
            },
        };
        visitor.visit_map(MapDeserializer::new(fields.iter().map(|field| (*field, find(field)))))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let entries: Vec<_> = match &self.node.value {
            Value::Map(entries) => {
                let below =
                    |(key, node): &'a (Key, Node)| (&*key.name, self.below(node, key.line, &key.name));
                entries.iter().map(below).collect()
            }
            Value::Anything => vec![("*", self.below(&ANYTHING, 0, "*"))],
            _ => return Err(self.must_be("a section of keys and values")),
        };
        visitor.visit_map(MapDeserializer::new(entries.into_iter()))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let readers: Vec<Reader<'_>> = match &self.node.value {
            Value::List(list) => {
                let below = |(at, node): (usize, &'a Node)| self.below(node, node.line, &format!("[{at}]"));
                list.iter().enumerate().map(below).collect()
            }
            Value::Anything => vec![self.below(&ANYTHING, 0, "[]")],
            _ => return Err(self.must_be("a list")),
        };
        visitor.visit_seq(SeqDeserializer::new(readers.into_iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let shape = match &self.node.value {
            Value::Map(_) => "Section",
            Value::List(_) => "List",
            Value::Anything => variants.last().unwrap_or(&"Text"),
            _ => "Text",
        };
        if !variants.contains(&shape) {
            let shapes: Vec<_> = variants.iter().map(|shape| format!("a {}", shape.to_lowercase())).collect();
            return Err(self.must_be(&shapes.join(" or ")));
        }
        // An enum is read as a map with one entry: the variant and its value.
        visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(once((shape, self)))))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Bool { is_true, written } if is_boolean(written) => visitor.visit_bool(*is_true),
            _ => Err(self.must_be("true or false")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Text(text) | Value::Number(text) => visitor.visit_str(text),
            Value::Bool { written, .. } if self.context.dialect == Dialect::Go => visitor.visit_str(written),
            _ => Err(self.must_be("a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// Line, path, whether the key is misspelt, and value of a field; no value where the key is absent.
struct FieldParts<'a> {
    reader: Option<Reader<'a>>,
    next: u8,
}

impl<'de> SeqAccess<'de> for FieldParts<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next += 1;
        let Some(reader) = &self.reader else { return Ok(None) };
        match self.next {
            1 => return seed.deserialize(reader.place.line.into_deserializer()).map(Some),
            2 => return seed.deserialize(reader.place.path.as_str().into_deserializer()).map(Some),
            3 => {
                let is_misspelt = matches!(reader.node.value, Value::Misspelt);
                return seed.deserialize(is_misspelt.into_deserializer()).map(Some);
            }
            _ => {}
        }
        let Some(reader) = self.reader.take() else { return Ok(None) };
        let (place, problems) = (reader.place.clone(), reader.context.problems);
        let error = match (&reader.node.value, reader.context.dialect) {
            (Value::Absent, _) | (Value::Null, Dialect::Go) => return Ok(None),
            (Value::Misspelt, _) => return Err(Error { place: None, text: String::new() }),
            (Value::Null, Dialect::Strict) => {
                de::Error::custom("has no value; write one, or leave the key out")
            }
            _ => match seed.deserialize(reader) {
                Ok(value) => return Ok(Some(value)),
                Err(error) => error,
            },
        };
        let Error { place: precise, text } = error;
        precise.unwrap_or(place).wrong(problems, &text);
        Err(Error { place: None, text })
    }
}

impl IntoDeserializer<'_, Error> for Reader<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
