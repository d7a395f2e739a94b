//! Turns a module's TLS settings and their files into a rustls configuration.

use std::fs;
use std::sync::Arc;

use jitsi_web::document::Problem;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, InconsistentKeys, RootCertStore, SignatureScheme};

use crate::modules::{Place, Tls};

/// The rustls configuration, or every mistake in the settings and their files.
pub(crate) fn config(settings: &Tls) -> Result<ClientConfig, Vec<Problem>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(settings, &provider);
    let identity = settings.identity.as_ref().map(|(cert, key)| identity(cert, key, &provider)).transpose();
    let (verifier, identity) = match (verifier, identity) {
        (Ok(verifier), Ok(identity)) => (verifier, identity),
        (verifier, identity) => {
            return Err(verifier
                .err()
                .into_iter()
                .flatten()
                .chain(identity.err().into_iter().flatten())
                .collect());
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| vec![Problem::whole(format!("cannot set up TLS: {error}"))])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn problem(Place { path, line, key }: &Place, text: &str) -> Problem {
    Problem { line: *line, path: key.clone(), text: format!("{}: {text}", path.display()) }
}

fn certificates(place: &Place) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let bytes =
        fs::read(&place.path).map_err(|error| problem(place, &format!("it cannot be read: {error}")))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(problem(
            place,
            "there is no certificate in it, which begins with -----BEGIN CERTIFICATE-----",
        )),
        Ok(found) => Ok(found),
        Err(error) => Err(problem(place, &format!("it is not valid PEM: {error}"))),
    }
}

fn identity(cert: &Place, key: &Place, provider: &CryptoProvider) -> Result<CertifiedKey, Vec<Problem>> {
    let loaded = fs::read(&key.path)
        .map_err(|error| problem(key, &format!("it cannot be read: {error}")))
        .and_then(|bytes| {
            PrivateKeyDer::from_pem_slice(&bytes)
                .map_err(|_| problem(key, "there is no private key without a passphrase in it"))
        })
        .and_then(|der| {
            provider.key_provider.load_private_key(der).map_err(|_| {
                problem(
                    key,
                    "this kind of key is not supported: use ECDSA, Ed25519, or RSA with at least 2048 bits",
                )
            })
        });
    let (chain, loaded) = match (certificates(cert), loaded) {
        (Ok(chain), Ok(loaded)) => (chain, loaded),
        (chain, loaded) => return Err(chain.err().into_iter().chain(loaded.err()).collect()),
    };
    let certified = CertifiedKey::new(chain, loaded);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => {
            Err(vec![problem(key, "this is not the private key of the certificate")])
        }
        Err(error) => Err(vec![problem(cert, &format!("the certificate cannot be used: {error}"))]),
    }
}

fn verifier(
    settings: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Vec<Problem>> {
    if settings.insecure {
        return Ok(Arc::new(Unverified(provider.clone())));
    }
    let name = settings.server_name.as_ref().map(|(name, place)| {
        ServerName::try_from(name.clone())
            .map_err(|_| problem(place, "this is no host name: write it as in bridge.example.org"))
    });
    let (roots, name) = match (roots(settings), name.transpose()) {
        (Ok(roots), Ok(name)) => (roots, name),
        (roots, name) => return Err(roots.err().into_iter().chain(name.err()).collect()),
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let verifier = verifier.map_err(|error| {
        let text = format!("it cannot be used to verify targets: {error}");
        let place = settings.ca.as_ref();
        vec![place.map_or_else(|| Problem::whole(&text), |place| problem(place, &text))]
    })?;
    Ok(match name {
        Some(name) => Arc::new(Named { verifier, name }),
        None => verifier,
    })
}

fn roots(settings: &Tls) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(place) => {
            if roots.add_parsable_certificates(certificates(place)?).0 == 0 {
                return Err(problem(place, "it contains no usable certificate"));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                let text = "this system trusts no certificate authority: set ca_file in the section tls";
                return Err(Problem::whole(text));
            }
        }
    }
    Ok(roots)
}

/// Verifies that a certificate has a given name instead of the target's.
#[derive(Debug)]
struct Named {
    verifier: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _target: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Accepts any certificate whose key the server owns: `insecure_skip_verify`.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _target: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
