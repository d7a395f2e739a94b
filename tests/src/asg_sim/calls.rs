//! The calls of the API, for assertions of tests.

use std::collections::BTreeMap;

use serde::Serialize;

/// One call of the Auto Scaling API.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// When it took effect or was refused (Unix seconds).
    pub time: f64,
    /// The region of its signature; empty if unsigned.
    pub region: String,
    /// The access key that signed it.
    pub access_key: String,
    /// The action, known or not.
    pub action: String,
    /// The groups that it is about, comma-separated.
    pub group: Option<String>,
    /// Every parameter, unchanged.
    pub parameters: BTreeMap<String, String>,
    /// Whether the action can change anything.
    pub mutating: bool,
    /// Whether it changed something or could have; false if it was refused.
    pub applied: bool,
    /// `ok`, an error code, or `timeout` if it was applied but never answered.
    pub outcome: String,
}
