//! Connections on worker threads.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use jitsi_web::WorkerThreads;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::support::{Serving, client, flags, gated, get_page, serve_on};

const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();
const SOON: Duration = Duration::from_secs(20);

async fn two_serve(app: Router) -> Serving {
    serve_on(&flags(&["127.0.0.1:0"]), app, Some(WorkerThreads::start(TWO).expect("threads"))).await
}

#[tokio::test]
async fn connections_are_distributed_evenly() {
    let name = async || thread::current().name().unwrap_or_default().to_owned();
    let serving = two_serve(Router::new().route("/", get(name))).await;
    let url = format!("http://{}/", serving.address());
    // Each client keeps its connection.
    let clients: Vec<_> = (0..6).map(|_| client()).collect();
    let mut connections: BTreeMap<String, u32> = BTreeMap::new();
    for client in &clients {
        let answer = client.get(&url).send().await.expect("an answer");
        *connections.entry(answer.text().await.expect("a name")).or_default() += 1;
    }
    assert_eq!(connections, [("worker-0".to_owned(), 3), ("worker-1".to_owned(), 3)].into());
}

#[tokio::test]
async fn a_hanging_thread_does_not_delay_another() {
    let release = Arc::new(Barrier::new(2));
    let (hangs, mut hanging) = mpsc::unbounded_channel();
    let hang = {
        let release = release.clone();
        move || async move {
            hangs.send(()).expect("the test waits for it");
            release.wait();
            "released"
        }
    };
    let serving = two_serve(Router::new().route("/", get("well")).route("/hang", get(hang))).await;
    let address = serving.address();
    let first = tokio::spawn(get_page(address, "/hang"));
    hanging.recv().await.expect("it hangs");
    let second = timeout(SOON, get_page(address, "/")).await.expect("an answer in time");
    assert_eq!(second, (200, "well".to_owned()));
    release.wait();
    assert_eq!(first.await.expect("no panic"), (200, "released".to_owned()));
}

#[tokio::test]
async fn shutdown_waits_for_requests_and_then_ends_the_threads() {
    let (gate, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (left_behind, mut ended) = mpsc::unbounded_channel::<()>();
    let leave = move || async move {
        tokio::spawn(async move {
            let _sender = left_behind;
            std::future::pending::<()>().await;
        });
        "left"
    };
    let serving = two_serve(gated("/slow", &gate, &waiting).route("/leave", get(leave))).await;
    let address = serving.address();
    assert_eq!(get_page(address, "/leave").await.1, "left");
    let request = tokio::spawn(get_page(address, "/slow"));
    waiting.acquire().await.expect("it is never closed").forget();
    serving.begin_shutdown().await;
    assert!(!serving.ended.is_finished());
    gate.add_permits(1);
    assert_eq!(request.await.expect("no panic"), (200, "done\n".to_owned()));
    timeout(SOON, serving.ended).await.expect("it ends soon").expect("no panic").expect("no error");
    let ended = timeout(SOON, ended.recv()).await.expect("what ran on the thread ends with it");
    assert_eq!(ended, None);
}
