//! Threads that serve connections, each with its own single-threaded runtime. A connection stays on one thread, because
//! handing parts of a request to other threads costs more than it gains when an answer takes microseconds. Resources that
//! threads share, such as kept-alive connections to other hosts, run on the thread that opened them.

use std::io;
use std::net;
use std::num::NonZeroUsize;
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Threads that each worker may add for blocking work: name resolution and password checks. With two workers the process
/// stays below 64 threads, the usual `TasksMax` of a unit; a request fails when its thread cannot be started.
const MAX_BLOCKING_THREADS: usize = 24;

/// Threads that connections are distributed to. Dropping this value ends the threads and cuts what still runs on them.
#[derive(Debug)]
pub struct WorkerThreads {
    workers: Vec<Worker>,
    _ends_threads: Option<DropGuard>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Each connection holds a clone, so the count of references is the load.
    connections: Arc<()>,
}

impl From<Handle> for Worker {
    fn from(runtime: Handle) -> Self {
        Self { runtime, connections: Arc::default() }
    }
}

impl WorkerThreads {
    /// Starts `count` threads.
    /// Fails if the system cannot start a thread or its runtime.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let end = CancellationToken::new();
        // If a later thread cannot start, dropping the guard ends the earlier ones.
        let guard = end.clone().drop_guard();
        let workers = (0..count.get()).map(|number| start(number, end.clone())).collect::<io::Result<_>>()?;
        Ok(Self { workers, _ends_threads: Some(guard) })
    }

    /// Serves connections on the runtime that calls this.
    pub(crate) fn here() -> Self {
        Self { workers: vec![Handle::current().into()], _ends_threads: None }
    }

    /// Serves a connection on the thread that has the fewest.
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
        let Worker { runtime, connections } = fewest.expect("at least one worker exists");
        let held = connections.clone();
        let serving = async move {
            // A tokio socket belongs to the runtime that creates it.
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::error!(%error, "cannot serve a connection"),
            }
            drop(held);
        };
        tasks.spawn_on(serving, runtime);
    }

    /// The runtimes of all threads.
    pub(crate) fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.workers.iter().map(|worker| &worker.runtime)
    }
}

/// Starts a thread that builds and runs its own runtime: a runtime that is dropped inside another one panics.
fn start(number: usize, end: CancellationToken) -> io::Result<Worker> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        let runtime =
            Builder::new_current_thread().enable_all().max_blocking_threads(MAX_BLOCKING_THREADS).build();
        // Sending fails when the receiver gave up, and then `end` is cancelled too.
        let _ = match &runtime {
            Ok(runtime) => sender.send(Ok(runtime.handle().clone())),
            Err(error) => sender.send(Err(error.kind().into())),
        };
        if let Ok(runtime) = runtime {
            runtime.block_on(end.cancelled());
            // A name lookup that still blocks does not delay the end.
            runtime.shutdown_background();
        }
    })?;
    let runtime: io::Result<Handle> = receiver.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
    Ok(runtime?.into())
}
