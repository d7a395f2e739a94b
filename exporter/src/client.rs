//! HTTP clients for components, and the reasons of their errors. No client follows redirects, uses a proxy or connects to
//! an address that its resolver does not permit.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt as _;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, retry};
use rustls::ClientConfig;
use tokio::net::lookup_host;
use url::Url;

use crate::allow::AllowList;
use crate::component::Refusal;
use crate::reason::Reason;

/// How long an idle connection is kept, and up to twice that. This is shorter than any server keeps connections, so that
/// requests do not meet closed ones, and long enough for consecutive requests of one scrape. No connection is kept until
/// the next scrape, because with thousands of targets each would cost 25 KiB.
const IDLE: Duration = Duration::from_secs(1);

/// Maximum number of idle connections per host.
const MAX_IDLE: usize = 4;

/// A client for http, and a client for https that is created on first use: it reads the system's certificates, which
/// costs memory and fails if there are none.
#[derive(Debug)]
pub(crate) struct Clients {
    resolver: Resolver,
    http: Client,
    https: OnceLock<Result<Client, String>>,
}

impl Clients {
    /// Clients that use `tls`, or else the system's certificates.
    pub(crate) fn new(resolver: Resolver, tls: Option<ClientConfig>) -> Result<Self, reqwest::Error> {
        let http = builder(resolver.clone()).tls_certs_only([]).build()?;
        let https = OnceLock::new();
        if let Some(tls) = tls {
            let client = builder(resolver.clone()).tls_backend_preconfigured(tls).build()?;
            https.get_or_init(|| Ok(client));
        }
        Ok(Self { resolver, http, https })
    }

    pub(crate) fn client(&self, url: &Url) -> Result<Client, Refusal> {
        if url.scheme() == "http" {
            return Ok(self.http.clone());
        }
        let build = || builder(self.resolver.clone()).build().map_err(|error| innermost(&error));
        self.https.get_or_init(build).clone().map_err(|detail| Refusal { reason: Reason::Tls, detail })
    }
}

/// The reason why a request failed.
pub(crate) fn refusal(error: &reqwest::Error) -> Refusal {
    let chain = || causes(error);
    let reason = if let Some(unresolved) = chain().find_map(|error| error.downcast_ref::<Unresolved>()) {
        match unresolved {
            Unresolved::Unknown(_) => Reason::Dns,
            Unresolved::Forbidden => Reason::Forbidden,
        }
    } else if error.is_connect() {
        let kinds = chain().filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
        kinds.fold(Reason::Connect, |reason, kind| match kind {
            io::ErrorKind::ConnectionRefused => Reason::Refused,
            // rustls reports its errors with these kinds.
            io::ErrorKind::InvalidData | io::ErrorKind::Other => Reason::Tls,
            _ => reason,
        })
    } else if chain().any(|error| error.downcast_ref::<io::Error>().is_some())
        || error.is_body()
        || error.is_decode()
    {
        Reason::Interrupted
    } else {
        match chain().find_map(|error| error.downcast_ref::<hyper::Error>()) {
            Some(error) if error.is_parse() => Reason::Protocol,
            _ => Reason::Interrupted,
        }
    };
    Refusal { reason, detail: innermost(error) }
}

fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

/// The settings that all clients share.
pub(crate) fn builder(resolver: Resolver) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("jitsi-exporter/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(resolver)
        // Redirects and proxies would lead to addresses that the resolver has not checked, and compressed bodies cost more
        // time than they save on a local network.
        .redirect(Policy::none())
        // No retries. Without the number, reqwest would still keep a copy of each request.
        .retry(retry::never().max_retries_per_request(0))
        .no_proxy()
        .no_gzip()
        .http1_only()
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
}

/// Resolves names to permitted addresses only. Checking here, and not before the request, ensures that the checked address
/// is the one that is connected to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolver {
    allow: Option<Arc<AllowList>>,
}

impl Resolver {
    /// A resolver that returns only addresses that `allow` permits. The default permits every address.
    pub(crate) fn permitting(allow: Arc<AllowList>) -> Self {
        Self { allow: Some(allow) }
    }
}

#[derive(Debug, thiserror::Error)]
enum Unresolved {
    #[error("the name cannot be resolved: {0}")]
    Unknown(io::Error),
    #[error("no address of the name is permitted")]
    Forbidden,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.allow.clone();
        async move {
            let host = name.as_str();
            let resolved = lookup_host((host, 0)).await.map_err(Unresolved::Unknown)?;
            let permits =
                |address: &SocketAddr| allow.as_ref().is_none_or(|allow| allow.permits(host, address.ip()));
            let permitted: Vec<SocketAddr> = resolved.filter(permits).collect();
            if permitted.is_empty() {
                return Err(Unresolved::Forbidden.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        }
        .boxed()
    }
}
