//! WebSockets (RFC 6455, RFC 7118): the upgrade, and one SIP message in each message. The one door to `tokio-tungstenite`.

use super::tcp::{Patience, Shared};
use super::{NetEvent, limits};
use crate::id::Flow;
use crate::sip::frame;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// The subprotocol (RFC 7118 5).
const SIP: &str = "sip";
/// The keep-alive of RFC 5626 3.5.1, which some browser stacks send as a message; one CRLF answers it.
const PING: &[u8] = b"\r\n\r\n";
/// Room for what is read at once: a message of a browser fits.
const READ_BUFFER: usize = 8 * 1024;

/// Counts what comes in, so that somebody who drips is told from somebody who says nothing.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    octets: Arc<AtomicU64>,
}

/// One that has been upgraded.
pub(super) struct WebSocket<S> {
    stream: WebSocketStream<Counted<S>>,
    octets: Arc<AtomicU64>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Answers the upgrade. One that does not offer the subprotocol `sip` is answered 400 (RFC 7118 5.1).
    pub(super) async fn accept(stream: S) -> io::Result<WebSocket<S>> {
        let octets = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            stream,
            octets: octets.clone(),
        };
        let stream = accept_hdr_async_with_config(counted, choose, Some(config()))
            .await
            .map_err(broken)?;
        Ok(WebSocket { stream, octets })
    }

    /// What it runs over.
    pub(super) fn stream(&self) -> &S {
        &self.stream.get_ref().stream
    }

    /// Reads and writes until either side ends it, nothing is said for too long, or a message takes too long to arrive.
    pub(super) async fn serve(
        self,
        flow: Flow,
        patience: Patience,
        outgoing: mpsc::Receiver<Bytes>,
        shared: &Shared,
        events: &mpsc::Sender<NetEvent>,
    ) -> io::Result<()> {
        let (sink, stream) = self.stream.split();
        let (pong, pongs) = mpsc::channel(1);
        tokio::select! {
            ended = read(flow, stream, (&self.octets, &shared.known), patience, &pong, events) => ended,
            ended = write(sink, outgoing, pongs, patience, &shared.waiting) => ended,
        }
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * limits::SIP_MESSAGE_BYTES)
        .max_message_size(Some(limits::SIP_MESSAGE_BYTES))
        .max_frame_size(Some(limits::SIP_MESSAGE_BYTES))
}

#[allow(clippy::result_large_err, reason = "the form of the callback is tungstenite's")]
fn choose(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offers_sip = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case(SIP));
    if offers_sip {
        let chosen = HeaderValue::from_static(SIP);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some(
        "This is SIP: ask for the subprotocol sip (RFC 7118).\n".to_owned(),
    ));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    Err(refusal)
}

/// A message that has begun must be there within twice `patience.message`; between two, as long may pass as for
/// any stream.
async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    flow: Flow,
    mut stream: SplitStream<WebSocketStream<S>>,
    (octets, known): (&AtomicU64, &AtomicBool),
    patience: Patience,
    pong: &mpsc::Sender<()>,
    events: &mpsc::Sender<NetEvent>,
) -> io::Result<()> {
    let mut quiet_since = Instant::now();
    let mut before = octets.load(Ordering::Relaxed);
    let (mut spoke, mut drips) = (false, false);
    // What was said last may have shown who it is, also while it is waited for what comes next.
    let idle = |spoke| match (spoke, known.load(Ordering::Relaxed)) {
        (_, true) => patience.known,
        (true, false) => patience.stranger,
        (false, false) => patience.first,
    };
    loop {
        let message = match timeout(patience.message.min(idle(spoke)), stream.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(message)) => message.map_err(broken)?,
            // Octets came, and no message.
            Err(_) if octets.load(Ordering::Relaxed) != before && !drips => {
                drips = true;
                continue;
            }
            Err(_) if drips => return Err(io::ErrorKind::TimedOut.into()),
            Err(_) if quiet_since.elapsed() >= idle(spoke) => return Err(io::ErrorKind::TimedOut.into()),
            Err(_) => continue,
        };
        (quiet_since, spoke, drips) = (Instant::now(), true, false);
        before = octets.load(Ordering::Relaxed);
        let bytes = match message {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(bytes) => bytes,
            // Pings are answered by the reader itself, and so is a close.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Close(_) => continue,
        };
        if bytes == PING {
            let _ = pong.try_send(());
        } else if let Some(message) = frame::datagram(&bytes)
            && events
                .send(NetEvent::Message(flow, bytes.slice_ref(message)))
                .await
                .is_err()
        {
            return Ok(());
        }
    }
}

/// Ends when everything is written that was handed over before the handle was dropped; then says goodbye.
async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut outgoing: mpsc::Receiver<Bytes>,
    mut pongs: mpsc::Receiver<()>,
    patience: Patience,
    waiting: &AtomicUsize,
) -> io::Result<()> {
    loop {
        let (length, message) = tokio::select! {
            bytes = outgoing.recv() => match bytes {
                Some(bytes) => (bytes.len(), message(bytes)),
                None => {
                    let _ = timeout(limits::HANDSHAKE, sink.close()).await;
                    return Ok(());
                }
            },
            Some(()) = pongs.recv() => (0, Message::Text(Utf8Bytes::from_static("\r\n"))),
        };
        let written = timeout(patience.write, sink.send(message)).await;
        waiting.fetch_sub(length, Ordering::Relaxed);
        written?.map_err(broken)?;
    }
}

/// Text where it is text (RFC 7118 5): a browser reads it as such.
fn message(bytes: Bytes) -> Message {
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let ready = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let octets = buffer.filled().len() - before;
        self.octets.fetch_add(octets as u64, Ordering::Relaxed);
        ready
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
