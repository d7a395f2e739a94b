//! The components and what they have in common: where their statistics are, how a body is told
//! from another component's, and what an operator can do about one that is not understood.

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

/// A kind of program that has statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    /// Jitsi Videobridge.
    Jvb,
    /// Jicofo.
    Jicofo,
    /// Jibri.
    Jibri,
}

/// What the names of every component's own metrics begin with, until 2023 with nothing else.
const NATIVE: &str = "jitsi_";

/// Something that a component is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Its statistics.
    Statistics,
    /// Its own metrics.
    Native,
    /// Its health, by status alone.
    Health,
    /// Whether it is drained.
    Drain,
}

/// Why a body is not the statistics that were expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the metric.
    pub reason: Reason,
    /// What the reason does not say, for the log; may be empty.
    pub detail: String,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: String::new() }
    }
}

impl Component {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 3] = [Self::Jvb, Self::Jicofo, Self::Jibri];

    /// The name: prefix of metrics, value of labels, of `module` and of flags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jvb => "jvb",
            Self::Jicofo => "jicofo",
            Self::Jibri => "jibri",
        }
    }

    /// The port of its statistics, where none is given.
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

    /// The path of a route; `None` where there is none.
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

    /// What the names of its own metrics begin with.
    #[must_use]
    pub fn native_prefix(self) -> &'static str {
        match self {
            Self::Jvb => "jitsi_jvb_",
            Self::Jicofo => "jitsi_jicofo_",
            Self::Jibri => "jitsi_jibri_",
        }
    }

    /// Its metrics.
    #[must_use]
    pub fn table(self) -> &'static Table {
        match self {
            Self::Jvb => jvb::table(),
            Self::Jicofo => jicofo::table(),
            Self::Jibri => jibri::table(),
        }
    }

    /// Its metrics under the names of another exporter, where that has any.
    #[must_use]
    pub fn compat_table(self) -> Option<&'static Table> {
        (self == Self::Jvb).then(jvb::compat_table)
    }

    /// Reads a body.
    pub fn read(self, body: &[u8]) -> Result<Reading, Refusal> {
        self.read_with(body, false)
    }

    /// Reads a body, and if asked for also for the names of another exporter.
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

    /// What becomes of each key of a body.
    pub fn explain(self, body: &[u8]) -> Result<Vec<(String, Fate)>, Refusal> {
        let object = self.document(body)?;
        let mut fates = Vec::new();
        let _samples = self.table().read_with(&object, |key, fate| fates.push((key.to_owned(), fate)));
        Ok(fates)
    }

    /// Reads the body of its own metrics, in whichever form.
    pub fn read_native(self, body: &[u8]) -> Result<Reading, Refusal> {
        let mut reading = self.read_native_with(body, |_, _| {})?;
        match self {
            Self::Jvb => jvb::derive_native(&mut reading),
            Self::Jicofo | Self::Jibri => {}
        }
        Ok(reading)
    }

    /// What becomes of each name in the body of its own metrics.
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
                // Of the names of one Jicofo some begin like those of a Jibri: all must.
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
        // Where no name tells whose they are, conferences and the like would fit another program.
        let is_own = is_named || self != Self::Jvb || jvb::is_native(&reading);
        if reading.recognized && is_own { Ok(reading) } else { Err(Reason::Unrecognized.into()) }
    }

    /// Whether its own metrics can stand in for statistics that are not had for `reason`, which then
    /// are switched off.
    #[must_use]
    pub fn is_switched_off(self, reason: Reason) -> bool {
        self == Self::Jvb && matches!(reason, Reason::NotFound | Reason::EmptyObject)
    }

    /// The sample that a body of the route for draining is worth.
    #[must_use]
    pub fn drain(self, body: &[u8]) -> Option<Sample> {
        let Ok(Json::Object(object)) = json::parse(body) else { return None };
        let drains = object.get("drain")?.boolean()?;
        Some(self.table().sample("jvb_draining", f64::from(drains)))
    }

    /// Whether a reading lacks the answer of a route that could complete it.
    #[must_use]
    pub fn lacks(self, route: Route, reading: &Reading) -> bool {
        match (route, self) {
            (Route::Health, Self::Jvb) => self.lacks_health(reading),
            (Route::Drain, Self::Jvb) => !reading.has(&self.table().sample("jvb_draining", 0.0)),
            _ => false,
        }
    }

    /// The sample of its health, when another source than the statistics told it.
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

    /// What the statistics of this component are where they are not expected.
    fn foreign_reason(self) -> Reason {
        match self {
            Self::Jvb => Reason::ForeignJvb,
            Self::Jicofo => Reason::ForeignJicofo,
            Self::Jibri => Reason::ForeignJibri,
        }
    }

    /// Whose body it is, if not this component's.
    fn foreign(self, object: &Object<'_>) -> Option<Reason> {
        let has = |signature: &[&str]| signature.iter().any(|key| object.has(key));
        // Its `status` is that of the health body, so that this key comes first.
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

    /// What the reason means here and what to change, as a sentence for the log.
    #[must_use]
    pub fn advice(self, reason: Reason) -> String {
        let (name, path, port) = (self.as_str(), self.stats_path(), self.default_port());
        match reason {
            Reason::Dns => format!("the name has no address: correct --{name}.url or the resolver"),
            Reason::Refused => match self {
                Self::Jvb => "nothing listens there: the bridge is down, or its private interface is on another address or port (videobridge.http-servers.private)".to_owned(),
                Self::Jicofo => "nothing listens there: Jicofo is down, or jicofo.rest.host keeps it on another address".to_owned(),
                Self::Jibri => "nothing listens there: Jibri is down, or jibri.api.http.external-api-host keeps it on another address".to_owned(),
            },
            Reason::Connect => "no connection: look at the route and the firewall between here and there".to_owned(),
            Reason::Tls => "no agreement on TLS: the certificate must be trusted here and carry the name of the URL, or the URL should begin with http://".to_owned(),
            Reason::Forbidden => "the address is outside of what --probe.allow permits".to_owned(),
            Reason::Timeout => "no complete answer before the deadline: the program hangs, or the scrape timeout is too short".to_owned(),
            Reason::Interrupted => "the connection broke before the answer was complete: the program ended, or a proxy between cut it".to_owned(),
            Reason::Protocol => format!("what answers speaks no HTTP/1.1: the port is another program's, or expects https; the port of a {name} is {port}"),
            Reason::Redirect => "redirects are not followed: use the address to which it leads".to_owned(),
            Reason::Unauthorized => "it refuses the credentials, or asks for some, which Jitsi never does: a proxy is in between; use the address behind it, or a module of --config.file with its password".to_owned(),
            Reason::Credentials => "the file of the module's password or token cannot be used: restore it, or name another in --config.file".to_owned(),
            Reason::NotFound => match self {
                Self::Jvb => format!("{path} is not there: set videobridge.apis.rest.enabled=true (docker: COLIBRI_REST_ENABLED=true), or the address is not a bridge's"),
                Self::Jicofo => format!("{path} is not there: the address is not Jicofo's REST interface, which has port {port}"),
                Self::Jibri => format!("{path} is not there: the address is not Jibri's external API, which has port {port}"),
            },
            Reason::Status => "it answers with an error of its own: look at its log".to_owned(),
            Reason::TooLarge => format!("the body is larger than statistics ever are: the address is not that of {name}"),
            Reason::Empty => format!("the body is empty: what answers is no {name}, whose port is {port}"),
            Reason::EmptyObject => match self {
                Self::Jvb => "the bridge answers {}: its statistics are switched off, set videobridge.stats.enabled=true".to_owned(),
                Self::Jicofo => "Jicofo never answers {}, a bridge without conferences does at /stats: this is a bridge's address, Jicofo's has port 8888".to_owned(),
                Self::Jibri => format!("Jibri never answers {{}}: what answers is another program; Jibri's external API has port {port}"),
            },
            Reason::Html => format!("the body is a page for people: a web server or a proxy answers; the port of a {name} is {port}"),
            Reason::Truncated => "the body stops in the middle: a proxy between cut it, or the program ended".to_owned(),
            Reason::Malformed => format!("the body is no JSON: what answers is no {name}, whose port is {port}"),
            Reason::ForeignJvb => format!("these are the statistics of a JVB: pass the address to --jvb.url, or as module=jvb; the port of a {name} is {port}"),
            Reason::ForeignJicofo => format!("these are the statistics of a Jicofo: pass the address to --jicofo.url, or as module=jicofo; the port of a {name} is {port}"),
            Reason::ForeignJibri => format!("this is the health of a Jibri: pass the address to --jibri.url, or as module=jibri; the port of a {name} is {port}"),
            Reason::ForeignWebhook => "this is what a Jibri posts to its webhook subscribers, not its health: use the address of Jibri's external API, which has port 2222".to_owned(),
            Reason::ForeignRtcstats => match self {
                Self::Jvb => format!("this is a dump for rtcstats, not the statistics: use {path}"),
                _ => "this is a dump for rtcstats, as a bridge has at /stats: this is a bridge's address, Jicofo's has port 8888".to_owned(),
            },
            Reason::Unrecognized => format!("this is JSON, but nothing in it is known: what answers is no {name}, whose port is {port}"),
        }
    }
}

/// Only objects by the names of conferences, and nothing that is known: what rtcstats collects.
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

    #[test]
    fn advice_is_one_line_that_fits_the_log() {
        for component in Component::ALL {
            for reason in Reason::ALL {
                let advice = component.advice(reason);
                assert!(!advice.is_empty() && !advice.contains('\n') && !advice.ends_with('.'), "{advice}");
            }
        }
    }

    #[test]
    fn advice_for_the_usual_mistakes() {
        for (component, reason, expected) in [
            (
                Component::Jvb,
                Reason::NotFound,
                "/colibri/stats is not there: set videobridge.apis.rest.enabled=true (docker: COLIBRI_REST_ENABLED=true), or the address is not a bridge's",
            ),
            (
                Component::Jvb,
                Reason::EmptyObject,
                "the bridge answers {}: its statistics are switched off, set videobridge.stats.enabled=true",
            ),
            (
                Component::Jvb,
                Reason::ForeignJicofo,
                "these are the statistics of a Jicofo: pass the address to --jicofo.url, or as module=jicofo; the port of a jvb is 8080",
            ),
            (
                Component::Jicofo,
                Reason::ForeignRtcstats,
                "this is a dump for rtcstats, as a bridge has at /stats: this is a bridge's address, Jicofo's has port 8888",
            ),
            (
                Component::Jibri,
                Reason::ForeignWebhook,
                "this is what a Jibri posts to its webhook subscribers, not its health: use the address of Jibri's external API, which has port 2222",
            ),
            (
                Component::Jibri,
                Reason::Html,
                "the body is a page for people: a web server or a proxy answers; the port of a jibri is 2222",
            ),
        ] {
            assert_eq!(component.advice(reason), expected);
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for component in Component::ALL {
            assert_eq!(component.to_string().parse(), Ok(component));
        }
        assert_eq!("jigasi".parse::<Component>(), Err(()));
    }
}
