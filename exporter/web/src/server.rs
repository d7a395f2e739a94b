//! Listeners, connections and their end. The server binds early and serves later, so that a
//! program that cannot have its port fails before it does anything, and a test can use port 0.
//!
//! It terminates no TLS and asks nobody who they are.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::flags::{DuplicateAddress, ListenAddress, WebFlags};
use crate::health::{self, Readiness};
use crate::limit::{self, Limit};

/// How long requests in flight may take after shutdown was asked for. Kubernetes and systemd wait
/// 30 s and 90 s before they kill; a scrape is over within its timeout of 10 s.
pub const DRAIN: Duration = Duration::from_secs(10);

/// How long a connection may take over the next request's header, and so how long it may be idle:
/// longer than the usual scrape interval of a minute, so that Prometheus keeps its connection.
const HEADER_READ: Duration = Duration::from_secs(75);

/// Open connections at a time, over all listeners. Each costs about 20 KiB while it waits, and the
/// usual limit of open files is 1,024 to 65,536; the rest wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;

/// The longest header section: a scrape sends less than 1 KiB.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// After a failed accept that is not the peer's doing (as when files run out) it tries again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Why serving is impossible.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The flags contradict themselves.
    #[error(transparent)]
    Address(#[from] DuplicateAddress),
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

/// Bound listeners that do not serve yet.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addrs: Vec<SocketAddr>,
    readiness: Readiness,
    limit: Limit,
}

impl Server {
    /// Binds every address of `flags`, or every interface at `default_port`.
    pub async fn bind(flags: &WebFlags, default_port: u16) -> Result<Self, ServeError> {
        let mut listeners = Vec::new();
        let mut addrs = Vec::new();
        for address in flags.listen_addresses(default_port)? {
            let listener = bind(&address).await?;
            let bound = listener.local_addr().map_err(|source| ServeError::Bind { address, source })?;
            listeners.push(listener);
            addrs.push(bound);
        }
        let limit = Limit::new(&flags.telemetry_path, flags.max_requests);
        Ok(Self { listeners, addrs, readiness: Readiness::new(), limit })
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

    /// Serves `app` and the health routes on every listener until `shutdown` is cancelled, then
    /// accepts nothing more and gives the requests in flight [`DRAIN`] to end.
    pub async fn serve(self, app: Router, shutdown: CancellationToken) -> Result<(), ServeError> {
        let app = app
            .merge(health::routes(self.readiness.clone()))
            .layer(middleware::from_fn_with_state(self.limit, limit::limit));
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let tasks = TaskTracker::new();
        for (listener, address) in self.listeners.into_iter().zip(&self.addrs) {
            tracing::info!(%address, "listening");
            let serving = Serving {
                app: app.clone(),
                connections: connections.clone(),
                tasks: tasks.clone(),
                shutdown: shutdown.clone(),
            };
            tasks.spawn(serving.accept(listener));
        }
        shutdown.cancelled().await;
        self.readiness.set_unready("draining");
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
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

/// What a listener's connections share.
#[derive(Clone)]
struct Serving {
    app: Router,
    connections: Arc<Semaphore>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Serving {
    async fn accept(self, listener: TcpListener) {
        let accepted = self.shutdown.clone();
        accepted.run_until_cancelled(self.accept_forever(listener)).await;
    }

    async fn accept_forever(self, listener: TcpListener) {
        loop {
            let place = self.connections.clone().acquire_owned().await.expect("it is never closed");
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = connection(stream, self.app.clone(), self.shutdown.clone());
                    self.tasks.spawn(async move {
                        connection.await;
                        drop(place);
                    });
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

async fn connection(stream: TcpStream, app: Router, shutdown: CancellationToken) {
    // Answers go out at once; a socket that refuses the option works all the same.
    let _ = stream.set_nodelay(true);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
    );
    // How a connection ends is the peer's business.
    if shutdown.run_until_cancelled(connection.as_mut()).await.is_some() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    if time::timeout(DRAIN, connection).await.is_err() {
        tracing::warn!(after = ?DRAIN, "a request in flight did not end in time and is cut");
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
