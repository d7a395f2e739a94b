//! Certificates and private keys in PEM, from a file or a text of a configuration.

use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use secrecy::{ExposeSecret, SecretSlice};

use crate::document::Problem;

/// What was read.
#[derive(Debug)]
pub struct Contents<F> {
    bytes: Result<SecretSlice<u8>, Problem>,
    problem: F,
}

impl<F: Fn(&str) -> Problem> Contents<F> {
    /// The result of reading a file, or a text. `problem` adds the place in the configuration to what is wrong with it.
    pub fn new(read: io::Result<SecretSlice<u8>>, problem: F) -> Self {
        Self { bytes: read.map_err(|error| problem(&format!("it cannot be read: {error}"))), problem }
    }

    /// What was read.
    /// Fails if it cannot be read.
    pub fn bytes(&self) -> Result<&[u8], Problem> {
        self.bytes.as_ref().map(ExposeSecret::expose_secret).map_err(Clone::clone)
    }

    /// All certificates.
    /// Fails if there is none.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Problem> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.bytes()?).collect();
        match found {
            Ok(found) if found.is_empty() => Err((self.problem)(
                "there is no certificate in it, which begins with -----BEGIN CERTIFICATE-----",
            )),
            Ok(found) => Ok(found),
            Err(error) => Err(self.invalid(&error)),
        }
    }

    /// The certificates with their private key, which `key` contains.
    /// The error names what is wrong with either.
    pub fn with_key(&self, key: &Self, provider: &CryptoProvider) -> Result<CertifiedKey, Vec<Problem>> {
        let (chain, private) = match (self.certificates(), key.private_key(provider)) {
            (Ok(chain), Ok(private)) => (chain, private),
            (chain, private) => return Err(chain.err().into_iter().chain(private.err()).collect()),
        };
        let certified = CertifiedKey::new(chain, private);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
            Err(Error::InconsistentKeys(_)) => {
                Err(vec![(key.problem)("this is not the private key of the certificate")])
            }
            Err(error) => Err(vec![(self.problem)(&format!("the certificate cannot be used: {error}"))]),
        }
    }

    fn private_key(&self, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, Problem> {
        let bytes = self.bytes()?;
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED") {
            let text = "the key is encrypted: store it without a passphrase (openssl pkey -in … -out …)";
            return Err((self.problem)(text));
        }
        let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
            pem::Error::NoItemsFound if has("-----BEGIN CERTIFICATE-----") => {
                (self.problem)("it contains a certificate instead of a private key")
            }
            pem::Error::NoItemsFound => {
                (self.problem)("there is no private key in it, which begins with -----BEGIN PRIVATE KEY-----")
            }
            error => self.invalid(&error),
        })?;
        provider.key_provider.load_private_key(key).map_err(|_| {
            (self.problem)(
                "this kind of key is not supported: use ECDSA P-256, P-384 or P-521, Ed25519, or RSA with at least 2048 bits",
            )
        })
    }

    fn invalid(&self, error: &pem::Error) -> Problem {
        (self.problem)(&format!("it is not valid PEM: {error}; copy it again, with its lines BEGIN and END"))
    }
}
