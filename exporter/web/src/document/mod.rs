//! Configuration files: YAML text → structs that derive `Deserialize`, with every mistake found at once.
//!
//! A struct mirrors a section of a file and has a [`Field`] for each key. Reading never stops at a mistake: it notes the
//! line, the path of keys and what to write instead, and goes on. Where the kind of a value is wrong, the text names the kind
//! and not the value, which may be a password; a [`Secret`] is never shown. Owns no key of any file; this is the only module
//! that calls a YAML library.

mod edit;
mod field;
mod problem;
mod reader;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde::de::DeserializeOwned;

pub use edit::{Document, UnknownKey};
pub use field::Field;
pub use problem::{Place, Problem, Problems};
pub use reader::Dialect;
use reader::{Context, Reader};
use tree::Node;
pub use value::{OneOrMany, Secret, Wait};

/// Reads `text`; an empty one is a section without keys. What is wrong is added to `problems`; a syntax error and a key that
/// appears twice end the reading, so they come alone.
pub fn read<T: DeserializeOwned>(text: &str, dialect: Dialect, problems: &Problems) -> Field<T> {
    match Document::parse(text) {
        Ok(document) => document.read(dialect, problems),
        Err(problem) => {
            problems.add(problem);
            root(&tree::MISSPELT, &Context { problems, dialect, keys: None, all: keys::<T> })
        }
    }
}

/// The path of every key that `T` reads, as in `fleets[].name`; a key that the operator chooses is `*`. For tests that
/// compare a guide with the structs.
#[must_use]
pub fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let (keys, problems) = (RefCell::default(), Problems::default());
    let context =
        Context { problems: &problems, dialect: Dialect::Strict, keys: Some(&keys), all: BTreeSet::new };
    drop(root::<T>(&tree::ANYTHING, &context));
    keys.into_inner()
}

fn root<T: DeserializeOwned>(node: &Node, context: &Context<'_>) -> Field<T> {
    let place = Place { line: node.line, path: String::new() };
    // Reading a field never fails.
    Field::deserialize(Reader::new(node, place, context)).unwrap_or_default()
}
