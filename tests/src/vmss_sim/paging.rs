//! Pages of lists, and the absolute link to the next one.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::error::ArmError;
use super::request::Request;

/// The parameter of a link that says where to go on.
const PLACE: &str = "$skiptoken";

/// How a list is cut into pages.
pub(super) struct Pages<'a> {
    pub(super) request: &'a Request,
    pub(super) size: usize,
}

impl Pages<'_> {
    /// The page that the request asks for. A link `with_spaces` is not escaped.
    pub(super) fn of(&self, mut values: Vec<Value>, with_spaces: bool) -> Result<Value, ArmError> {
        let place = match self.request.parameter(PLACE) {
            None => 0,
            Some(text) => text.parse().map_err(|_| ArmError::invalid("The $skiptoken is not valid."))?,
        };
        let mut rest = values.split_off(usize::min(place, values.len()));
        let is_last = rest.len() <= self.size;
        rest.truncate(self.size);
        let mut page = json!({"value": rest});
        if !is_last {
            let mut query: Vec<(String, String)> = self.request.query.clone();
            query.retain(|(key, _)| key != PLACE);
            query.push((PLACE.to_owned(), (place + self.size).to_string()));
            let query = if with_spaces {
                query.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
            } else {
                Self::encoded(&query)
            };
            page["nextLink"] = json!(format!("{}{}?{query}", self.request.base, self.request.path));
        }
        Ok(page)
    }

    pub(super) fn encoded(query: &[(String, String)]) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
    }
}
