//! The file as it is written. The one place that calls the YAML library.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::error::{Problem, Problems};

/// A value with its place. Numbers and booleans come as they are written, as Go's YAML gives them
/// to a text.
pub(super) type Scalar = Spanned<String>;
/// A value that nobody may read in a log.
pub(super) type Secret = Spanned<SecretString>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) tls_server_config: Option<RawTls>,
    pub(super) http_server_config: Option<RawHttp>,
    pub(super) basic_auth_users: Option<BTreeMap<String, Option<Secret>>>,
    pub(super) rate_limit: Option<RawRate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert: Option<Secret>,
    pub(super) key: Option<Secret>,
    pub(super) client_ca: Option<Secret>,
    pub(super) cert_file: Option<Scalar>,
    pub(super) key_file: Option<Scalar>,
    pub(super) client_ca_file: Option<Scalar>,
    pub(super) client_auth_type: Option<Scalar>,
    pub(super) client_allowed_sans: Option<Vec<Scalar>>,
    pub(super) cipher_suites: Option<Vec<Scalar>>,
    pub(super) curve_preferences: Option<Vec<Scalar>>,
    pub(super) min_version: Option<Scalar>,
    pub(super) max_version: Option<Scalar>,
    pub(super) prefer_server_cipher_suites: Option<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHttp {
    pub(super) http2: Option<Scalar>,
    pub(super) headers: Option<BTreeMap<String, Option<Scalar>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRate {
    pub(super) interval: Option<Scalar>,
    pub(super) burst: Option<Scalar>,
}

/// Something that stands in a line.
pub(super) trait Line {
    /// Counted from 1.
    fn line(&self) -> Option<u64>;
}

impl<T> Line for Spanned<T> {
    fn line(&self) -> Option<u64> {
        Some(self.referenced.line()).filter(|line| *line > 0)
    }
}

impl<T> Line for Option<Spanned<T>> {
    fn line(&self) -> Option<u64> {
        self.as_ref().and_then(Line::line)
    }
}

impl<T> Line for Option<&Spanned<T>> {
    fn line(&self) -> Option<u64> {
        self.and_then(Line::line)
    }
}

/// Reads `text`; an empty one is a file with nothing in it.
pub(super) fn parse(text: &str) -> Result<Raw, Vec<Problem>> {
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options::<Option<Raw>>(text, options) {
        Ok(raw) => Ok(raw.unwrap_or_default()),
        Err(error) => {
            let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
            Err(vec![Problem { line, text: plain(&error.to_string()) }])
        }
    }
}

/// The library's message without the place, which it repeats in its own words, and without its
/// advice to programmers.
fn plain(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or_default();
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        return format!("the key `{}` stands here twice", key.split(',').next().unwrap_or_default());
    }
    if message.starts_with("multiple YAML documents") {
        return "a second document begins here, which nobody would read: write one, without ---".to_owned();
    }
    message.split("; use ").next().unwrap_or_default().to_owned()
}

/// A boolean in YAML 1.1, which Go's YAML reads: never a quoted text.
pub(super) fn boolean(raw: Option<&Scalar>, text: &str, key: &str, problems: &mut Problems) -> Option<bool> {
    let raw = raw?;
    let at = usize::try_from(raw.referenced.span().offset()).unwrap_or(usize::MAX);
    let is_quoted = text.chars().nth(at).is_some_and(|c| matches!(c, '"' | '\''));
    match raw.value.as_str() {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" if !is_quoted => {
            Some(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N"
            if !is_quoted =>
        {
            Some(false)
        }
        value => {
            let hint = if is_quoted { ", without quotes" } else { "" };
            problems.add(raw.line(), format!("{key}: {value:?} is no boolean: write true or false{hint}"));
            None
        }
    }
}
