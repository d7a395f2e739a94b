//! The components: paths and ports of their statistics, recognition of each component's body, and advice for operators
//! whose target is not up.

mod jibri;
mod jicofo;
mod jvb;

use std::fmt;
use std::str::FromStr;

use crate::json::{self, Json, Object, ParseError};
use crate::native;
use crate::promtext::lines;
use crate::reason::Reason;
use crate::sample::Sample;
use crate::table::{Fate, Reading, Table};

jitsi_web::words! {
    /// A kind of program whose statistics are exported, in the order of the output. Its name is the prefix of metrics and flags,
    /// a label value and a probe module.
    pub enum Component {
        /// Jitsi Videobridge.
        Jvb = "jvb",
        /// Jicofo.
        Jicofo = "jicofo",
        /// Jibri.
        Jibri = "jibri",
    }
}

/// Prefix of every component's own metrics. Until 2023 it is the whole prefix.
const NATIVE: &str = "jitsi_";

/// A route of a component's HTTP interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Its statistics.
    Statistics,
    /// Its own metrics.
    Native,
    /// Its health, as the status of the response.
    Health,
    /// Whether it drains.
    Drain,
}

/// Why a target has no statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, a label of the metric.
    pub reason: Reason,
    /// Details for the log; may be empty.
    pub detail: String,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: String::new() }
    }
}

impl Component {
    /// The default port of its statistics.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Jvb => 8080,
            Self::Jicofo => 8888,
            Self::Jibri => 2222,
        }
    }

    /// The path of its statistics.
    #[must_use]
    pub fn stats_path(self) -> &'static str {
        match self {
            Self::Jvb => "/colibri/stats",
            Self::Jicofo => "/stats",
            Self::Jibri => "/jibri/api/v1.0/health",
        }
    }

    /// The path of a route; `None` if the component does not have it.
    #[must_use]
    pub fn path(self, route: Route) -> Option<&'static str> {
        match (route, self) {
            (Route::Statistics, _) => Some(self.stats_path()),
            (Route::Native, _) => Some("/metrics"),
            (Route::Health, Self::Jvb) => Some("/about/health"),
            (Route::Drain, Self::Jvb) => Some("/colibri/drain"),
            (Route::Health | Route::Drain, _) => None,
        }
    }

    /// Prefix of its own metrics since 2023.
    #[must_use]
    pub fn native_prefix(self) -> &'static str {
        match self {
            Self::Jvb => "jitsi_jvb_",
            Self::Jicofo => "jitsi_jicofo_",
            Self::Jibri => "jitsi_jibri_",
        }
    }

    /// The table of its metrics.
    #[must_use]
    pub fn table(self) -> &'static Table {
        match self {
            Self::Jvb => jvb::table(),
            Self::Jicofo => jicofo::table(),
            Self::Jibri => jibri::table(),
        }
    }

    /// The table of its metrics with the names of the systemli exporter, which supports only JVB.
    #[must_use]
    pub fn compat_table(self) -> Option<&'static Table> {
        (self == Self::Jvb).then(jvb::compat_table)
    }

    /// Reads the body of its statistics.
    /// Fails if the body is not the statistics of this component.
    pub fn read(self, body: &[u8]) -> Result<Reading, Refusal> {
        self.read_with(body, false)
    }

    /// Reads the body of its statistics, with `compat` also for the names of the systemli exporter.
    /// Fails as [`Self::read`] does.
    pub fn read_with(self, body: &[u8], compat: bool) -> Result<Reading, Refusal> {
        let object = self.document(body)?;
        let mut reading = self.table().read(&object);
        if !reading.recognized {
            return Err(Reason::Unrecognized.into());
        }
        if let Some(table) = self.compat_table().filter(|_| compat) {
            reading.compat = table.read(&object).samples;
        }
        match self {
            Self::Jvb => jvb::derive(&object, &mut reading),
            Self::Jicofo => jicofo::derive(&object, &mut reading),
            Self::Jibri => jibri::derive(&object, &mut reading),
        }
        Ok(reading)
    }

    /// How each key of its statistics is used.
    /// Fails as [`Self::read`] does.
    pub fn explain(self, body: &[u8]) -> Result<Vec<(String, Fate)>, Refusal> {
        let object = self.document(body)?;
        let mut fates = Vec::new();
        let _samples = self.table().read_with(&object, |key, fate| fates.push((key.to_owned(), fate)));
        Ok(fates)
    }

    /// Reads the body of its own metrics, as text or JSON.
    /// Fails if the body is not the metrics of this component.
    pub fn read_native(self, body: &[u8]) -> Result<Reading, Refusal> {
        let mut reading = self.read_native_with(body, |_, _| {})?;
        match self {
            Self::Jvb => jvb::derive_native(&mut reading),
            Self::Jicofo | Self::Jibri => {}
        }
        Ok(reading)
    }

    /// How each name in the body of its own metrics is used.
    /// Fails as [`Self::read_native`] does.
    pub fn explain_native(self, body: &[u8]) -> Result<Vec<(String, Fate)>, Refusal> {
        let mut fates = Vec::new();
        let _samples = self.read_native_with(body, |name, fate| fates.push((name.to_owned(), fate)))?;
        Ok(fates)
    }

    fn read_native_with(self, body: &[u8], report: impl FnMut(&str, Fate)) -> Result<Reading, Refusal> {
        let table = self.table();
        let (reading, is_named) = match body.trim_ascii_start().first() {
            None => return Err(Reason::Empty.into()),
            Some(b'<') => return Err(Reason::Html.into()),
            Some(b'{') => (native::read_json(table, &Self::object(body)?, report), false),
            Some(_) => {
                let body = String::from_utf8_lossy(body);
                // All names must match, because some names of Jicofo begin with the prefix of Jibri.
                let is_of = |component: &Self| {
                    let prefix = component.native_prefix();
                    let mut names =
                        lines(&body).map(|line| line.name).filter(|name| name.starts_with(NATIVE));
                    names.next().is_some_and(|name| name.starts_with(prefix))
                        && names.all(|name| name.starts_with(prefix))
                };
                match Self::ALL.into_iter().find(is_of) {
                    Some(own) if own == self => {
                        (native::read_text(table, self.native_prefix(), &body, report), true)
                    }
                    Some(other) => return Err(other.foreign_reason().into()),
                    None => (native::read_text(table, NATIVE, &body, report), false),
                }
            }
        };
        // Without a component's prefix, names such as `conferences` could belong to another program.
        let is_own = is_named || self != Self::Jvb || jvb::is_native(&reading);
        if reading.recognized && is_own { Ok(reading) } else { Err(Reason::Unrecognized.into()) }
    }

    /// Whether `reason` means that its statistics are switched off, so that its own metrics replace them.
    #[must_use]
    pub fn is_switched_off(self, reason: Reason) -> bool {
        self == Self::Jvb && matches!(reason, Reason::NotFound | Reason::EmptyObject)
    }

    /// The sample in the body of [`Route::Drain`].
    #[must_use]
    pub fn drain(self, body: &[u8]) -> Option<Sample> {
        let Ok(Json::Object(object)) = json::parse(body) else { return None };
        let drains = object.get("drain")?.boolean()?;
        Some(self.table().sample("jvb_draining", f64::from(drains)))
    }

    /// Whether a reading lacks the sample that a route provides.
    #[must_use]
    pub fn lacks(self, route: Route, reading: &Reading) -> bool {
        match (route, self) {
            (Route::Health, Self::Jvb) => self.lacks_health(reading),
            (Route::Drain, Self::Jvb) => !reading.has(&self.table().sample("jvb_draining", 0.0)),
            _ => false,
        }
    }

    /// The sample of its health, for a value that does not come from the statistics.
    #[must_use]
    pub fn healthy(self, healthy: bool) -> Sample {
        let name = match self {
            Self::Jvb => "jvb_healthy",
            Self::Jicofo => "jicofo_healthy",
            Self::Jibri => "jibri_healthy",
        };
        self.table().sample(name, f64::from(healthy))
    }

    fn lacks_health(self, reading: &Reading) -> bool {
        !reading.has(&self.healthy(true)) && !reading.unusable.contains(&"healthy")
    }

    fn document(self, body: &[u8]) -> Result<Object<'_>, Refusal> {
        match body.trim_ascii_start().first() {
            None => return Err(Reason::Empty.into()),
            Some(b'<') => return Err(Reason::Html.into()),
            Some(_) => {}
        }
        let object = Self::object(body)?;
        match self.foreign(&object) {
            Some(reason) => Err(reason.into()),
            None => Ok(object),
        }
    }

    fn object(body: &[u8]) -> Result<Object<'_>, Refusal> {
        let document = json::parse(body).map_err(|error| {
            let reason = match error {
                ParseError::Truncated => Reason::Truncated,
                ParseError::Malformed { .. } => Reason::Malformed,
                ParseError::TooMany => Reason::TooLarge,
            };
            Refusal { reason, detail: error.to_string() }
        })?;
        let Json::Object(object) = document else { return Err(Reason::Unrecognized.into()) };
        if object.is_empty() { Err(Reason::EmptyObject.into()) } else { Ok(object) }
    }

    /// The reason if statistics of this component are found where another one is expected.
    fn foreign_reason(self) -> Reason {
        match self {
            Self::Jvb => Reason::ForeignJvb,
            Self::Jicofo => Reason::ForeignJicofo,
            Self::Jibri => Reason::ForeignJibri,
        }
    }

    /// The reason if the body belongs to another component or program.
    fn foreign(self, object: &Object<'_>) -> Option<Reason> {
        let has = |signature: &[&str]| signature.iter().any(|key| object.has(key));
        // Checked first, because a webhook's body also has the `status` of the health body.
        if object.has("jibriId") {
            return Some(Reason::ForeignWebhook);
        }
        let is_jvb = has(jvb::SIGNATURE);
        let is_jicofo = !is_jvb && has(jicofo::SIGNATURE);
        let is_jibri = !is_jvb && !is_jicofo && jibri::is_health(object);
        match self {
            Self::Jvb if is_jicofo => Some(Reason::ForeignJicofo),
            Self::Jvb | Self::Jicofo if is_jibri => Some(Reason::ForeignJibri),
            Self::Jicofo | Self::Jibri if is_jvb => Some(Reason::ForeignJvb),
            Self::Jibri if is_jicofo => Some(Reason::ForeignJicofo),
            Self::Jibri if !is_jibri => Some(Reason::Unrecognized),
            Self::Jvb | Self::Jicofo if is_dump(self, object) => Some(Reason::ForeignRtcstats),
            _ => None,
        }
    }

    /// What the reason means for this component and how to fix it, as text for the log.
    #[must_use]
    pub fn advice(self, reason: Reason) -> String {
        let (name, path, port) = (self.as_str(), self.stats_path(), self.default_port());
        match reason {
            Reason::Dns => format!("the host name cannot be resolved: correct --{name}.url or the resolver"),
            Reason::Refused => match self {
                Self::Jvb => "the connection was refused: the bridge is down, or its private interface has another address or port (videobridge.http-servers.private)".to_owned(),
                Self::Jicofo => "the connection was refused: Jicofo is down, or jicofo.rest.host sets another address".to_owned(),
                Self::Jibri => "the connection was refused: Jibri is down, or jibri.api.http.external-api-host sets another address".to_owned(),
            },
            Reason::Connect => "the connection failed: check the route and the firewalls between the exporter and the target".to_owned(),
            Reason::Tls => "the TLS handshake failed: use a certificate that is trusted here and has the name in the URL, or a URL that begins with http://".to_owned(),
            Reason::Forbidden => "--probe.allow does not permit the address: add its network".to_owned(),
            Reason::Timeout => "no complete response before the deadline: the program hangs, or the scrape timeout is too short".to_owned(),
            Reason::Interrupted => "the connection broke before the response was complete: the program ended, or a proxy closed it".to_owned(),
            Reason::Protocol => format!("the response is not HTTP/1.1: the port belongs to another program or expects https; the port of a {name} is {port}"),
            Reason::Redirect => "redirects are not followed: use the address that it leads to".to_owned(),
            Reason::Unauthorized => "the credentials are missing or wrong. Jitsi itself requires none, so this is a proxy: use the address behind it, or a module of --config.file with its password".to_owned(),
            Reason::Credentials => "the file of the module's password or token is unusable: restore it, or set another in --config.file".to_owned(),
            Reason::NotFound => match self {
                Self::Jvb => format!("{path} does not exist: set videobridge.apis.rest.enabled=true (docker: COLIBRI_REST_ENABLED=true), or correct an address that is not a bridge's"),
                Self::Jicofo => format!("{path} does not exist: use the address of Jicofo's REST interface, which has port {port}"),
                Self::Jibri => format!("{path} does not exist: use the address of Jibri's external API, which has port {port}"),
            },
            Reason::Status => "the program responds with an error: see its log".to_owned(),
            Reason::TooLarge => format!("the body is larger than any statistics: use the address of {name}, which has port {port}"),
            Reason::Empty => format!("the body is empty, so this is not a {name}: use its address, which has port {port}"),
            Reason::EmptyObject => match self {
                Self::Jvb => "the bridge responds with {}, so its statistics are switched off: set videobridge.stats.enabled=true".to_owned(),
                Self::Jicofo => "Jicofo never responds with {}, but a bridge without conferences does at /stats: use the address of Jicofo, which has port 8888".to_owned(),
                Self::Jibri => format!("Jibri never responds with {{}}, so this is another program: use the address of Jibri's external API, which has port {port}"),
            },
            Reason::Html => format!("the body is an HTML page, so a web server or a proxy responds: use the address of the {name}, which has port {port}"),
            Reason::Truncated => "the body is incomplete: a proxy cut it, or the program ended".to_owned(),
            Reason::Malformed => format!("the body is not JSON, so this is not a {name}: use its address, which has port {port}"),
            Reason::ForeignJvb => format!("these are the statistics of a JVB: pass the address to --jvb.url, or as module=jvb; the port of a {name} is {port}"),
            Reason::ForeignJicofo => format!("these are the statistics of a Jicofo: pass the address to --jicofo.url, or as module=jicofo; the port of a {name} is {port}"),
            Reason::ForeignJibri => format!("this is the health of a Jibri: pass the address to --jibri.url, or as module=jibri; the port of a {name} is {port}"),
            Reason::ForeignWebhook => "this is what a Jibri posts to its webhook subscribers, not its health: use the address of Jibri's external API, which has port 2222".to_owned(),
            Reason::ForeignRtcstats => match self {
                Self::Jvb => format!("this is a dump for rtcstats, not the statistics: use {path}"),
                _ => "this is a dump for rtcstats, which a bridge serves at /stats: use the address of Jicofo, which has port 8888".to_owned(),
            },
            Reason::Unrecognized => format!("the JSON has no known key, so this is not a {name}: use its address, which has port {port}"),
        }
    }
}

/// Whether `object` is a dump for rtcstats: its members are all objects, named after conferences, and no key is known.
fn is_dump(component: Component, object: &Object<'_>) -> bool {
    object.members().all(|(_, value)| matches!(value, Json::Object(_)))
        && !component.table().read(object).recognized
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Component {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|component| component.as_str() == name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test]
    fn advice_is_one_line_without_a_full_stop() {
        for component in Component::ALL {
            for reason in Reason::ALL {
                let advice = component.advice(reason);
                assert!(!advice.is_empty() && !advice.contains('\n') && !advice.ends_with('.'), "{advice}");
            }
        }
    }

    #[test_case(Component::Jvb, Reason::NotFound, "/colibri/stats does not exist: set videobridge.apis.rest.enabled=true (docker: COLIBRI_REST_ENABLED=true), or correct an address that is not a bridge's" ; "an endpoint that is off")]
    #[test_case(Component::Jvb, Reason::EmptyObject, "the bridge responds with {}, so its statistics are switched off: set videobridge.stats.enabled=true" ; "statistics that are off")]
    #[test_case(Component::Jvb, Reason::ForeignJicofo, "these are the statistics of a Jicofo: pass the address to --jicofo.url, or as module=jicofo; the port of a jvb is 8080" ; "another component")]
    #[test_case(Component::Jicofo, Reason::ForeignRtcstats, "this is a dump for rtcstats, which a bridge serves at /stats: use the address of Jicofo, which has port 8888" ; "a dump")]
    #[test_case(Component::Jibri, Reason::ForeignWebhook, "this is what a Jibri posts to its webhook subscribers, not its health: use the address of Jibri's external API, which has port 2222" ; "a webhook")]
    #[test_case(Component::Jibri, Reason::Html, "the body is an HTML page, so a web server or a proxy responds: use the address of the jibri, which has port 2222" ; "a page")]
    fn advice_for_the_usual_mistakes(component: Component, reason: Reason, expected: &str) {
        assert_eq!(component.advice(reason), expected);
    }

    #[test]
    fn names_round_trip() {
        for component in Component::ALL {
            assert_eq!(component.to_string().parse(), Ok(component));
        }
        assert_eq!("jigasi".parse::<Component>(), Err(()));
    }
}
