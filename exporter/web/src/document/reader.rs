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
    /// The paths of all keys that such a file can have.
    pub(super) all: fn() -> BTreeSet<String>,
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

    /// The error of a value that a generated file leaves to a person, if this is one. The other dialect's files are not
    /// generated, and such a text may stand in them.
    fn open(&self) -> Option<Error> {
        match (&self.node.value, self.context.dialect) {
            (Value::Text(text), Dialect::Strict) => {
                let text = format!("is an open choice: {}; write yours in place of <…>", open_choice(text)?);
                Some(Error { place: Some(self.place.clone()), text })
            }
            _ => None,
        }
    }

    /// The error that `expected` must stand here. It names the kind of what stands here, never the value.
    fn must_be(&self, expected: &str) -> Error {
        if let Some(open) = self.open() {
            return open;
        }
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

    /// Where the key `name` belongs, if only the section is wrong: below this section, else anywhere.
    fn elsewhere(&self, name: &str) -> String {
        let all = (self.context.all)();
        let sections = all.iter().filter_map(|path| match path.rsplit_once('.') {
            Some((section, key)) => (key == name).then_some(section),
            None => (path == name).then_some(""),
        });
        let here = format!("{}.", without_numbers(&self.place.path));
        let (below, others): (Vec<_>, Vec<_>) = sections.partition(|section| section.starts_with(&here));
        let below: Vec<_> = below.iter().map(|section| &section[here.len()..]).collect();
        let sections = if below.is_empty() { others } else { below };
        let quoted = |section: &&str| match *section {
            "" => "at the top of the file".to_owned(),
            section => format!("in `{section}`"),
        };
        match sections.as_slice() {
            [] => String::new(),
            [one] => format!("; it belongs {}", quoted(one)),
            [one, other, ..] => format!("; it belongs {} or {}", quoted(one), quoted(other)),
        }
    }

    /// Notes the keys that `known` does not have; gives those that were probably meant.
    fn note_unknown(&self, entries: &[(Key, Node)], known: &[&'static str]) -> Vec<&'static str> {
        let mut meant = Vec::new();
        for (Key { line, name }, _) in entries.iter().filter(|(key, _)| !known.contains(&&*key.name)) {
            let place = Place { line: *line, path: self.place.path.clone() };
            if let Some(choice) = open_choice(name) {
                // After a colon it says why.
                let keys = choice.split(':').next().unwrap_or_default();
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                meant.extend(
                    known.iter().filter(|known| keys.split(|c| !is_word(c)).any(|word| word == **known)),
                );
                let text = format!("a key is an open choice: {choice}; write yours in place of <…>");
                place.wrong(self.context.problems, text);
                continue;
            }
            let text = match nearest(name, known.iter().copied()) {
                Some(near) => {
                    meant.push(near);
                    format!("there is no key `{name}` here; did you mean `{near}`?")
                }
                None => {
                    let mut known = known.to_vec();
                    known.sort_unstable();
                    let elsewhere = self.elsewhere(name);
                    format!("there is no key `{name}` here{elsewhere}; known are {}", known.join(", "))
                }
            };
            place.wrong(self.context.problems, text);
        }
        meant
    }
}

/// The name that is probably meant by another one.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    known.filter(|known| distance(known) <= known.len().max(3) / 3).min_by_key(|known| distance(known))
}

/// A path of keys without the numbers of entries, as [`super::keys`] lists it.
fn without_numbers(path: &str) -> String {
    path.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// What a text like `<jvb or jibri>` says: a generated file has it where only a person can choose.
fn open_choice(text: &str) -> Option<&str> {
    text.strip_prefix('<')?.strip_suffix('>').map(str::trim).filter(|choice| !choice.is_empty())
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
            // A password may look like an open choice, and no error may show it.
            (SECRET, Value::Text(text)) => visitor.visit_newtype_struct(text.as_str().into_deserializer()),
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
        if let Some(open) = self.open() {
            return Err(open);
        }
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
