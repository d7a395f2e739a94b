//! Reading a whole file, and listing what a file may have.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde::de::DeserializeOwned;

use super::field::Field;
use super::problem::{Place, Problems};
use super::reader::{Context, Dialect, Reader};
use super::tree::{ANYTHING, Node};

/// The path of every key that `T` reads, as in `fleets[].name`; a key that the operator chooses is `*`. For tests that
/// compare a guide with the structs.
#[must_use]
pub fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let (keys, problems) = (RefCell::default(), Problems::default());
    let context =
        Context { problems: &problems, dialect: Dialect::Strict, keys: Some(&keys), all: BTreeSet::new };
    drop(root::<T>(&ANYTHING, &context));
    keys.into_inner()
}

/// Reads a whole file.
pub(super) fn root<T: DeserializeOwned>(node: &Node, context: &Context<'_>) -> Field<T> {
    let place = Place { line: node.line, path: String::new() };
    // Reading a field never fails.
    Field::deserialize(Reader::new(node, place, context)).unwrap_or_default()
}
