//! Turns the TLS settings and their files into a rustls configuration.

mod client;

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::document::Problem;
use crate::web_config::{ClientAuth, Pem, Place, TlsSettings};

/// Reads a file. Each file is read once per configuration.
pub(crate) type Read<'a> = dyn FnMut(&Path) -> io::Result<SecretSlice<u8>> + 'a;

/// The rustls configuration of a listener, and warnings about its settings; or every mistake.
pub(crate) fn build(
    settings: &TlsSettings,
    read: &mut Read<'_>,
) -> Result<(Arc<ServerConfig>, Vec<String>), Vec<Problem>> {
    let mut warnings = Vec::new();
    let provider = Arc::new(CryptoProvider {
        cipher_suites: settings.suites.clone(),
        kx_groups: settings.groups.clone(),
        ..aws_lc_rs::default_provider()
    });
    // Both are checked before either error returns, so that all mistakes are reported.
    let key = certified_key(settings, &provider, read);
    let verifier = verifier(settings, &provider, read, &mut warnings);
    let (key, verifier) = match (key, verifier) {
        (Ok(key), Ok(verifier)) => (key, verifier),
        (key, verifier) => return Err(key.err().into_iter().flatten().chain(verifier.err()).collect()),
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&settings.versions)
        .map_err(|error| vec![problem(&settings.cert, &error.to_string())])?;
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
    let mut config = match verifier {
        Some(verifier) => {
            let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
            // Without resumption, because a resumed session would not verify the client's certificate again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            config
        }
        None => builder.with_no_client_auth().with_cert_resolver(resolver),
    };
    config.ignore_client_order = settings.prefer_server_order;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), warnings))
}

fn problem(pem: &Pem, text: &str) -> Problem {
    let Pem { place, line, key } = pem;
    let text = match place {
        Place::File(path) => format!("{}: {text}", path.display()),
        Place::Inline(_) => text.to_owned(),
    };
    Problem { line: *line, path: format!("tls_server_config.{key}"), text }
}

fn bytes(pem: &Pem, read: &mut Read<'_>) -> Result<SecretSlice<u8>, Problem> {
    match &pem.place {
        Place::File(path) => read(path).map_err(|error| problem(pem, &format!("it cannot be read: {error}"))),
        Place::Inline(text) => Ok(text.expose_secret().as_bytes().to_vec().into()),
    }
}

fn certificates(pem: &Pem, read: &mut Read<'_>) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let bytes = bytes(pem, read)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(bytes.expose_secret()).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(problem(pem, "there is no certificate in it, which begins with -----BEGIN CERTIFICATE-----"))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(problem(pem, &format!("it is not valid PEM: {error}"))),
    }
}

fn private_key(pem: &Pem, read: &mut Read<'_>) -> Result<PrivateKeyDer<'static>, Problem> {
    let bytes = bytes(pem, read)?;
    let bytes = bytes.expose_secret();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED") {
        return Err(problem(
            pem,
            "the key is encrypted: store it without a passphrase (openssl pkey -in … -out …)",
        ));
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        pem::Error::NoItemsFound if has("-----BEGIN CERTIFICATE-----") => {
            problem(pem, "it contains a certificate instead of a private key")
        }
        pem::Error::NoItemsFound => {
            problem(pem, "there is no private key in it, which begins with -----BEGIN PRIVATE KEY-----")
        }
        error => problem(pem, &format!("it is not valid PEM: {error}")),
    })
}

fn certified_key(
    settings: &TlsSettings,
    provider: &CryptoProvider,
    read: &mut Read<'_>,
) -> Result<CertifiedKey, Vec<Problem>> {
    let (chain, key) = match (certificates(&settings.cert, read), private_key(&settings.key, read)) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
    };
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        let text = "this kind of key is not supported: use ECDSA P-256, P-384 or P-521, Ed25519, or RSA with at least 2048 bits";
        vec![problem(&settings.key, text)]
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(vec![problem(&settings.key, "this is not the private key of the certificate")])
        }
        Err(error) => Err(vec![problem(&settings.cert, &format!("the certificate cannot be used: {error}"))]),
    }
}

fn verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    read: &mut Read<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Problem> {
    let verifier: Arc<dyn ClientCertVerifier> = match settings.client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Request | ClientAuth::RequireAny => {
            if let Some(pem) = &settings.client_ca {
                bytes(pem, read)?;
                let text = "this client_auth_type does not verify client certificates: use RequireAndVerifyClientCert to verify all of them";
                warnings.push(format!("tls_server_config.{}: {text}", pem.key));
            }
            Arc::new(client::Unverified::new(provider, settings.client_auth == ClientAuth::RequireAny))
        }
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
            let authorities = authorities(settings, read, warnings)?;
            let required = settings.client_auth == ClientAuth::RequireAndVerify;
            let pem = settings.client_ca.as_ref().unwrap_or(&settings.cert);
            let verified = client::verified(provider, authorities, required);
            verified
                .map_err(|error| problem(pem, &format!("it cannot be used to verify clients: {error}")))?
        }
    };
    Ok(Some(match &settings.allowed_sans {
        Some(sans) => client::named(verifier, sans.clone()),
        None => verifier,
    }))
}

fn authorities(
    settings: &TlsSettings,
    read: &mut Read<'_>,
    warnings: &mut Vec<String>,
) -> Result<client::Authorities, Problem> {
    // Without a file, Go uses the system's trust store.
    let Some(pem) = &settings.client_ca else {
        let found = rustls_native_certs::load_native_certs().certs;
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(found).0 == 0 {
            let text =
                "this system trusts no certificate authority that could verify clients: set client_ca_file";
            return Err(Problem::whole(format!("tls_server_config: {text}")));
        }
        return Ok(client::Authorities { roots, direct: Vec::new() });
    };
    let direct = certificates(pem, read)?;
    let mut roots = RootCertStore::empty();
    let (used, ignored) = roots.add_parsable_certificates(direct.iter().cloned());
    if used == 0 {
        return Err(problem(pem, "it contains no usable certificate"));
    }
    if ignored > 0 {
        let text = format!("tls_server_config.{}: {ignored} unusable certificates were ignored", pem.key);
        warnings.push(text);
    }
    Ok(client::Authorities { roots, direct })
}
