//! The world between the clock and the sockets: one lock, one task that keeps time, and a listener for each
//! port of each component that runs.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    clock::Clock,
    instance::{ComponentKind, Instance, InstanceKey},
    server,
    world::World,
};

/// What all handlers and the timekeeper share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    clock: Clock,
    pub(super) ports: Ports,
    pub(super) seed: u64,
    /// Wakes the timekeeper because another event is next.
    replan: Notify,
    /// Changes each time that something has happened by itself.
    pub(super) happened: watch::Sender<()>,
    /// Cancelled to end the simulator.
    pub(super) stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    world: World,
    servers: BTreeMap<InstanceKey, Vec<Server>>,
    next: Option<Duration>,
}

/// Where the components listen on their addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) jvb: u16,
    pub(super) jicofo: u16,
    pub(super) jibri: u16,
    pub(super) jibri_internal: u16,
}

impl Ports {
    /// The port that is scraped.
    pub(super) fn of(self, kind: ComponentKind) -> u16 {
        match kind {
            ComponentKind::Jvb => self.jvb,
            ComponentKind::Jicofo => self.jicofo,
            ComponentKind::Jibri => self.jibri,
        }
    }

    pub(super) fn all(self) -> [u16; 4] {
        [self.jvb, self.jicofo, self.jibri, self.jibri_internal]
    }
}

impl Shared {
    pub(super) fn new(world: World, clock: Clock, ports: Ports, seed: u64) -> Self {
        Self {
            state: Mutex::new(State { world, servers: BTreeMap::new(), next: None }),
            clock,
            ports,
            seed,
            replan: Notify::new(),
            happened: watch::Sender::new(()),
            stop: CancellationToken::new(),
        }
    }

    /// Does something with the world as it is now. Listeners follow at once, except that those which were
    /// closed may live for a moment: see [`Shared::apply`].
    pub(super) fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut World, Duration) -> R) -> R {
        self.act(act).0
    }

    /// The same, and returns only when every listener and connection that had to go is gone.
    pub(super) async fn apply<R>(self: &Arc<Self>, act: impl FnOnce(&mut World, Duration) -> R) -> R {
        let (result, closing) = self.act(act);
        for server in closing {
            server.closed().await;
        }
        result
    }

    fn act<R>(self: &Arc<Self>, act: impl FnOnce(&mut World, Duration) -> R) -> (R, Vec<Server>) {
        // A handler that panicked has not left the world half changed in a way that matters to a test.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        state.world.advance(now);
        let result = act(&mut state.world, now);
        let closing = self.settle_listeners(&mut state);
        let next = state.world.next_event();
        if state.next != next {
            state.next = next;
            self.replan.notify_one();
        }
        (result, closing)
    }

    /// Opens and closes listeners until exactly the running components have theirs.
    fn settle_listeners(self: &Arc<Self>, state: &mut State) -> Vec<Server> {
        let mut closing = Vec::new();
        state.servers.retain(|key, servers| {
            let stays = state.world.by_key(*key).is_some_and(Instance::listens);
            if !stays {
                closing.append(servers);
            }
            stays
        });
        if self.stop.is_cancelled() {
            return closing;
        }
        for (key, instance) in state.world.instances().filter(|(_, instance)| instance.listens()) {
            if state.servers.contains_key(&key) {
                continue;
            }
            match self.listen(instance.private_ip, server::routers(self, instance)) {
                Ok(servers) => {
                    state.servers.insert(key, servers);
                }
                // The next change tries again; until then it looks like a component that does not come up.
                Err(error) => tracing::error!(id = instance.id, %error, "cannot listen for an instance"),
            }
        }
        closing
    }

    fn listen(&self, address: Ipv4Addr, routers: Vec<(u16, Router)>) -> io::Result<Vec<Server>> {
        routers
            .into_iter()
            .map(|(port, router)| {
                let listener = std::net::TcpListener::bind((address, port))?;
                listener.set_nonblocking(true)?;
                Ok(Server::start(TcpListener::from_std(listener)?, router, self.stop.child_token()))
            })
            .collect()
    }

    /// Lets things happen when they are due, until the simulator stops.
    pub(super) async fn keep_time(self: Arc<Self>) {
        loop {
            let next = self.with(|world, _| world.next_event());
            self.happened.send_replace(());
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(self.clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.replan.notified() => {}
                () = due => {}
            }
        }
    }

    /// Ends all that listens and runs.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

/// A listener with its connections, which all end with it.
#[derive(Debug)]
pub(super) struct Server {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(listener: TcpListener, router: Router, stop: CancellationToken) -> Self {
        let task = Some(tokio::spawn(serve(listener, router, stop.clone())));
        Self { stop, task }
    }

    /// Closes it, and waits until it is.
    async fn closed(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // The task ends by itself; after a panic it has ended as well.
            let _ = task.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, router.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve_connection(stream: TcpStream, router: Router) {
    // Without it small answers wait for each other; with a failure they are only slower.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// True if every port is free on this address.
pub(super) fn is_free(address: Ipv4Addr, ports: &[u16]) -> io::Result<bool> {
    for port in ports {
        match std::net::TcpListener::bind(SocketAddr::from((address, *port))) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
