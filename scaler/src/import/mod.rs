//! `jitsi-scaler import-cloudwatch`: alarms and scaling policies of AWS → a configuration to start from.
//!
//! Owns the rules of the translation, which `packaging/aws/from-cloudwatch.md` explains. Only a person knows the PromQL
//! for the metric of an alarm, so the text has a placeholder there, which `check` refuses. The translation makes no
//! request to AWS and leaves nothing out silently.

mod convert;
mod raw;
mod text;

use std::path::{Path, PathBuf};

use raw::Answers;

/// A file that cannot be translated.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It does not exist or is not readable.
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
        /// The JSON error, with its place.
        #[source]
        source: serde_json::Error,
    },
    /// This file is JSON, but neither of the two answers.
    #[error("find MetricAlarms or ScalingPolicies in {}: save what `aws cloudwatch describe-alarms` and `aws autoscaling describe-policies` print with --output json", .0.display())]
    Neither(PathBuf),
}

/// The configuration that corresponds to the alarms and policies of all files.
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
        return Err(ImportError::Neither(path.to_owned()));
    }
    Ok(answers)
}

fn configuration(answers: &Answers) -> String {
    text::configuration(&convert::convert(answers))
}

#[cfg(test)]
mod tests;
