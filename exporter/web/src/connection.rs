//! Serves one HTTP/1.1 connection, with or without TLS, until either side closes it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::active_config::{ActiveConfig, Admission, InForce};
use crate::connection_slots::Slot;
use crate::guard::Guard;
use crate::limit::Limit;
use crate::request_body::received;

/// How long requests in progress may take after shutdown was requested. Kubernetes and systemd wait 30 s and 90 s before
/// they kill the process; a scrape ends within its timeout of 10 s.
pub const DRAIN: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take. Two round trips around the world take one second.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a client may take to send the header of its next request, and so how long a connection may be idle. This is
/// longer than the usual scrape interval of a minute, so that Prometheus keeps its connection.
const HEADER_READ: Duration = Duration::from_secs(75);

/// How long an answer may take. Each route has a shorter deadline of its own; this one holds where a route has a defect.
const ANSWER: Duration = Duration::from_mins(3);

/// The longest header section that is accepted. A scrape sends less than 1 KiB.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// The first byte of a TLS handshake.
const HANDSHAKE_RECORD: u8 = 0x16;

const NO_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    this is an HTTPS server: use https:// (in Prometheus: scheme: https)\n";

/// What all connections share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// A request passes `guard`, `limit` and `app` in this order. As layers of the router, the first two would cost a
    /// dozen allocations per request.
    pub(crate) guard: Guard,
    pub(crate) limit: Limit,
    pub(crate) app: Router,
    pub(crate) shutdown: CancellationToken,
}

/// Serves the connection until the client closes it, the server shuts down or another connection takes its slot.
pub(crate) async fn serve(shared: Shared, slot: Slot, stream: TcpStream, peer: SocketAddr) {
    let slot = Arc::new(slot);
    let serving = serve_stream(&shared, &slot, stream, peer);
    tokio::select! {
        // An answer is sent before the slot is handed over.
        biased;
        () = serving => {}
        () = slot.replaced() => {}
    }
}

async fn serve_stream(shared: &Shared, slot: &Arc<Slot>, stream: TcpStream, peer: SocketAddr) {
    // Send answers immediately. A socket that rejects the option still works.
    let _ = stream.set_nodelay(true);
    let active = shared.guard.config.at_request();
    if active.tls.is_none() {
        return http1(shared, slot, TokioIo::new(stream), peer, &active.admission).await;
    }
    // No request is in progress yet, so shutdown may cut the handshake.
    let handshake = time::timeout(HANDSHAKE, accept_tls(&shared.guard.config, stream));
    match shared.shutdown.run_until_cancelled(handshake).await {
        Some(Ok(Ok((stream, active)))) => {
            http1(shared, slot, TokioIo::new(stream), peer, &active.admission).await;
        }
        Some(Ok(Err(error))) => shared.guard.telemetry.handshake_failed(peer, &error),
        Some(Err(late)) => shared.guard.telemetry.handshake_failed(peer, &late),
        None => {}
    }
}

/// A TLS connection, and the settings that it was accepted under.
async fn accept_tls(
    config: &ActiveConfig,
    mut stream: TcpStream,
) -> io::Result<(TlsStream<TcpStream>, Arc<InForce>)> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE_RECORD] {
        // Closing a socket with unread data may discard the answer.
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(NO_TLS).await?;
        stream.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS"));
    }
    // TLS was on when this connection began, and a reload cannot turn it off.
    let active = config.at_handshake();
    let tls = active.tls.clone().ok_or_else(|| io::Error::other("no certificate is configured"))?;
    Ok((TlsAcceptor::from(tls).accept(stream).await?, active))
}

fn too_late() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the answer took too long\n").into_response()
}

async fn http1(
    shared: &Shared,
    slot: &Arc<Slot>,
    io: impl Read + Write + Unpin + Send + 'static,
    peer: SocketAddr,
    admission: &Admission,
) {
    let app = &TowerToHyperService::new(shared.app.clone());
    let route = async |request| app.call(request).await.unwrap_or_else(|never| match never {});
    let route = &route;
    let service = service_fn(move |request: hyper::Request<Incoming>| async move {
        let mut request = request.map(|body| received(body, slot));
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = shared.guard.pass(request, admission, |request| shared.limit.pass(request, route));
        let answer = time::timeout(ANSWER, answer).await.unwrap_or_else(|_| too_late());
        slot.set_idle();
        Ok::<_, Infallible>(answer)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(io, service)
    );
    tokio::select! {
        biased;
        // The client closed the connection, or broke it: neither is an error of the server.
        _ = connection.as_mut() => return,
        () = shared.shutdown.cancelled() => {}
        () = shared.guard.config.supersedes(admission) => {}
    }
    connection.as_mut().graceful_shutdown();
    if time::timeout(DRAIN, connection).await.is_err() {
        tracing::warn!(after = ?DRAIN, "a request did not finish in time and is cut");
    }
}
