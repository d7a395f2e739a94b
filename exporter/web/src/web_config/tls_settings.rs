//! The TLS settings of the server.

use std::path::PathBuf;

use rustls::crypto::SupportedKxGroup;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use secrecy::SecretString;

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
    /// Whether every accepted client has proved who it is: its certificate was verified, and more is
    /// known of it than that a public authority has signed it.
    pub(crate) fn authenticates(&self) -> bool {
        self.client_auth == ClientAuth::RequireAndVerify
            && (self.client_ca.is_some() || self.allowed_sans.is_some())
    }
}

/// A certificate or key in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pem {
    pub(crate) place: Place,
    /// Where the file names it.
    pub(crate) line: u64,
    /// The key that names it, as in `cert_file`.
    pub(crate) key: &'static str,
}

/// Where PEM is read from.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    File(PathBuf),
    Inline(SecretString),
}

/// `client_auth_type`, in Go's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// `NoClientCert`: no certificate is requested.
    #[default]
    None,
    /// `RequestClientCert`: requested, not required. A client that sends one owns its key.
    Request,
    /// `RequireAnyClientCert`: required; its signature is not verified.
    RequireAny,
    /// `VerifyClientCertIfGiven`: not required, and verified if sent.
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`: required and verified.
    RequireAndVerify,
}
