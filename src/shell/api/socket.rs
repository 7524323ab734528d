//! Events by a WebSocket (RFC 6455): one JSON object a message. For clients that have no server-sent events, and networks that hold these
//! back.

use super::stream::{Body, Next, Stream};
use crate::api::wire::Event;
use crate::limits;
use crate::shell::net::Held;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// The subprotocol.
const OURS: &str = "tandem.v1";
/// What stands before a token among the subprotocols: a page cannot set header fields of a WebSocket.
const TOKEN: &str = "bearer.";
/// Octets of a message that may come: none is expected.
const INCOMING: usize = 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) fn is_wanted<B>(request: &hyper::Request<B>) -> bool {
    let upgrade = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|name| name.eq_ignore_ascii_case("websocket"))
}

fn offered(fields: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = fields.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The token among the subprotocols.
pub(super) fn token(fields: &HeaderMap) -> Option<&str> {
    offered(fields).find_map(|name| name.strip_prefix(TOKEN))
}

/// The answer to an upgrade, and a task that serves what it leads to; none where it is no good upgrade.
pub(super) fn accept(
    request: hyper::Request<Incoming>,
    stream: Stream,
    events: Vec<Event>,
    place: Arc<Held>,
) -> Option<hyper::Response<Body>> {
    let mut answer = create_response_with_body(&request, || Body::whole(Bytes::new())).ok()?;
    if offered(request.headers()).any(|name| name == OURS) {
        let chosen = HeaderValue::from_static(OURS);
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            // A page sends little here: the room for it is kept as long as the socket.
            let config = WebSocketConfig::default()
                .read_buffer_size(INCOMING)
                .max_message_size(Some(INCOMING))
                .max_frame_size(Some(INCOMING));
            let io = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
            let _ = serve(socket, stream, events).await;
        }
        drop(place);
    });
    Some(answer)
}

/// Until either side ends it. None where the peer takes nothing more.
async fn serve(mut socket: Socket, mut stream: Stream, events: Vec<Event>) -> Option<()> {
    for event in &events {
        send(&mut socket, written(event)).await?;
    }
    loop {
        let next = tokio::select! {
            next = stream.next() => next,
            said = socket.next() => match said?.ok()? {
                // Pings are answered by the reader itself.
                Message::Ping(_) | Message::Pong(_) => continue,
                // Nobody listens to anything else.
                Message::Text(_) | Message::Binary(_) | Message::Frame(_) | Message::Close(_) => break,
            },
        };
        match next {
            Next::Event(event) => send(&mut socket, written(&event)).await?,
            Next::Quiet => send(&mut socket, Message::Ping(Bytes::new())).await?,
            Next::Last(event) => {
                send(&mut socket, written(&event)).await?;
                break;
            }
            Next::Closed => break,
        }
    }
    timeout(limits::HANDSHAKE, socket.close(None)).await.ok()?.ok()
}

async fn send(socket: &mut Socket, message: Message) -> Option<()> {
    timeout(limits::API_UNHEARD, socket.send(message)).await.ok()?.ok()
}

fn written(event: &Event) -> Message {
    let id = event.id.as_ref().map_or("null".to_owned(), |id| format!("\"{id}\""));
    let data = String::from_utf8_lossy(&event.data);
    Message::Text(format!("{{\"id\":{id},\"event\":\"{}\",\"data\":{data}}}", event.name).into())
}
