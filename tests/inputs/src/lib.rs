//! Inputs that nobody expects, for the property tests of parsers: mutations of valid ones, and JSON of any shape.
//!
//! `PROPTEST_CASES` sets the number of cases of every property that takes its configuration from [`cases`].

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

/// Texts that parsers of JSON, YAML, XML, metrics and numbers take for something else than their surroundings.
const PIECES: [&str; 44] = [
    "null",
    "true",
    "\"NaN\"",
    "NaN",
    "+Inf",
    "-1",
    "0",
    "1e308",
    "1e999",
    "99999999999999999999999",
    "-0.0",
    "\"0\"",
    "\"9e999\"",
    "[]",
    "{}",
    "[[[[[[",
    "{\"a\":",
    "\"x\":1,",
    "\"",
    "\\",
    "\\ud800",
    "\\u0000",
    "\n",
    "\r",
    "\t",
    " ",
    ":",
    ": ",
    ",",
    "#",
    "- ",
    "&a ",
    "*a",
    "!!binary ",
    "<",
    "</",
    "/>",
    "&amp;",
    "<!--",
    "]]>",
    "{",
    "}",
    "é",
    "\u{feff}",
];

/// The configuration of a property: `usual` cases unless `PROPTEST_CASES` sets another number.
#[must_use]
pub fn cases(usual: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(usual), ..ProptestConfig::default() }
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize),
    Insert(Index, &'static str),
    Replace(Index, usize, &'static str),
    Any(Index, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => any::<Index>().prop_map(Change::Cut),
        3 => (any::<Index>(), 1..40usize).prop_map(|(at, length)| Change::Remove(at, length)),
        2 => (any::<Index>(), 1..200usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        4 => (any::<Index>(), select(&PIECES[..])).prop_map(|(at, piece)| Change::Insert(at, piece)),
        4 => (any::<Index>(), 1..12usize, select(&PIECES[..]))
            .prop_map(|(at, length, piece)| Change::Replace(at, length, piece)),
        1 => (any::<Index>(), vec(any::<u8>(), 0..20)).prop_map(|(at, bytes)| Change::Any(at, bytes)),
    ]
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        let place = |at: Index, length: usize| {
            let start = at.index(bytes.len() + 1);
            start..(start + length).min(bytes.len())
        };
        match self {
            Self::Flip(at, bits) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Flip(..) => {}
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Remove(at, length) => drop(bytes.drain(place(at, length))),
            Self::Repeat(at, length) => {
                let range = place(at, length);
                let part = bytes[range.clone()].to_vec();
                drop(bytes.splice(range.end..range.end, part));
            }
            Self::Insert(at, piece) => drop(bytes.splice(place(at, 0), piece.bytes())),
            Self::Replace(at, length, piece) => drop(bytes.splice(place(at, length), piece.bytes())),
            Self::Any(at, new) => drop(bytes.splice(place(at, 0), new)),
        }
    }
}

/// One of `valid` with a few changes of its bytes.
pub fn mutated(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (select(valid), vec(change(), 1..6)).prop_map(|(mut bytes, changes)| {
        for change in changes {
            change.apply(&mut bytes);
        }
        bytes
    })
}

/// One of `valid` with a few changes, as text.
pub fn mutated_text(valid: Vec<&'static str>) -> impl Strategy<Value = String> {
    let valid = valid.into_iter().map(|text| text.as_bytes().to_vec()).collect();
    mutated(valid).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// JSON of any shape, with keys of `keys` and others.
pub fn json(keys: &'static [&'static str]) -> BoxedStrategy<Value> {
    let key = prop_oneof![select(keys).prop_map(str::to_owned), ".{0,6}"];
    scalar()
        .prop_recursive(4, 48, 6, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map(key.clone(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
        .boxed()
}

/// A value of JSON that holds no other, and numbers as texts.
pub fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![Just(0.0), Just(-1.0), Just(1e308), any::<f64>()].prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        select(&["", "0", "1", "NaN", "Infinity", "true", "-1", "1e400", " 7 "][..]).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ]
}

/// What an object becomes when one of its members, at any depth, is replaced or removed.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The object before.
    pub before: Value,
    /// The object after.
    pub after: Value,
    /// The keys from the root to the member.
    pub path: Vec<String>,
    /// The new value; `None` if the member was removed.
    pub value: Option<Value>,
}

/// One of `valid`, each an object, with one member replaced or removed.
pub fn replaced(valid: Vec<Value>) -> impl Strategy<Value = Replaced> {
    let depths = vec(any::<Index>(), 1..4);
    (select(valid), depths, proptest::option::weighted(0.8, json(&["a", "0"]))).prop_map(
        |(before, depths, value)| {
            let mut after = before.clone();
            let mut path: Vec<String> = Vec::new();
            let mut member = &before;
            for depth in depths {
                let Some(members) = member.as_object() else { break };
                let Some((key, inner)) = members.iter().nth(depth.index(members.len().max(1))) else { break };
                path.push(key.clone());
                member = inner;
            }
            if let Some((key, above)) = path.split_last() {
                let object = above.iter().try_fold(&mut after, |object, key| object.get_mut(key));
                if let Some(object) = object.and_then(Value::as_object_mut) {
                    match &value {
                        Some(value) => drop(object.insert(key.clone(), value.clone())),
                        None => drop(object.remove(key)),
                    }
                }
            }
            Replaced { before, after, path, value }
        },
    )
}

/// Long inputs on which a careless parser spends time or memory beyond measure, each of about `bytes` bytes.
#[must_use]
pub fn long(bytes: usize) -> Vec<Vec<u8>> {
    const PARTS: [&str; 22] = [
        "[",
        "{",
        "{\"a\":",
        "\"",
        "\\",
        "\\\\\"",
        "\\u0041",
        "[1,",
        "1",
        "-",
        "\n",
        " ",
        "#",
        "- ",
        ": ",
        "a: ",
        "<a>",
        "<a ",
        "&amp;",
        "a{b=\"c\",",
        ",;q=",
        "é",
    ];
    let repeated = PARTS.iter().map(|part| part.repeat(bytes / part.len()).into_bytes());
    let nested = ["[", "{\"a\":", "<a>"].map(|part| (part, part.repeat(bytes / part.len() / 2)));
    let closed = nested.into_iter().map(|(part, opened)| {
        let close = match part {
            "[" => "]",
            "<a>" => "</a>",
            _ => "1}",
        };
        (opened + &close.repeat(bytes / part.len() / 2)).into_bytes()
    });
    let values = std::iter::once(format!("[{}0]", "0,".repeat(bytes / 2)).into_bytes());
    repeated.chain(closed).chain(values).collect()
}
