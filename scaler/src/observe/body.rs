//! Reading a JSON body while it comes.
//!
//! Owns where that happens: a large body is parsed on a thread of its own, one after the other, and never held whole.

use std::io::{self, BufReader, Read};

use reqwest::Response;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc};

/// A body of up to this size is read whole and parsed at once.
const SMALL: usize = 64 << 10;
/// How much of a body is kept to be quoted, in bytes.
const HEAD: usize = 1 << 10;
/// How many pieces of a large body wait to be parsed.
const WAITING: usize = 2;

/// A body that was read.
#[derive(Debug)]
pub(super) struct Body<T> {
    /// Its beginning.
    pub(super) head: Vec<u8>,
    /// What it says. `None` if it is not the JSON of a `T`.
    pub(super) parsed: Option<T>,
}

/// A body that could not be read.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It has more bytes than allowed.
    TooLarge,
    /// The connection failed.
    Failed(reqwest::Error),
}

/// Reads a body of at most `most` bytes. Large ones are read while they hold a permit of `large`.
pub(super) async fn read<T: DeserializeOwned + Send + 'static>(
    response: &mut Response,
    most: usize,
    large: &Semaphore,
) -> Result<Body<T>, BodyError> {
    let mut start = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Failed)? {
        start.extend_from_slice(&chunk);
        if start.len() > SMALL {
            let _permit = large.acquire().await.expect("the semaphore is never closed");
            return read_large(start, response, most).await;
        }
    }
    let parsed = serde_json::from_slice(&start).ok();
    start.truncate(HEAD);
    Ok(Body { head: start, parsed })
}

async fn read_large<T: DeserializeOwned + Send + 'static>(
    start: Vec<u8>,
    response: &mut Response,
    most: usize,
) -> Result<Body<T>, BodyError> {
    let head = start[..HEAD].to_vec();
    let mut read = start.len();
    let (sender, receiver) = mpsc::channel(WAITING);
    let pieces = Pieces { piece: start, read: 0, receiver };
    let parsing = tokio::task::spawn_blocking(|| serde_json::from_reader(BufReader::new(pieces)).ok());
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Failed)? {
        read += chunk.len();
        if read > most {
            return Err(BodyError::TooLarge);
        }
        // The rest of a body that is not JSON is of no interest.
        if sender.send(chunk.to_vec()).await.is_err() {
            break;
        }
    }
    drop(sender);
    Ok(Body { head, parsed: parsing.await.unwrap_or_default() })
}

/// A body as it comes, for a thread that may wait for it.
struct Pieces {
    /// The present piece, and how much of it was read.
    piece: Vec<u8>,
    read: usize,
    receiver: mpsc::Receiver<Vec<u8>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() {
            let Some(piece) = self.receiver.blocking_recv() else { return Ok(0) };
            (self.piece, self.read) = (piece, 0);
        }
        let read = (&self.piece[self.read..]).read(buffer)?;
        self.read += read;
        Ok(read)
    }
}
