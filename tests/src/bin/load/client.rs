//! A client of minimal cost: blocking sockets, one thread per connection, kept alive. Its processor time is lost to the
//! measured programs.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::Instant;

/// The two headers of Prometheus 2.
const PROMETHEUS: &str = "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
    version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n";

/// The timeout of a request.
const PATIENCE: Duration = Duration::from_secs(20);

/// A serialized request.
#[derive(Clone, Debug)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A request for a component's statistics, like the exporter's.
    pub(crate) fn statistics(host: SocketAddr) -> Self {
        Self::get("/colibri/stats", &host.to_string(), "Accept: application/json\r\n")
    }

    /// A probe of a bridge; with `gzip` as Prometheus sends it, otherwise without compression.
    pub(crate) fn probe(target: SocketAddr, gzip: bool) -> Self {
        let headers = if gzip { PROMETHEUS } else { "" };
        Self::get(&format!("/probe?module=jvb&target={target}"), "exporter", headers)
    }

    /// A scrape of `/metrics`; with `gzip` as Prometheus sends it, otherwise without compression.
    pub(crate) fn metrics(gzip: bool) -> Self {
        Self::get("/metrics", "exporter", if gzip { PROMETHEUS } else { "" })
    }

    fn get(path: &str, host: &str, headers: &str) -> Self {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: load\r\n{headers}\r\n");
        Self(text.into_bytes())
    }
}

/// A kept-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(to).with_context(|| format!("failed to connect to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 256 * 1024] })
    }

    /// The body of the answer, which must be a 200 with a length.
    pub(crate) fn ask(&mut self, request: &Request) -> anyhow::Result<&[u8]> {
        self.stream.write_all(&request.0)?;
        let mut have = 0;
        let head = loop {
            have += self.more(have)?;
            if let Some(at) = self.buffer[..have].windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let length = length(&self.buffer[..head])?;
        ensure!(head + length <= self.buffer.len(), "an answer of {length} bytes is too long");
        while have < head + length {
            have += self.more(have)?;
        }
        Ok(&self.buffer[head..head + length])
    }

    fn more(&mut self, have: usize) -> anyhow::Result<usize> {
        match self.stream.read(&mut self.buffer[have..])? {
            0 => bail!("the connection was closed in the middle of an answer"),
            read => Ok(read),
        }
    }
}

fn length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "an answer that is no success: {head}");
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Ok(length.context("an answer without a length")?.1.parse()?)
}

/// When a measurement stops.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    After(Duration),
    Answers(u64),
}

/// The result of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) answers: f64,
    pub(crate) seconds: f64,
}

impl Answered {
    /// Answers per second.
    pub(crate) fn rate(self) -> f64 {
        self.answers / self.seconds
    }
}

/// Sends requests repeatedly, over one connection per request.
pub(crate) fn hammer(to: &[(SocketAddr, Request)], until: Until) -> anyhow::Result<Answered> {
    let start = Instant::now();
    let (each, deadline) = match until {
        Until::After(time) => (u64::MAX, Some(start + time)),
        Until::Answers(count) => (count.div_ceil(to.len() as u64), None),
    };
    let hold = |(to, request): &(SocketAddr, Request)| -> anyhow::Result<u64> {
        let mut connection = Connection::open(*to)?;
        let mut answers = 0;
        while answers < each && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            connection.ask(request)?;
            answers += 1;
        }
        Ok(answers)
    };
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = to.iter().map(|to| scope.spawn(|| hold(to))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread has failed"))?)
            .collect::<anyhow::Result<Vec<u64>>>()
    })?;
    Ok(Answered { answers: counts.iter().sum::<u64>() as f64, seconds: start.elapsed().as_secs_f64() })
}
