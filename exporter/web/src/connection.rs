//! One connection, from its first byte to its end. It speaks HTTP/1.1.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::guard::Guard;
use crate::limit::Limit;
use crate::live::Live;
use crate::places::Place;
use crate::server::DRAIN;
use crate::telemetry::Telemetry;

/// How long a client may take over the handshake: two round trips around the world take one second.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may take over the next request's header, and so how long it may be idle:
/// longer than the usual scrape interval of a minute, so that Prometheus keeps its connection.
const HEADER_READ: Duration = Duration::from_secs(75);

/// The longest header section: a scrape sends less than 1 KiB.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// The first byte of a TLS handshake.
const HANDSHAKE_RECORD: u8 = 0x16;

const NO_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    this is an HTTPS server: write https:// (scheme: https)\n";

/// What connections share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// What every request passes, in this order. As layers of the router they would cost it a dozen allocations.
    pub(crate) guard: Guard,
    pub(crate) limit: Limit,
    pub(crate) app: Router,
    pub(crate) live: Arc<Live>,
    pub(crate) telemetry: Telemetry,
    pub(crate) shutdown: CancellationToken,
}

/// Serves until the client or the end of serving closes it, or its place is another's.
pub(crate) async fn serve(shared: Shared, place: Place, stream: TcpStream, peer: SocketAddr) {
    let place = Arc::new(place);
    let speaking = speak(&shared, &place, stream, peer);
    tokio::select! {
        // An answer goes out before the place is given up.
        biased;
        () = speaking => {}
        () = place.given_up() => {}
    }
}

async fn speak(shared: &Shared, place: &Arc<Place>, stream: TcpStream, peer: SocketAddr) {
    // Answers go out at once; a socket that refuses the option works all the same.
    let _ = stream.set_nodelay(true);
    if shared.live.at_request().tls.is_none() {
        return http1(shared, place, TokioIo::new(stream), peer).await;
    }
    // Nobody waits for an answer yet, so that the end of serving cuts it.
    let handshake = time::timeout(HANDSHAKE, shake_hands(&shared.live, stream));
    let shaken = shared.shutdown.run_until_cancelled(handshake).await;
    match shaken {
        Some(Ok(Ok(stream))) => {
            http1(shared, place, TokioIo::new(stream), peer).await;
        }
        Some(Ok(Err(error))) => shared.telemetry.handshake_failed(peer, &error),
        Some(Err(late)) => shared.telemetry.handshake_failed(peer, &late),
        None => {}
    }
}

async fn shake_hands(live: &Live, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE_RECORD] {
        // Closing on what is unread may discard the answer on its way.
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(NO_TLS).await?;
        stream.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS"));
    }
    // It has been on for this connection, and a reload does not switch it off.
    let config: Option<Arc<ServerConfig>> = live.at_handshake().tls.clone();
    let config = config.ok_or_else(|| io::Error::other("there is no certificate"))?;
    TlsAcceptor::from(config).accept(stream).await
}

async fn http1(
    shared: &Shared,
    place: &Arc<Place>,
    io: impl Read + Write + Unpin + Send + 'static,
    peer: SocketAddr,
) {
    let app = &TowerToHyperService::new(shared.app.clone());
    let route = async |request| app.call(request).await.unwrap_or_else(|never| match never {});
    let route = &route;
    let service = service_fn(move |request: hyper::Request<Incoming>| async move {
        place.set_busy();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = shared.guard.pass(request, |request| shared.limit.pass(request, route)).await;
        place.set_idle();
        Ok::<_, Infallible>(answer)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(io, service)
    );
    // How a connection ends is the peer's business.
    if shared.shutdown.run_until_cancelled(connection.as_mut()).await.is_some() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    if time::timeout(DRAIN, connection).await.is_err() {
        tracing::warn!(after = ?DRAIN, "a request in flight did not end in time and is cut");
    }
}
