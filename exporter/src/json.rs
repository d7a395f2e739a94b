//! JSON for the tables: borrowed from the body, in document order, with repeated keys. The number of values is limited here
//! and the depth by `serde_json`, so that a document takes at most a few times the memory of its body.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

/// Maximum number of values in a document. Jitsi sends a few hundred; a value takes about 60 bytes.
const MAX_VALUES: usize = 100_000;

/// Reserved members of a document. Bridges send somewhat more than a hundred.
const USUAL_MEMBERS: usize = 128;

/// A value of a JSON document.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'b> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number.
    Number(f64),
    /// A string.
    Text(Cow<'b, str>),
    /// An array.
    Array(Vec<Json<'b>>),
    /// An object.
    Object(Object<'b>),
}

impl Json<'_> {
    /// The value as a finite number, quoted or not: builds of 2014 quote some numbers.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    /// The same value, borrowed from nothing.
    fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(number) => Json::Number(number),
            Self::Text(text) => Json::Text(text.into_owned().into()),
            Self::Array(array) => Json::Array(array.into_iter().map(Json::into_owned).collect()),
            Self::Object(Object(members)) => Json::Object(Object(
                members
                    .into_iter()
                    .map(|(key, value)| (key.into_owned().into(), value.into_owned()))
                    .collect(),
            )),
        }
    }

    /// The value as a boolean, which may be quoted, 0 or 1.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Number(0.0) => Some(false),
            Self::Number(1.0) => Some(true),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The value as a word: a string, `true` or `false`.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            _ => None,
        }
    }
}

/// The members of an object, in document order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'b>(Vec<(Cow<'b, str>, Json<'b>)>);

impl<'b> Object<'b> {
    /// The value of `key`; the last one if the key is repeated.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json<'b>> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value of `key` if it is an object.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<&Object<'b>> {
        match self.get(key)? {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether there is a member with this key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All members, including repeated ones.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Json<'b>)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is incomplete.
    #[error("the document ends in the middle of a value")]
    Truncated,
    /// It is not JSON.
    #[error("the document is not JSON at line {line}, column {column}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It has more values than any statistics.
    #[error("the document has more than {MAX_VALUES} values")]
    TooMany,
}

/// Parses one document, which only white space may follow.
/// Fails if `body` is not a complete JSON document, or has too many values.
pub fn parse(body: &[u8]) -> Result<Json<'_>, ParseError> {
    // Checking UTF-8 once is faster than string by string. If the check fails, the parser finds the position.
    let Ok(text) = str::from_utf8(body) else {
        return document(serde_json::Deserializer::from_slice(body)).map_err(|(error, _)| error);
    };
    match document(serde_json::Deserializer::from_str(text)) {
        Err((_, IsTooLarge(true))) => {
            let quoted = quote_too_large(text);
            let parsed = document(serde_json::Deserializer::from_str(&quoted));
            parsed.map(Json::into_owned).map_err(|(error, _)| error)
        }
        parsed => parsed.map_err(|(error, _)| error),
    }
}

/// Whether a number beyond what 64 bits hold is the cause of an error. Such a number is a value that is no use, and no fault
/// of the others.
struct IsTooLarge(bool);

/// `text` with quotes around its numbers that are too large: [`Json::number`] takes neither for a number.
fn quote_too_large(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let mut quoted = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '-' | '0'..='9' => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        let is_too_large = token.parse::<f64>().is_ok_and(f64::is_infinite) && first != '"';
        let quote = if is_too_large { "\"" } else { "" };
        quoted.extend([quote, token, quote]);
        rest = after;
    }
    quoted
}

/// The length of the string that `text` begins with, quotes included; all of it if it does not end.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn document<'b, R: serde_json::de::Read<'b>>(
    mut deserializer: serde_json::Deserializer<R>,
) -> Result<Json<'b>, (ParseError, IsTooLarge)> {
    let left = Cell::new(MAX_VALUES);
    let parsed = Value { left: &left }.deserialize(&mut deserializer);
    parsed.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let is_too_large = IsTooLarge(error.to_string().starts_with("number out of range"));
        let error = match error.classify() {
            _ if left.get() == 0 => ParseError::TooMany,
            Category::Eof => ParseError::Truncated,
            _ => ParseError::Malformed { line: error.line(), column: error.column() },
        };
        (error, is_too_large)
    })
}

/// Deserializes a value and counts it.
#[derive(Clone, Copy)]
struct Value<'c> {
    left: &'c Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        let left = self.left.get().saturating_sub(1);
        self.left.set(left);
        if left == 0 {
            return Err(de::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let is_root = self.left.get() == MAX_VALUES - 1;
        let mut object = Vec::with_capacity(if is_root { USUAL_MEMBERS } else { 0 });
        while let Some(Key(key)) = members.next_key()? {
            object.push((key, members.next_value_seed(self)?));
        }
        Ok(Json::Object(Object(object)))
    }
}

/// A member's name, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Key<'k>(#[serde(borrow)] Cow<'k, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;
    use test_case::test_case;

    fn object(body: &str) -> Object<'_> {
        match parse(body.as_bytes()) {
            Ok(Json::Object(object)) => object,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn order_and_repeated_keys_are_kept_and_the_last_one_counts() {
        let object = object(r#"{"b": 1, "a": [true, null], "b": "x\n"}"#);
        let members: Vec<_> = object.members().map(|(key, _)| key).collect();
        assert_eq!(members, ["b", "a", "b"]);
        assert_eq!(object.get("b"), Some(&Json::Text("x\n".into())));
        assert_eq!(object.get("a"), Some(&Json::Array(vec![Json::Bool(true), Json::Null])));
    }

    #[test_case("1", Some(1.0) ; "an integer")]
    #[test_case("9007199254740993", Some(9_007_199_254_740_992.0) ; "beyond 2 to the 53")]
    #[test_case("99999999999999999999", Some(1e20) ; "beyond 64 bits")]
    #[test_case("6.0430079999999995", Some(6.043_007_999_999_999_5) ; "every digit")]
    #[test_case("6.183674922412229E-5", Some(6.183_674_922_412_229e-5) ; "an exponent")]
    #[test_case("\"0\"", Some(0.0) ; "quoted")]
    #[test_case("\" 12.5 \"", Some(12.5) ; "quoted with blanks")]
    #[test_case("\"NaN\"", None ; "quoted nan")]
    #[test_case("\"Infinity\"", None ; "quoted infinity")]
    #[test_case("\"\"", None ; "empty")]
    #[test_case("true", None ; "a truth value")]
    #[test_case("null", None ; "null")]
    #[test_case("[1]", None ; "an array")]
    fn numbers(text: &str, expected: Option<f64>) {
        assert_eq!(parse(text.as_bytes()).expect("json").number(), expected);
    }

    #[test]
    fn a_number_that_is_too_large_is_one_value_without_use() {
        let body = r#"{"stress_level":1e400,"b":[-1E+999,"1e400 \" 1e400"],"1e400":2.5}"#;
        let object = object(body);
        assert_eq!(object.get("stress_level").and_then(Json::number), None);
        assert_eq!(object.get("1e400").and_then(Json::number), Some(2.5));
        let texts = ["-1E+999", "1e400 \" 1e400"].map(|text| Json::Text(text.into())).to_vec();
        assert_eq!(object.get("b"), Some(&Json::Array(texts)));
        let cut = parse(br#"{"stress_level":1e400,"b"#);
        assert_eq!(cut, Err(ParseError::Truncated));
    }

    #[test_case("true", Some(true) ; "plain true")]
    #[test_case("\"false\"", Some(false) ; "quoted")]
    #[test_case("1", Some(true) ; "one")]
    #[test_case("0", Some(false) ; "zero")]
    #[test_case("2", None ; "another number")]
    #[test_case("\"yes\"", None ; "another word")]
    fn truth_values(text: &str, expected: Option<bool>) {
        assert_eq!(parse(text.as_bytes()).expect("json").boolean(), expected);
    }

    #[test_case(b"{\"a\": 1", &ParseError::Truncated ; "cut after a value")]
    #[test_case(b"{\"a", &ParseError::Truncated ; "cut in a name")]
    #[test_case(b"", &ParseError::Truncated ; "nothing at all")]
    #[test_case(b"{\"a\": NaN}", &ParseError::Malformed { line: 1, column: 7 } ; "a bare nan")]
    #[test_case(b"{} {}", &ParseError::Malformed { line: 1, column: 4 } ; "two documents")]
    #[test_case(b"{\"a\": \"\xff\"}", &ParseError::Malformed { line: 1, column: 8 } ; "no utf-8")]
    fn errors_have_a_position(body: &[u8], expected: &ParseError) {
        assert_eq!(&parse(body).expect_err("no document"), expected);
    }

    #[test]
    fn a_million_keys_are_too_many() {
        let members: Vec<String> = (0..1_000_000).map(|number| format!("\"{number}\":0")).collect();
        let body = format!("{{{}}}", members.join(","));
        assert_eq!(parse(body.as_bytes()), Err(ParseError::TooMany));
    }

    #[test]
    fn nesting_has_an_end() {
        let body = "[".repeat(1_000_000);
        assert!(matches!(parse(body.as_bytes()), Err(ParseError::Malformed { .. })));
    }

    /// Whether both are the same, with the last of repeated keys.
    fn is_same(own: &Json<'_>, model: &Value) -> bool {
        match (own, model) {
            (Json::Null, Value::Null) => true,
            (Json::Bool(own), Value::Bool(model)) => own == model,
            (Json::Number(own), Value::Number(model)) => {
                model.as_f64().is_some_and(|model| model.to_bits() == own.to_bits())
            }
            (Json::Text(own), Value::String(model)) => own == model,
            (Json::Array(own), Value::Array(model)) => {
                own.len() == model.len() && own.iter().zip(model).all(|(own, model)| is_same(own, model))
            }
            (Json::Object(own), Value::Object(model)) => {
                own.members().all(|(key, _)| model.contains_key(key))
                    && model.iter().all(|(key, model)| own.get(key).is_some_and(|own| is_same(own, model)))
            }
            _ => false,
        }
    }

    fn agrees_with_the_model(body: &[u8]) -> bool {
        match (parse(body), serde_json::from_slice::<Value>(body)) {
            (Ok(own), Ok(model)) => is_same(&own, &model),
            // The model gives a document up for one number that is too large.
            (Ok(_), Err(error)) => error.to_string().starts_with("number out of range"),
            (own, model) => own.is_err() == model.is_err(),
        }
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(300))]

        #[test]
        fn documents_are_read_as_serde_json_reads_them(document in jitsi_inputs::json(&["a", "é", "\u{0}"])) {
            prop_assert!(agrees_with_the_model(document.to_string().as_bytes()));
        }

        #[test]
        fn mutated_documents_are_read_as_serde_json_reads_them(
            body in jitsi_inputs::mutated(vec![
                br#"{"a": 1, "b": [true, null, "\u00e9x\n"], "c": {"d": -1.5e3, "": "0"}, "a": 18446744073709551615}"#.to_vec(),
            ])
        ) {
            prop_assert!(agrees_with_the_model(&body), "{}", String::from_utf8_lossy(&body));
        }
    }
}
