//! Connections: one task each, which reads frames and writes what it is handed.

use super::places::Place;
use super::{Context, NetEvent, Socket, source};
use crate::id::{Flow, ListenerId, Transport};
use crate::limits;
use crate::sip::frame::{self, Frame};
use bytes::{Bytes, BytesMut};
use socket2::{Domain, Protocol, SockRef, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// Connections that wait to be accepted.
const ACCEPT_QUEUE: i32 = 1024;
/// Messages that wait for one peer; their bytes are bounded too.
const MESSAGES: usize = 1024;
/// A peer that vanished is noticed after a minute of silence and four probes.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// How long a connection may keep us waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the first octet of one that was opened to us: a stranger who says nothing is not kept for long.
    pub first: Duration,
    /// For the rest of a message that has begun.
    pub message: Duration,
    /// Between two messages of one who is not known.
    pub stranger: Duration,
    /// Between two messages of one who is.
    pub known: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            first: limits::CONNECTION_MESSAGE,
            message: limits::CONNECTION_MESSAGE,
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
}

/// What the signalling loop and a connection's task share.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes that wait to be written.
    waiting: AtomicUsize,
    /// The peer has shown who it is.
    known: AtomicBool,
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
    addr: SocketAddr,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
) -> io::Result<(SocketAddr, Socket)> {
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for old connections of the port to die; a listening socket still refuses a second one.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(ACCEPT_QUEUE)?;
    let listener = TcpListener::from_std(socket.into())?;
    let bound = listener.local_addr()?;
    let task = tokio::spawn(accept(id, bound, listener, events, context));
    Ok((bound, Socket::Tcp(task)))
}

async fn accept(
    id: ListenerId,
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
            transport: Transport::Tcp,
            listener: id,
            connection: context.connection_id(),
            local,
            peer,
        };
        start(flow, stream, place, context.patience, false, &events).await;
    }
}

/// Opens a connection from the listener's own address.
pub(super) fn connect(flow: Flow, bound: IpAddr, events: mpsc::Sender<NetEvent>, context: &Context) {
    let (place, patience) = (context.places.take(flow.peer.ip()), context.patience);
    tokio::spawn(async move {
        if let Some(place) = place
            && let Ok(Ok(stream)) = timeout(limits::CONNECT, open(bound, flow.peer)).await
        {
            return start(flow, stream, place, patience, true, &events).await;
        }
        let _ = events.send(NetEvent::Failed(flow.peer)).await;
    });
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

async fn start(
    flow: Flow,
    stream: TcpStream,
    place: Place,
    patience: Patience,
    known: bool,
    events: &mpsc::Sender<NetEvent>,
) {
    let (queue, outgoing) = mpsc::channel(MESSAGES);
    let shared = Arc::new(Shared {
        waiting: AtomicUsize::new(0),
        known: AtomicBool::new(known),
    });
    let handle = Handle {
        queue,
        shared: shared.clone(),
    };
    if events.send(NetEvent::Opened(flow, handle)).await.is_err() {
        return;
    }
    let events = events.clone();
    tokio::spawn(async move {
        let _ = serve(flow, stream, patience, outgoing, &shared, &events).await;
        drop(place);
        let _ = events.send(NetEvent::Closed(flow)).await;
    });
}

/// Reads and writes until either side ends it, nothing is said for too long, or a message takes too long to arrive.
async fn serve(
    flow: Flow,
    mut stream: TcpStream,
    patience: Patience,
    outgoing: mpsc::Receiver<Bytes>,
    shared: &Shared,
    events: &mpsc::Sender<NetEvent>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&KEEP_ALIVE)?;
    let (reader, writer) = stream.split();
    let (pong, pongs) = mpsc::channel(1);
    tokio::select! {
        ended = read(flow, reader, patience, &shared.known, &pong, events) => ended,
        ended = write(writer, outgoing, pongs, &shared.waiting) => ended,
    }
}

async fn read(
    flow: Flow,
    mut stream: ReadHalf<'_>,
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
async fn write(
    mut stream: WriteHalf<'_>,
    mut outgoing: mpsc::Receiver<Bytes>,
    mut pongs: mpsc::Receiver<()>,
    waiting: &AtomicUsize,
) -> io::Result<()> {
    loop {
        tokio::select! {
            message = outgoing.recv() => {
                let Some(message) = message else { return Ok(()) };
                let written = timeout(limits::CONNECTION_MESSAGE, stream.write_all(&message)).await;
                waiting.fetch_sub(message.len(), Ordering::Relaxed);
                written??;
            }
            Some(()) = pongs.recv() => timeout(limits::CONNECTION_MESSAGE, stream.write_all(b"\r\n")).await??,
        }
    }
}
