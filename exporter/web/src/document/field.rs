//! The value of one key: present with its place, absent, or wrong.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::problem::{Place, Problems};
use super::reader::FIELD;

/// The value of one key. Reading it never fails: what is wrong has been noted.
#[derive(Clone, Debug)]
pub struct Field<T> {
    /// Where the key is; of an absent one the line of its section.
    place: Place,
    state: State<T>,
}

#[derive(Clone, Debug)]
enum State<T> {
    Present(T),
    Absent,
    Misspelt,
    Wrong,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self { place: Place::default(), state: State::Absent }
    }
}

impl<T> Field<T> {
    /// Where the key is; of an absent one, the line of its section and the path that it would have.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the file has neither the key nor a misspelling of it.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    /// Whether the file has the key, or a misspelling of it, and no value that can be used.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        matches!(self.state, State::Wrong | State::Misspelt)
    }

    /// The value, where there is a usable one.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        if let State::Present(value) = &self.state { Some(value) } else { None }
    }

    /// The value, where there is a usable one.
    #[must_use]
    pub fn take(self) -> Option<T> {
        if let State::Present(value) = self.state { Some(value) } else { None }
    }

    /// The value and its place, where there is a usable one.
    #[must_use]
    pub fn open(self) -> Option<(Place, T)> {
        if let State::Present(value) = self.state { Some((self.place, value)) } else { None }
    }

    /// The value, or `default` where the key is absent; none where the value is wrong.
    #[must_use]
    pub fn or(self, default: T) -> Option<T> {
        match self.state {
            State::Present(value) => Some(value),
            State::Absent => Some(default),
            State::Wrong | State::Misspelt => None,
        }
    }

    /// Notes an absent key; `example` is a value that it could have.
    #[must_use]
    pub fn required(self, problems: &Problems, example: &str) -> Self {
        let key = self.place.path.rsplit('.').next().unwrap_or_default();
        let text = format!("`{key}` is missing; write for example `{key}: {example}`");
        self.required_because(problems, text)
    }

    /// Notes an absent key, with its own text.
    #[must_use]
    pub fn required_because(mut self, problems: &Problems, text: impl Into<String>) -> Self {
        if self.is_absent() {
            let section = self.place.path.rsplit_once('.').map_or("", |(section, _)| section);
            Place { line: self.place.line, path: section.to_owned() }.wrong(problems, text);
            self.state = State::Wrong;
        }
        self
    }

    /// Notes `text` where the file has the key. A misspelling has been noted already.
    pub fn refuse(&self, problems: &Problems, text: impl Into<String>) {
        if !matches!(self.state, State::Absent | State::Misspelt) {
            self.place.wrong(problems, text);
        }
    }

    /// What `read` makes of the value; its error says what is wrong and what to write instead.
    #[must_use]
    pub fn convert<U>(self, problems: &Problems, read: impl FnOnce(T) -> Result<U, String>) -> Field<U> {
        let Self { place, state } = self;
        let state = match state {
            State::Present(value) => match read(value) {
                Ok(value) => State::Present(value),
                Err(text) => {
                    place.wrong(problems, text);
                    State::Wrong
                }
            },
            State::Absent => State::Absent,
            State::Misspelt => State::Misspelt,
            State::Wrong => State::Wrong,
        };
        Field { place, state }
    }

    /// Notes `text` where the value does not pass `is_valid`.
    #[must_use]
    pub fn check(self, problems: &Problems, is_valid: impl FnOnce(&T) -> bool, text: &str) -> Self {
        self.convert(problems, |value| if is_valid(&value) { Ok(value) } else { Err(text.to_owned()) })
    }
}

impl Field<String> {
    /// Which of `words` the text is, as what that word stands for.
    #[must_use]
    pub fn one_of<U: Copy>(self, problems: &Problems, words: &[(&str, U)]) -> Field<U> {
        self.convert(problems, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let (last, others) =
                    words.split_last().map_or(("", words), |((last, _), others)| (*last, others));
                let others: Vec<_> = others.iter().map(|(word, _)| *word).collect();
                format!("must be {} or {last}, not \"{text}\"", others.join(", "))
            })
        })
    }

    /// Notes an empty text.
    #[must_use]
    pub fn not_empty(self, problems: &Problems) -> Self {
        self.check(problems, |text| !text.is_empty(), "must not be empty; write a text, or leave the key out")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FIELD, FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parts of a field")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Field<T>, A::Error> {
        let line = parts.next_element()?.unwrap_or_default();
        let path = parts.next_element()?.unwrap_or_default();
        let is_misspelt: bool = parts.next_element()?.unwrap_or_default();
        let state = match parts.next_element() {
            Ok(Some(value)) => State::Present(value),
            Ok(None) => State::Absent,
            Err(_) if is_misspelt => State::Misspelt,
            Err(_) => State::Wrong,
        };
        Ok(Field { place: Place { line, path }, state })
    }
}
