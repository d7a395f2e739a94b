//! Verifiers of client certificates.

use std::fmt;
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

/// Accepts every certificate whose key the client owns, regardless of its issuer and age.
#[derive(Debug)]
pub(crate) struct Unverified {
    algorithms: WebPkiSupportedAlgorithms,
    required: bool,
}

impl Unverified {
    pub(crate) fn new(provider: &CryptoProvider, required: bool) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, required }
    }
}

impl ClientCertVerifier for Unverified {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
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

/// The authorities that client certificates are verified with.
pub(crate) struct Authorities {
    pub(crate) roots: RootCertStore,
    /// The certificates of the file itself: a client may present one of them.
    pub(crate) direct: Vec<CertificateDer<'static>>,
}

/// Accepts certificates that an authority signed for clients, and the certificates in the file of authorities itself:
/// self-signed client certificates are commonly trusted in this way, and Go accepts them even if they are marked as
/// authorities.
pub(crate) fn verified(
    provider: &Arc<CryptoProvider>,
    authorities: Authorities,
    required: bool,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities.roots), provider.clone());
    let inner = if required { builder } else { builder.allow_unauthenticated() }.build()?;
    Ok(Arc::new(Wrapped { inner, check: Direct { certificates: authorities.direct } }))
}

/// A verifier that adds a check of the certificate to `inner` and leaves signatures to it.
#[derive(Debug)]
struct Wrapped<C> {
    inner: Arc<dyn ClientCertVerifier>,
    check: C,
}

trait Check: fmt::Debug + Send + Sync {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        now: UnixTime,
        inner: &dyn Fn() -> Result<ClientCertVerified, Error>,
    ) -> Result<ClientCertVerified, Error>;
}

impl<C: Check> ClientCertVerifier for Wrapped<C> {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let inner = || self.inner.verify_client_cert(end_entity, intermediates, now);
        self.check.check(end_entity, now, &inner)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[derive(Debug)]
struct Direct {
    certificates: Vec<CertificateDer<'static>>,
}

impl Check for Direct {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        now: UnixTime,
        inner: &dyn Fn() -> Result<ClientCertVerified, Error>,
    ) -> Result<ClientCertVerified, Error> {
        if !self.certificates.contains(end_entity) {
            return inner();
        }
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
            Ok(None) => {}
            Ok(Some(usage)) if usage.value.any || usage.value.client_auth => {}
            Ok(Some(_)) => return Err(CertificateError::InvalidPurpose.into()),
            Err(_) => return Err(CertificateError::BadEncoding.into()),
        }
        Ok(ClientCertVerified::assertion())
    }
}

/// Requires, in addition to the inner verifier, that the certificate has one of these names.
#[derive(Debug)]
struct Names(Vec<String>);

pub(crate) fn named(inner: Arc<dyn ClientCertVerifier>, allowed: Vec<String>) -> Arc<dyn ClientCertVerifier> {
    Arc::new(Wrapped { inner, check: Names(allowed) })
}

impl Check for Names {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        _: UnixTime,
        inner: &dyn Fn() -> Result<ClientCertVerified, Error>,
    ) -> Result<ClientCertVerified, Error> {
        let verified = inner()?;
        let names = subject_names(end_entity)?;
        if names.iter().any(|name| self.0.contains(name)) {
            return Ok(verified);
        }
        let error = NotAllowed { names: names.join(", ") };
        Err(CertificateError::Other(OtherError(Arc::new(error))).into())
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
