//! What is wrong with a file, gathered while it is read and judged.

use std::cell::RefCell;
use std::fmt;

/// A mistake in a file, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; 0 where the whole file is meant.
    pub line: u64,
    /// Where it is, as a path of keys such as `fleets[0].name`; empty for the whole file.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub text: String,
}

impl Problem {
    /// A problem of the file as a whole.
    pub fn whole(text: impl Into<String>) -> Self {
        Place::default().problem(text)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.text)
    }
}

/// Where something is in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1; 0 for the whole file.
    pub line: u64,
    /// A path of keys; empty for the whole file.
    pub path: String,
}

impl Place {
    /// A problem here.
    pub fn problem(&self, text: impl Into<String>) -> Problem {
        Problem { line: self.line, path: self.path.clone(), text: text.into() }
    }

    /// Notes that something is wrong here.
    pub fn wrong(&self, problems: &Problems, text: impl Into<String>) {
        problems.add(self.problem(text));
    }

    /// Notes that something here is valid and hardly intended.
    pub fn warn(&self, problems: &Problems, text: impl Into<String>) {
        problems.warnings.borrow_mut().push(self.problem(text));
    }
}

/// Everything that is wrong with a file so far.
#[derive(Debug, Default)]
pub struct Problems {
    wrong: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Problems {
    /// Notes a mistake.
    pub fn add(&self, problem: Problem) {
        self.wrong.borrow_mut().push(problem);
    }

    /// Whether nothing is wrong so far; warnings do not count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wrong.borrow().is_empty()
    }

    /// The mistakes and the warnings, each in the order of the file.
    #[must_use]
    pub fn into_sorted(self) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |problems: RefCell<Vec<Problem>>| {
            let mut problems = problems.into_inner();
            problems.sort_by_key(|problem| problem.line);
            problems
        };
        (sorted(self.wrong), sorted(self.warnings))
    }
}
