//! Threads for connections. Each has a runtime of its own, so that nearly all that a request sets off is done on one
//! thread: where requests are answered within microseconds, handing parts of them to other threads costs more than it
//! gains. What threads share, as kept connections to other hosts, belongs to whichever began it.

use std::io;
use std::net;
use std::num::NonZeroUsize;
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Threads of a worker for what blocks, as looking up names and checking passwords. Those of two workers, with all else,
/// stay below 64, the usual `TasksMax` of a unit: a thread that cannot be had costs the request its answer.
const BLOCKING: usize = 24;

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
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let end = CancellationToken::new();
        // Those that have begun end with it, even if a later one cannot begin.
        let guard = end.clone().drop_guard();
        let workers = (0..count.get()).map(|number| start(number, end.clone())).collect::<io::Result<_>>()?;
        Ok(Self { workers, _end_with_it: Some(guard) })
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
        let fewest = self.workers.iter().min_by_key(by_connections);
        let Worker { runtime, connections } = fewest.expect("there is one at least");
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

/// A runtime is made where it runs: dropped in another one, as after an error, it would panic.
fn start(number: usize, end: CancellationToken) -> io::Result<Worker> {
    let (tell, told) = mpsc::channel();
    thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build();
        // Nobody waits for it once another thread could not be had.
        let _ = match &runtime {
            Ok(runtime) => tell.send(Ok(runtime.handle().clone())),
            Err(error) => tell.send(Err(error.kind().into())),
        };
        if let Ok(runtime) = runtime {
            runtime.block_on(end.cancelled());
            // A name that is being looked up does not hold it.
            runtime.shutdown_background();
        }
    })?;
    let runtime: io::Result<Handle> = told.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
    Ok(runtime?.into())
}
