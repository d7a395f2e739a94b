//! Listeners, and the bounded end of what they serve. The server binds early and serves later, so
//! that a program that cannot have its port fails before it does anything, and a test can use
//! port 0.
//!
//! What becomes of a connection is in `connection`, and who may come in is in `guard`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, lookup_host};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::auth::Logins;
use crate::connection::{self, Shared};
use crate::flags::{DuplicateAddress, ListenAddress, WebFlags};
use crate::guard::Guard;
use crate::health::{self, Readiness};
use crate::limit::Limit;
use crate::live::Live;
use crate::places::Places;
use crate::reload::{Reloads, Status};
use crate::systemd;
use crate::telemetry::Telemetry;
use crate::web_config::WebConfigError;
use crate::workers::Workers;

/// How long requests in flight may take after shutdown was asked for. Kubernetes and systemd wait
/// 30 s and 90 s before they kill; a scrape is over within its timeout of 10 s.
pub const DRAIN: Duration = Duration::from_secs(10);

/// Open connections at a time, over all listeners. Each costs about 20 KiB while it waits, twice
/// that with TLS, and the usual limit of open files is 1,024 to 65,536. One more takes the place of
/// the one that has been idle longest.
const MAX_CONNECTIONS: usize = 512;

/// After a failed accept that is not the peer's doing (as when files run out) it tries again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Why serving is impossible.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The flags contradict themselves.
    #[error(transparent)]
    Address(#[from] DuplicateAddress),
    /// The file of `--web.config.file` is wrong.
    #[error(transparent)]
    WebConfig(#[from] WebConfigError),
    /// The name has no address.
    #[error("--web.listen-address={address}: the name cannot be resolved")]
    Resolve {
        /// As given.
        address: ListenAddress,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The address cannot be had.
    #[error(
        "--web.listen-address={address}: cannot listen there: stop what uses the port, or choose another"
    )]
    Bind {
        /// As given.
        address: ListenAddress,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl ServeError {
    /// Whether what was written is wrong, rather than that something cannot be had.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Address(_) | Self::WebConfig(_))
    }
}

/// Bound listeners that do not serve yet.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addrs: Vec<SocketAddr>,
    readiness: Readiness,
    limit: Limit,
    live: Arc<Live>,
    status: Arc<Status>,
    telemetry: Telemetry,
    reloads: Reloads,
    workers: Option<Workers>,
}

impl Server {
    /// Reads the web configuration and binds every address of `flags`, or every interface at
    /// `default_port`.
    pub async fn bind(flags: &WebFlags, default_port: u16) -> Result<Self, ServeError> {
        let addresses = flags.listen_addresses(default_port)?;
        let (status, telemetry) = (Arc::new(Status::new()), Telemetry::default());
        let live = Arc::new(Live::start(flags.config_file().map(Into::into), status.clone())?);
        let mut listeners = Vec::new();
        let mut addrs = Vec::new();
        for address in addresses {
            let listener = bind(&address).await?;
            let bound = listener.local_addr().map_err(|source| ServeError::Bind { address, source })?;
            listeners.push(listener);
            addrs.push(bound);
        }
        Ok(Self {
            listeners,
            addrs,
            readiness: Readiness::new(),
            limit: Limit::new(&flags.telemetry_path, flags.max_requests, telemetry.clone()),
            reloads: Reloads::new(live.clone(), status.clone()),
            live,
            status,
            telemetry,
            workers: None,
        })
    }

    /// The addresses bound, in the order of the flags, with the ports that were chosen for port 0.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// What `/-/ready` answers. A program that needs longer than binding says so here.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Who can reach what is served. A route that changes something asks it at each request, because
    /// a reload may change the answer.
    #[must_use]
    pub fn access(&self) -> Access {
        Access { live: self.live.clone(), is_loopback_only: self.addrs.iter().all(is_loopback) }
    }

    /// What SIGHUP and `POST /-/reload` do, where a program adds what it reloads.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Registers the metrics of serving and of reloading under `<prefix>_…`.
    pub fn register_metrics(&self, registry: &mut Registry, prefix: &str) {
        register(registry, prefix, &self.status, &self.telemetry);
    }

    /// Has connections served by `workers`, instead of the runtime that it is served in.
    #[must_use]
    pub fn with_workers(self, workers: Workers) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// Serves `app`, the health routes and `/-/reload` on every listener until `shutdown` is
    /// cancelled, then accepts nothing more and gives the requests in flight [`DRAIN`] to end.
    /// systemd is told of it.
    pub async fn serve(self, app: Router, shutdown: CancellationToken) -> Result<(), ServeError> {
        let Self { listeners, addrs, readiness, limit, live, telemetry, reloads, workers, .. } = self;
        let workers = Arc::new(workers.unwrap_or_else(Workers::here));
        let app = app.merge(health::routes(readiness.clone())).merge(reloads.route());
        let guard = Guard {
            live: live.clone(),
            logins: Arc::new(Logins::new(telemetry.passwords_checked.clone())),
            telemetry: telemetry.clone(),
        };
        // Whether it answers is asked behind the guard: nobody can use up what is left to it.
        let _watchdog = AbortOnDropHandle::new(tokio::spawn(systemd::watchdog(app.clone(), workers.clone())));
        let places = Places::new(MAX_CONNECTIONS);
        let tasks = TaskTracker::new();
        let tls = live.current().tls.is_some();
        for (listener, address) in listeners.into_iter().zip(&addrs) {
            tracing::info!(%address, tls, "listening");
            let shared = Shared {
                guard: guard.clone(),
                limit: limit.clone(),
                app: app.clone(),
                live: live.clone(),
                telemetry: telemetry.clone(),
                shutdown: shutdown.clone(),
            };
            let (places, tasks) = (places.clone(), tasks.clone());
            let accepting = Accepting { shared, places, tasks, workers: workers.clone() };
            accepting.tasks.clone().spawn(accepting.accept(listener));
        }
        systemd::ready();
        shutdown.cancelled().await;
        systemd::stopping();
        readiness.set_unready("draining");
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}

/// Registers what [`Server::register_metrics`] does, of a server that is not there: for who only
/// wants their names and meanings.
pub fn describe_metrics(registry: &mut Registry, prefix: &str) {
    register(registry, prefix, &Status::new(), &Telemetry::default());
}

fn register(registry: &mut Registry, prefix: &str, status: &Status, telemetry: &Telemetry) {
    status.register(registry, prefix);
    telemetry.register(registry, prefix);
}

/// Who can reach what is served, at this moment.
#[derive(Clone, Debug)]
pub struct Access {
    live: Arc<Live>,
    is_loopback_only: bool,
}

impl Access {
    /// Whether only those come through who have a password, or a client certificate that was
    /// verified: `basic_auth_users`, or `RequireAndVerifyClientCert` with `client_ca_file` or
    /// `client_allowed_sans`. (The other kinds of `client_auth_type` let anybody in.)
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.live.current().authenticates
    }

    /// Whether only this host can reach any of the listeners.
    #[must_use]
    pub fn is_loopback_only(&self) -> bool {
        self.is_loopback_only
    }
}

fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

async fn bind(address: &ListenAddress) -> Result<TcpListener, ServeError> {
    let failed = |source| ServeError::Bind { address: address.clone(), source };
    match address {
        ListenAddress::Socket(socket) => TcpListener::bind(socket).await.map_err(failed),
        // The IPv6 socket takes IPv4 as well; a host without IPv6 has only the other.
        ListenAddress::Any { port } => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).await.map_err(failed)
            }
            bound => bound.map_err(failed),
        },
        ListenAddress::Name { host, port } => {
            let resolved = lookup_host((host.as_str(), *port)).await;
            let sockets: Vec<SocketAddr> = resolved
                .map_err(|source| ServeError::Resolve { address: address.clone(), source })?
                .collect();
            TcpListener::bind(&*sockets).await.map_err(failed)
        }
    }
}

/// What a listener needs to take connections.
struct Accepting {
    shared: Shared,
    places: Places,
    tasks: TaskTracker,
    workers: Arc<Workers>,
}

impl Accepting {
    async fn accept(self, listener: TcpListener) {
        let shutdown = self.shared.shutdown.clone();
        shutdown.run_until_cancelled(self.accept_forever(listener)).await;
    }

    async fn accept_forever(self, listener: TcpListener) {
        loop {
            let accepted = listener.accept().await;
            match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok((stream, peer)) => {
                    let (shared, place) = (self.shared.clone(), self.places.take().await);
                    let serve = move |stream| connection::serve(shared, place, stream, peer);
                    self.workers.serve(&self.tasks, stream, serve);
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections, trying again");
                    time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
