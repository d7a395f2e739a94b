//! Turns the TLS settings and their files into a rustls configuration.

mod client;

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::document::Problem;
use crate::pem::Contents;
use crate::web_config::{ClientAuth, Pem, Place, TlsSettings};
use client::{Authorities, Verifier};

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
    let (cert, key) = (contents(&settings.cert, read), contents(&settings.key, read));
    let key = cert.with_key(&key, &provider);
    let verifier = verifier(settings, &provider, read, &mut warnings);
    let (key, verifier) = match (key, verifier) {
        (Ok(key), Ok(verifier)) => (key, verifier),
        (key, verifier) => return Err(key.err().into_iter().flatten().chain(verifier.err()).collect()),
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&settings.versions)
        .map_err(|error| vec![problem(&settings.cert, &error.to_string())])?;
    let resolver = Arc::new(SingleCertAndKey::from(key));
    let mut config = match verifier {
        Some(verifier) => {
            let mut config =
                builder.with_client_cert_verifier(Arc::new(verifier)).with_cert_resolver(resolver);
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

fn contents<'p>(pem: &'p Pem, read: &mut Read<'_>) -> Contents<impl Fn(&str) -> Problem + use<'p>> {
    let bytes = match &pem.place {
        Place::File(path) => read(path),
        Place::Inline(text) => Ok(text.expose_secret().as_bytes().to_vec().into()),
    };
    Contents::new(bytes, |text| problem(pem, text))
}

fn verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    read: &mut Read<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Verifier>, Problem> {
    let authorities = match settings.client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Request | ClientAuth::RequireAny => {
            if let Some(pem) = &settings.client_ca {
                contents(pem, read).bytes()?;
                let text = "this client_auth_type does not verify client certificates: use RequireAndVerifyClientCert to verify all of them";
                warnings.push(format!("tls_server_config.{}: {text}", pem.key));
            }
            None
        }
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
            Some(authorities(settings, read, warnings)?)
        }
    };
    let required = matches!(settings.client_auth, ClientAuth::RequireAny | ClientAuth::RequireAndVerify);
    let pem = settings.client_ca.as_ref().unwrap_or(&settings.cert);
    Verifier::new(provider, required, authorities, settings.allowed_sans.clone())
        .map(Some)
        .map_err(|error| problem(pem, &format!("it cannot be used to verify clients: {error}")))
}

fn authorities(
    settings: &TlsSettings,
    read: &mut Read<'_>,
    warnings: &mut Vec<String>,
) -> Result<Authorities, Problem> {
    // Without a file, Go uses the system's trust store.
    let Some(pem) = &settings.client_ca else {
        let found = rustls_native_certs::load_native_certs().certs;
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(found).0 == 0 {
            let text =
                "this system trusts no certificate authority that could verify clients: set client_ca_file";
            return Err(Problem::whole(format!("tls_server_config: {text}")));
        }
        return Ok(Authorities { roots, direct: Vec::new() });
    };
    let direct = contents(pem, read).certificates()?;
    let mut roots = RootCertStore::empty();
    let (used, ignored) = roots.add_parsable_certificates(direct.iter().cloned());
    if used == 0 {
        return Err(problem(
            pem,
            "it contains no usable certificate: store X.509 certificates of version 3 in it",
        ));
    }
    if ignored > 0 {
        let text = format!(
            "tls_server_config.{}: {ignored} unusable certificates were ignored: remove them",
            pem.key
        );
        warnings.push(text);
    }
    Ok(Authorities { roots, direct })
}
