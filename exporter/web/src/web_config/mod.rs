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
use crate::rate::Rate;

use error::Problems;
pub use error::{Problem, WebConfigError};
use raw::{Line as _, Raw, RawRate, Secret};
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
    let Raw { tls_server_config, http_server_config, basic_auth_users, rate_limit } = raw::parse(text)?;
    let problems = &mut Problems::default();
    let mut warnings = Vec::new();
    let http = http_server_config.unwrap_or_default();
    // Whatever it says, HTTP/1.1 is spoken.
    raw::boolean(http.http2.as_ref(), text, "http_server_config.http2", problems);
    let headers = headers::headers(http.headers.unwrap_or_default(), problems);
    let tls = tls_server_config.and_then(|raw| {
        let mut reading = TlsReading { text, folder, problems: &mut *problems, warnings: &mut warnings };
        reading.settings(raw)
    });
    let users = users(basic_auth_users.unwrap_or_default(), problems);
    let rate = rate_limit.and_then(|raw| rate(&raw, problems));
    problems.none()?;
    Ok(Settings { tls, headers, rate, users, warnings })
}

fn users(raw: BTreeMap<String, Option<Secret>>, problems: &mut Problems) -> BTreeMap<String, PasswordHash> {
    let mut users = BTreeMap::new();
    for (name, hash) in raw {
        let text = hash.as_ref().map_or("", |hash| hash.value.expose_secret());
        match PasswordHash::parse(text) {
            Ok(hash) => drop(users.insert(name, hash)),
            Err(error) => problems.add(hash.line(), format!("basic_auth_users: {name:?}: {error}")),
        }
    }
    users
}

fn rate(raw: &RawRate, problems: &mut Problems) -> Option<Rate> {
    let interval = raw.interval.as_ref()?;
    let period = match interval::parse(&interval.value) {
        Ok(period) if period.is_zero() => return None,
        Ok(period) => period,
        Err(error) => {
            problems.add(interval.line(), format!("rate_limit.interval: {:?}: {error}", interval.value));
            return None;
        }
    };
    let burst = raw.burst.as_ref().map_or("0", |burst| &burst.value);
    match burst.parse() {
        Ok(burst) if burst >= 1 => Some(Rate { interval: period, burst }),
        _ => {
            let line = raw.burst.line().or(interval.line());
            let text =
                "rate_limit.burst: below 1 every request would be refused: write how many may come at once";
            problems.add(line, text);
            None
        }
    }
}

#[cfg(test)]
mod tests;
