//! What is wrong with the file, gathered while it is read.

use std::fmt;
use std::path::PathBuf;

/// A mistake, and what to write instead. It never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; none where the whole file is meant.
    pub line: Option<u64>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// A web configuration file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct WebConfigError {
    /// The file.
    pub path: PathBuf,
    /// Every mistake that was found, in the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for WebConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--web.config.file={}: ", self.path.display())?;
        for (number, problem) in self.problems.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// Where problems are gathered.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, line: Option<u64>, text: impl Into<String>) {
        self.0.push(Problem { line, text: text.into() });
    }

    /// An error with all of them, in the order of the file, unless there are none.
    pub(super) fn none(&mut self) -> Result<(), Vec<Problem>> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut problems = std::mem::take(&mut self.0);
        problems.sort_by_key(|problem| problem.line);
        Err(problems)
    }
}
