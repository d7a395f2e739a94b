//! A server for tests that gives prepared answers.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Yields the requests that a server got, once it has given all its answers.
pub(crate) type Requests = JoinHandle<Vec<String>>;

/// Gives one answer after another, each to a request of its own that has `part` in it; returns the address, `host:port`.
pub(crate) async fn server(answers: Vec<String>, part: &'static str) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let asked = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = String::new();
            while !(request.contains("\r\n\r\n") && request.contains(part)) {
                let mut read = vec![0; 4096];
                let length = stream.read(&mut read).await.expect("a request");
                assert!(length > 0, "the client gave up after {request:?}");
                request.push_str(&String::from_utf8_lossy(&read[..length]));
            }
            stream.write_all(answer.as_bytes()).await.expect("it reads");
            requests.push(request);
        }
        requests
    });
    (address, asked)
}

/// An answer with further lines of headers.
pub(crate) fn http(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}
