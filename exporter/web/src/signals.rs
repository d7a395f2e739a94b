//! Signals: SIGTERM and SIGINT shut down, SIGHUP reloads. SIGXFSZ does nothing: a file that has reached the limit of its size,
//! such as a log, fails to be written, which is no reason to end.

use std::io;
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::reload::Reloads;

/// The number of SIGXFSZ on Linux and macOS. Its default action ends the process.
const SIGXFSZ: i32 = 25;

/// Cancels `token` at SIGTERM or SIGINT. A second signal ends the process immediately, with the exit code that a shell
/// reports for a process killed by that signal. Must be called inside a tokio runtime.
/// Fails if a signal handler cannot be installed.
pub fn shutdown_on_signals(token: CancellationToken) -> io::Result<()> {
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    // A handler stays installed when its stream is dropped.
    drop(signal(SignalKind::from_raw(SIGXFSZ))?);
    tokio::spawn(listen(terminate, interrupt, token));
    Ok(())
}

/// Reloads at SIGHUP, which would otherwise end the process. Must be called inside a tokio runtime.
/// Fails if the signal handler cannot be installed.
pub fn reload_on_hangup(reloads: Reloads) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // Each part has logged its outcome.
            let _ = reloads.reload().await;
        }
    });
    Ok(())
}

async fn listen(mut terminate: Signal, mut interrupt: Signal, token: CancellationToken) {
    let (name, _) = next(&mut terminate, &mut interrupt).await;
    tracing::info!(signal = name, "shutting down");
    token.cancel();
    let (name, code) = next(&mut terminate, &mut interrupt).await;
    tracing::error!(signal = name, "second signal: ending immediately, requests in progress are cut");
    process::exit(code);
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 128 + 15),
        _ = interrupt.recv() => ("SIGINT", 128 + 2),
    }
}
