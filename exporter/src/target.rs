//! Addresses of targets: parses the text of a flag or of the parameter `target` into a URL and the value of the label
//! `target`. Names are not resolved.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use url::{Host, Url};

/// The address of a component's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The URL of the grammar's known path, which most requests are for.
    known: Arc<Url>,
    /// Length in bytes of the path in front of the known path.
    prefix: usize,
    label: String,
}

/// The accepted syntax.
#[derive(Clone, Copy, Debug)]
pub struct Grammar {
    /// The port if the text has neither a port nor a scheme.
    pub default_port: u16,
    /// A path that is accepted and has no effect.
    pub known_path: &'static str,
    /// Whether a path in front of the known path, and credentials, are accepted.
    pub prefixes: bool,
}

/// Why a text is not a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The text is empty.
    #[error("the address is empty: write host:port or http://host:port")]
    Empty,
    /// Neither host:port nor a URL.
    #[error("this is not an address: write host:port, [v6]:port or http://host:port")]
    Syntax,
    /// The host name is too long.
    #[error("the host name is longer than 253 bytes, which no name can be: correct it")]
    Long,
    /// A scheme other than http and https.
    #[error("the scheme {0}:// is not supported: write http:// or https://")]
    Scheme(String),
    /// A scheme without its colon.
    #[error("the scheme lacks its colon: write {0}://")]
    NoColon(&'static str),
    /// A path that is not accepted.
    #[error("the path {0} is not fetched: remove it, the module has its own")]
    Path(String),
    /// A query or a fragment.
    #[error("a query or a fragment is not accepted: write host:port or http://host:port")]
    Query,
    /// A user name or a password that is not accepted.
    #[error("credentials are not accepted here: write them into a module of --config.file")]
    Credentials,
}

impl Target {
    /// Parses `host`, `host:port`, `[v6]:port` or a URL.
    /// Fails if the text is not an address, or has a part that `grammar` does not accept.
    pub fn parse(text: &str, grammar: Grammar) -> Result<Self, TargetError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TargetError::Empty);
        }
        if let Some(scheme) = ["http", "https"]
            .into_iter()
            .find(|it| text.split_once("//").is_some_and(|(before, _)| before == *it))
        {
            return Err(TargetError::NoColon(scheme));
        }
        let (url, names_port) = match text.split_once("://") {
            Some((scheme, _)) if !matches!(scheme, "http" | "https") => {
                return Err(TargetError::Scheme(scheme.to_owned()));
            }
            // A URL without a port has the port of its scheme, as everywhere.
            Some(_) => (Url::parse(text), true),
            None if text.parse::<Ipv6Addr>().is_ok() => (Url::parse(&format!("http://[{text}]")), false),
            None => (Url::parse(&format!("http://{text}")), names_port(text)),
        };
        let mut base = url.map_err(|_| TargetError::Syntax)?;
        // Source: RFC 1035, 2.3.4.
        if base.host_str().is_some_and(|host| host.len() > 253) {
            return Err(TargetError::Long);
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(TargetError::Query);
        }
        if !grammar.prefixes && (!base.username().is_empty() || base.password().is_some()) {
            return Err(TargetError::Credentials);
        }
        if !names_port {
            base.set_port(Some(grammar.default_port)).map_err(|()| TargetError::Syntax)?;
        }
        let prefix = base.path().trim_end_matches('/').trim_end_matches(grammar.known_path);
        let prefix = prefix.trim_end_matches('/').to_owned();
        if !prefix.is_empty() && !grammar.prefixes {
            return Err(TargetError::Path(base.path().to_owned()));
        }
        let label = label(&base, &prefix);
        base.set_path(&format!("{prefix}{}", grammar.known_path));
        Ok(Self { known: base.into(), prefix: prefix.len(), label })
    }

    /// The URL of `path` at the target.
    #[must_use]
    pub fn url(&self, path: &str) -> Arc<Url> {
        let (prefix, known) = self.known.path().split_at(self.prefix);
        if known == path {
            return self.known.clone();
        }
        let mut url = Url::clone(&self.known);
        url.set_path(&format!("{prefix}{path}"));
        url.into()
    }

    /// Host, port and prefix, without credentials: the value of the label `target`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The host as text.
    #[must_use]
    pub fn host_text(&self) -> &str {
        self.known.host_str().unwrap_or_default()
    }

    /// The host, parsed.
    #[must_use]
    pub fn host(&self) -> Option<Host<&str>> {
        self.known.host()
    }

    /// Whether the address is a loopback address or `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.known.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

/// Whether the text has a port, even one that a URL would omit because it is the scheme's default.
fn names_port(text: &str) -> bool {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let Some((before, port)) = host.rsplit_once(':') else { return false };
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    is_number && (before.ends_with(']') || !before.contains('['))
}

fn label(base: &Url, prefix: &str) -> String {
    let host = base.host_str().unwrap_or_default();
    let port = base.port_or_known_default().unwrap_or_default();
    format!("{host}:{port}{prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    const PROBE: Grammar = Grammar { default_port: 8080, known_path: "/colibri/stats", prefixes: false };
    const FLAG: Grammar = Grammar { prefixes: true, ..PROBE };

    #[test_case("10.0.0.7:8081", "10.0.0.7:8081", "http://10.0.0.7:8081/colibri/stats" ; "host and port")]
    #[test_case("bridge.example.org", "bridge.example.org:8080", "http://bridge.example.org:8080/colibri/stats" ; "a host")]
    #[test_case("bridge:80", "bridge:80", "http://bridge/colibri/stats" ; "a host and the port of the web")]
    #[test_case("http://bridge", "bridge:80", "http://bridge/colibri/stats" ; "a URL without a port")]
    #[test_case("http://bridge:80", "bridge:80", "http://bridge/colibri/stats" ; "the port of the web")]
    #[test_case("https://bridge:443/", "bridge:443", "https://bridge/colibri/stats" ; "https with its port")]
    #[test_case("[::1]:8080", "[::1]:8080", "http://[::1]:8080/colibri/stats" ; "bracketed v6")]
    #[test_case("[fd00::1]", "[fd00::1]:8080", "http://[fd00::1]:8080/colibri/stats" ; "bracketed v6 without a port")]
    #[test_case("::1", "[::1]:8080", "http://[::1]:8080/colibri/stats" ; "bare v6")]
    #[test_case("http://bridge:8080/colibri/stats", "bridge:8080", "http://bridge:8080/colibri/stats" ; "the path of the module")]
    #[test_case("2130706433:1", "127.0.0.1:1", "http://127.0.0.1:1/colibri/stats" ; "an address in one number")]
    fn probes_accept(text: &str, label: &str, url: &str) {
        let target = Target::parse(text, PROBE).expect("a target");
        assert_eq!(target.label(), label);
        assert_eq!(target.url("/colibri/stats").as_str(), url);
    }

    #[test_case("", &TargetError::Empty ; "nothing")]
    #[test_case("ftp://bridge", &TargetError::Scheme("ftp".to_owned()) ; "another scheme")]
    #[test_case("https//bridge:8080", &TargetError::NoColon("https") ; "a scheme without its colon")]
    #[test_case("file:///etc/passwd", &TargetError::Scheme("file".to_owned()) ; "a file")]
    #[test_case("bridge:8080/debug", &TargetError::Path("/debug".to_owned()) ; "a path")]
    #[test_case("http://bridge/a/colibri/stats", &TargetError::Path("/a/colibri/stats".to_owned()) ; "a prefix")]
    #[test_case("bridge?x=1", &TargetError::Query ; "a query")]
    #[test_case("http://a:b@bridge", &TargetError::Credentials ; "credentials")]
    #[test_case("bridge:99999", &TargetError::Syntax ; "no port")]
    #[test_case("br idge", &TargetError::Syntax ; "a blank")]
    fn probes_refuse(text: &str, expected: &TargetError) {
        assert_eq!(&Target::parse(text, PROBE).expect_err("no target"), expected);
    }

    #[test_case("http://proxy/bridge-1", "proxy:80/bridge-1", "http://proxy/bridge-1/colibri/stats" ; "a prefix")]
    #[test_case("proxy/bridge-1", "proxy:8080/bridge-1", "http://proxy:8080/bridge-1/colibri/stats" ; "a prefix without a scheme")]
    #[test_case("https://proxy", "proxy:443", "https://proxy/colibri/stats" ; "https")]
    #[test_case("http://proxy:80/bridge-1/colibri/stats", "proxy:80/bridge-1", "http://proxy/bridge-1/colibri/stats" ; "a prefix and the path")]
    #[test_case("https://me:secret@proxy:443", "proxy:443", "https://me:secret@proxy/colibri/stats" ; "credentials stay out of the label")]
    #[test_case("http://127.0.0.1:8080/", "127.0.0.1:8080", "http://127.0.0.1:8080/colibri/stats" ; "a slash")]
    fn flags_also_accept(text: &str, label: &str, url: &str) {
        let target = Target::parse(text, FLAG).expect("a target");
        assert_eq!(target.label(), label);
        assert_eq!(target.url("/colibri/stats").as_str(), url);
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(500))]

        #[test]
        fn what_is_accepted_leads_to_its_label_and_nowhere_else(
            text in jitsi_inputs::mutated_text(vec![
                "10.0.0.7:8080", "http://bridge.example.org/", "[fd00::1]:80", "https://bridge:443/colibri/stats", "::1",
                "http://user:pass@a/b?c#d",
            ])
        ) {
            if let Ok(target) = Target::parse(&text, PROBE) {
                let url = target.url("/colibri/stats");
                prop_assert!(url.path() == "/colibri/stats" && url.query().is_none() && url.fragment().is_none());
                prop_assert!(url.username().is_empty() && url.password().is_none());
                prop_assert!(matches!(url.scheme(), "http" | "https"));
                prop_assert!(!target.host_text().is_empty() && target.host_text().len() <= 253);
                let again = Target::parse(&format!("{}://{}", url.scheme(), target.label()), PROBE);
                prop_assert_eq!(again.as_ref(), Ok(&target));
            }
            if let Ok(target) = Target::parse(&text, FLAG) {
                prop_assert!(target.url("/about/health").path().ends_with("/about/health"));
            }
        }
    }
}
