//! The query protocol: form-encoded parameters in, XML out. It knows the format, not the actions.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::error::ApiError;
use super::spec::missing;

/// The namespace of every answer.
const NAMESPACE: &str = "http://autoscaling.amazonaws.com/doc/2011-01-01/";

/// The parameters of a request, or of one structure in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// All parameters except the action and its version, unchanged.
    pub(super) fn parameters(&self) -> BTreeMap<String, String> {
        let told = |(key, _): &(&String, &String)| !matches!(key.as_str(), "Action" | "Version");
        self.0.iter().filter(told).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| missing(&lower_first(name)))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, ApiError> {
        self.text(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    ApiError::invalid(format!(
                        "1 validation error detected: Value '{value}' at '{}' failed to satisfy constraint: \
                         Member must be a number that is not negative",
                        lower_first(name)
                    ))
                })
            })
            .transpose()
    }

    pub(super) fn required_number(&self, name: &str) -> Result<u32, ApiError> {
        self.number(name)?.ok_or_else(|| missing(&lower_first(name)))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => {
                Err(ApiError::invalid(format!("Value '{other}' at '{}' is not a boolean", lower_first(name))))
            }
        }
    }

    /// `Names.member.1`, `Names.member.2`, … in the order of their numbers.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.members(name).into_iter().filter_map(|member| self.0.get(&member).cloned()).collect()
    }

    /// `Tags.member.1.Key`, … as one set of parameters per number.
    pub(super) fn structures(&self, name: &str) -> Vec<Self> {
        self.members(name)
            .into_iter()
            .map(|member| {
                let prefix = format!("{member}.");
                let own = self
                    .0
                    .iter()
                    .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value.clone())));
                Self(own.collect())
            })
            .collect()
    }

    fn members(&self, name: &str) -> Vec<String> {
        let prefix = format!("{name}.member.");
        let numbers: std::collections::BTreeSet<u32> = self
            .0
            .keys()
            .filter_map(|key| key.strip_prefix(&prefix)?.split('.').next()?.parse().ok())
            .collect();
        numbers.into_iter().map(|number| format!("{prefix}{number}")).collect()
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// An XML writer.
#[derive(Debug, Clone, Default)]
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn leaf(&mut self, name: &str, value: impl Display) {
        let value = escape(&value.to_string());
        // Writing to a String cannot fail.
        let _ = write!(self.0, "<{name}>{value}</{name}>");
    }

    pub(super) fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.leaf(name, value);
        }
    }

    pub(super) fn node(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<{name}>");
        inside(self);
        let _ = write!(self.0, "</{name}>");
    }

    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut inside: impl FnMut(&mut Self, T),
    ) {
        self.node(name, |list| {
            for item in items {
                list.node("member", |member| inside(member, item));
            }
        });
    }

    pub(super) fn texts(&mut self, name: &str, items: &[String]) {
        self.node(name, |list| items.iter().for_each(|item| list.leaf("member", item)));
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#xD;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A successful answer. Answers of actions without a result have no result element.
pub(super) fn success(action: &str, result: Option<Xml>, request_id: &str) -> String {
    let result =
        result.map_or_else(String::new, |Xml(xml)| format!("<{action}Result>{xml}</{action}Result>"));
    format!(
        "<{action}Response xmlns=\"{NAMESPACE}\">{result}<ResponseMetadata><RequestId>{request_id}\
         </RequestId></ResponseMetadata></{action}Response>"
    )
}

/// A refusal.
pub(super) fn failure(error: &ApiError, request_id: &str) -> String {
    let fault = if error.code.status() >= 500 { "Receiver" } else { "Sender" };
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{fault}</Type><Code>{}</Code><Message>{}</Message>\
         </Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        error.code,
        escape(&error.message)
    )
}

/// The region of a signed request, and the key that signed it, from the scope in its `Authorization`.
pub(super) fn scope(authorization: &str) -> Option<(&str, &str)> {
    let (_, after) = authorization.split_once("Credential=")?;
    let credential = after.split([',', ' ']).next()?;
    let mut parts = credential.split('/');
    let access_key = parts.next()?;
    let region = parts.nth(1)?;
    (!access_key.is_empty() && !region.is_empty()).then_some((access_key, region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_the_order_of_their_numbers() {
        let query =
            Query::parse(b"Names.member.10=k&Names.member.2=b&Names.member.1=a&Tags.member.1.Key=x%2Fy");
        assert_eq!(query.list("Names"), ["a", "b", "k"]);
        assert_eq!(query.structures("Tags")[0].text("Key"), Some("x/y"));
        assert!(query.list("Tag").is_empty());
    }

    #[test]
    fn xml_escapes_what_would_end_an_element() {
        let mut xml = Xml::default();
        xml.leaf("Value", "a<b>&\"c\"");
        assert_eq!(xml.0, "<Value>a&lt;b&gt;&amp;&quot;c&quot;</Value>");
    }

    #[test]
    fn the_scope_names_key_and_region() {
        let header = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/autoscaling/aws4_request, \
                      SignedHeaders=host, Signature=00";
        assert_eq!(scope(header), Some(("AKID", "eu-west-1")));
        assert_eq!(scope("Bearer x"), None);
        assert_eq!(scope("AWS4-HMAC-SHA256 Credential=AKID"), None);
    }
}
