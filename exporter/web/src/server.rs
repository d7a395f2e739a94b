//! Listeners, from binding to a bounded shutdown. The server binds early and serves later, so that a program whose port is
//! taken fails before it does anything else, and a test can use port 0.
//!
//! `connection` serves each connection; `guard` authenticates each request.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, lookup_host};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::active_config::ActiveConfig;
use crate::auth::Logins;
use crate::connection::{self, Shared};
use crate::connection_slots::ConnectionSlots;
use crate::flags::{DuplicateAddress, ListenAddress, WebFlags};
use crate::guard::Guard;
use crate::health::{self, Ailment, Readiness};
use crate::limit::Limit;
use crate::process;
use crate::reload::Reloads;
use crate::reload_status::ReloadStatus;
use crate::systemd;
use crate::telemetry::Telemetry;
use crate::web_config::WebConfigError;
use crate::worker_threads::WorkerThreads;

/// Open connections over all listeners. An idle connection costs about 20 KiB, or 40 KiB with TLS, and the usual limit of
/// open files is 1,024 to 65,536. A further connection replaces an idle one.
const MAX_CONNECTIONS: usize = 512;
/// The most connections that wait to be accepted. Linux takes at most `net.core.somaxconn`, which is 4096 by default.
const BACKLOG: i32 = 4096;

/// Open files that connections leave to the program itself: its listeners and the requests that it makes.
const OWN_FILES: usize = 64;

/// How long to wait after an accept that failed for a reason of this host, such as too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address is given twice.
    #[error(transparent)]
    Address(#[from] DuplicateAddress),
    /// The file of `--web.config.file` is invalid.
    #[error(transparent)]
    WebConfig(#[from] WebConfigError),
    /// The host name of a listen address cannot be resolved.
    #[error("--web.listen-address={address}: the name cannot be resolved: correct it, or write an address")]
    Resolve {
        /// As given.
        address: ListenAddress,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The address cannot be bound.
    #[error("--web.listen-address={address}: cannot listen: {}", remedy(source))]
    Bind {
        /// As given.
        address: ListenAddress,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What to do about an address that cannot be bound.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have the address: write one that it has, or :PORT for all"
        }
        io::ErrorKind::PermissionDenied => "this user may not use the port: choose one from 1024 on",
        _ => "stop the program that uses the port, or choose another",
    }
}

impl ServeError {
    /// Whether the flags or the file are wrong, rather than the state of this host.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Address(_) | Self::WebConfig(_))
    }
}

/// Bound listeners that do not accept connections yet.
pub struct Server {
    listeners: Vec<TcpListener>,
    addrs: Vec<SocketAddr>,
    readiness: Readiness,
    ailment: Ailment,
    limit: Limit,
    config: Arc<ActiveConfig>,
    status: Arc<ReloadStatus>,
    telemetry: Telemetry,
    reloads: Reloads,
    workers: Option<WorkerThreads>,
}

impl Server {
    /// Reads the web configuration and binds every address of `flags`; without an address, every interface at
    /// `default_port`.
    /// Fails if the web configuration is invalid, or an address cannot be bound.
    pub async fn bind(flags: &WebFlags, default_port: u16) -> Result<Self, ServeError> {
        let addresses = flags.listen_addresses(default_port)?;
        let (status, telemetry) = (Arc::new(ReloadStatus::new()), Telemetry::default());
        let mut limit = Limit::new(flags.max_requests, telemetry.clone());
        limit.add(&flags.telemetry_path);
        let config = Arc::new(ActiveConfig::start(flags.config_file().map(Into::into), status.clone())?);
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
            ailment: Arc::new(|| None),
            limit,
            reloads: Reloads::new(config.clone(), status.clone()),
            config,
            status,
            telemetry,
            workers: None,
        })
    }

    /// Who could reach a server with `flags`. Finds the mistakes that [`Self::bind`] would fail with, without listening.
    /// Fails if the web configuration is invalid, or a host name cannot be resolved.
    pub fn check(flags: &WebFlags, default_port: u16) -> Result<Access, ServeError> {
        let addresses = flags.listen_addresses(default_port)?;
        let status = Arc::new(ReloadStatus::new());
        let config = Arc::new(ActiveConfig::start(flags.config_file().map(Into::into), status)?);
        let mut is_loopback_only = true;
        for address in addresses {
            is_loopback_only &= match &address {
                ListenAddress::Any { .. } => false,
                ListenAddress::Socket(socket) => is_loopback(socket),
                ListenAddress::Name { host, port } => {
                    let resolved = (host.as_str(), *port).to_socket_addrs();
                    let failed = |source| ServeError::Resolve { address: address.clone(), source };
                    resolved.map_err(failed)?.all(|socket| is_loopback(&socket))
                }
            };
        }
        Ok(Access { config, is_loopback_only })
    }

    /// The bound addresses in the order of the flags; port 0 is replaced by the port that the system chose.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The state that `/-/ready` reports. A program that is not ready once its listeners are bound sets it here.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Who can reach the server. A route that changes something checks this for every request, because a reload may change
    /// the answer.
    #[must_use]
    pub fn access(&self) -> Access {
        Access { config: self.config.clone(), is_loopback_only: self.addrs.iter().all(is_loopback) }
    }

    /// The parts that SIGHUP and `POST /-/reload` reload. A program adds its own.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Registers the metrics of the server and of reloads, with names that begin with `<prefix>_`.
    pub fn register_metrics(&self, registry: &mut Registry, prefix: &str) {
        register(registry, prefix, &self.status, &self.telemetry);
    }

    /// Has `/-/healthy` answer 503, and systemd's watchdog get no answer, while `ailment` gives a reason. It fits after
    /// "unhealthy: ".
    pub fn healthy_unless(&mut self, ailment: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.ailment = Arc::new(ailment);
    }

    /// Limits the number of concurrent requests for `path`, too, by `--web.max-requests`.
    pub fn limit(&mut self, path: &str) {
        self.limit.add(path);
    }

    /// Serves connections on `workers` instead of the runtime that calls [`Self::serve`].
    #[must_use]
    pub fn with_worker_threads(self, workers: WorkerThreads) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// Serves `app`, the health routes and `/-/reload` on every listener until `shutdown` is cancelled. Then it accepts no
    /// more connections, and requests in progress have [`DRAIN`](crate::DRAIN) to finish. It notifies systemd of both.
    pub async fn serve(self, app: Router, shutdown: CancellationToken) -> Result<(), ServeError> {
        let Self { listeners, addrs, readiness, ailment, limit, config, telemetry, reloads, workers, .. } =
            self;
        let workers = Arc::new(workers.unwrap_or_else(WorkerThreads::here));
        let app = app.merge(health::routes(readiness.clone(), ailment)).merge(reloads.route());
        // The watchdog's requests do not pass the guard, so that no client can use up their rate limit.
        let _watchdog = AbortOnDropHandle::new(tokio::spawn(systemd::watchdog(app.clone(), workers.clone())));
        let tls = config.current().tls.is_some();
        let logins = Arc::new(Logins::new(telemetry.passwords_checked.clone()));
        let guard = Guard { config, logins, telemetry };
        let accepting = Accepting {
            shared: Shared { guard, limit, app, shutdown: shutdown.clone() },
            slots: ConnectionSlots::new(connections(process::most_files())),
            tasks: TaskTracker::new(),
            workers,
        };
        for (listener, address) in listeners.into_iter().zip(&addrs) {
            tracing::info!(%address, tls, "listening");
            let accept = accepting.clone().accept(listener);
            accepting.tasks.spawn(shutdown.clone().run_until_cancelled_owned(accept));
        }
        systemd::ready();
        shutdown.cancelled().await;
        systemd::stopping();
        readiness.set_unready("draining");
        accepting.tasks.close();
        accepting.tasks.wait().await;
        Ok(())
    }
}

/// Registers the metrics of [`Server::register_metrics`] without a server, for a reference of their names and meanings.
pub fn describe_metrics(registry: &mut Registry, prefix: &str) {
    register(registry, prefix, &ReloadStatus::new(), &Telemetry::default());
}

fn register(registry: &mut Registry, prefix: &str, status: &ReloadStatus, telemetry: &Telemetry) {
    status.register(registry, prefix);
    telemetry.register(registry, prefix);
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addrs", &self.addrs).finish_non_exhaustive()
    }
}

/// Who can reach the server at this moment.
#[derive(Clone, Debug)]
pub struct Access {
    config: Arc<ActiveConfig>,
    is_loopback_only: bool,
}

impl Access {
    /// Whether every client must have a password or a verified certificate: `basic_auth_users`, or
    /// `RequireAndVerifyClientCert` with `client_ca_file` or `client_allowed_sans`. (Other values of `client_auth_type`
    /// accept any client.)
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.config.current().authenticates
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
    let listener = match address {
        ListenAddress::Socket(socket) => TcpListener::bind(socket).await,
        // An IPv6 socket also accepts IPv4. A host without IPv6 needs an IPv4 socket.
        ListenAddress::Any { port } => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).await
            }
            bound => bound,
        },
        ListenAddress::Name { host, port } => {
            let resolved = lookup_host((host.as_str(), *port)).await;
            let sockets: Vec<SocketAddr> = resolved
                .map_err(|source| ServeError::Resolve { address: address.clone(), source })?
                .collect();
            TcpListener::bind(&*sockets).await
        }
    };
    let listener = listener.map_err(failed)?;
    // A client whose connection finds the queue full tries again only after a second.
    socket2::SockRef::from(&listener).listen(BACKLOG).map_err(failed)?;
    Ok(listener)
}

/// Accepts connections.
#[derive(Clone)]
struct Accepting {
    shared: Shared,
    slots: ConnectionSlots,
    tasks: TaskTracker,
    workers: Arc<WorkerThreads>,
}

impl Accepting {
    async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = listener.accept().await;
            match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok((stream, peer)) => {
                    let slot = self.slots.take(peer.ip().to_canonical()).await;
                    let shared = self.shared.clone();
                    let serve = move |stream| connection::serve(shared, slot, stream, peer);
                    self.workers.serve(&self.tasks, stream, serve);
                }
                Err(error) if is_caused_by_peer(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections; retrying (if files run out, raise LimitNOFILE)");
                    time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}

fn is_caused_by_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// How many connections are served at a time if so many files may be open.
fn connections(most_files: Option<usize>) -> usize {
    let Some(most) = most_files else { return MAX_CONNECTIONS };
    most.saturating_sub(OWN_FILES).max(most / 4).clamp(1, MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(None, 512; "no limit")]
    #[test_case(Some(65_536), 512; "many")]
    #[test_case(Some(1_024), 512; "the usual number")]
    #[test_case(Some(256), 192; "few")]
    #[test_case(Some(32), 8; "very few")]
    #[test_case(Some(3), 1; "next to none")]
    fn connections_leave_files_for_the_programs_own_requests(most_files: Option<usize>, expected: usize) {
        assert_eq!(connections(most_files), expected);
    }
}
