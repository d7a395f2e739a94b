//! A server that stands in for another and can turn hostile: it passes connections on to the real one, or answers each
//! with bytes that do harm.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// The most bytes of an answer that has no end: several times what any program may hold.
const ENDLESS: usize = 256 << 20;

/// How a connection is treated.
#[derive(Clone, Debug)]
pub(crate) enum Treatment {
    /// As the server at this address does.
    Pass(SocketAddr),
    /// It is accepted and never answered.
    Silent,
    /// It is closed at once.
    Close,
    /// It is answered.
    Say(Arc<Words>),
}

/// An answer to any request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    head: Vec<u8>,
    /// Sent again and again behind the head.
    part: Vec<u8>,
    times: usize,
    /// Before each part.
    pause: Duration,
    tail: Vec<u8>,
}

impl Words {
    /// A whole answer with this body.
    pub(crate) fn whole(kind: &str, body: &str) -> Self {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        Self { head: [head.as_bytes(), body.as_bytes()].concat(), ..Self::default() }
    }

    /// An answer of any bytes.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { head: bytes.into(), ..Self::default() }
    }

    /// An answer whose body begins with `begin`, then consists of `part` without an end.
    pub(crate) fn endless(kind: &str, begin: &str, part: &str) -> Self {
        Self { times: ENDLESS / part.len(), ..Self::repeated(kind, begin, part, 0, "") }
    }

    /// An answer whose body repeats a part.
    pub(crate) fn repeated(kind: &str, begin: &str, part: &str, times: usize, tail: &str) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{begin}");
        Self { head: head.into(), part: part.into(), times, tail: tail.into(), ..Self::default() }
    }

    /// An answer that comes in drops: a byte each 300 ms.
    pub(crate) fn slow(kind: &str, body: &str) -> Self {
        let pause = Duration::from_millis(300);
        Self { pause, times: 10_000, ..Self::repeated(kind, body, " ", 0, "") }
    }

    /// An answer of gzip that a few kilobytes make a megabyte, again and again.
    pub(crate) fn bomb(kind: &str, begin: &str) -> Result<Self> {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n"
        );
        let mut packer = flate2::write::GzEncoder::new(head.into_bytes(), flate2::Compression::fast());
        packer.write_all(begin.as_bytes())?;
        packer.flush()?;
        let begin = packer.get_ref().len();
        // Behind two flushes, the packed bytes of the same megabyte are the same, and may be repeated.
        packer.write_all(&vec![b' '; 1 << 20])?;
        packer.flush()?;
        let first = packer.get_ref().len();
        packer.write_all(&vec![b' '; 1 << 20])?;
        packer.flush()?;
        let bytes = packer.get_ref();
        let (head, part) = (bytes[..first].to_vec(), bytes[first..].to_vec());
        anyhow::ensure!(part.len() < 64 * 1024 && begin < first, "{} bytes are no bomb", part.len());
        Ok(Self { head, part, times: ENDLESS >> 20, ..Self::default() })
    }
}

/// A server on a free loopback port. Dropping it ends it and all of its connections.
#[derive(Debug)]
pub(crate) struct Impostor {
    pub(crate) address: SocketAddr,
    treatment: watch::Sender<Treatment>,
    _accepting: AbortOnDropHandle<()>,
}

impl Impostor {
    pub(crate) async fn start(treatment: Treatment) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let treatment = watch::Sender::new(treatment);
        let told = treatment.subscribe();
        let accepting = AbortOnDropHandle::new(tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => drop(connections.spawn(serve(stream, told.clone()))),
                        Err(_) => sleep(Duration::from_millis(50)).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        }));
        Ok(Self { address, treatment, _accepting: accepting })
    }

    /// Treats every connection like this from now on, those that are open too.
    pub(crate) fn turn(&self, treatment: Treatment) {
        self.treatment.send_replace(treatment);
    }

    /// Answers every request with these words from now on.
    pub(crate) fn say(&self, words: Words) {
        self.turn(Treatment::Say(Arc::new(words)));
    }
}

async fn serve(mut stream: TcpStream, mut told: watch::Receiver<Treatment>) {
    let treatment = told.borrow_and_update().clone();
    let treating = async {
        match treatment {
            Treatment::Pass(to) => {
                if let Ok(mut upstream) = TcpStream::connect(to).await {
                    let _ = copy_bidirectional(&mut stream, &mut upstream).await;
                }
            }
            Treatment::Silent => std::future::pending().await,
            Treatment::Close => {}
            Treatment::Say(words) => drop(Box::pin(say(&mut stream, &words)).await),
        }
    };
    tokio::select! {
        () = treating => {}
        _ = told.changed() => {}
    }
}

async fn say(stream: &mut TcpStream, words: &Words) -> std::io::Result<()> {
    // The request's beginning; its rest does not matter.
    let _ = stream.read(&mut [0; 16 * 1024]).await?;
    stream.write_all(&words.head).await?;
    // One write for many short parts.
    let at_once = if words.pause.is_zero() { (64 * 1024 / words.part.len().max(1)).max(1) } else { 1 };
    let several = words.part.repeat(at_once.min(words.times));
    for _ in 0..words.times / at_once {
        sleep(words.pause).await;
        stream.write_all(&several).await?;
    }
    stream.write_all(&words.part.repeat(words.times % at_once)).await?;
    stream.write_all(&words.tail).await?;
    stream.shutdown().await?;
    // Until the client has read it all.
    let _ = stream.read(&mut [0; 1024]).await?;
    Ok(())
}
