//! What an answer's body is: octets, or events as they come (server-sent events).

use super::Listening;
use crate::api::wire::{Event, Reply};
use crate::limits;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, interval_at};

/// A comment, which says only that the stream is there.
const HEARTBEAT: &[u8] = b": \n\n";

/// What comes by a stream.
pub(super) enum Next {
    Event(Event),
    /// The last one.
    Last(Event),
    /// Nothing has come for a while.
    Quiet,
    /// The loop has closed it.
    Closed,
}

/// Somebody listens.
pub(super) struct Stream {
    told: mpsc::Receiver<Reply>,
    heartbeat: Interval,
    _listening: Listening,
}

impl Stream {
    pub(super) fn new(told: mpsc::Receiver<Reply>, listening: Listening) -> Stream {
        let beats = limits::API_HEARTBEAT;
        Stream {
            told,
            heartbeat: interval_at(Instant::now() + beats, beats),
            _listening: listening,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        match self.told.poll_recv(cx) {
            Poll::Ready(Some(Reply::More(event))) => {
                self.heartbeat.reset();
                Poll::Ready(Next::Event(event))
            }
            Poll::Ready(Some(Reply::Last(event))) => Poll::Ready(Next::Last(event)),
            // It was opened, and is no answer.
            Poll::Ready(Some(Reply::Done(_) | Reply::Open { .. }) | None) => Poll::Ready(Next::Closed),
            Poll::Pending => self.heartbeat.poll_tick(cx).map(|_| Next::Quiet),
        }
    }

    pub(super) async fn next(&mut self) -> Next {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }
}

/// The body of an answer.
pub(super) enum Body {
    Whole(Option<Bytes>),
    Events(Events),
}

/// Events, as far as they have come.
pub(super) struct Events {
    ready: VecDeque<Bytes>,
    /// None when nothing more comes.
    stream: Option<Stream>,
}

impl Body {
    pub(super) fn whole(octets: Bytes) -> Body {
        Body::Whole(Some(octets).filter(|octets| !octets.is_empty()))
    }

    pub(super) fn stream(stream: Stream, events: &[Event]) -> Body {
        Body::Events(Events {
            ready: events.iter().map(written).collect(),
            stream: Some(stream),
        })
    }
}

/// HTML, 9.2.5: the data is one line.
fn written(event: &Event) -> Bytes {
    let mut text = Vec::with_capacity(event.data.len() + 64);
    if let Some(id) = &event.id {
        text.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    text.extend_from_slice(format!("event: {}\ndata: ", event.name).as_bytes());
    text.extend_from_slice(&event.data);
    text.extend_from_slice(b"\n\n");
    text.into()
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = |octets| Poll::Ready(Some(Ok(Frame::data(octets))));
        let events = match &mut *self {
            Body::Whole(octets) => return Poll::Ready(octets.take().map(|octets| Ok(Frame::data(octets)))),
            Body::Events(events) => events,
        };
        if let Some(octets) = events.ready.pop_front() {
            return frame(octets);
        }
        let Some(stream) = &mut events.stream else {
            return Poll::Ready(None);
        };
        match stream.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Next::Event(event)) => frame(written(&event)),
            Poll::Ready(Next::Quiet) => frame(Bytes::from_static(HEARTBEAT)),
            Poll::Ready(Next::Last(event)) => {
                events.stream = None;
                frame(written(&event))
            }
            Poll::Ready(Next::Closed) => {
                events.stream = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(octets) => SizeHint::with_exact(octets.as_ref().map_or(0, |octets| octets.len() as u64)),
            Body::Events(_) => SizeHint::default(),
        }
    }
}
