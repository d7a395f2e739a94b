//! The verifier of client certificates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

/// The authorities that client certificates are verified with.
pub(crate) struct Authorities {
    pub(crate) roots: RootCertStore,
    /// The certificates of the file itself: a client may present one of them.
    pub(crate) direct: Vec<CertificateDer<'static>>,
}

/// Verifies that the client owns the key of its certificate, and what the settings require of the certificate.
#[derive(Debug)]
pub(crate) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    required: bool,
    /// Accepts certificates that an authority signed for clients; without it, issuer and age do not matter.
    chains: Option<Arc<dyn ClientCertVerifier>>,
    /// Accepted although no authority signed them: self-signed client certificates are commonly trusted in this way, and Go
    /// accepts them even if they are marked as authorities.
    direct: Vec<CertificateDer<'static>>,
    /// The certificate must have one of these names.
    names: Option<Vec<String>>,
}

impl Verifier {
    /// Without `authorities`, it accepts every certificate.
    pub(crate) fn new(
        provider: &Arc<CryptoProvider>,
        required: bool,
        authorities: Option<Authorities>,
        names: Option<Vec<String>>,
    ) -> Result<Self, VerifierBuilderError> {
        let algorithms = provider.signature_verification_algorithms;
        let mut verifier = Self { algorithms, required, chains: None, direct: Vec::new(), names };
        if let Some(Authorities { roots, direct }) = authorities {
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            verifier.chains = Some(builder.build()?);
            verifier.direct = direct;
        }
        Ok(verifier)
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.as_ref().map_or(&[], |chains| chains.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.direct.contains(end_entity) {
            check_direct(end_entity, now)?;
        } else if let Some(chains) = &self.chains {
            chains.verify_client_cert(end_entity, intermediates, now)?;
        }
        if let Some(allowed) = &self.names {
            let names = subject_names(end_entity)?;
            if !names.iter().any(|name| allowed.contains(name)) {
                let error = NotAllowed { names: names.join(", ") };
                return Err(CertificateError::Other(OtherError(Arc::new(error))).into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks the age and the purpose of a certificate in the file of authorities.
fn check_direct(end_entity: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let certificate = parse(end_entity)?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let now = ASN1Time::from_timestamp(seconds).map_err(|_| CertificateError::BadEncoding)?;
    if now < certificate.validity().not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > certificate.validity().not_after {
        return Err(CertificateError::Expired.into());
    }
    match certificate.extended_key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.any || usage.value.client_auth => Ok(()),
        Ok(Some(_)) => Err(CertificateError::InvalidPurpose.into()),
        Err(_) => Err(CertificateError::BadEncoding.into()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("none of the certificate's names is in client_allowed_sans: {names:?}")]
struct NotAllowed {
    names: String,
}

fn parse<'c>(certificate: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, Error> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        _ => Err(CertificateError::BadEncoding.into()),
    }
}

/// The subject alternative names in Go's notation: DNS names, e-mail addresses, IP addresses and URIs.
fn subject_names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let parsed = parse(certificate)?;
    let names = parsed.subject_alternative_name().map_err(|_| Error::from(CertificateError::BadEncoding))?;
    let names = names.map(|extension| extension.value.general_names.iter());
    Ok(names.into_iter().flatten().filter_map(go_notation).collect())
}

fn go_notation(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|octets| Ipv6Addr::from(octets).into()));
            ip.ok().map(|ip| ip.to_canonical().to_string())
        }
        _ => None,
    }
}
