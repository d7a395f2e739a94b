//! `tls_server_config`, from what is written to what can be offered.

use std::path::Path;

use rustls::crypto::SupportedKxGroup;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use secrecy::ExposeSecret as _;

use super::error::Problems;
use super::raw::{self, Line as _, RawTls, Scalar, Secret};
use super::{ClientAuth, Pem, Place, TlsSettings};
use crate::tls_names as names;

const CLIENT_AUTH: [(&str, ClientAuth); 6] = [
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    // What exporter-toolkit called it once, and still takes.
    ("RequireClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
];

/// What is needed while `tls_server_config` is read.
pub(super) struct TlsReading<'a> {
    pub(super) text: &'a str,
    pub(super) folder: &'a Path,
    pub(super) problems: &'a mut Problems,
    pub(super) warnings: &'a mut Vec<String>,
}

impl TlsReading<'_> {
    pub(super) fn settings(&mut self, mut raw: RawTls) -> Option<TlsSettings> {
        raw.client_auth_type = raw.client_auth_type.filter(|kind| !kind.value.is_empty());
        let prefer = "tls_server_config.prefer_server_cipher_suites";
        let prefer_server_order =
            raw::boolean(raw.prefer_server_cipher_suites.as_ref(), self.text, prefer, self.problems)
                .unwrap_or(true);
        let client_auth = self.client_auth(raw.client_auth_type.as_ref());
        let offer = self.offer(&raw);
        let pem = |file, inline, keys| pem(self.folder, file, inline, keys);
        let cert = pem(raw.cert_file, raw.cert, ["cert_file", "cert"]);
        let key = pem(raw.key_file, raw.key, ["key_file", "key"]);
        let client_ca = pem(raw.client_ca_file, raw.client_ca, ["client_ca_file", "client_ca"]);
        let asked = cert.is_some() || key.is_some() || client_ca.is_some() || raw.client_auth_type.is_some();
        let allowed_sans = raw.client_allowed_sans;
        if !asked {
            if let Some(sans) = &allowed_sans {
                let text = "client_allowed_sans: there is no certificate, and so no TLS: write cert_file and key_file";
                self.wrong(sans.first().line(), text);
            } else if offer.is_some_and(|offer| offer.is_asked_for) {
                let text = "tls_server_config has no certificate: TLS stays off, and its other settings have no effect";
                self.warnings.push(text.to_owned());
            }
            return None;
        }
        let line = cert.as_ref().or(key.as_ref()).or(client_ca.as_ref()).map(|pem| pem.line);
        let line = line.or(raw.client_auth_type.line());
        for (pem, text) in [
            (&cert, "the certificate is missing: write cert_file or cert"),
            (&key, "the private key is missing: write key_file or key"),
        ] {
            if pem.is_none() {
                self.problems.add(line, format!("tls_server_config: {text}"));
            }
        }
        self.check_client_auth(client_auth, client_ca.as_ref(), allowed_sans.as_deref());
        let offer = offer?;
        Some(TlsSettings {
            cert: cert?,
            key: key?,
            client_ca,
            client_auth,
            allowed_sans: allowed_sans.map(|sans| sans.into_iter().map(|san| san.value).collect()),
            versions: offer.versions,
            suites: offer.suites,
            groups: offer.groups,
            prefer_server_order,
        })
    }

    fn wrong(&mut self, line: Option<u64>, text: impl std::fmt::Display) {
        self.problems.add(line, format!("tls_server_config.{text}"));
    }

    fn client_auth(&mut self, raw: Option<&Scalar>) -> ClientAuth {
        let Some(raw) = raw else { return ClientAuth::None };
        if let Some((_, found)) = CLIENT_AUTH.iter().find(|(name, _)| *name == raw.value) {
            return *found;
        }
        let known: Vec<&str> = [0, 1, 2, 4, 5].map(|at| CLIENT_AUTH[at].0).to_vec();
        let text =
            format!("client_auth_type: {:?} is not known: write one of {}", raw.value, known.join(", "));
        self.wrong(raw.line(), text);
        ClientAuth::None
    }

    fn check_client_auth(&mut self, auth: ClientAuth, ca: Option<&Pem>, sans: Option<&[Scalar]>) {
        if let (Some(ca), ClientAuth::None) = (ca, auth) {
            let text = format!(
                "{}: it has no effect without client_auth_type: write RequireAndVerifyClientCert",
                ca.key
            );
            self.wrong(Some(ca.line), text);
        }
        if let Some(sans) = sans {
            let line = sans.first().line();
            if !matches!(auth, ClientAuth::RequireAny | ClientAuth::RequireAndVerify) {
                let text = "client_allowed_sans: clients may come without a certificate: write client_auth_type: RequireAndVerifyClientCert";
                self.wrong(line, text);
            } else if sans.is_empty() {
                self.wrong(
                    line,
                    "client_allowed_sans: an empty list lets nobody in: name one, or leave it out",
                );
            }
        }
        let verifies = matches!(auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify);
        if verifies && ca.is_none() && sans.is_none() {
            let text = "client certificates of every public authority that the system trusts are accepted: \
                        write client_ca_file, or client_allowed_sans";
            self.warnings.push(text.to_owned());
        }
    }

    /// What is offered to clients: versions, suites and groups.
    fn offer(&mut self, raw: &RawTls) -> Option<Offer> {
        let is_asked_for = raw.min_version.is_some()
            || raw.max_version.is_some()
            || raw.cipher_suites.is_some()
            || raw.curve_preferences.is_some();
        let min = self.named(raw.min_version.as_slice(), "min_version", &names::VERSIONS);
        let max = self.named(raw.max_version.as_slice(), "max_version", &names::VERSIONS);
        let suites =
            self.named(raw.cipher_suites.as_deref().unwrap_or_default(), "cipher_suites", &names::SUITES);
        let groups = self.named(
            raw.curve_preferences.as_deref().unwrap_or_default(),
            "curve_preferences",
            &names::GROUPS,
        );
        let (min, max, suites, groups) = (min?, max?, suites?, groups?);
        self.warn_of_left_out("min_version", raw.min_version.as_slice(), &min);
        self.warn_of_left_out("cipher_suites", raw.cipher_suites.as_deref().unwrap_or_default(), &suites);
        self.warn_of_left_out(
            "curve_preferences",
            raw.curve_preferences.as_deref().unwrap_or_default(),
            &groups,
        );
        let line = raw.max_version.line().or(raw.min_version.line());
        let (min, max) =
            (min.first().copied().unwrap_or_default(), max.first().copied().unwrap_or(names::NEWEST));
        let suites = if raw.cipher_suites.as_ref().is_none_or(Vec::is_empty) {
            names::default_suites()
        } else {
            names::with_tls13(suites.into_iter().flatten())
        };
        let has_tls12 = suites.iter().any(|suite| suite.tls13().is_none());
        let versions = names::versions(min, max, has_tls12);
        if versions.is_empty() {
            let text = if names::versions(min, max, true).is_empty() {
                "max_version: no version from min_version to max_version can be offered: there are TLS12 and TLS13"
            } else {
                "cipher_suites: none of them can be offered in TLS12: add one such as \
                 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
            };
            self.wrong(raw.cipher_suites.as_ref().and_then(|all| all.first().line()).or(line), text);
            return None;
        }
        let wanted_groups: Vec<_> = groups.iter().copied().flatten().collect();
        let groups = match (groups.is_empty(), wanted_groups.is_empty()) {
            (true, _) => names::default_groups(),
            (false, false) => wanted_groups,
            (false, true) => {
                let text =
                    "curve_preferences: CurveP521 cannot be offered: add X25519, CurveP256 or CurveP384";
                self.wrong(raw.curve_preferences.as_ref().and_then(|all| all.first().line()), text);
                return None;
            }
        };
        Some(Offer { versions, suites, groups, is_asked_for })
    }

    /// What each name stands for.
    fn named<T: Copy>(&mut self, raw: &[Scalar], key: &str, known: &[(&str, T)]) -> Option<Vec<T>> {
        let mut found = Vec::new();
        for name in raw {
            match known.iter().find(|(known, _)| *known == name.value) {
                Some((_, what)) => found.push(*what),
                None => {
                    let all: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                    let text =
                        format!("{key}: {:?} is not known: write one of {}", name.value, all.join(", "));
                    self.wrong(name.line(), text);
                }
            }
        }
        (found.len() == raw.len()).then_some(found)
    }

    fn warn_of_left_out<T: names::Offered>(&mut self, key: &str, raw: &[Scalar], found: &[T]) {
        let left_out: Vec<&str> = raw
            .iter()
            .zip(found)
            .filter(|(_, what)| !what.is_offered())
            .map(|(name, _)| &*name.value)
            .collect();
        if !left_out.is_empty() {
            self.warnings.push(format!(
                "tls_server_config.{key}: not offered, because this TLS library leaves it out: {}",
                left_out.join(", ")
            ));
        }
    }
}

struct Offer {
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Vec<SupportedCipherSuite>,
    groups: Vec<&'static dyn SupportedKxGroup>,
    is_asked_for: bool,
}

/// The file counts before what is written inline, as in exporter-toolkit; an empty text is none.
fn pem(folder: &Path, file: Option<Scalar>, inline: Option<Secret>, keys: [&'static str; 2]) -> Option<Pem> {
    if let Some(file) = file.filter(|file| !file.value.is_empty()) {
        let line = file.line().unwrap_or_default();
        return Some(Pem { place: Place::File(folder.join(file.value)), line, key: keys[0] });
    }
    let inline = inline.filter(|inline| !inline.value.expose_secret().is_empty())?;
    let line = inline.line().unwrap_or_default();
    Some(Pem { place: Place::Inline(inline.value), line, key: keys[1] })
}
