//! The file as it is written.

use std::collections::BTreeMap;

use jitsi_web::document::{Field, Secret, Wait};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Raw {
    pub(super) modules: Field<BTreeMap<String, Field<RawModule>>>,
}

#[derive(Deserialize)]
pub(super) struct RawModule {
    pub(super) component: Field<String>,
    pub(super) allow: Field<Vec<Field<String>>>,
    pub(super) timeout: Field<Wait>,
    pub(super) basic_auth: Field<RawBasicAuth>,
    pub(super) bearer_token: Field<Secret>,
    pub(super) bearer_token_file: Field<String>,
    pub(super) headers: Field<BTreeMap<String, Field<Secret>>>,
    pub(super) tls: Field<RawTls>,
}

#[derive(Deserialize)]
pub(super) struct RawBasicAuth {
    pub(super) username: Field<String>,
    pub(super) password: Field<Secret>,
    pub(super) password_file: Field<String>,
}

#[derive(Deserialize)]
pub(super) struct RawTls {
    pub(super) ca_file: Field<String>,
    pub(super) cert_file: Field<String>,
    pub(super) key_file: Field<String>,
    pub(super) server_name: Field<String>,
    pub(super) insecure_skip_verify: Field<bool>,
}
