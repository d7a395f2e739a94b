//! The body of a request as it comes in. A client that sends it slowly holds no slot: until it is complete, the connection
//! counts as idle, and it has to be complete in time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::connection_slots::Slot;

/// How long a client may take to send the body of a request. The largest, a notification of 4 MiB, takes two seconds at
/// 20 Mbit/s.
const BODY_READ: Duration = Duration::from_secs(10);

/// The body of a request to the connection that holds `slot`.
pub(crate) fn received(body: Incoming, slot: &Arc<Slot>) -> Body {
    if body.is_end_stream() {
        slot.set_busy();
        return Body::empty();
    }
    Body::new(Received { body, slot: slot.clone(), deadline: Box::pin(sleep(BODY_READ)) })
}

/// A body that is still on its way.
struct Received {
    body: Incoming,
    slot: Arc<Slot>,
    deadline: Pin<Box<Sleep>>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.slot.set_busy();
        } else if frame.is_pending() && self.deadline.as_mut().poll(cx).is_ready() {
            let late =
                io::Error::new(io::ErrorKind::TimedOut, "the body of the request did not come in time");
            return Poll::Ready(Some(Err(late.into())));
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
