//! Threads for connections. Each has a runtime of its own, so that what a request sets off is done on one thread: where
//! requests are answered within microseconds, handing parts of them to other threads costs more than it gains.

use std::io;
use std::net;
use std::sync::Arc;
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Threads among which connections are shared out. They end with it, and cut what still runs on them.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
    _end_with_it: Option<DropGuard>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// One more is held by each connection.
    connections: Arc<()>,
}

impl From<Handle> for Worker {
    fn from(runtime: Handle) -> Self {
        Self { runtime, connections: Arc::default() }
    }
}

impl Workers {
    /// `count` threads; an error is that the system has none to give.
    pub fn start(count: usize) -> io::Result<Self> {
        let end = CancellationToken::new();
        let start = |number: usize| -> io::Result<Worker> {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (handle, end) = (runtime.handle().clone(), end.clone());
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                runtime.block_on(end.cancelled());
                // A name that is being looked up does not hold it.
                runtime.shutdown_background();
            })?;
            Ok(handle.into())
        };
        let workers = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self { workers, _end_with_it: Some(end.drop_guard()) })
    }

    /// The threads of the runtime in which this is called.
    pub(crate) fn here() -> Self {
        Self { workers: vec![Handle::current().into()], _end_with_it: None }
    }

    /// Serves a connection where there are the fewest.
    pub(crate) fn serve<F>(
        &self,
        tasks: &TaskTracker,
        stream: net::TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let by_connections = |worker: &&Worker| Arc::strong_count(&worker.connections);
        let Some(Worker { runtime, connections }) = self.workers.iter().min_by_key(by_connections) else {
            return;
        };
        let held = connections.clone();
        let serving = async move {
            // A socket belongs to the runtime in which it is made.
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::error!(%error, "cannot serve a connection"),
            }
            drop(held);
        };
        tasks.spawn_on(serving, runtime);
    }

    /// The runtime of each thread.
    pub(crate) fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.workers.iter().map(|worker| &worker.runtime)
    }
}
