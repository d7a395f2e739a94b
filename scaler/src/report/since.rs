//! Since when what a person should know of a group has lasted.

use serde::Serialize;

/// Since when something lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Onset {
    /// The first evaluation that saw it, RFC 3339.
    pub since: String,
    /// Whether it may have begun earlier, because that evaluation was the first one of this process.
    pub or_earlier: bool,
}

/// The name under which [`GroupStatus::since`] keeps that instances of a zone do not report.
#[must_use]
pub fn silent_in(zone: &str) -> String {
    format!("silent in {zone}")
}

/// The name under which [`GroupStatus::since`] keeps that a zone has no instance.
#[must_use]
pub fn none_in(zone: &str) -> String {
    format!("no instance in {zone}")
}
