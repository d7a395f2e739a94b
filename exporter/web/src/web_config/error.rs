//! A file that cannot be used.

use std::fmt;
use std::path::PathBuf;

use crate::document::Problem;

/// A web configuration file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct WebConfigError {
    /// The file.
    pub path: PathBuf,
    /// Every mistake that was found, in the order of the file. None repeats a secret.
    pub problems: Vec<Problem>,
}

impl fmt::Display for WebConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--web.config.file={}:", self.path.display())?;
        match self.problems.as_slice() {
            [only] => write!(f, " {only}"),
            several => several.iter().try_for_each(|problem| write!(f, "\n  {problem}")),
        }
    }
}
