//! `tls_server_config`, from what is written to what can be offered.

use std::path::Path;

use rustls::crypto::SupportedKxGroup;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use secrecy::ExposeSecret as _;

use super::raw::{Names, RawTls};
use super::tls_settings::{ClientAuth, Pem, Place, TlsSettings};
use crate::document::{self, Field, Problems, Secret};
use crate::tls_names as names;

const CLIENT_AUTH: [(&str, ClientAuth); 5] = [
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
];

/// What is needed while `tls_server_config` is read.
pub(super) struct TlsReading<'a> {
    pub(super) folder: &'a Path,
    /// Where the section is.
    pub(super) at: document::Place,
    pub(super) problems: &'a Problems,
}

impl TlsReading<'_> {
    pub(super) fn settings(&self, raw: RawTls) -> Option<TlsSettings> {
        let problems = self.problems;
        let offer = self.offer(raw.min_version, raw.max_version, raw.cipher_suites, raw.curve_preferences);
        let unreadable = [&raw.cert_file, &raw.key_file].iter().any(|file| file.is_wrong())
            || [&raw.cert, &raw.key].iter().any(|inline| inline.is_wrong());
        let cert = self.pem(raw.cert_file, raw.cert, ["cert_file", "cert"]);
        let key = self.pem(raw.key_file, raw.key, ["key_file", "key"]);
        let client_ca = self.pem(raw.client_ca_file, raw.client_ca, ["client_ca_file", "client_ca"]);
        let kind = raw.client_auth_type;
        let kind_line = kind.get().filter(|kind| !kind.is_empty()).map(|_| kind.place().line);
        let sans = raw.client_allowed_sans;
        let line = [&cert, &key, &client_ca].into_iter().flatten().map(|pem| pem.line).next().or(kind_line);
        let Some(line) = line else {
            if !sans.is_absent() {
                place(&sans)
                    .wrong(problems, "there is no certificate, and so no TLS; write cert_file and key_file");
            } else if offer.is_some_and(|offer| offer.is_asked_for) {
                self.at.warn(
                    problems,
                    "there is no certificate, so TLS stays off and the other settings have no effect; \
                     write cert_file and key_file, or remove the section",
                );
            }
            return None;
        };
        let client_auth = self.client_auth(kind_line.map(|_| kind));
        for (pem, text) in [
            (&cert, "the certificate is missing; write cert_file or cert"),
            (&key, "the private key is missing; write key_file or key"),
        ] {
            if pem.is_none() && !unreadable {
                document::Place { line, ..self.at.clone() }.wrong(problems, text);
            }
        }
        if let Some(client_auth) = client_auth {
            self.check_client_auth(client_auth, client_ca.as_ref(), &sans);
        }
        let offer = offer?;
        let allowed_sans = sans.take().map(|sans| sans.into_iter().filter_map(Field::take).collect());
        Some(TlsSettings {
            cert: cert?,
            key: key?,
            client_ca,
            client_auth: client_auth?,
            allowed_sans,
            versions: offer.versions,
            suites: offer.suites,
            groups: offer.groups,
            prefer_server_order: raw.prefer_server_cipher_suites.or(true)?,
        })
    }

    /// None where the kind is unknown, so that nothing else is said of it.
    fn client_auth(&self, kind: Option<Field<String>>) -> Option<ClientAuth> {
        let Some(kind) = kind else { return Some(ClientAuth::None) };
        // The former name, which exporter-toolkit still accepts.
        let kind = kind.convert(self.problems, |kind| {
            Ok(if kind == "RequireClientCert" { "RequireAnyClientCert".to_owned() } else { kind })
        });
        kind.one_of(self.problems, &CLIENT_AUTH).take()
    }

    fn check_client_auth(&self, auth: ClientAuth, ca: Option<&Pem>, sans: &Names) {
        if let (Some(ca), ClientAuth::None) = (ca, auth) {
            let path = format!("{}.{}", self.at.path, ca.key);
            let text = "has no effect without client_auth_type; write RequireAndVerifyClientCert";
            document::Place { line: ca.line, path }.wrong(self.problems, text);
        }
        if !sans.is_absent() {
            if !matches!(auth, ClientAuth::RequireAny | ClientAuth::RequireAndVerify) {
                let text = "clients may come without a certificate; write client_auth_type: RequireAndVerifyClientCert";
                place(sans).wrong(self.problems, text);
            } else if sans.get().is_some_and(Vec::is_empty) {
                place(sans)
                    .wrong(self.problems, "an empty list lets no client in; name one, or leave the key out");
            }
        }
        let verifies = matches!(auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify);
        if verifies && ca.is_none() && sans.is_absent() {
            let text = "client certificates of every public authority that the system trusts are accepted; \
                        write client_ca_file, or client_allowed_sans";
            self.at.warn(self.problems, text);
        }
    }

    /// What is offered to clients: versions, suites and groups.
    fn offer(&self, min: Field<String>, max: Field<String>, suites: Names, groups: Names) -> Option<Offer> {
        let is_asked_for = !(min.is_absent() && max.is_absent() && suites.is_absent() && groups.is_absent());
        let version_place = if max.is_absent() { min.place() } else { max.place() };
        let version_place = document::Place { path: max.place().path.clone(), ..version_place.clone() };
        let (suites_place, groups_place) = (place(&suites), place(&groups));
        let min = self.version(min, names::Version::default());
        let max = max.one_of(self.problems, &names::VERSIONS).or(names::NEWEST);
        let suites = self.named(suites, &names::SUITES);
        let groups = self.named(groups, &names::GROUPS);
        let (min, max, suites, groups) = (min?, max?, suites?, groups?);
        let suites = if suites.is_empty() {
            names::default_suites()
        } else {
            names::with_tls13(suites.into_iter().flatten())
        };
        let has_tls12 = suites.iter().any(|suite| suite.tls13().is_none());
        let versions = names::versions(min, max, has_tls12);
        if versions.is_empty() {
            if names::versions(min, max, true).is_empty() {
                version_place.wrong(
                    self.problems,
                    "no version from min_version to max_version can be offered; there are TLS12 and TLS13",
                );
            } else {
                suites_place.wrong(
                    self.problems,
                    "none of them can be offered in TLS12; add one such as \
                     TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                );
            }
            return None;
        }
        let offered: Vec<_> = groups.iter().copied().flatten().collect();
        let groups = match (groups.is_empty(), offered.is_empty()) {
            (true, _) => names::default_groups(),
            (false, false) => offered,
            (false, true) => {
                let text = "CurveP521 cannot be offered; add X25519, CurveP256 or CurveP384";
                groups_place.wrong(self.problems, text);
                return None;
            }
        };
        Some(Offer { versions, suites, groups, is_asked_for })
    }

    fn version(&self, raw: Field<String>, default: names::Version) -> Option<names::Version> {
        let (at, name) = (raw.place().clone(), raw.get().cloned());
        let version = raw.one_of(self.problems, &names::VERSIONS).or(default);
        self.warn_of_left_out(&at, name.iter().zip(version));
        version
    }

    /// What each name stands for.
    fn named<T: Copy + names::Offered>(&self, raw: Names, known: &[(&str, T)]) -> Option<Vec<T>> {
        let at = raw.place().clone();
        let raw = raw.or(Vec::new())?;
        let names: Vec<_> = raw.iter().filter_map(|name| name.get().cloned()).collect();
        let count = raw.len();
        let found: Vec<T> = raw
            .into_iter()
            .map(|name| name.required_because(self.problems, "an entry has no value; remove it"))
            .filter_map(|name| name.one_of(self.problems, known).take())
            .collect();
        if found.len() < count {
            return None;
        }
        self.warn_of_left_out(&at, names.iter().zip(found.iter().copied()));
        Some(found)
    }

    fn warn_of_left_out<'a, T: names::Offered>(
        &self,
        at: &document::Place,
        names: impl Iterator<Item = (&'a String, T)>,
    ) {
        let left_out: Vec<&str> =
            names.filter(|(_, what)| !what.is_offered()).map(|(name, _)| name.as_str()).collect();
        if !left_out.is_empty() {
            let left_out = left_out.join(", ");
            at.warn(
                self.problems,
                format!("this TLS library does not offer {left_out}, which is left out; {}", T::REMEDY),
            );
        }
    }

    /// The file counts before what is written inline, as in exporter-toolkit; an empty text is none.
    fn pem(
        &self,
        file: Field<String>,
        inline: Field<Secret>,
        [in_file, in_text]: [&'static str; 2],
    ) -> Option<Pem> {
        if let Some((at, file)) = file.open().filter(|(_, file)| !file.is_empty()) {
            return Some(Pem { place: Place::File(self.folder.join(file)), line: at.line, key: in_file });
        }
        let (at, Secret(inline)) =
            inline.open().filter(|(_, inline)| !inline.0.expose_secret().is_empty())?;
        Some(Pem { place: Place::Inline(inline), line: at.line, key: in_text })
    }
}

/// The path of a list, at the line of its first entry.
fn place(list: &Names) -> document::Place {
    let first = list.get().and_then(|entries| entries.first());
    let line = first.map_or(list.place().line, |first| first.place().line);
    document::Place { line, ..list.place().clone() }
}

struct Offer {
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Vec<SupportedCipherSuite>,
    groups: Vec<&'static dyn SupportedKxGroup>,
    is_asked_for: bool,
}
