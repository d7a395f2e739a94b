//! Go's names of TLS versions, cipher suites and curves, and their equivalents in rustls.

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as ECDSA_AES_128,
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 as ECDSA_AES_256,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 as ECDSA_CHACHA20,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 as RSA_AES_128,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 as RSA_AES_256,
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 as RSA_CHACHA20, TLS13_AES_128_GCM_SHA256,
    TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

/// A version of TLS, from the oldest to the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    Tls10,
    Tls11,
    #[default]
    Tls12,
    Tls13,
}

/// The maximum version if the file does not set one.
pub(crate) const NEWEST: Version = Version::Tls13;

pub(crate) const VERSIONS: [(&str, Version); 4] = [
    ("TLS10", Version::Tls10),
    ("TLS11", Version::Tls11),
    ("TLS12", Version::Tls12),
    ("TLS13", Version::Tls13),
];

/// Every suite that Go's `tls.CipherSuites()` has listed since the file format exists, except those that Go calls insecure
/// now. `None` if rustls does not support the suite.
pub(crate) const SUITES: [(&str, Option<SupportedCipherSuite>); 17] = [
    ("TLS_AES_128_GCM_SHA256", Some(TLS13_AES_128_GCM_SHA256)),
    ("TLS_AES_256_GCM_SHA384", Some(TLS13_AES_256_GCM_SHA384)),
    ("TLS_CHACHA20_POLY1305_SHA256", Some(TLS13_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Some(ECDSA_AES_128)),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Some(ECDSA_AES_256)),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Some(ECDSA_CHACHA20)),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Some(RSA_AES_128)),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Some(RSA_AES_256)),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Some(RSA_CHACHA20)),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_RSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_RSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_RSA_WITH_AES_128_GCM_SHA256", None),
    ("TLS_RSA_WITH_AES_256_GCM_SHA384", None),
];

pub(crate) const GROUPS: [(&str, Option<&'static dyn SupportedKxGroup>); 4] = [
    ("X25519", Some(kx_group::X25519)),
    ("CurveP256", Some(kx_group::SECP256R1)),
    ("CurveP384", Some(kx_group::SECP384R1)),
    ("CurveP521", None),
];

/// A named value that rustls may not support.
pub(crate) trait Offered {
    /// What to write instead of an unsupported one.
    const REMEDY: &'static str;

    fn is_offered(&self) -> bool;
}

impl<T> Offered for Option<T> {
    const REMEDY: &'static str = "remove it from the list";

    fn is_offered(&self) -> bool {
        self.is_some()
    }
}

impl Offered for Version {
    const REMEDY: &'static str = "write TLS12 or TLS13";

    fn is_offered(&self) -> bool {
        *self >= Self::Tls12
    }
}

/// The supported versions from `min` to `max`. TLS 1.2 is included only if `has_tls12`: a cipher suite for it is
/// configured.
pub(crate) fn versions(
    min: Version,
    max: Version,
    has_tls12: bool,
) -> Vec<&'static SupportedProtocolVersion> {
    let within = |version: Version| min <= version && version <= max;
    let mut versions = Vec::new();
    if within(Version::Tls13) {
        versions.push(&TLS13);
    }
    if within(Version::Tls12) && has_tls12 {
        versions.push(&TLS12);
    }
    versions
}

pub(crate) fn default_suites() -> Vec<SupportedCipherSuite> {
    aws_lc_rs::DEFAULT_CIPHER_SUITES.to_vec()
}

pub(crate) fn default_groups() -> Vec<&'static dyn SupportedKxGroup> {
    aws_lc_rs::DEFAULT_KX_GROUPS.to_vec()
}

/// `cipher_suites` configures TLS 1.2; all suites of TLS 1.3 are always offered, as in Go.
pub(crate) fn with_tls13(wanted: impl Iterator<Item = SupportedCipherSuite>) -> Vec<SupportedCipherSuite> {
    let tls13 = default_suites().into_iter().filter(|suite| suite.tls13().is_some());
    tls13.chain(wanted.filter(|suite| suite.tls13().is_none())).collect()
}
