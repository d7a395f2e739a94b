//! The file as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::document::{Field, Secret};

/// Names, each with its line.
pub(super) type Names = Field<Vec<Field<String>>>;

#[derive(Deserialize)]
pub(super) struct Raw {
    pub(super) tls_server_config: Field<RawTls>,
    pub(super) http_server_config: Field<RawHttp>,
    pub(super) basic_auth_users: Field<BTreeMap<String, Field<Secret>>>,
    pub(super) rate_limit: Field<RawRate>,
}

#[derive(Deserialize)]
pub(super) struct RawTls {
    pub(super) cert: Field<Secret>,
    pub(super) key: Field<Secret>,
    pub(super) client_ca: Field<Secret>,
    pub(super) cert_file: Field<String>,
    pub(super) key_file: Field<String>,
    pub(super) client_ca_file: Field<String>,
    pub(super) client_auth_type: Field<String>,
    pub(super) client_allowed_sans: Names,
    pub(super) cipher_suites: Names,
    pub(super) curve_preferences: Names,
    pub(super) min_version: Field<String>,
    pub(super) max_version: Field<String>,
    pub(super) prefer_server_cipher_suites: Field<bool>,
}

#[derive(Deserialize)]
pub(super) struct RawHttp {
    /// Whatever it says, HTTP/1.1 is spoken.
    #[expect(dead_code, reason = "it is a key of the format, and must be a boolean")]
    pub(super) http2: Field<bool>,
    pub(super) headers: Field<BTreeMap<String, Field<String>>>,
}

#[derive(Deserialize)]
pub(super) struct RawRate {
    pub(super) interval: Field<String>,
    pub(super) burst: Field<String>,
}
