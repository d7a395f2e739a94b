//! The configuration file: YAML → [`Config`], with every mistake found at once.
//!
//! Owns names, defaults and the checks that need no network. Only validated types leave this module.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::decide::policy::FleetPolicy;
use crate::units::{FleetName, GroupName, Region};

mod fleet;
mod meaning;
mod policy;
pub mod schedule;
pub mod test_file;
mod upkeep;
mod yaml;

#[cfg(test)]
mod tests;

pub(crate) use fleet::{is_metric_name, is_selector};
use schedule::{DailyWindow, Schedule};
pub use yaml::Problem;
use yaml::{Problems, Section};

/// Recording rules and remote writes that are later than this are broken.
const LONG_DELAY: Duration = Duration::from_mins(15);

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where datapoints come from.
    pub prometheus: Prometheus,
    /// At least one.
    pub fleets: Vec<Fleet>,
    /// What can be meant, and hardly is, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// Anything with Prometheus' query API, and how to reach it.
#[derive(Clone, Debug)]
pub struct Prometheus {
    /// Its address; `/api/v1/…` is appended.
    pub url: Url,
    /// The limit of one query.
    pub timeout: Duration,
    /// How far behind now windows end.
    pub delay: Duration,
    /// How to prove who asks.
    pub auth: Auth,
    /// Whom to trust, and how to prove who asks by a certificate.
    pub tls: Tls,
    /// Whether queries are signed as AWS asks for it.
    pub sigv4: Option<SigV4>,
    /// Sent with every query, such as `X-Scope-OrgID`.
    pub headers: Vec<(String, String)>,
}

/// Signatures for Amazon Managed Service for Prometheus, with the credentials of AWS' usual chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigV4 {
    /// The region of the workspace.
    pub region: Region,
    /// The role to assume for queries, if any.
    pub role_arn: Option<String>,
}

/// TLS beyond the system's own certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of a client certificate and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How a request proves who asks. Files are read at each request, so that a rotated secret is taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// HTTP basic authentication.
    Basic {
        /// The user.
        username: String,
        /// The file that holds the password.
        password_file: PathBuf,
    },
    /// A bearer token in a file.
    Bearer {
        /// The file that holds the token.
        token_file: PathBuf,
    },
}

/// Auto Scaling groups that share one policy.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Unique in the file.
    pub name: FleetName,
    /// Decides and says so, but changes nothing.
    pub dry_run: bool,
    /// Which groups, and where.
    pub asg: GroupSelector,
    /// What to do with them.
    pub policy: FleetPolicy,
    /// The PromQL of each policy, in their order.
    pub expressions: Vec<String>,
    /// Which series name the instances.
    pub instances: InstanceSeries,
    /// Floors and ceilings for a time.
    pub schedules: Vec<Schedule>,
    /// How to reach an instance that is drained; `None` only where nothing ever scales in.
    pub drain: Option<DrainVia>,
    /// The PromQL whose series name the instances that are ill.
    pub replace_expr: Option<String>,
    /// When old instances are recycled.
    pub recycle: Option<DailyWindow>,
    /// The terminating hook to serve; without a name the only one that a group has.
    pub lifecycle_hook: Option<String>,
}

/// Which Auto Scaling groups a fleet has, and how series name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSelector {
    /// Empty: the region of the AWS configuration chain.
    pub regions: Vec<Region>,
    /// By name or by tag.
    pub groups: Groups,
    /// The role to assume, if any.
    pub role_arn: Option<String>,
    /// The series label that carries the group's name.
    pub label: String,
    /// The series label that carries the region, where two regions have a group of one name.
    pub region_label: Option<String>,
}

/// How the groups of a fleet are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// These, looked for in every region of the fleet.
    Names(Vec<GroupName>),
    /// All that carry every one of these tags.
    Tags(Vec<(String, String)>),
}

/// Which series name the instances of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceSeries {
    /// A vector selector whose value is 1 where an instance reports.
    pub series: String,
    /// The label that holds the EC2 instance id.
    pub id_label: String,
}

/// Addresses of an instance, with `{label}` for labels of its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainVia {
    /// Where a bridge, or a Jibri's health, is asked.
    pub component: String,
    /// Where a Jibri is asked to shut down; the same as `component` behind a relay.
    pub internal: String,
    /// How to prove who asks.
    pub auth: Auth,
    /// Whom to trust, and how to prove who asks by a certificate.
    pub tls: Tls,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read {}; name an existing file with --config.file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file was read, and is wrong.
    #[error("use {}, which has {}:{}", path.display(), count(problems.len()), list(problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// At least one, in the order of the file.
        problems: Vec<Problem>,
    },
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 mistake".to_owned() } else { format!("{problems} mistakes") }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// Reads and validates the file at `path`.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|problems| ConfigError::Invalid { path: path.to_owned(), problems })
}

/// Validates the text of a configuration; the error holds every mistake in it.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let root = yaml::parse(text).map_err(|problem| vec![problem])?;
    let problems = Problems::default();
    let mut root = Section::new(root, "", &problems);

    if !root.has("prometheus") {
        root.missing(
            "prometheus",
            "`prometheus` is missing; write for example `prometheus: {url: http://127.0.0.1:9090}`",
        );
    }
    let prometheus = root.section("prometheus").and_then(prometheus);
    if !root.has("fleets") {
        root.missing("fleets", "`fleets` is missing; at least one fleet is needed");
    }
    let mut fleets: Vec<Fleet> = Vec::new();
    let sections = root.sections("fleets");
    let written = sections.len();
    for section in sections {
        fleets.extend(fleet::read(section, &fleets));
    }
    if (fleets.len() < written || prometheus.is_none()) && problems.is_empty() {
        // Never may a part go missing without a word.
        root.wrong("a part cannot be used, and this program does not know why; please report it");
    }
    root.finish();

    let (problems, warnings) = problems.into_sorted();
    match prometheus {
        Some(prometheus) if problems.is_empty() => Ok(Config { prometheus, fleets, warnings }),
        _ => Err(problems),
    }
}

fn prometheus(mut section: Section<'_>) -> Option<Prometheus> {
    let url = section
        .required_text("url", "http://127.0.0.1:9090")
        .and_then(|found| found.convert(|text| server(&text)));
    let timeout = section.duration("timeout").map_or(Duration::from_secs(10), |found| {
        if found.value.is_zero() {
            found.wrong("must be longer than nothing; the default is 10s");
        }
        found.value
    });
    let delay = section.duration("delay").map_or(Duration::ZERO, |found| {
        if found.value.subsec_nanos() > 0 {
            found.wrong("must be whole seconds");
        }
        found.odd_above(LONG_DELAY, "whatever happens is followed that much later");
        found.value
    });
    let headers = section.pairs("headers").map_or_else(Vec::new, |found| {
        for (name, value) in &found.value {
            let valid = reqwest::header::HeaderName::try_from(name.as_str()).is_ok()
                && reqwest::header::HeaderValue::try_from(value.as_str()).is_ok();
            if !valid {
                found.wrong(format!("`{name}` is not a valid HTTP header"));
            }
        }
        found.value
    });
    let auth = auth(&mut section, "/etc/jitsi-scaler/prometheus-password");
    let tls = section.section("tls").map_or_else(Tls::default, tls);
    let sigv4 = section.section("sigv4").and_then(|section| sigv4(auth != Auth::None, section));
    section.finish();
    Some(Prometheus { url: url?.value, timeout, delay, auth, tls, sigv4, headers })
}

/// `basic_auth` or `bearer_token_file`; `password_file` is an example of the former's.
fn auth(section: &mut Section<'_>, password_file: &str) -> Auth {
    let bearer = section.text("bearer_token_file");
    let basic = section.section("basic_auth");
    if let (Some(found), Some(_)) = (&bearer, &basic) {
        found.wrong("write either `basic_auth` or `bearer_token_file`, not both");
    }
    let mut auth = Auth::None;
    if let Some(mut basic) = basic {
        let username = basic.required_text("username", "scaler");
        let file = basic.required_text("password_file", password_file);
        if let (Some(username), Some(file)) = (username, file) {
            auth = Auth::Basic { username: username.value, password_file: file.value.into() };
        }
        basic.finish();
    } else if let Some(found) = bearer {
        auth = Auth::Bearer { token_file: found.value.into() };
    }
    auth
}

/// Reads `sigv4`; `is_other` says whether queries prove who asks in another way already.
fn sigv4(is_other: bool, mut section: Section<'_>) -> Option<SigV4> {
    if is_other {
        section.wrong("stands beside `basic_auth` or `bearer_token_file`; write one of them");
    }
    let region = section.required_text("region", "us-east-1").map(|found| {
        if !fleet::is_region(&found.value) {
            found.wrong(format!("\"{}\" is not a region such as us-east-1", found.value));
        }
        Region::new(&found.value)
    });
    let role_arn = section.text("role_arn").map(|found| {
        if !found.value.starts_with("arn:") {
            found.wrong("must be an ARN such as arn:aws:iam::123456789012:role/jitsi-scaler-queries");
        }
        found.value
    });
    section.finish();
    Some(SigV4 { region: region?, role_arn })
}

fn tls(mut section: Section<'_>) -> Tls {
    let mut file = |key| section.text(key).map(|found| PathBuf::from(found.value));
    let (ca_file, cert, key) = (file("ca_file"), file("cert_file"), file("key_file"));
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            section.wrong("`cert_file` and `key_file` belong together; write both or neither");
            None
        }
    };
    section.finish();
    Tls { ca_file, identity }
}

/// An absolute HTTP address.
fn address(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Ok(url),
        Err(url::ParseError::InvalidPort) => Err(format!("has no valid port: \"{text}\"")),
        _ => Err(format!("must be an address that begins with http:// or https://, not \"{text}\"")),
    }
}

/// The address of Prometheus, without the path of its API.
fn server(text: &str) -> Result<Url, String> {
    let url = address(text)?;
    if url.path().contains("/api/v1") {
        return Err("must end before /api/v1, which is appended".to_owned());
    }
    Ok(url)
}
