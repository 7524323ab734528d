//! Datagrams in.

use super::{Context, NetEvent, Socket};
use crate::id::{ConnectionId, Flow, ListenerId, Transport};
use crate::limits;
use crate::sip::frame;
use bytes::Bytes;
use socket2::{Domain, Protocol, Type};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Room for bursts while the machine is busy: a thousand datagrams of full size.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Local addresses that are remembered by peer; forgotten together, so that a changed route is seen.
const ROUTES: usize = 4096;

pub(super) fn listen(
    id: ListenerId,
    addr: SocketAddr,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
) -> io::Result<(SocketAddr, Socket)> {
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system may grant less; that is no reason not to start.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    let socket = std::net::UdpSocket::from(socket);
    // Sending goes past the event loop: it never waits, and a new socket can send before the loop has first seen it.
    let sender = socket.try_clone()?;
    let bound = socket.local_addr()?;
    let task = tokio::spawn(receive(id, bound, UdpSocket::from_std(socket)?, events, context));
    Ok((bound, Socket::Udp(sender, task)))
}

async fn receive(
    id: ListenerId,
    bound: SocketAddr,
    socket: UdpSocket,
    events: mpsc::Sender<NetEvent>,
    context: Arc<Context>,
) {
    let mut buffer = vec![0u8; limits::SIP_MESSAGE_BYTES];
    loop {
        // An error here is an ICMP answer to something that we sent: the next datagram is as good as ever.
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let Some(bytes) = frame::datagram(Bytes::copy_from_slice(&buffer[..length])) else {
            context.counters.not_sip.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let local = SocketAddr::new(local_ip(bound.ip(), peer), bound.port());
        let flow = Flow {
            transport: Transport::Udp,
            listener: id,
            connection: ConnectionId(0),
            local,
            peer,
        };
        match events.try_send(NetEvent::Message(flow, bytes)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                context.counters.dropped_full.fetch_add(1, Ordering::Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

thread_local! {
    static LOCAL_BY_PEER: RefCell<HashMap<IpAddr, IpAddr>> = RefCell::new(HashMap::new());
}

/// Our address towards a peer: the bound one, or for a wildcard the one that the system's routes choose.
pub(super) fn local_ip(bound: IpAddr, peer: SocketAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    LOCAL_BY_PEER.with_borrow_mut(|known| {
        if let Some(ip) = known.get(&peer.ip()) {
            return *ip;
        }
        if known.len() >= ROUTES {
            known.clear();
        }
        let ip = route(bound, peer).unwrap_or(bound);
        known.insert(peer.ip(), ip);
        ip
    })
}

/// Connecting a datagram socket sends nothing; it only asks the routing table.
fn route(bound: IpAddr, peer: SocketAddr) -> io::Result<IpAddr> {
    let probe = std::net::UdpSocket::bind((bound, 0))?;
    probe.connect(peer)?;
    Ok(probe.local_addr()?.ip())
}
