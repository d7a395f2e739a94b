//! A configuration with some of its values replaced, as if the file had them.
//!
//! Owns how a value is named: `FLEET.POLICY.KEY…` or `FLEET.KEY…`.

use std::path::{Path, PathBuf};

use jitsi_web::document::{Dialect, Document, Problem, Problems, UnknownKey};

use super::file;
use super::model::{Config, ConfigError};

/// A configuration file that was parsed.
#[derive(Clone, Debug)]
pub struct Variant {
    document: Document,
    folder: PathBuf,
}

/// The comparisons of `when`, longer ones first.
const OPERATORS: [&str; 4] = [">=", "<=", ">", "<"];

impl Variant {
    /// The file at `path` as it is.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let document = Document::parse(&file::text(path)?)
            .map_err(|problem| ConfigError::Invalid { path: path.to_owned(), problems: vec![problem] })?;
        Ok(Self { document, folder: path.parent().unwrap_or(Path::new("")).to_owned() })
    }

    /// The configuration, or every mistake in it.
    pub fn config(&self) -> Result<Config, Vec<Problem>> {
        let problems = Problems::default();
        file::validate(self.document.read(Dialect::Strict, &problems), &self.folder, problems)
    }

    /// The value of a key as it is written; `None` where the file does not have it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.document.text(&self.path(key))
    }

    /// Replaces a value. A number in the place of a comparison leaves the operator. Returns what the file would say.
    pub fn set(&mut self, key: &str, value: &str) -> Result<String, UnknownKey> {
        let present = self.get(key).unwrap_or_default();
        let operator = OPERATORS.into_iter().find(|operator| present.starts_with(operator));
        let value = match operator.filter(|_| !value.starts_with(['<', '>'])) {
            Some(operator) => format!("{operator} {value}"),
            None => value.to_owned(),
        };
        let path: Vec<String> = self.path(key).into_iter().map(str::to_owned).collect();
        self.document.set(&path.iter().map(String::as_str).collect::<Vec<_>>(), &value)?;
        Ok(value)
    }

    /// The parts of a key, from the beginning of the file.
    fn path<'k>(&self, key: &'k str) -> Vec<&'k str> {
        let mut parts: Vec<&str> = key.split('.').collect();
        parts.insert(0, "fleets");
        let is_key = self.document.has(&parts[..parts.len().min(3)]);
        // What is no key of the fleet and has keys of its own can only be a policy, though perhaps a misspelt one.
        let names_policy = parts.get(3).is_some_and(|part| ["scale_out", "scale_in"].contains(part));
        let is_policy = parts.len() > 3 && self.document.has(&["fleets", parts[1], "policies", parts[2]]);
        if !is_key && (is_policy || names_policy) {
            parts.insert(2, "policies");
        }
        parts
    }
}
