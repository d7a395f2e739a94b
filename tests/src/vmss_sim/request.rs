//! A request, as far as the simulator reads it.

use serde::Deserialize;

use super::error::ArmError;
use super::route;

/// A request.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) authorization: Option<String>,
    pub(super) if_match: Option<String>,
    /// The address of this simulator, as the caller knows it.
    pub(super) base: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn action(&self) -> (&'static str, Option<String>) {
        match route::parse(&self.path) {
            Some((_, resource)) => {
                (resource.action(&self.method), resource.set().map(|set| set.name.clone()))
            }
            None => ("Unknown", None),
        }
    }

    pub(super) fn json<T: for<'a> Deserialize<'a>>(&self) -> Result<T, ArmError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            ArmError::new(400, "InvalidRequestContent", format!("The request content was invalid: {error}."))
        })
    }
}
