//! `jitsi-scaler import-cloudwatch`: what AWS tells of alarms and scaling policies → a configuration to start from.
//!
//! Owns the rules of the translation; `packaging/aws/from-cloudwatch.md` explains them to people. What the numbers of an
//! alarm are called in PromQL only a person can know: there the text has a placeholder that `check` refuses. Nothing is
//! asked of AWS, and nothing is left out silently.

mod convert;
mod raw;
mod text;

use std::path::{Path, PathBuf};

use raw::Answers;

/// What keeps a file from being read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not there, or not for us.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not the JSON that the AWS command line prints.
    #[error("understand {}: save the JSON of `aws cloudwatch describe-alarms` and `aws autoscaling describe-policies`", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        #[source]
        source: serde_json::Error,
    },
    /// It is JSON, and neither of the two.
    #[error("find MetricAlarms or ScalingPolicies in {}: save what `aws cloudwatch describe-alarms` and `aws autoscaling describe-policies` print with --output json", path.display())]
    Neither {
        /// The file.
        path: PathBuf,
    },
}

/// The configuration that does what the alarms and policies of all the files do.
pub fn run(files: &[PathBuf]) -> Result<String, ImportError> {
    let mut answers = Answers::default();
    for path in files {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ImportError::Read { path: path.clone(), source })?;
        answers.extend(read(path, &text)?);
    }
    Ok(configuration(&answers))
}

fn read(path: &Path, text: &str) -> Result<Answers, ImportError> {
    let answers: Answers =
        serde_json::from_str(text).map_err(|source| ImportError::Parse { path: path.to_owned(), source })?;
    if answers.alarms.is_none() && answers.policies.is_none() {
        return Err(ImportError::Neither { path: path.to_owned() });
    }
    Ok(answers)
}

fn configuration(answers: &Answers) -> String {
    text::configuration(&convert::convert(answers))
}

#[cfg(test)]
mod tests;
