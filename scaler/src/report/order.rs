//! The answer to an order of an operator.

use serde::Serialize;

/// An order that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderReport {
    /// The instance.
    pub instance: String,
    /// Whether the fleet is in a dry run, so that nothing was changed.
    pub dry_run: bool,
    /// What is done, or would be, as a clause for a person.
    pub text: String,
}
