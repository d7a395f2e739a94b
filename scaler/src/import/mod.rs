//! `jitsi-scaler import-cloudwatch`: alarms, scaling policies and scheduled actions of AWS → a configuration to start from.
//!
//! Owns the rules of the translation, which `packaging/aws/from-cloudwatch.md` explains. It makes no request to AWS. Only a
//! person knows the PromQL for the metric of an alarm, and some rules of AWS say less than one here: what the answers do not
//! decide is written as an open choice, which `check` refuses.

mod call;
mod change;
mod convert;
mod model;
mod raw;
mod schedules;
mod text;
mod tracking;
mod trigger;

use std::path::{Path, PathBuf};

use raw::{Answers, Unusable};

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
    /// Its bytes are no text.
    #[error("read {}: it is neither UTF-8 nor UTF-16; save it again, in PowerShell by `| Out-File -Encoding utf8`", .0.display())]
    Encoding(PathBuf),
    /// It is not the JSON that the AWS command line prints.
    #[error("understand {}: save what the AWS command line prints with --output json", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The JSON error, with its place.
        #[source]
        source: serde_json::Error,
    },
    /// This file is JSON, but none of the answers.
    #[error("find MetricAlarms, ScalingPolicies or ScheduledUpdateGroupActions in {}: save what `aws cloudwatch describe-alarms`, `aws autoscaling describe-policies` or `aws autoscaling describe-scheduled-actions` print with --output json and without --query", .0.display())]
    Neither(PathBuf),
    /// Groups of one name may be in several accounts, and fleets of another account need a role.
    #[error(
        "translate groups of several accounts ({0}) at once; import each by itself, and give the fleets of another account asg.role_arn"
    )]
    Accounts(String),
    /// AWS knows more than the file says, and a rule could be lost.
    #[error("use {}: AWS has more than it holds (NextToken); save the answer again without --max-items, --page-size and --no-paginate", .0.display())]
    CutShort(PathBuf),
}

/// The configuration that corresponds to the answers in all files.
pub fn run(files: &[PathBuf]) -> Result<String, ImportError> {
    let mut answers = Answers::default();
    for path in files {
        let bytes = std::fs::read(path).map_err(|source| ImportError::Read { path: path.clone(), source })?;
        answers.extend(read(path, &bytes)?);
    }
    let accounts: Vec<&str> = answers.accounts().into_iter().collect();
    if accounts.len() > 1 {
        return Err(ImportError::Accounts(accounts.join(", ")));
    }
    Ok(configuration(&answers))
}

fn read(path: &Path, bytes: &[u8]) -> Result<Answers, ImportError> {
    let text = raw::decode(bytes).ok_or_else(|| ImportError::Encoding(path.to_owned()))?;
    let answer =
        serde_json::from_str(&text).map_err(|source| ImportError::Parse { path: path.to_owned(), source })?;
    Answers::read(answer).map_err(|unusable| match unusable {
        Unusable::Neither => ImportError::Neither(path.to_owned()),
        Unusable::CutShort => ImportError::CutShort(path.to_owned()),
    })
}

fn configuration(answers: &Answers) -> String {
    text::configuration(&convert::convert(answers))
}

#[cfg(test)]
mod tests;
