//! Servers on ports of the system's choice: components that behave, components that do not, and
//! the exporter in front of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use jitsi_exporter::component::Component;
use jitsi_exporter::config::{Config, Raw};
use jitsi_exporter::http::{App, PROBE_PATH};
use jitsi_web::Server;
use jitsi_web::flags::WebFlags;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A simulated component.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Upstream {
    /// How often its statistics were requested.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Answers the paths of statistics with `body`, and everything else with 404.
    pub(crate) async fn with_body(body: impl Into<Vec<u8>>) -> Self {
        Self::answering(StatusCode::OK, "application/json", body).await
    }

    pub(crate) async fn answering(status: StatusCode, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body: Vec<u8> = body.into();
        Self::serving(move |_| {
            let mut response = Response::new(Body::from(body.clone()));
            *response.status_mut() = status;
            response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
            async { response }
        })
        .await
    }

    /// Answers as often as `gate` has permits.
    pub(crate) async fn behind(gate: Arc<Semaphore>, body: impl Into<Vec<u8>>) -> Self {
        let body: Vec<u8> = body.into();
        Self::serving(move |_| {
            let (gate, body) = (gate.clone(), body.clone());
            async move {
                gate.acquire().await.expect("it is never closed").forget();
                Response::new(Body::from(body))
            }
        })
        .await
    }

    pub(crate) async fn serving<F, A>(answer: F) -> Self
    where
        F: Fn(HeaderMap) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send,
    {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let statistics = get(move |headers: HeaderMap| {
            counted.fetch_add(1, Ordering::SeqCst);
            answer(headers)
        });
        let mut router = Router::new();
        for component in Component::ALL {
            router = router.route(component.stats_path(), statistics.clone());
        }
        let address = serve(router).await;
        Self { address, requests }
    }

    /// Speaks as `speak` does on each connection, once a request has come.
    pub(crate) async fn raw<F, A>(speak: F) -> Self
    where
        F: Fn(TcpStream) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(speak(stream));
            }
        });
        Self { address, requests }
    }

    /// Sends `head`, then nothing more, and stays.
    pub(crate) async fn silent_after(head: &'static str) -> Self {
        Self::raw(move |mut stream| async move {
            let _ = stream.write_all(head.as_bytes()).await;
            std::future::pending::<()>().await;
        })
        .await
    }

    /// Sends `text` and closes.
    pub(crate) async fn saying(text: &'static str) -> Self {
        Self::raw(move |mut stream| async move {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
        .await
    }

    /// Sends body after body without an end.
    pub(crate) async fn endless() -> Self {
        Self::raw(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        })
        .await
    }
}

/// The response of a host to a path.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Body(StatusCode, Vec<u8>),
    Silence,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Body(StatusCode::OK, body.into())
    }

    pub(crate) fn status(status: StatusCode) -> Self {
        Self::Body(status, Vec::new())
    }
}

/// A host with its own routes, which records the requested paths.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<(String, String)>>>,
}

impl Host {
    /// Answers each path with its response, and every other path with 404.
    pub(crate) async fn with(routes: Vec<(&'static str, Answer)>) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let recorded = received.clone();
        let answer = async move |uri: Uri, headers: HeaderMap| {
            let accept = headers.get("accept").map_or("", |accept| accept.to_str().expect("a text"));
            recorded.lock().expect("a lock").push((uri.path().to_owned(), accept.to_owned()));
            match routes.iter().find(|(path, _)| *path == uri.path()) {
                Some((_, Answer::Body(status, body))) => (*status, body.clone()),
                Some((_, Answer::Silence)) => std::future::pending().await,
                None => (StatusCode::NOT_FOUND, b"<html>404</html>".to_vec()),
            }
        };
        let address = serve(Router::new().fallback(answer)).await;
        Self { address, received }
    }

    /// The paths that were requested since the last call, in alphabetical order.
    pub(crate) fn received(&self) -> Vec<String> {
        let received = std::mem::take(&mut *self.received.lock().expect("a lock"));
        for (path, accept) in &received {
            let expected = if path == "/metrics" { "text/plain;version=0.0.4" } else { "application/json" };
            assert_eq!(accept, expected, "{path}");
        }
        let mut paths: Vec<String> = received.into_iter().map(|(path, _)| path).collect();
        paths.sort();
        paths
    }
}

pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An address at which nothing listens.
pub(crate) async fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

/// The exporter.
#[derive(Debug)]
pub(crate) struct Exporter {
    address: SocketAddr,
    client: reqwest::Client,
    _ends_with_it: DropGuard,
}

impl Exporter {
    pub(crate) async fn of(targets: &[(Component, SocketAddr)]) -> Self {
        Self::start(targets, &[]).await
    }

    pub(crate) async fn start(targets: &[(Component, SocketAddr)], allow: &[&str]) -> Self {
        let allow = allow.iter().map(|rule| (*rule).to_owned()).collect();
        Self::with(targets, Raw { allow, ..Raw::default() }).await
    }

    /// With other flags than those of targets.
    pub(crate) async fn with(targets: &[(Component, SocketAddr)], raw: Raw) -> Self {
        let listen_address = vec!["127.0.0.1:0".parse().expect("an address")];
        Self::serving(targets, raw, WebFlags { listen_address, ..WebFlags::default() }).await
    }

    /// With other flags than those of targets and of serving.
    pub(crate) async fn serving(targets: &[(Component, SocketAddr)], raw: Raw, flags: WebFlags) -> Self {
        let url = |(component, address): &(Component, SocketAddr)| (*component, format!("http://{address}"));
        let raw = Raw { urls: targets.iter().map(url).collect(), ..raw };
        let config = Config::new(&raw).expect("a configuration");
        let mut server = Server::bind(&flags, 0).await.expect("a port");
        server.limit(PROBE_PATH);
        let address = SocketAddr::from(([127, 0, 0, 1], server.local_addrs()[0].port()));
        let mut app = App::new(config, &flags.telemetry_path, server.access()).expect("a client");
        app.add_to(&server.reloads());
        server.register_metrics(app.registry(), "jitsi_exporter");
        let shutdown = CancellationToken::new();
        tokio::spawn(server.serve(app.router(), shutdown.clone()));
        let client = reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client");
        Self { address, client, _ends_with_it: shutdown.drop_guard() }
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("http://{}{path}", self.address))
    }

    /// Status and text of a page.
    pub(crate) async fn page(&self, path: &str) -> (StatusCode, String) {
        let response = self.get(path).send().await.expect("an answer");
        (response.status(), response.text().await.expect("a text"))
    }

    pub(crate) async fn metrics(&self) -> String {
        let (status, text) = self.page("/metrics").await;
        assert_eq!(status, StatusCode::OK, "{text}");
        text
    }
}
