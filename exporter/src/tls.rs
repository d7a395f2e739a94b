//! Turns a module's TLS settings and their files into a rustls configuration.

use std::fs;
use std::sync::Arc;

use jitsi_web::document::Problem;
use jitsi_web::pem::Contents;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::modules::{Place, Tls};

/// The rustls configuration, or every mistake in the settings and their files.
pub(crate) fn config(settings: &Tls) -> Result<ClientConfig, Vec<Problem>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(settings, &provider);
    let identity =
        settings.identity.as_ref().map(|(cert, key)| contents(cert).with_key(&contents(key), &provider));
    let (verifier, identity) = match (verifier, identity.transpose()) {
        (Ok(verifier), Ok(identity)) => (verifier, identity),
        (verifier, identity) => {
            return Err([verifier.err(), identity.err()].into_iter().flatten().flatten().collect());
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

fn contents(place: &Place) -> Contents<impl Fn(&str) -> Problem> {
    Contents::new(fs::read(&place.path).map(Into::into), |text| problem(place, text))
}

fn verifier(
    settings: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Vec<Problem>> {
    let algorithms = provider.signature_verification_algorithms;
    if settings.insecure {
        return Ok(Arc::new(Verifier { algorithms, named: None }));
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
        Some(name) => Arc::new(Verifier { algorithms, named: Some((verifier, name)) }),
        None => verifier,
    })
}

fn roots(settings: &Tls) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(place) => {
            if roots.add_parsable_certificates(contents(place).certificates()?).0 == 0 {
                return Err(problem(
                    place,
                    "it contains no usable certificate: store X.509 certificates of version 3 in it",
                ));
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

/// Accepts any certificate whose key the server owns (`insecure_skip_verify`), or verifies that it has a given name instead of
/// the target's.
#[derive(Debug)]
struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    named: Option<(Arc<WebPkiServerVerifier>, ServerName<'static>)>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _target: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.named {
            Some((verifier, name)) => verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
