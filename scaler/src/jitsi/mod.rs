//! The components on the instances (bridges and Jibris), behind one interface: a read, and one method for every request.
//!
//! Owns the interface, its errors and the addresses. [`client::Client`] is how the rest of the program reaches
//! components, [`http::Http`] is what speaks to them.

use std::net::Ipv6Addr;

use url::{Host, Url};

use crate::access::SecretError;
use crate::config::{DrainVia, LabelPlace, fill_labels};
use crate::decide::observation::Reading;
use crate::decide::policy::Component;
use crate::leader::NotLeading;
use crate::units::InstanceId;

pub mod client;
pub mod http;

/// A request that changes a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A bridge stops accepting new conferences. Reversible.
    StartDrain,
    /// A bridge accepts new conferences again.
    StopDrain,
    /// The component finishes its work, accepts no more, and exits. Irreversible.
    Close,
}

/// A component's reply to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It does what it was asked to do.
    Accepted,
    /// It has no interface for the request: a bridge with `videobridge.rest.shutdown` off for [`Request::Close`], and one
    /// without drain mode for [`Request::StopDrain`].
    Unavailable,
}

/// A request that the lease permits. Only [`client::Client::request`] makes one, and an implementation accepts nothing
/// else: a request that bypasses the lease does not compile.
#[derive(Clone, Copy, Debug)]
pub struct Permitted(Request);

impl Permitted {
    /// The request.
    #[must_use]
    pub fn request(self) -> Request {
        self.0
    }
}

/// A way to reach components.
pub trait Components: Send + Sync {
    /// The state of the component now. The error says why it is unknown.
    fn read(&self, address: &Address) -> impl Future<Output = Result<Reading, JitsiError>> + Send;

    /// Makes a request that changes the component.
    fn request(
        &self,
        address: &Address,
        permitted: Permitted,
    ) -> impl Future<Output = Result<Reply, JitsiError>> + Send;
}

/// Where the component of one instance is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The instance that is meant.
    instance: InstanceId,
    component: Component,
    external: String,
    internal: String,
}

impl Address {
    /// The address of the component of `instance`. Fills the labels of its series into the addresses of the configuration; `label` gives the value of one.
    /// The error names a label that the series does not carry.
    pub fn new<'a>(
        instance: &InstanceId,
        component: Component,
        via: &DrainVia,
        label: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, JitsiError> {
        let (external, internal) = (fill(&via.external, &label)?, fill(&via.internal, &label)?);
        Ok(Self { instance: instance.clone(), component, external, internal })
    }

    /// The address of the interface that reports the component's state.
    #[must_use]
    pub fn external(&self) -> &str {
        &self.external
    }

    /// Whether a reading shows that the component accepts no new work: a Jibri's does not.
    #[must_use]
    pub fn shows_draining(&self) -> bool {
        self.component == Component::Jvb
    }
}

fn fill<'a>(template: &str, label_value: impl Fn(&str) -> Option<&'a str>) -> Result<String, JitsiError> {
    let mut used = Vec::new();
    let filled = fill_labels(template, |label, place| -> Result<String, JitsiError> {
        // A label comes from service discovery, and must not reach beyond its part of the address.
        let value = label_value(label)
            .filter(|value| !value.is_empty() && !value.contains(['/', '?', '#', '@', '\\']));
        // `..` leads out of its part of the path, in any spelling; control characters are left out of an address.
        let value = value.filter(|value| !value.contains(char::is_control));
        let value =
            value.filter(|value| place != LabelPlace::Path || !value.contains(['.', '%']) || !is_dots(value));
        let value = value.ok_or_else(|| JitsiError::Label(label.to_owned()))?;
        used.push(format!("{label}={value:?}"));
        let needs_brackets = place == LabelPlace::Host && value.parse::<Ipv6Addr>().is_ok();
        Ok(if needs_brackets { format!("[{value}]") } else { value.to_owned() })
    })?;
    let labels = || used.join(", ");
    let mut url = Url::parse(&filled).map_err(|source| JitsiError::Template { labels: labels(), source })?;
    if let Some(Host::Ipv6(ip)) = url.host()
        && let Some(ip) = ip.to_ipv4_mapped()
    {
        // Addresses of HTTP have hosts, which can be replaced.
        let _ = url.set_ip_host(ip.into());
    }
    // The host itself, and the metadata service of its cloud, but no other instance.
    let is_link_local = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_link_local(),
        Some(Host::Ipv6(ip)) => ip.is_unicast_link_local(),
        _ => false,
    };
    if is_link_local {
        return Err(JitsiError::LinkLocal(labels()));
    }
    // In the one spelling that every address has, so that two instances that share one are seen to.
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Whether a part of a path means the one above it, or itself.
fn is_dots(part: &str) -> bool {
    let plain = part.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

/// A read or a request that failed.
#[derive(Debug, thiserror::Error)]
pub enum JitsiError {
    /// The instance's series lacks this label, which the address needs.
    #[error(
        "fill {{{0}}} of drain.via: the instance's series has no usable label of that name; add it by relabelling"
    )]
    Label(String),
    /// The labels and the template together are no address.
    #[error("fill drain.via with {labels}; correct these labels by relabelling")]
    Template {
        /// The labels with their values. The template may hold a password.
        labels: String,
        /// What is wrong with the address.
        #[source]
        source: url::ParseError,
    },
    /// The address is a link-local one, such as that of a metadata service.
    #[error("use the link-local address that drain.via has with {0}; correct these labels by relabelling")]
    LinkLocal(String),
    /// The labels of another instance lead to the same address.
    #[error(
        "tell the instance from another one: the series of both lead drain.via to the same address; correct their labels by relabelling"
    )]
    SharedAddress,
    /// No answer.
    #[error(
        "reach {url}; check drain.via and that the component, or the relay in front of it, listens there"
    )]
    Unreachable {
        /// The URL.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is not the component's.
    #[error("understand the answer of {url}: HTTP {status}; check that drain.via points at the component")]
    Foreign {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// A bridge that does not say how many people are on it.
    #[error(
        "read how many people are on the bridge: {url} answers HTTP {status}; set videobridge.apis.rest.enabled = true in its jvb.conf, and check that drain.via points at it"
    )]
    Unreadable {
        /// The URL of its statistics.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Why its own metrics do not say so either.
        #[source]
        source: Box<JitsiError>,
    },
    /// The secret that the configuration names cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The relay, or a proxy in front of it, answered in place of the component.
    #[error(
        "reach the component through {url}: HTTP {status}, {message}; check that the exporter there runs with --relay.enabled and that drain.via has its address and password"
    )]
    NotRelayed {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The error in the answer.
        message: String,
    },
    /// The relay at the address is that of another instance.
    #[error(
        "reach the instance through {url}: {message}; correct the labels of its series that drain.via uses"
    )]
    AnotherInstance {
        /// The URL.
        url: String,
        /// Which one it is, in the relay's words.
        message: String,
    },
    /// The lease was lost before the request or during it: another scaler acts now.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test]
    fn every_error_has_a_text() {
        let url = || "http://10.0.0.7:8080/colibri/stats".to_owned();
        let source = reqwest::Client::new().get("nowhere").build().expect_err("no address");
        let errors = [
            JitsiError::Label("private_ip".to_owned()),
            JitsiError::Template { labels: "port=\"http\"".to_owned(), source: url::ParseError::InvalidPort },
            JitsiError::LinkLocal("ip=\"169.254.0.7\"".to_owned()),
            JitsiError::SharedAddress,
            JitsiError::Unreachable { url: url(), source },
            JitsiError::Foreign { url: url(), status: 404 },
            JitsiError::Unreadable {
                url: url(),
                status: 404,
                source: Box::new(JitsiError::Foreign {
                    url: "http://10.0.0.7:8080/metrics".to_owned(),
                    status: 404,
                }),
            },
            JitsiError::NotRelayed { url: url(), status: 504, message: "timeout: it hangs".to_owned() },
            JitsiError::AnotherInstance {
                url: url(),
                message: "this is i-a, and the request is meant for i-b".to_owned(),
            },
        ];
        let texts: String =
            errors.iter().map(|error| format!("failed to {}\n", crate::telemetry::chain(error))).collect();
        insta::assert_snapshot!(texts, @r#"
        failed to fill {private_ip} of drain.via: the instance's series has no usable label of that name; add it by relabelling
        failed to fill drain.via with port="http"; correct these labels by relabelling: invalid port number
        failed to use the link-local address that drain.via has with ip="169.254.0.7"; correct these labels by relabelling
        failed to tell the instance from another one: the series of both lead drain.via to the same address; correct their labels by relabelling
        failed to reach http://10.0.0.7:8080/colibri/stats; check drain.via and that the component, or the relay in front of it, listens there: builder error: relative URL without a base
        failed to understand the answer of http://10.0.0.7:8080/colibri/stats: HTTP 404; check that drain.via points at the component
        failed to read how many people are on the bridge: http://10.0.0.7:8080/colibri/stats answers HTTP 404; set videobridge.apis.rest.enabled = true in its jvb.conf, and check that drain.via points at it: understand the answer of http://10.0.0.7:8080/metrics: HTTP 404; check that drain.via points at the component
        failed to reach the component through http://10.0.0.7:8080/colibri/stats: HTTP 504, timeout: it hangs; check that the exporter there runs with --relay.enabled and that drain.via has its address and password
        failed to reach the instance through http://10.0.0.7:8080/colibri/stats: this is i-a, and the request is meant for i-b; correct the labels of its series that drain.via uses
        "#);
    }

    #[test]
    fn labels_fill_an_address_but_not_its_path() {
        let labels = |value: &'static str| move |name: &str| Some(value).filter(|_| name == "private_ip");
        let template = "http://{private_ip}:8080";
        assert_eq!(fill(template, labels("10.0.0.7")).expect("filled"), "http://10.0.0.7:8080");
        let error = fill(template, labels("10.0.0.7/x")).expect_err("a path");
        assert!(error.to_string().starts_with("fill {private_ip} of drain.via"), "{error}");
        assert!(fill(template, |_| None).is_err());
        assert!(fill("http://gateway/{private_ip}/jvb", labels("")).is_err());
    }

    #[test_case("http://{a}:8080", "fd00::1", "http://[fd00::1]:8080"; "an IPv6 host")]
    #[test_case("http://{a}:8080", "[fd00::1]", "http://[fd00::1]:8080"; "one that has its brackets")]
    #[test_case("http://[{a}]:8080", "fd00::1", "http://[fd00::1]:8080"; "brackets in the template")]
    #[test_case("http://gateway/{a}/jvb", "fd00::1", "http://gateway/fd00::1/jvb"; "in a path")]
    #[test_case("http://10.0.0.7:{a}", "8080", "http://10.0.0.7:8080"; "a port")]
    #[test_case("http://10.0.0.7:{a}", "http", "fill drain.via with a=\"http\"; correct these labels by relabelling"; "no port")]
    #[test_case("http://[{a}]:8080", "10.0.0.7", "fill drain.via with a=\"10.0.0.7\"; correct these labels by relabelling"; "IPv4 in brackets")]
    #[test_case("http://{a}:8080", "169.254.169.254", "use the link-local address that drain.via has with a=\"169.254.169.254\"; correct these labels by relabelling"; "link-local")]
    #[test_case("http://{a}:8080", "fe80::1", "use the link-local address that drain.via has with a=\"fe80::1\"; correct these labels by relabelling"; "link-local in IPv6")]
    #[test_case("http://{a}:8080", "::ffff:169.254.0.7", "use the link-local address that drain.via has with a=\"::ffff:169.254.0.7\"; correct these labels by relabelling"; "link-local, mapped")]
    #[test_case("http://{a}:8080", "fe80::1%eth0", "fill drain.via with a=\"fe80::1%eth0\"; correct these labels by relabelling"; "a zone")]
    #[test_case("http://u:secret@{a}:{b}", "fd00::1", "fill drain.via with a=\"fd00::1\", b=\"b\"; correct these labels by relabelling"; "two labels")]
    fn hosts_and_ports_are_filled(template: &str, value: &str, expected: &str) {
        let filled = fill(template, |label| Some(if label == "a" { value } else { "b" }))
            .unwrap_or_else(|error| error.to_string());
        assert_eq!(filled, expected);
    }

    #[test_case("http://{a}:8080", "167772167", "http://10.0.0.7:8080"; "one number")]
    #[test_case("http://{a}:8080", "0x0a.0.0.07", "http://10.0.0.7:8080"; "other bases")]
    #[test_case("http://{a}:8080", "10.0.0.%37", "http://10.0.0.7:8080"; "an escape")]
    #[test_case("http://{a}:8080", "::ffff:10.0.0.7", "http://10.0.0.7:8080"; "IPv6 of IPv4")]
    #[test_case("http://{a}:8080", "FD00:0::1", "http://[fd00::1]:8080"; "zeros of IPv6")]
    #[test_case("http://{a}:80", "Bridge", "http://bridge"; "capitals, and the usual port")]
    fn an_address_has_one_spelling(template: &str, value: &str, expected: &str) {
        assert_eq!(fill(template, |_| Some(value)).expect("an address"), expected);
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(500))]

        #[test]
        fn a_label_reaches_no_further_than_its_part(
            value in jitsi_inputs::mutated_text(vec!["10.0.0.7", "fd00::1", "bridge.example.org", "..", "%2e%2E", "8080", "a@b/c?d#e"])
        ) {
            let filled = |template: &str| Some(Url::parse(&fill(template, |_| Some(&value)).ok()?).expect("an address"));
            for template in ["http://{a}:8080", "http://gateway/{a}/jvb", "http://10.0.0.7:{a}/jvb", "http://x-{a}.example.org:1"] {
                let Some(url) = filled(template) else { continue };
                prop_assert!(url.query().is_none() && url.fragment().is_none(), "{url} of {value:?}");
                prop_assert!(url.username().is_empty() && url.password().is_none(), "{url} of {value:?}");
                if template.ends_with("/jvb") {
                    let parts = url.path_segments().expect("a path").count();
                    prop_assert_eq!(parts, template.matches('/').count() - 2, "{} of {:?}", url, value);
                    prop_assert!(url.path().ends_with("/jvb"), "{url} of {value:?}");
                } else {
                    prop_assert_eq!(url.path(), "/", "{} of {:?}", url, value);
                }
                if template.starts_with("http://gateway") {
                    prop_assert_eq!(url.host_str(), Some("gateway"));
                }
                if !url.as_str().contains('{') {
                    let again = fill(url.as_str(), |_| None).expect("an address");
                    prop_assert_eq!(again.as_str(), url.as_str().trim_end_matches('/'));
                }
            }
        }
    }
}
