//! From what was written on the command line to what the exporter works with. All mistakes are
//! found before one is reported, and nothing is opened.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use crate::allow::{AllowList, Rule, RuleError};
use crate::component::Component;
use crate::native::Mode;
use crate::target::{Grammar, Target, TargetError};

/// Values of flags, as written.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// Component and value of each `--<component>.url`.
    pub urls: Vec<(Component, String)>,
    /// Values of `--probe.allow`.
    pub allow: Vec<String>,
    /// Value of `--scrape.native`.
    pub native: Mode,
    /// Whether there is `--compat.systemli`.
    pub compat: bool,
    /// Whether there is `--relay.enabled`.
    pub relay: bool,
    /// Value of `--jibri.internal-url`.
    pub jibri_internal: Option<String>,
    /// Value of `--config.file`.
    pub modules: Option<PathBuf>,
}

/// What the exporter works with.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Scraped at each request for metrics.
    pub targets: Vec<Endpoint>,
    /// What may be probed.
    pub allow: AllowList,
    /// When a component's own metrics are read.
    pub native: Mode,
    /// Whether there are the names of another exporter too.
    pub compat: bool,
    /// To whom requests are passed on, if they are.
    pub relay: Option<RelayTargets>,
    /// The file of further modules, if there is one.
    pub modules: Option<PathBuf>,
}

/// A component somewhere.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What is there.
    pub component: Component,
    /// Where.
    pub target: Target,
    /// Whether its metrics need a label to be told from others'.
    pub labelled: bool,
}

/// The components on this host; at least one.
#[derive(Clone, Debug)]
pub struct RelayTargets {
    /// The bridge.
    pub jvb: Option<Target>,
    /// The Jibri.
    pub jibri: Option<JibriTargets>,
}

/// The two interfaces of a Jibri.
#[derive(Clone, Debug)]
pub struct JibriTargets {
    /// Where it tells its health.
    pub external: Target,
    /// Where it takes orders.
    pub internal: Target,
}

/// Where a Jibri takes orders, unless told otherwise.
const JIBRI_INTERNAL: &str = "http://127.0.0.1:3333";

/// How `--jibri.internal-url` is written.
const INTERNAL: Grammar =
    Grammar { default_port: 3333, known_path: "/jibri/api/internal/v1.0/gracefulShutdown", prefixes: true };

/// A mistake, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// No address.
    #[error("--{component}.url={value}: {source}")]
    Url {
        /// Whose flag.
        component: Component,
        /// As written, without credentials.
        value: String,
        /// What is wrong with it.
        #[source]
        source: TargetError,
    },
    /// The same address again.
    #[error("--{component}.url={label} is given twice: leave one of them out")]
    Twice {
        /// Whose flag.
        component: Component,
        /// The address.
        label: String,
    },
    /// No rule.
    #[error("--probe.allow={value}: {source}")]
    Allow {
        /// As written.
        value: String,
        /// What is wrong with it.
        #[source]
        source: RuleError,
    },
    /// No address.
    #[error("--jibri.internal-url={value}: {source}")]
    Internal {
        /// As written, without credentials.
        value: String,
        /// What is wrong with it.
        #[source]
        source: TargetError,
    },
    /// Nobody to pass requests on to.
    #[error("--relay.enabled: there is no component to pass requests on to: give --jvb.url or --jibri.url")]
    RelayOfNobody,
    /// Nobody could tell which is meant.
    #[error(
        "--relay.enabled: --{component}.url is given {count} times, and the relay has one address for them: give it once"
    )]
    RelayOfMany {
        /// Whose flag.
        component: Component,
        /// How often.
        count: usize,
    },
    /// A shutdown would go to another Jibri than the one that tells its health.
    #[error(
        "--relay.enabled: {label} is not this host, and {JIBRI_INTERNAL} would be another Jibri: give --jibri.internal-url too"
    )]
    RelayOfAnother {
        /// The address.
        label: String,
    },
}

/// Every mistake that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{mistake}")?;
        }
        Ok(())
    }
}

/// How a target of `component` is written: in a flag with what a proxy may need, else without.
#[must_use]
pub fn grammar(component: Component, prefixes: bool) -> Grammar {
    Grammar { default_port: component.default_port(), known_path: component.stats_path(), prefixes }
}

impl Config {
    /// Checks everything.
    pub fn new(raw: &Raw) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let mut targets: Vec<Endpoint> = Vec::new();
        let mut seen = HashSet::new();
        for component in Component::ALL {
            let urls = raw.urls.iter().filter(|(of, _)| *of == component);
            let labelled = urls.clone().count() > 1;
            for (_, value) in urls {
                match Target::parse(value, grammar(component, true)) {
                    Ok(target) if seen.insert((component, target.label().to_owned())) => {
                        targets.push(Endpoint { component, target, labelled });
                    }
                    Ok(target) => {
                        mistakes.push(Mistake::Twice { component, label: target.label().to_owned() });
                    }
                    Err(source) => {
                        mistakes.push(Mistake::Url { component, value: without_credentials(value), source });
                    }
                }
            }
        }
        let mut rules: Vec<Rule> = Vec::new();
        for value in &raw.allow {
            match value.parse() {
                Ok(rule) => rules.push(rule),
                Err(source) => mistakes.push(Mistake::Allow { value: value.clone(), source }),
            }
        }
        let internal = raw.jibri_internal.as_deref();
        let internal = internal.and_then(|value| match Target::parse(value, INTERNAL) {
            Ok(target) => Some(target),
            Err(source) => {
                mistakes.push(Mistake::Internal { value: without_credentials(value), source });
                None
            }
        });
        let relay = raw.relay.then(|| relay(raw, &targets, internal, &mut mistakes));
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        let (native, compat) = (raw.native, raw.compat);
        let modules = raw.modules.clone();
        Ok(Self { targets, allow: AllowList::new(rules), native, compat, relay, modules })
    }
}

fn relay(
    raw: &Raw,
    targets: &[Endpoint],
    internal: Option<Target>,
    mistakes: &mut Vec<Mistake>,
) -> RelayTargets {
    let written = |component| raw.urls.iter().filter(|(of, _)| *of == component).count();
    let relayed = [Component::Jvb, Component::Jibri];
    if relayed.iter().all(|component| written(*component) == 0) {
        mistakes.push(Mistake::RelayOfNobody);
    }
    for component in relayed {
        let count = written(component);
        if count > 1 {
            mistakes.push(Mistake::RelayOfMany { component, count });
        }
    }
    let target = |component| {
        let endpoint = targets.iter().find(|endpoint| endpoint.component == component);
        endpoint.map(|endpoint| endpoint.target.clone())
    };
    let jibri = target(Component::Jibri).and_then(|external| {
        if raw.jibri_internal.is_none() && !external.is_loopback() {
            mistakes.push(Mistake::RelayOfAnother { label: external.label().to_owned() });
        }
        let internal = internal.or_else(|| Target::parse(JIBRI_INTERNAL, INTERNAL).ok())?;
        Some(JibriTargets { external, internal })
    });
    RelayTargets { jvb: target(Component::Jvb), jibri }
}

fn without_credentials(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}…@{host}")
        }
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(urls: &[(Component, &str)], allow: &[&str]) -> Raw {
        Raw {
            urls: urls.iter().map(|(component, url)| (*component, (*url).to_owned())).collect(),
            allow: allow.iter().map(|rule| (*rule).to_owned()).collect(),
            ..Raw::default()
        }
    }

    #[test]
    fn a_label_where_there_is_more_than_one() {
        let urls = [
            (Component::Jibri, "127.0.0.1:2222"),
            (Component::Jvb, "a:8080"),
            (Component::Jibri, "127.0.0.1:2223"),
        ];
        let config = Config::new(&raw(&urls, &[])).expect("a configuration");
        let got: Vec<_> =
            config.targets.iter().map(|t| (t.component, t.target.label(), t.labelled)).collect();
        let expected = [
            (Component::Jvb, "a:8080", false),
            (Component::Jibri, "127.0.0.1:2222", true),
            (Component::Jibri, "127.0.0.1:2223", true),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn nothing_at_all_is_a_configuration() {
        let config = Config::new(&Raw::default()).expect("a configuration");
        assert!(config.targets.is_empty());
        assert_eq!(config.allow, AllowList::default());
    }

    #[test]
    fn all_mistakes_at_once() {
        let urls = [
            (Component::Jvb, "ftp://a"),
            (Component::Jicofo, "b:8888"),
            (Component::Jicofo, "http://b:8888/stats"),
            (Component::Jibri, "http://me:secret@c:80?x=1"),
        ];
        let mistakes = Config::new(&raw(&urls, &["10.0.0.0/33", "169.254.169.254"])).expect_err("mistakes");
        let expected = "\
--jvb.url=ftp://a: ftp: is no scheme that is spoken here: write http:// or https://
--jicofo.url=b:8888 is given twice: leave one of them out
--jibri.url=http://…@c:80?x=1: a query or a fragment has no place here: write host:port or http://host:port
--probe.allow=10.0.0.0/33: write a network such as 10.0.0.0/8, an address, or the end of host names such as .example.org
--probe.allow=169.254.169.254: link-local addresses are never probed: a cloud's credentials are there";
        assert_eq!(mistakes.to_string(), expected);
    }
}
