//! Credentials and TLS of clients, as the configuration says.
//!
//! Owns reading the files that it names, also those that are replaced while the scaler runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::SharedCredentialsProvider;
use jitsi_web::files::Files;

use crate::config::{Auth, Role, Tls};

#[cfg(test)]
pub(crate) mod answering;
pub(crate) mod credentials;

/// Why an HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file cannot be read.
    #[error("read {}, named in {key}", path.display())]
    Read {
        /// Where the configuration names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file contains nothing that TLS can use.
    #[error("use {}, named in {key}; it must hold PEM", path.display())]
    Unusable {
        /// Where the configuration names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// A file of authorities or of a certificate contains none.
    #[error("use {}, named in {key}: there is no certificate in it, which begins with -----BEGIN CERTIFICATE-----", path.display())]
    NoCertificate {
        /// Where the configuration names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A key that belongs to another certificate.
    #[error("use {}, named in {key}: it is not the private key of {}", private.display(), certificate.display())]
    OtherKey {
        /// Where the configuration names them.
        key: &'static str,
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        private: PathBuf,
    },
    /// TLS itself cannot be set up.
    #[error("set up TLS; a system that trusts no authority needs its package ca-certificates")]
    Build(#[source] reqwest::Error),
}

/// The file of a password or a token that cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("read the secret in {}, named in {key}", path.display())]
pub struct SecretError {
    /// The key of the configuration that names it.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: Arc<std::io::Error>,
}

/// The credentials of `role`, assumed with those of `base`.
pub(crate) async fn assume(
    role: &Role,
    region: aws_config::Region,
    base: &aws_config::SdkConfig,
) -> SharedCredentialsProvider {
    let mut assumed = AssumeRoleProvider::builder(&role.arn).session_name("jitsi-scaler").region(region);
    if let Some(id) = &role.external_id {
        assumed = assumed.external_id(id);
    }
    SharedCredentialsProvider::new(assumed.configure(base).build().await)
}

/// A client with the authorities and the certificate of a configuration. It reads their files again once they change, because
/// mounted Secrets and certificates are replaced without a signal. Clones share it.
#[derive(Clone)]
pub(crate) struct Client {
    recipe: Arc<Recipe>,
    made: Arc<Mutex<Made>>,
}

struct Recipe {
    builder: Box<dyn Fn() -> reqwest::ClientBuilder + Send + Sync>,
    tls: Tls,
    /// The place of `tls` in the configuration.
    key: &'static str,
}

struct Made {
    client: reqwest::Client,
    /// As they were read last, also if they were invalid.
    files: Files,
}

impl Client {
    /// A client; `key` is the place of `tls` in the configuration.
    pub(crate) fn new(
        builder: impl Fn() -> reqwest::ClientBuilder + Send + Sync + 'static,
        tls: &Tls,
        key: &'static str,
    ) -> Result<Self, ClientError> {
        let recipe = Recipe { builder: Box::new(builder), tls: tls.clone(), key };
        let mut files = Files::default();
        let client = recipe.make(&mut files)?;
        Ok(Self { recipe: Arc::new(recipe), made: Arc::new(Mutex::new(Made { client, files })) })
    }

    /// The client, with the files as they are now. If they are invalid, the previous client stays in use.
    pub(crate) fn current(&self) -> reqwest::Client {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.files.are_unchanged() {
            let key = self.recipe.key;
            match self.recipe.make(&mut made.files) {
                Ok(client) => {
                    made.client = client;
                    tracing::info!(key, "the certificates have changed, and are read again");
                }
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    tracing::error!(key, error = %format!("{error:#}"), "the certificates have changed and cannot be used: the previous ones stay in force");
                }
            }
        }
        made.client.clone()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("key", &self.recipe.key).finish_non_exhaustive()
    }
}

impl Recipe {
    fn make(&self, files: &mut Files) -> Result<reqwest::Client, ClientError> {
        *files = Files::default();
        let Tls { ca_file, identity } = &self.tls;
        for path in
            ca_file.iter().chain(identity.iter().flat_map(|(certificate, private)| [certificate, private]))
        {
            files.note(path);
        }
        client((self.builder)(), &self.tls, self.key)
    }
}

fn client(
    mut builder: reqwest::ClientBuilder,
    tls: &Tls,
    key: &'static str,
) -> Result<reqwest::Client, ClientError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| ClientError::Read { key, path: path.to_owned(), source })
    };
    let certificates = |path: &Path, pem: &[u8]| match reqwest::Certificate::from_pem_bundle(pem) {
        Ok(found) if found.is_empty() => Err(ClientError::NoCertificate { key, path: path.to_owned() }),
        Ok(found) => Ok(found),
        Err(source) => Err(ClientError::Unusable { key, path: path.to_owned(), source }),
    };
    if let Some(path) = &tls.ca_file {
        builder = builder.tls_certs_only(certificates(path, &read(path)?)?);
    }
    if let Some((certificate, private)) = &tls.identity {
        let (pem, private_pem) = (read(certificate)?, read(private)?);
        certificates(certificate, &pem)?;
        let unusable = |source| ClientError::Unusable { key, path: private.clone(), source };
        let identity = reqwest::Identity::from_pem(&[pem, private_pem].concat()).map_err(unusable)?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| match &tls.identity {
        Some((certificate, private)) if causes(&error).contains("KeyMismatch") => {
            ClientError::OtherKey { key, certificate: certificate.clone(), private: private.clone() }
        }
        _ => ClientError::Build(error),
    })
}

/// An error with all its causes. What TLS says stands in an error of the operating system, whose type hides it.
fn causes(error: &reqwest::Error) -> String {
    let all = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What to do about a server that was not reached; `section` of the configuration has its `url` and `tls`.
pub(crate) fn remedy(error: &reqwest::Error, section: &str) -> String {
    let causes = causes(error);
    let has = |text: &str| causes.contains(text);
    if has("CaUsedAsEndEntity") {
        "its certificate is made as that of an authority; make one with basicConstraints=CA:FALSE".to_owned()
    } else if has("UnknownIssuer") || has("BadSignature") {
        format!(
            "this host does not trust the authority of its certificate; name the authority's file as {section}.tls.ca_file"
        )
    } else if has("InvalidContentType") {
        format!("it speaks http; write http:// in {section}.url")
    } else if has("not valid for name") {
        format!("its certificate is for another name; write that name in {section}.url")
    } else if has("certificate expired") || has("certificate not valid yet") {
        "renew its certificate, or correct the clock of this host".to_owned()
    } else {
        format!("check {section}.url and that it runs")
    }
}

/// The files of `tls` and `auth` that this host cannot read or use; `key` is their place in the configuration.
pub(crate) fn unusable(tls: &Tls, auth: &Auth, key: &'static str) -> Vec<Box<dyn std::error::Error>> {
    let secret = match auth {
        Auth::None => Ok(String::new()),
        Auth::Basic { password_file, .. } => secret("password_file", password_file),
        Auth::Bearer { token_file } => secret("bearer_token_file", token_file),
    };
    let mut unusable: Vec<Box<dyn std::error::Error>> = Vec::new();
    if let Err(error) = client(reqwest::Client::builder(), tls, key) {
        unusable.push(error.into());
    }
    if let Err(error) = secret {
        unusable.push(error.into());
    }
    unusable
}

/// Adds the credentials of `auth` to `request`.
pub(crate) fn authorize(
    request: reqwest::RequestBuilder,
    auth: &Auth,
) -> Result<reqwest::RequestBuilder, SecretError> {
    Ok(match auth {
        Auth::None => request,
        Auth::Basic { username, password_file } => {
            request.basic_auth(username, Some(secret("password_file", password_file)?))
        }
        Auth::Bearer { token_file } => request.bearer_auth(secret("bearer_token_file", token_file)?),
    })
}

fn secret(key: &'static str, path: &Path) -> Result<String, SecretError> {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(|source| SecretError {
        key,
        path: path.to_owned(),
        source: Arc::new(source),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::ProvideCredentials as _;
    use jitsi_web::flags::WebFlags;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, SanType};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Writes a certificate for loopback and its key as `<name>.crt` and `<name>.key`; one called `ca` is an authority's.
    fn certificate(folder: &Path, name: &str) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if name == "ca" {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
        let key = KeyPair::generate().expect("a key");
        let signed = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.join(format!("{name}.crt")), signed.pem()).expect("it is ours");
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("it is ours");
    }

    #[tokio::test]
    async fn a_role_is_assumed_with_the_external_id_that_its_trust_policy_requires() {
        let granted = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
            <Credentials><AccessKeyId>granted</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
            <SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>\
            </AssumeRoleResult></AssumeRoleResponse>";
        for (external_id, sent) in [(Some("7c3f0a52"), true), (None, false)] {
            let answers = vec![answering::http(200, "content-type: text/xml\r\n", granted)];
            let (address, asked) = answering::server(answers, "RoleArn").await;
            let own = Credentials::new("own", "secret", None, None, "a test");
            let base = aws_config::defaults(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .credentials_provider(own)
                .endpoint_url(format!("http://{address}"))
                .load()
                .await;
            let external_id = external_id.map(str::to_owned);
            let role = Role { arn: "arn:aws:iam::210987654321:role/fleets".to_owned(), external_id };
            let assumed = assume(&role, Region::new("us-east-1"), &base).await;
            let found = assumed.provide_credentials().await.expect("credentials");
            assert_eq!(found.access_key_id(), "granted");
            let request = asked.await.expect("a request").remove(0);
            assert!(request.contains("Action=AssumeRole"), "{request}");
            assert_eq!(request.contains("ExternalId=7c3f0a52"), sent, "{request}");
        }
    }

    #[test]
    fn files_that_tls_cannot_use_are_named() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        for name in ["own", "other"] {
            certificate(folder.path(), name);
        }
        std::fs::write(path("empty"), "")?;
        let told = |ca: Option<&str>, identity: Option<(&str, &str)>| {
            let identity = identity.map(|(certificate, private)| (path(certificate), path(private)));
            let tls = Tls { ca_file: ca.map(path), identity };
            let errors = unusable(&tls, &Auth::None, "prometheus.tls");
            let folder = format!("{}/", folder.path().display());
            errors.iter().map(|error| error.to_string().replace(&folder, "")).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(Some("own.crt"), Some(("own.crt", "own.key"))), "");
        let none = "use empty, named in prometheus.tls: there is no certificate in it, which begins with -----BEGIN CERTIFICATE-----";
        assert_eq!(told(Some("empty"), None), none);
        assert_eq!(told(None, Some(("empty", "own.key"))), none);
        assert_eq!(
            told(None, Some(("own.crt", "empty"))),
            "use empty, named in prometheus.tls; it must hold PEM"
        );
        let other = "use other.key, named in prometheus.tls: it is not the private key of own.crt";
        assert_eq!(told(None, Some(("own.crt", "other.key"))), other);
        assert_eq!(told(Some("gone"), None), "read gone, named in prometheus.tls");
        let auth = Auth::Bearer { token_file: folder.path().to_owned() };
        let errors = unusable(&Tls::default(), &auth, "prometheus.tls");
        assert!(
            errors.len() == 1 && errors[0].to_string().ends_with("named in bearer_token_file"),
            "{errors:?}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn a_server_whose_tls_does_not_fit_has_a_remedy() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        let stop = CancellationToken::new();
        let mut addresses = std::collections::HashMap::new();
        for name in ["server", "ca"] {
            certificate(folder, name);
            let web = folder.join(format!("{name}.yml"));
            std::fs::write(
                &web,
                format!("tls_server_config: {{cert_file: {name}.crt, key_file: {name}.key}}\n"),
            )?;
            let listen_address = vec!["127.0.0.1:0".parse()?];
            let flags = WebFlags { listen_address, config_file: Some(web), ..WebFlags::default() };
            let server = jitsi_web::Server::bind(&flags, 0).await?;
            addresses.insert(name, server.local_addrs()[0].to_string());
            tokio::spawn(server.serve(axum::Router::new(), stop.clone()));
        }
        let plain = TcpListener::bind("127.0.0.1:0").await?;
        addresses.insert("plain", plain.local_addr()?.to_string());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = plain.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let told = async |name: &str, ca: &str, host: Option<&str>| {
            let tls = Tls { ca_file: Some(folder.join(format!("{ca}.crt"))), identity: None };
            let address: std::net::SocketAddr = addresses[name].parse().expect("an address");
            let builder = move || reqwest::Client::builder().resolve("other.example", address);
            let client = Client::new(builder, &tls, "prometheus.tls").expect("a client").current();
            let host = host.map_or_else(|| address.to_string(), |host| format!("{host}:{}", address.port()));
            let error = client.get(format!("https://{host}/")).send().await.expect_err("no answer");
            remedy(&error, "prometheus")
        };
        assert_eq!(
            told("ca", "ca", None).await,
            "its certificate is made as that of an authority; make one with basicConstraints=CA:FALSE"
        );
        assert_eq!(
            told("server", "ca", None).await,
            "this host does not trust the authority of its certificate; name the authority's file as prometheus.tls.ca_file"
        );
        assert_eq!(
            told("server", "server", Some("other.example")).await,
            "its certificate is for another name; write that name in prometheus.url"
        );
        assert_eq!(told("plain", "server", None).await, "it speaks http; write http:// in prometheus.url");
        assert_eq!(
            told("server", "server", Some("127.0.0.1:1/")).await,
            "check prometheus.url and that it runs"
        );
        stop.cancel();
        Ok(())
    }

    #[tokio::test]
    async fn new_certificates_are_taken_up_without_a_signal() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        for name in ["server", "client", "old"] {
            certificate(folder, name);
        }
        std::fs::write(
            folder.join("web.yml"),
            "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: trusted.crt, \
             client_auth_type: RequireAndVerifyClientCert}\n",
        )?;
        std::fs::copy(folder.join("client.crt"), folder.join("trusted.crt"))?;
        let flags = WebFlags {
            listen_address: vec!["127.0.0.1:0".parse()?],
            config_file: Some(folder.join("web.yml")),
            ..WebFlags::default()
        };
        let server = jitsi_web::Server::bind(&flags, 0).await?;
        let url = format!("https://{}/-/healthy", server.local_addrs()[0]);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(axum::Router::new(), stop.clone()));

        let copy = |from: &str, to: &str| std::fs::copy(folder.join(from), folder.join(to));
        copy("old.crt", "ca.pem")?;
        copy("old.crt", "own.pem")?;
        copy("old.key", "own.key")?;
        let identity = Some((folder.join("own.pem"), folder.join("own.key")));
        let tls = Tls { ca_file: Some(folder.join("ca.pem")), identity };
        let client = Client::new(reqwest::Client::builder, &tls, "drain.tls")?;
        let answers = async || client.current().get(&url).send().await.is_ok();
        assert!(!answers().await, "the server's certificate is of another authority");
        copy("server.crt", "ca.pem")?;
        assert!(!answers().await, "its own certificate is still the old one");
        copy("client.crt", "own.pem")?;
        copy("client.key", "own.key")?;
        assert!(answers().await);
        // What cannot be used changes nothing.
        std::fs::write(folder.join("own.key"), "no key")?;
        assert!(answers().await);
        std::fs::remove_file(folder.join("ca.pem"))?;
        assert!(answers().await);
        stop.cancel();
        serving.await??;
        Ok(())
    }
}
