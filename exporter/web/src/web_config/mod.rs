//! The file of `--web.config.file`: exporter-toolkit's format, from text to settings that can be
//! served. Certificates are named here and read in `tls`; nothing is opened.
//!
//! Differences from exporter-toolkit:
//! - TLS 1.0 and 1.1, suites without forward secrecy or with CBC, and the curve P-521 are not
//!   offered. A file that leaves something to offer is accepted, and what is left out is logged;
//!   a file that leaves nothing is refused.
//! - A setting with which every request would fail (a file of client CAs without a certificate, an
//!   empty `client_allowed_sans`, a `burst` below 1, a `min_version` above `max_version`) is refused,
//!   and so is one that would have no effect (an `interval` without a unit, `client_allowed_sans`
//!   without TLS, a second YAML document).
//! - A password hash that no password can match is refused, not only one that is too short.
//! - `http2` has no effect: only HTTP/1.1 is spoken. (HTTP/2 would make the program larger by a
//!   twelfth, and a client that asks every fifteen seconds gains nothing from it.)
//! - Certificates are X.509 version 3, and RSA keys have 2048 bits or more.
//! - `rate_limit` is read again like everything else. Only a restart switches TLS off, and an empty
//!   file counts as one that is being written.

mod headers;
mod interval;
mod raw;
mod tls_section;
mod tls_settings;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use axum::http::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::PasswordHash;
use crate::document::{self, Dialect, Field, Problem, Problems, Secret};
use crate::rate::Rate;

use raw::{Raw, RawRate};
use tls_section::TlsReading;
pub(crate) use tls_settings::{ClientAuth, Pem, Place, TlsSettings};

/// The validated content of the file.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) headers: HeaderMap,
    pub(crate) rate: Option<Rate>,
    pub(crate) users: BTreeMap<String, PasswordHash>,
    /// What is accepted and may be a mistake.
    pub(crate) warnings: Vec<String>,
}

/// A web configuration file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct WebConfigError {
    /// The file.
    pub path: PathBuf,
    /// Every mistake that was found, in the order of the file. None repeats a secret.
    pub problems: Vec<Problem>,
}

impl fmt::Display for WebConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--web.config.file={}:", self.path.display())?;
        match self.problems.as_slice() {
            [only] => write!(f, " {only}"),
            several => several.iter().try_for_each(|problem| write!(f, "\n  {problem}")),
        }
    }
}

/// The settings in `text`, where relative paths start from `folder`; or every mistake in it.
pub(crate) fn parse(text: &str, folder: &Path) -> Result<Settings, Vec<Problem>> {
    let problems = Problems::default();
    let raw: Field<Raw> = document::read(text, Dialect::Go, &problems);
    let settings = raw.take().map(|raw| {
        let headers = raw.http_server_config.take().and_then(|http| http.headers.take());
        let tls = raw.tls_server_config.open();
        Settings {
            headers: headers::headers(headers.unwrap_or_default(), &problems),
            tls: tls.and_then(|(at, raw)| TlsReading { folder, at, problems: &problems }.settings(raw)),
            users: users(raw.basic_auth_users.take().unwrap_or_default(), &problems),
            rate: raw.rate_limit.take().and_then(|raw| rate(raw, &problems)),
            warnings: Vec::new(),
        }
    });
    let (wrong, warnings) = problems.into_sorted();
    match settings {
        Some(settings) if wrong.is_empty() => {
            let mut warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            let Settings { tls, headers, rate, users, .. } = &settings;
            if tls.is_none()
                && headers.is_empty()
                && rate.is_none()
                && users.is_empty()
                && warnings.is_empty()
            {
                warnings.push("it sets nothing: no users, no TLS".to_owned());
            }
            Ok(Settings { warnings, ..settings })
        }
        _ => Err(wrong),
    }
}

fn users(raw: BTreeMap<String, Field<Secret>>, problems: &Problems) -> BTreeMap<String, PasswordHash> {
    let mut users = BTreeMap::new();
    for (name, hash) in raw {
        let place = hash.place().clone();
        let Some(Secret(hash)) = hash.or(Secret(SecretString::default())) else { continue };
        match PasswordHash::parse(hash.expose_secret()) {
            Ok(hash) => drop(users.insert(name, hash)),
            Err(error) => place.wrong(problems, error.to_string()),
        }
    }
    users
}

fn rate(raw: RawRate, problems: &Problems) -> Option<Rate> {
    let interval = raw
        .interval
        .convert(problems, |text| interval::parse(&text).map_err(|error| format!("{text:?}: {error}")));
    let interval = interval.take().filter(|interval| !interval.is_zero())?;
    let place = raw.burst.place().clone();
    let burst = raw.burst.or(String::new())?.parse().ok().filter(|burst| *burst >= 1);
    if burst.is_none() {
        place.wrong(problems, "must be at least 1: how many requests may come at once");
    }
    Some(Rate { interval, burst: burst? })
}

#[cfg(test)]
mod tests;
