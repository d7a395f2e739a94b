//! From signals to an orderly end. The first asks, the second insists.

use std::io;
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `token` at SIGTERM or SIGINT; a second one ends the process at once, with the exit code
/// that a shell gives to a process killed by that signal. Call it inside a tokio runtime.
pub fn shutdown_on_signals(token: CancellationToken) -> io::Result<()> {
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(listen(terminate, interrupt, token));
    Ok(())
}

async fn listen(mut terminate: Signal, mut interrupt: Signal, token: CancellationToken) {
    let (name, _) = next(&mut terminate, &mut interrupt).await;
    tracing::info!(signal = name, "shutting down");
    token.cancel();
    let (name, code) = next(&mut terminate, &mut interrupt).await;
    tracing::error!(signal = name, "second signal: ending at once, requests in flight are cut");
    process::exit(code);
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 128 + 15),
        _ = interrupt.recv() => ("SIGINT", 128 + 2),
    }
}
