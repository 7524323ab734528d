//! Connections: one task each, which reads frames and writes what it is handed.
//!
//! ```text
//!   accept --- tcp ------------------------------------------+--> Opened, then messages, then Closed
//!          +-- tls ---- TLS handshake -----------------------+
//!          +-- wss ---- TLS handshake --+                    |
//!          +-- ws  ---------------------+-- HTTP upgrade ----+
//! ```

use super::places::Place;
use super::ws::WebSocket;
use super::{Context, NetEvent, source};
use crate::config::Listen;
use crate::id::{Flow, Identity, ListenerId, Target, Transport};
use crate::limits;
use crate::sip::frame::{self, Frame};
use bytes::{Bytes, BytesMut};
use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsStream;
use tracing::warn;

/// Connections that wait to be accepted.
const ACCEPT_QUEUE: i32 = 1024;
/// Messages that wait for one peer; their bytes are bounded too.
const MESSAGES: usize = 1024;
/// A peer that vanished is noticed after a minute of silence and four probes.
pub(in crate::shell) const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// How long a connection may keep us waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a TLS handshake and the upgrade to a WebSocket.
    pub handshake: Duration,
    /// For the first octet of one that was opened to us: a stranger who says nothing is not kept for long.
    pub first: Duration,
    /// For the rest of a message that has begun.
    pub message: Duration,
    /// For one message of ours to be taken by a peer that reads slowly.
    pub write: Duration,
    /// Between two messages of one who is not known.
    pub stranger: Duration,
    /// Between two messages of one who is.
    pub known: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            handshake: limits::HANDSHAKE,
            first: limits::CONNECTION_MESSAGE,
            message: limits::CONNECTION_MESSAGE,
            write: limits::CONNECTION_MESSAGE,
            stranger: limits::CONNECTION_STRANGER,
            known: limits::CONNECTION_IDLE,
        }
    }
}

/// The way to a connection's task.
#[derive(Clone, Debug)]
pub struct Handle {
    queue: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
    /// The name that the peer's certificate was found to be for: only of connections that we opened.
    pub(super) name: Option<Box<str>>,
}

/// What the signalling loop and a connection's task share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Bytes that wait to be written.
    pub(super) waiting: AtomicUsize,
    /// The peer has shown who it is.
    pub(super) known: AtomicBool,
}

/// A connection that is ready for messages.
enum Wire {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Ws(Box<WebSocket<TcpStream>>),
    Wss(Box<WebSocket<TlsStream<TcpStream>>>),
}

/// Who is at the other end.
enum Peer {
    /// It opened the connection, and has shown this.
    Came(Identity),
    /// We opened it, and its certificate was found to be for this name.
    Visited(Option<Box<str>>),
}

impl Handle {
    /// False if the connection is gone or its peer reads too slowly: the caller then closes it by dropping the handle.
    pub(super) fn send(&self, bytes: Bytes) -> bool {
        let waiting = self.shared.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        waiting <= limits::CONNECTION_BACKLOG_BYTES && self.queue.try_send(bytes).is_ok()
    }

    /// The connection is worth keeping from now on.
    pub(super) fn know(&self) {
        self.shared.known.store(true, Ordering::Relaxed);
    }
}

pub(super) fn listen(
    id: ListenerId,
    Listen { transport, addr }: Listen,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::from_std(bind(addr)?)?;
    let bound = listener.local_addr()?;
    let task = tokio::spawn(accept(id, transport, bound, listener, events, context));
    Ok((bound, task))
}

/// A socket that listens for connections.
pub(in crate::shell) fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for old connections of the port to die; a listening socket still refuses a second one.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(ACCEPT_QUEUE)?;
    Ok(socket.into())
}

async fn accept(
    id: ListenerId,
    transport: Transport,
    bound: SocketAddr,
    listener: TcpListener,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of descriptors: give others a chance to close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some(place) = context.places.take(peer.ip()) else {
            context.counters.refused_connections.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let local = SocketAddr::new(stream.local_addr().map_or(bound.ip(), |l| l.ip()), bound.port());
        let flow = Flow {
            transport,
            listener: id,
            connection: context.connection_id(),
            local,
            peer,
        };
        if transport == Transport::Tcp {
            let peer = Peer::Came(Identity::default());
            start(flow, peer, Wire::Tcp(stream), place, context.patience, &events).await;
            continue;
        }
        let Some(half_open) = context.half_open.take(peer.ip()) else {
            context.counters.refused_connections.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (events, context) = (events.clone(), context.clone());
        let aside = context.aside.handle();
        aside.spawn(async move {
            let wire = timeout(context.patience.handshake, shake_hands(transport, stream, &context)).await;
            drop(half_open);
            match wire {
                Ok(Ok((wire, who))) => start(flow, Peer::Came(who), wire, place, context.patience, &events).await,
                Ok(Err(_)) | Err(_) => {
                    context.counters.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
}

/// What comes before the first message of a connection that was opened to us, and who has opened it.
async fn shake_hands(transport: Transport, stream: TcpStream, context: &Context) -> io::Result<(Wire, Identity)> {
    let keys = context.keys();
    let wire = match transport {
        Transport::Udp | Transport::Tcp => Wire::Tcp(stream),
        Transport::Tls => {
            let (stream, who) = keys.accept(stream).await?;
            if who.as_ref().is_some_and(|who| who.by.is_empty()) {
                context.counters.not_vouched.fetch_add(1, Ordering::Relaxed);
            }
            return Ok((Wire::Tls(Box::new(stream)), who.unwrap_or_default()));
        }
        Transport::Ws => Wire::Ws(Box::new(WebSocket::accept(stream).await?)),
        Transport::Wss => Wire::Wss(Box::new(WebSocket::accept(keys.accept_anybody(stream).await?).await?)),
    };
    Ok((wire, Identity::default()))
}

/// Opens a connection from the listener's own address.
pub(super) fn connect(
    flow: Flow,
    target: Target,
    bound: IpAddr,
    events: mpsc::Sender<NetEvent>,
    context: &Arc<Context>,
) {
    let (place, patience) = (context.places.take(flow.peer.ip()), context.patience);
    let shared = context.clone();
    let place_to_run = match target.transport {
        Transport::Tls => context.aside.handle(),
        Transport::Udp | Transport::Tcp | Transport::Ws | Transport::Wss => runtime::Handle::current(),
    };
    place_to_run.spawn(async move {
        if let Some(place) = place
            && let Ok(Ok(wire)) = timeout(limits::CONNECT, open_wire(bound, &target, &shared)).await
        {
            return start(flow, Peer::Visited(target.name), wire, place, patience, &events).await;
        }
        let _ = events.send(NetEvent::Failed(target)).await;
    });
}

async fn open_wire(bound: IpAddr, target: &Target, context: &Context) -> io::Result<Wire> {
    let stream = open(bound, target.addr).await?;
    match target.transport {
        Transport::Tls => {
            let host = target.host();
            let shaken = context.keys().connect(&host, stream).await;
            if let Err(why) = &shaken {
                // The other side is up and cannot be used: only a person can change that.
                warn!("TLS with {host} at {} failed: {why}", target.addr);
            }
            Ok(Wire::Tls(Box::new(shaken?)))
        }
        Transport::Tcp => Ok(Wire::Tcp(stream)),
        // A browser connects to us, never we to it.
        Transport::Udp | Transport::Ws | Transport::Wss => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn open(bound: IpAddr, peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = if peer.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.bind(SocketAddr::new(source(bound), 0))?;
    socket.connect(peer).await
}

async fn start(flow: Flow, peer: Peer, wire: Wire, place: Place, patience: Patience, events: &mpsc::Sender<NetEvent>) {
    let (name, known, identity) = match peer {
        Peer::Came(identity) => (None, false, identity),
        Peer::Visited(name) => (name, true, Identity::default()),
    };
    let (queue, outgoing) = mpsc::channel(MESSAGES);
    let shared = Arc::new(Shared {
        waiting: AtomicUsize::new(0),
        known: AtomicBool::new(known),
    });
    let handle = Handle {
        queue,
        shared: shared.clone(),
        name,
    };
    if events.send(NetEvent::Opened(flow, handle)).await.is_err() {
        return;
    }
    if !identity.by.is_empty() {
        let _ = events.send(NetEvent::Identified(flow, identity)).await;
    }
    let events = events.clone();
    tokio::spawn(async move {
        let _ = serve(flow, wire, patience, outgoing, &shared, &events).await;
        drop(place);
        let _ = events.send(NetEvent::Closed(flow)).await;
    });
}

impl Wire {
    fn socket(&self) -> &TcpStream {
        match self {
            Wire::Tcp(stream) => stream,
            Wire::Tls(stream) => stream.get_ref().0,
            Wire::Ws(socket) => socket.stream(),
            Wire::Wss(socket) => socket.stream().get_ref().0,
        }
    }
}

/// Reads and writes until either side ends it, nothing is said for too long, or a message takes too long to arrive.
async fn serve(
    flow: Flow,
    wire: Wire,
    patience: Patience,
    outgoing: mpsc::Receiver<Bytes>,
    shared: &Shared,
    events: &mpsc::Sender<NetEvent>,
) -> io::Result<()> {
    wire.socket().set_nodelay(true)?;
    SockRef::from(wire.socket()).set_tcp_keepalive(&KEEP_ALIVE)?;
    let (pong, pongs) = mpsc::channel(1);
    match wire {
        Wire::Tcp(mut stream) => {
            let (reader, writer) = stream.split();
            tokio::select! {
                ended = read(flow, reader, patience, &shared.known, &pong, events) => ended,
                ended = write(writer, outgoing, pongs, patience, &shared.waiting) => ended,
            }
        }
        Wire::Tls(stream) => {
            let (reader, writer) = tokio::io::split(*stream);
            tokio::select! {
                ended = read(flow, reader, patience, &shared.known, &pong, events) => ended,
                ended = write(writer, outgoing, pongs, patience, &shared.waiting) => ended,
            }
        }
        Wire::Ws(socket) => socket.serve(flow, patience, outgoing, shared, events).await,
        Wire::Wss(socket) => socket.serve(flow, patience, outgoing, shared, events).await,
    }
}

async fn read(
    flow: Flow,
    mut stream: impl AsyncRead + Unpin,
    patience: Patience,
    known: &AtomicBool,
    pong: &mpsc::Sender<()>,
    events: &mpsc::Sender<NetEvent>,
) -> io::Result<()> {
    let known = || known.load(Ordering::Relaxed);
    let mut buffer = BytesMut::with_capacity(4096);
    let mut deadline = Instant::now() + if known() { patience.known } else { patience.first };
    // When something whole was said last, while its peer was a stranger and no message has begun since.
    let mut strange = None;
    let mut begun = false;
    loop {
        match timeout_at(deadline, stream.read_buf(&mut buffer)).await {
            Ok(read) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            Err(late) => {
                // What was said last may have shown who it is.
                let said: Instant = strange.take().filter(|_| known()).ok_or(late)?;
                deadline = said + patience.known;
                continue;
            }
        }
        while let Some(frame) = frame::next(&mut buffer).map_err(|_| io::ErrorKind::InvalidData)? {
            begun = false;
            match frame {
                Frame::Message(bytes) => {
                    if events.send(NetEvent::Message(flow, bytes)).await.is_err() {
                        return Ok(());
                    }
                }
                // One that finds another still unanswered is answered together with it.
                Frame::Ping => {
                    let _ = pong.try_send(());
                }
                Frame::Pong => {}
            }
        }
        // A message that has begun keeps its deadline, however slowly its octets drip.
        if buffer.is_empty() {
            let (now, known) = (Instant::now(), known());
            strange = (!known).then_some(now);
            deadline = now + if known { patience.known } else { patience.stranger };
        } else if !begun {
            strange = None;
            deadline = Instant::now() + patience.message;
            begun = true;
        }
    }
}

/// Ends when everything is written that was handed over before the handle was dropped.
pub(super) async fn write(
    mut stream: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<Bytes>,
    mut pongs: mpsc::Receiver<()>,
    patience: Patience,
    waiting: &AtomicUsize,
) -> io::Result<()> {
    loop {
        let message = tokio::select! {
            message = outgoing.recv() => message,
            Some(()) = pongs.recv() => {
                timeout(patience.write, put(&mut stream, b"\r\n")).await??;
                continue;
            }
        };
        let Some(message) = message else {
            // Under TLS the peer learns that nothing was cut off (RFC 8446 6.1).
            return timeout(limits::HANDSHAKE, stream.shutdown()).await?;
        };
        let written = timeout(patience.write, put(&mut stream, &message)).await;
        waiting.fetch_sub(message.len(), Ordering::Relaxed);
        written??;
    }
}

/// To the wire itself: what is under TLS may otherwise wait in a buffer.
async fn put(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
