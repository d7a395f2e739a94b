//! Validates the flags. All mistakes are collected before they are reported, and nothing is opened.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::allow::{AllowList, Rule};
use crate::component::Component;
use crate::instance::Instance;
use crate::native::Mode;
use crate::target::{Grammar, Target};

/// The values of the flags, as written.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// Component and value of each `--<component>.url`.
    pub urls: Vec<(Component, String)>,
    /// Values of `--probe.allow`.
    pub allow: Vec<String>,
    /// Value of `--scrape.native`.
    pub native: Mode,
    /// Whether `--compat.systemli` is given.
    pub compat: bool,
    /// Whether `--relay.enabled` is given.
    pub relay: bool,
    /// Value of `--jibri.internal-url`.
    pub jibri_internal: Option<String>,
    /// Value of `--instance.id`.
    pub instance: Option<String>,
    /// Value of `--config.file`.
    pub modules: Option<PathBuf>,
    /// Value of `--scrape.max-timeout`.
    pub max_timeout: Option<Duration>,
}

/// The validated configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The targets that each request for `/metrics` scrapes.
    pub targets: Vec<Endpoint>,
    /// The addresses that probes may reach.
    pub allow: AllowList,
    /// When to read a component's own metrics.
    pub native: Mode,
    /// Whether to add the metric names of the systemli exporter.
    pub compat: bool,
    /// The components that the relay passes requests on to; `None` if the relay is off.
    pub relay: Option<RelayTargets>,
    /// The file of additional modules.
    pub modules: Option<PathBuf>,
    /// The longest deadline of a scrape; `None` for [`MAX_TIMEOUT`].
    pub max_timeout: Option<Duration>,
}

/// The default of `--scrape.max-timeout`.
pub const MAX_TIMEOUT: Duration = Duration::from_mins(1);

/// A target and the component that runs there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The component.
    pub component: Component,
    /// Its address.
    pub target: Target,
    /// Whether its metrics have the label `target`, because the component has several targets.
    pub labelled: bool,
}

/// The components on this host; at least one.
#[derive(Clone, Debug)]
pub struct RelayTargets {
    /// The bridge.
    pub jvb: Option<Target>,
    /// The Jibri.
    pub jibri: Option<JibriTargets>,
    /// The instance that this host is.
    pub instance: Instance,
}

/// The two interfaces of a Jibri.
#[derive(Clone, Debug)]
pub struct JibriTargets {
    /// The external API, which reports its health.
    pub external: Target,
    /// The internal API, which shuts it down.
    pub internal: Target,
}

/// Default of `--jibri.internal-url`.
const JIBRI_INTERNAL: &str = "http://127.0.0.1:3333";

/// The syntax of `--jibri.internal-url`.
const INTERNAL: Grammar =
    Grammar { default_port: 3333, known_path: "/jibri/api/internal/v1.0/gracefulShutdown", prefixes: true };

/// The syntax of a target of `component`. Flags accept `prefixes`, the paths and credentials of a proxy; probes do not.
#[must_use]
pub fn grammar(component: Component, prefixes: bool) -> Grammar {
    Grammar { default_port: component.default_port(), known_path: component.stats_path(), prefixes }
}

impl Config {
    /// Validates the flags.
    /// Fails with a line for each mistake, which says what to write instead.
    pub fn new(raw: &Raw) -> Result<Self, Vec<String>> {
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
                        mistakes
                            .push(format!("--{component}.url={target} is given twice: remove one of them"));
                    }
                    Err(error) => {
                        mistakes.push(format!("--{component}.url={}: {error}", without_credentials(value)));
                    }
                }
            }
        }
        let mut rules: Vec<Rule> = Vec::new();
        for value in &raw.allow {
            match value.parse() {
                Ok(rule) => rules.push(rule),
                Err(error) => mistakes.push(format!("--probe.allow={value}: {error}")),
            }
        }
        let internal = raw.jibri_internal.as_deref();
        let internal = internal.and_then(|value| {
            let target = Target::parse(value, INTERNAL);
            let wrong = |error| format!("--jibri.internal-url={}: {error}", without_credentials(value));
            target.map_err(|error| mistakes.push(wrong(error))).ok()
        });
        let relay = raw.relay.then(|| relay(raw, &targets, internal, &mut mistakes));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let (native, compat) = (raw.native, raw.compat);
        let modules = raw.modules.clone();
        let max_timeout = raw.max_timeout;
        // Every client that reaches the exporter can call /probe. Beside a component, an exporter only probes its own host.
        let allow = if targets.is_empty() { AllowList::new(rules) } else { AllowList::beside_targets(rules) };
        Ok(Self { targets, allow, native, compat, relay, modules, max_timeout })
    }
}

fn relay(
    raw: &Raw,
    targets: &[Endpoint],
    internal: Option<Target>,
    mistakes: &mut Vec<String>,
) -> RelayTargets {
    let written = |component| raw.urls.iter().filter(|(of, _)| *of == component).count();
    let relayed = [Component::Jvb, Component::Jibri];
    if relayed.iter().all(|component| written(*component) == 0) {
        let text = "there is no component to pass requests on to: add --jvb.url or --jibri.url";
        mistakes.push(format!("--relay.enabled: {text}"));
    }
    for component in relayed {
        let count = written(component);
        if count > 1 {
            mistakes.push(format!(
                "--relay.enabled: --{component}.url is given {count} times, but the relay passes requests on to one address only: give it once"
            ));
        }
    }
    let target = |component| {
        let endpoint = targets.iter().find(|endpoint| endpoint.component == component);
        endpoint.map(|endpoint| endpoint.target.clone())
    };
    let jibri = target(Component::Jibri).and_then(|external| {
        if raw.jibri_internal.is_none() && !external.is_loopback() {
            mistakes.push(format!(
                "--relay.enabled: {external} is not on this host, so {JIBRI_INTERNAL} would be another Jibri: add --jibri.internal-url"
            ));
        }
        let internal = internal.or_else(|| Target::parse(JIBRI_INTERNAL, INTERNAL).ok())?;
        Some(JibriTargets { external, internal })
    });
    let instance = raw.instance.clone().map(Instance::known).unwrap_or_default();
    RelayTargets { jvb: target(Component::Jvb), jibri, instance }
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
    use std::net::IpAddr;

    use test_case::test_case;

    use super::*;

    fn raw(urls: &[(Component, &str)], allow: &[&str]) -> Raw {
        Raw {
            urls: urls.iter().map(|(component, url)| (*component, (*url).to_owned())).collect(),
            allow: allow.iter().map(|rule| (*rule).to_owned()).collect(),
            ..Raw::default()
        }
    }

    #[test]
    fn several_targets_of_a_component_are_labelled() {
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
    fn no_flags_are_a_configuration() {
        let config = Config::new(&Raw::default()).expect("a configuration");
        assert!(config.targets.is_empty());
        assert_eq!(config.allow, AllowList::default());
    }

    #[test_case(&[], &[], [true, true] ; "one exporter for many")]
    #[test_case(&[(Component::Jvb, "a:8080")], &[], [true, false] ; "beside a component")]
    #[test_case(&[(Component::Jvb, "a:8080")], &["10.0.0.0/8"], [false, true] ; "both")]
    fn probes_reach(urls: &[(Component, &str)], allow: &[&str], expected: [bool; 2]) {
        let config = Config::new(&raw(urls, allow)).expect("a configuration");
        let hosts: [IpAddr; 2] = [[127, 0, 0, 1].into(), [10, 0, 0, 7].into()];
        assert_eq!(hosts.map(|host| config.allow.permits("", host)), expected);
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
--jvb.url=ftp://a: the scheme ftp:// is not supported: write http:// or https://
--jicofo.url=b:8888 is given twice: remove one of them
--jibri.url=http://…@c:80?x=1: a query or a fragment is not accepted: write host:port or http://host:port
--probe.allow=10.0.0.0/33: write a network such as 10.0.0.0/8, an address, or a domain such as .example.org
--probe.allow=169.254.169.254: link-local addresses, and others at which clouds serve credentials, are never probed: remove this rule";
        assert_eq!(mistakes.join("\n"), expected);
    }
}
