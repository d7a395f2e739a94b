//! Links of `--web.link`: a name, and an address that becomes each group's own.

use std::str::FromStr;

use url::Url;
use url::form_urlencoded::byte_serialize;

use super::parse::address;
use super::template::{LabelPlace, fill_labels};

/// A link from a group to a page about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its text.
    pub name: String,
    /// The address, with `{fleet}`, `{asg}` and `{region}` in it.
    template: String,
}

/// Why a text is not a link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Name or address is missing.
    #[error("write NAME=URL, such as Dashboard=https://grafana.example.org/d/jitsi-scaler?var-asg={{asg}}")]
    Form,
    /// A brace does not end.
    #[error("a {{ is not closed")]
    Open,
    /// Something else stands in braces.
    #[error("{{{0}}} is unknown: write {{fleet}}, {{asg}} or {{region}}")]
    Unknown(String),
    /// The name of a group would choose the host.
    #[error("{{{0}}} stands before the path: it may stand behind the first / after the host")]
    Host(String),
    /// It is no address for a browser.
    #[error("it {0}")]
    Address(String),
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, template) = text.split_once('=').ok_or(LinkError::Form)?;
        let (name, template) = (name.trim().to_owned(), template.trim().to_owned());
        if name.is_empty() || template.is_empty() {
            return Err(LinkError::Form);
        }
        if template.rsplit_once('{').is_some_and(|(_, last)| !last.contains('}')) {
            return Err(LinkError::Open);
        }
        let sample = fill_labels(&template, |label, place| match (label, place) {
            ("fleet" | "asg" | "region", LabelPlace::Path) => Ok("x".to_owned()),
            ("fleet" | "asg" | "region", _) => Err(LinkError::Host(label.to_owned())),
            _ => Err(LinkError::Unknown(label.to_owned())),
        })?;
        let _: Url = address(&sample).map_err(LinkError::Address)?;
        Ok(Self { name, template })
    }
}

impl Link {
    /// The address for a group. Whatever its names are, they are a part of the path or of the query.
    #[must_use]
    pub fn of(&self, fleet: &str, asg: &str, region: &str) -> String {
        let value = |label: &str, _| -> Result<String, std::convert::Infallible> {
            Ok(encoded(match label {
                "fleet" => fleet,
                "asg" => asg,
                _ => region,
            }))
        };
        match fill_labels(&self.template, value) {
            Ok(address) => address,
        }
    }
}

/// A text as it may stand in the path or the query of an address.
#[must_use]
pub fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const DASHBOARD: &str =
        "Dashboard=https://grafana.example.org/d/scaler?var-asg={asg}&var-region={region}#{fleet}";

    #[test]
    fn a_link_names_the_group() {
        let link: Link = DASHBOARD.parse().expect("a link");
        assert_eq!(link.name, "Dashboard");
        let address = "https://grafana.example.org/d/scaler?var-asg=prod-jvb&var-region=eu-west-1#jvb";
        assert_eq!(link.of("jvb", "prod-jvb", "eu-west-1"), address);
    }

    #[test]
    fn the_name_of_a_group_adds_nothing_to_an_address() {
        let link: Link = "Logs=https://logs.example.org/{asg}/all?q={asg}".parse().expect("a link");
        let hostile = "a/../?b&c=d#e\"><script> %{fleet}";
        let address = link.of("jvb", hostile, "eu-west-1");
        let url = Url::parse(&address).expect("an address");
        let coded = "a%2F..%2F%3Fb%26c%3Dd%23e%22%3E%3Cscript%3E%20%25%7Bfleet%7D";
        assert_eq!(address, format!("https://logs.example.org/{coded}/all?q={coded}"));
        assert_eq!(
            (url.host_str(), url.path_segments().map(Iterator::count)),
            (Some("logs.example.org"), Some(2))
        );
        let query: Vec<_> = url.query_pairs().collect();
        assert_eq!(query, [("q".into(), hostile.into())]);
    }

    #[test_case("https://grafana.example.org", "write NAME=URL, such as Dashboard=https://grafana.example.org/d/jitsi-scaler?var-asg={asg}"; "no name")]
    #[test_case("=https://grafana.example.org", "write NAME=URL, such as Dashboard=https://grafana.example.org/d/jitsi-scaler?var-asg={asg}"; "an empty name")]
    #[test_case("Logs=javascript:alert(1)//{asg}", "it must be an address that begins with http:// or https://, not \"javascript:alert(1)//x\""; "a script")]
    #[test_case("Logs=/logs/{asg}", "it must be an address that begins with http:// or https://, not \"/logs/x\""; "no host")]
    #[test_case("Logs=https://{asg}.example.org/", "{asg} stands before the path: it may stand behind the first / after the host"; "a host that a group chooses")]
    #[test_case("Logs=https://logs/{group}", "{group} is unknown: write {fleet}, {asg} or {region}"; "an unknown name")]
    #[test_case("Logs=https://logs/{asg", "a { is not closed"; "no end")]
    fn a_mistake_says_what_to_write(text: &str, expected: &str) {
        let error = text.parse::<Link>().expect_err("a mistake").to_string();
        assert_eq!(error, expected);
    }
}
