//! HTTP clients for components, and what their errors mean. No client follows a redirect, uses a
//! proxy or connects to an address that its resolver does not permit.

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

/// Connections are kept for the next request this long, and up to twice that: shorter than any server
/// keeps them, so that none is found closed, and long enough for requests that follow each other at
/// one target. Until its next scrape none is kept: of thousands of targets each would cost some 25 KiB.
const IDLE: Duration = Duration::from_secs(1);

/// Idle connections that are kept per host.
const MAX_IDLE: usize = 4;

/// A client for http, and one for https that is made when it is first needed: it reads the system's
/// certificates, which costs memory and fails where there are none.
#[derive(Debug)]
pub(crate) struct Clients {
    resolver: Resolver,
    http: Client,
    https: OnceLock<Result<Client, String>>,
}

impl Clients {
    pub(crate) fn new(resolver: Resolver) -> Result<Self, reqwest::Error> {
        Self::with_tls(resolver, None)
    }

    /// With this in place of what the system trusts.
    pub(crate) fn with_tls(resolver: Resolver, tls: Option<ClientConfig>) -> Result<Self, reqwest::Error> {
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

/// Why there was no answer.
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
            // What rustls has to say arrives as one of these.
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

/// What all clients have in common.
pub(crate) fn builder(resolver: Resolver) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("jitsi-exporter/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(resolver)
        // Redirects lead to other hosts, a proxy connects elsewhere than the resolver allowed, and
        // packed bodies cost more time than they save on a local network.
        .redirect(Policy::none())
        // Nothing is asked twice; without the number a copy of each request would be kept all the same.
        .retry(retry::never().max_retries_per_request(0))
        .no_proxy()
        .no_gzip()
        .http1_only()
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
}

/// Resolves names to the addresses that may be connected to, and to no others: a name that is
/// resolved again for the connection could lead elsewhere by then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolver {
    allow: Option<Arc<AllowList>>,
}

impl Resolver {
    /// Only what `allow` permits; without it, every address.
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
