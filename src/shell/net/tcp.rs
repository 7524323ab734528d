//! Connections: one task each, which reads frames and writes what it is handed.

use super::{Context, NetEvent, Socket, source, udp};
use crate::id::{Flow, ListenerId, Ticket, Transport};
use crate::limits;
use crate::sip::frame::{self, Frame};
use bytes::{Bytes, BytesMut};
use socket2::{Domain, Protocol, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// Connections that wait to be accepted.
const ACCEPT_QUEUE: i32 = 1024;
/// Messages that wait for one peer; their bytes are bounded too.
const MESSAGES: usize = 1024;

/// The way to a connection's task.
#[derive(Clone, Debug)]
pub struct Handle {
    queue: mpsc::Sender<Bytes>,
    waiting: Arc<AtomicUsize>,
}

impl Handle {
    /// False if the connection is gone or its peer reads too slowly: then it is closed.
    pub(super) fn send(&self, bytes: Bytes) -> bool {
        let waiting = self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        waiting <= limits::CONNECTION_BACKLOG_BYTES && self.queue.try_send(bytes).is_ok()
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
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let open = context.open_connections.load(Ordering::Relaxed);
        if usize::try_from(open).is_ok_and(|open| open >= limits::CONNECTIONS) {
            context.counters.refused_connections.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let local = SocketAddr::new(
            stream.local_addr().map_or(udp::local_ip(bound.ip(), peer), |l| l.ip()),
            bound.port(),
        );
        let flow = Flow {
            transport: Transport::Tcp,
            listener: id,
            connection: context.connection_id(),
            local,
            peer,
        };
        start(None, flow, stream, events.clone(), context.clone()).await;
    }
}

/// Opens a connection for a ticket, from the listener's own address.
pub(super) fn connect(
    ticket: Ticket,
    flow: Flow,
    bound: IpAddr,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
) {
    tokio::spawn(async move {
        match timeout(limits::CONNECT, open(bound, flow.peer)).await {
            Ok(Ok(stream)) => start(Some(ticket), flow, stream, events, context).await,
            Ok(Err(_)) | Err(_) => {
                let _ = events.send(NetEvent::Failed(ticket)).await;
            }
        }
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
    ticket: Option<Ticket>,
    flow: Flow,
    stream: TcpStream,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
) {
    let (queue, outgoing) = mpsc::channel(MESSAGES);
    let waiting = Arc::new(AtomicUsize::new(0));
    let handle = Handle {
        queue,
        waiting: waiting.clone(),
    };
    if events.send(NetEvent::Opened(ticket, flow, handle)).await.is_err() {
        return;
    }
    context.open_connections.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(async move {
        let _ = serve(flow, stream, outgoing, &waiting, &events).await;
        context.open_connections.fetch_sub(1, Ordering::Relaxed);
        let _ = events.send(NetEvent::Closed(flow)).await;
    });
}

/// Reads and writes until either side ends it, nothing is said for too long, or a message takes too long to arrive.
async fn serve(
    flow: Flow,
    mut stream: TcpStream,
    mut outgoing: mpsc::Receiver<Bytes>,
    waiting: &AtomicUsize,
    events: &mpsc::Sender<NetEvent>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(4096);
    let mut deadline = Instant::now() + limits::CONNECTION_IDLE;
    let mut begun = false;
    loop {
        tokio::select! {
            biased;
            message = outgoing.recv() => {
                let Some(message) = message else { return Ok(()) };
                let written = timeout(limits::CONNECTION_MESSAGE, stream.write_all(&message)).await;
                waiting.fetch_sub(message.len(), Ordering::Relaxed);
                written.map_err(|_| io::ErrorKind::TimedOut)??;
            }
            read = timeout_at(deadline, stream.read_buf(&mut buffer)) => {
                if read.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
                    return Ok(());
                }
                while let Some(frame) = frame::next(&mut buffer).map_err(|_| io::ErrorKind::InvalidData)? {
                    begun = false;
                    match frame {
                        Frame::Message(bytes) => {
                            let _ = events.send(NetEvent::Message(flow, bytes)).await;
                        }
                        Frame::Ping => timeout(limits::CONNECTION_MESSAGE, stream.write_all(b"\r\n")).await??,
                        Frame::Pong => {}
                    }
                }
                // A message that has begun keeps its deadline, however slowly its octets drip.
                if buffer.is_empty() {
                    deadline = Instant::now() + limits::CONNECTION_IDLE;
                    begun = false;
                } else if !begun {
                    deadline = Instant::now() + limits::CONNECTION_MESSAGE;
                    begun = true;
                }
            }
        }
    }
}
