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
mod whole;

use serde::de::DeserializeOwned;

pub use edit::{Document, UnknownKey};
pub use field::Field;
pub use problem::{Place, Problem, Problems};
use reader::Context;
pub use reader::{Dialect, nearest};
pub use value::{OneOrMany, Secret, Wait};
pub use whole::keys;
use whole::root;

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
