//! A client that keeps no rule of HTTP: raw bytes from any loopback address, whole or in drops, with a bound on time, and
//! the tally of what was answered.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The time that a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is kept, in bytes.
const KEPT: usize = 4 << 20;

/// What an attack sent, and what came back.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    /// A status, or what happened instead of one.
    pub(crate) answers: BTreeMap<String, u64>,
    /// Answers that must not be.
    pub(crate) wrong: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, answer: &Answer) {
        self.sent += 1;
        *self.answers.entry(answer.outcome.clone()).or_default() += 1;
    }

    /// Counts an answer, which is wrong unless it has one of these statuses. A client that gave up proves nothing.
    pub(crate) fn expect(&mut self, what: &str, answer: &Answer, statuses: &[&str]) {
        self.count(answer);
        let is_status = answer.outcome.bytes().all(|byte| byte.is_ascii_digit());
        if is_status && !statuses.contains(&answer.outcome.as_str()) {
            let line = answer.body().lines().next().unwrap_or_default().to_owned();
            self.wrong.push(format!("{what}: {} instead of {statuses:?}: {line}", answer.outcome));
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        for (answer, count) in other.answers {
            *self.answers.entry(answer).or_default() += count;
        }
        self.wrong.extend(other.wrong);
    }

    /// The answers in one line.
    pub(crate) fn shown(&self) -> String {
        let answers: Vec<String> =
            self.answers.iter().map(|(answer, count)| format!("{answer} × {count}")).collect();
        answers.join(", ")
    }
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The status, `closed`, `unreachable` or `no answer`.
    pub(crate) outcome: String,
    text: String,
}

impl Answer {
    fn of(bytes: &[u8], otherwise: &str) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        Self { outcome: status.unwrap_or(otherwise).to_owned(), text }
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// One of the loopback addresses beside that of ordinary clients.
pub(crate) fn peer(number: usize) -> Ipv4Addr {
    let low = u8::try_from(number % 8).unwrap_or_default();
    Ipv4Addr::new(127, 0, 0, 2 + low)
}

/// A connection from `from`. The port of a closed one is not kept, so that an attack does not use up all ports.
pub(crate) async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_zero_linger()?;
    socket.bind(SocketAddr::new(IpAddr::V4(from), 0))?;
    timeout(PATIENCE, socket.connect(to)).await?
}

/// Sends `request` and returns the answer.
pub(crate) async fn send(from: Ipv4Addr, to: SocketAddr, request: &[u8]) -> Answer {
    let Ok(mut stream) = connect(from, to).await else { return Answer::of(&[], "unreachable") };
    let exchange = async {
        // A server may answer, and close, before it has read all.
        let _ = stream.write_all(request).await;
        received(&mut stream).await
    };
    match timeout(PATIENCE, exchange).await {
        Ok(bytes) => Answer::of(&bytes, "closed"),
        Err(_) => Answer::of(&[], "no answer"),
    }
}

async fn received(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if bytes.len() < KEPT {
            bytes.extend_from_slice(&buffer[..count]);
        }
    }
    bytes
}

/// Sends the beginning of a request, then `drop` each second until `until`, and never the rest. `Close` of the server
/// is counted, and answered by a new connection.
pub(crate) async fn trickle(
    from: Ipv4Addr,
    to: SocketAddr,
    begin: &[u8],
    drop: &[u8],
    until: Instant,
) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < until {
        let Ok(mut stream) = connect(from, to).await else {
            tally.count(&Answer::of(&[], "unreachable"));
            sleep(Duration::from_millis(200)).await;
            continue;
        };
        let feeding = async {
            stream.write_all(begin).await?;
            let (mut reader, mut writer) = stream.split();
            let mut answer = [0; 64];
            loop {
                tokio::select! {
                    count = reader.read(&mut answer) => return count.map(|count| answer[..count].to_vec()),
                    () = sleep(Duration::from_secs(1)) => writer.write_all(drop).await?,
                }
            }
        };
        tokio::select! {
            fed = feeding => {
                tally.count(&Answer::of(&fed.unwrap_or_default(), "closed"));
                // A client that is cut comes back, but not in a loop that only tests the accept queue.
                sleep(Duration::from_millis(100)).await;
            }
            () = sleep_until(until) => tally.count(&Answer::of(&[], "held to the end")),
        }
    }
    tally
}

/// Runs `attack` side by side `count` times, each again and again until `until`.
pub(crate) async fn repeat(count: usize, until: Instant, attack: impl AsyncFn(usize, &mut Tally)) -> Tally {
    let one = async |number: usize| {
        let mut tally = Tally::default();
        let mut turn = number;
        while Instant::now() < until {
            let round = attack(turn, &mut tally);
            // The last round may be cut: its end proves nothing more.
            if tokio::time::timeout_at(until + PATIENCE, round).await.is_err() {
                break;
            }
            turn += count;
        }
        tally
    };
    let mut all = Tally::default();
    for tally in join_all((0..count).map(one)).await {
        all.add(tally);
    }
    all
}

/// A request without a body.
pub(crate) fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{headers}\r\n").into_bytes()
}

/// A request with a body.
pub(crate) fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
