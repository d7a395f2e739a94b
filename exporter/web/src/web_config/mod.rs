//! The file of `--web.config.file`: exporter-toolkit's format, from text to settings that can be
//! served. Certificates are named here and read in `tls`; nothing is opened.
//!
//! Where this and exporter-toolkit part ways:
//! - TLS 1.0 and 1.1, suites without forward secrecy or with CBC, and the curve P-521 are not
//!   offered. A file that leaves something to offer is accepted, and what is left out is logged;
//!   a file that leaves nothing is refused.
//! - A setting that would answer nobody (a file of client CAs without a certificate, an empty
//!   `client_allowed_sans`, a `burst` below 1, a `min_version` above `max_version`) or that would
//!   be without its meant effect (an `interval` without a unit, `client_allowed_sans` without TLS,
//!   a second YAML document) is refused.
//! - A password hash that no password can fit is refused, not only one that is too short.
//! - `http2` allows what no client needs: HTTP/1.1 is spoken. (HTTP/2 would make the program larger
//!   by a twelfth, and helps nobody who asks once in fifteen seconds.)
//! - Certificates are X.509 version 3, and RSA keys have 2048 bits or more.
//! - `rate_limit` is read again like everything else; TLS, once on, is switched off by
//!   a restart only, and a file that was emptied counts as one that is being written.

mod error;
mod headers;
mod interval;
mod raw;
mod tls_section;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::http::HeaderMap;
use rustls::crypto::SupportedKxGroup;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::PasswordHash;
use crate::document::{self, Dialect, Field, Problem, Problems, Secret};
use crate::rate::Rate;

pub use error::WebConfigError;
use raw::{Raw, RawRate};
use tls_section::TlsReading;

/// The larger a file, the longer it takes to read; the largest that anybody has is some KiB.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;

/// What the file says, checked.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) headers: HeaderMap,
    pub(crate) rate: Option<Rate>,
    pub(crate) users: BTreeMap<String, PasswordHash>,
    /// What is accepted and still worth a look.
    pub(crate) warnings: Vec<String>,
}

/// `tls_server_config`, where it has a certificate.
#[derive(Debug)]
pub(crate) struct TlsSettings {
    pub(crate) cert: Pem,
    pub(crate) key: Pem,
    pub(crate) client_ca: Option<Pem>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) allowed_sans: Option<Vec<String>>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) suites: Vec<SupportedCipherSuite>,
    pub(crate) groups: Vec<&'static dyn SupportedKxGroup>,
    /// The server's order of suites decides, not the client's.
    pub(crate) prefer_server_order: bool,
}

impl TlsSettings {
    /// Whether a client that comes through is known to be one of those who may: its certificate was
    /// verified, and not only as one of those that any public authority gives to anybody.
    pub(crate) fn authenticates(&self) -> bool {
        self.client_auth == ClientAuth::RequireAndVerify
            && (self.client_ca.is_some() || self.allowed_sans.is_some())
    }
}

/// Something in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pem {
    pub(crate) place: Place,
    /// Where the file names it.
    pub(crate) line: u64,
    /// The key that names it, as in `cert_file`.
    pub(crate) key: &'static str,
}

/// Where something in PEM is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    File(PathBuf),
    Inline(SecretString),
}

/// `client_auth_type`, in Go's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// `NoClientCert`: none is asked for.
    #[default]
    None,
    /// `RequestClientCert`: asked for, nothing demanded; whoever sends one owns its key.
    Request,
    /// `RequireAnyClientCert`: demanded, and nobody asks who signed it.
    RequireAny,
    /// `VerifyClientCertIfGiven`: none, or a good one.
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`.
    RequireAndVerify,
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
            Ok(Settings { warnings: warnings.iter().map(ToString::to_string).collect(), ..settings })
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
