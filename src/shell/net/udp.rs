//! Datagrams in and out.
//!
//! A socket that is bound to a wildcard asks the system which address of ours each datagram was sent to (`IP_PKTINFO`), and
//! answers from that address: a machine may have several, and a peer drops what comes from another one than it called.

use super::{Context, NetEvent, Socket};
use crate::id::{ConnectionId, Flow, ListenerId, Transport};
use crate::limits;
use crate::sip::frame;
use crate::stun;
use bytes::Bytes;
use nix::libc;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt};
use socket2::{Domain, Protocol, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Room for bursts while the machine is busy: a thousand datagrams of full size.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

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
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => setsockopt(socket.as_raw_fd(), Ipv4PacketInfo, &true)?,
        IpAddr::V6(ip) if ip.is_unspecified() => setsockopt(socket.as_raw_fd(), Ipv6RecvPacketInfo, &true)?,
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
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
    let mut control = nix::cmsg_space!(libc::in6_pktinfo);
    let flow_of = |peer: SocketAddr, called: Option<IpAddr>| Flow {
        transport: Transport::Udp,
        listener: id,
        connection: ConnectionId(0),
        local: SocketAddr::new(called.unwrap_or(bound.ip()), bound.port()),
        peer,
    };
    loop {
        let read = || datagram(&socket, &mut buffer, &mut control);
        // An error here is an ICMP answer to something that we sent: the next datagram is as good as ever.
        let Ok((length, peer, called)) = socket.async_io(Interest::READABLE, read).await else {
            continue;
        };
        // RFC 5626 8: the keep-alive of phones, which is no message.
        if let Some(answer) = stun::answer(&buffer[..length], peer) {
            let flow = flow_of(peer, called);
            let _ = send(&socket, bound.ip(), flow, &answer);
            continue;
        }
        let Some(bytes) = frame::datagram(Bytes::copy_from_slice(&buffer[..length])) else {
            context.counters.not_sip.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let flow = flow_of(peer, called);
        match events.try_send(NetEvent::Message(flow, bytes)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                context.counters.dropped_full.fetch_add(1, Ordering::Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

/// One datagram: its length, its sender, and for a wildcard socket the address of ours that it was sent to.
fn datagram(
    socket: &UdpSocket,
    buffer: &mut [u8],
    control: &mut Vec<u8>,
) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(control), MsgFlags::empty())?;
    let called = message.cmsgs().find_map(|part| match part {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr))))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr))),
        _ => None,
    });
    let peer = message
        .address
        .as_ref()
        .and_then(address)
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok((message.bytes, peer, called))
}

fn address(of: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = of.as_sockaddr_in().map(|addr| SocketAddr::V4((*addr).into()));
    v4.or_else(|| of.as_sockaddr_in6().map(|addr| SocketAddr::V6((*addr).into())))
}

/// Sends one datagram, from a wildcard socket by the flow's own address.
pub(super) fn send(socket: &impl AsRawFd, bound: IpAddr, flow: Flow, bytes: &[u8]) -> io::Result<()> {
    let to = SockaddrStorage::from(flow.peer);
    let parts = [IoSlice::new(bytes)];
    let send = |from: &[ControlMessage<'_>]| sendmsg(socket.as_raw_fd(), &parts, from, MsgFlags::empty(), Some(&to));
    let sent = match flow.local.ip() {
        _ if !bound.is_unspecified() => send(&[]),
        IpAddr::V4(ip) => send(&[ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr {
                s_addr: ip.to_bits().to_be(),
            },
            ipi_addr: libc::in_addr { s_addr: 0 },
        })]),
        IpAddr::V6(ip) => send(&[ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
            ipi6_ifindex: 0,
        })]),
    };
    // An address that this machine no longer has: by whatever it has now.
    sent.or_else(|_| send(&[]))?;
    Ok(())
}

/// Our address towards a peer as the system's routes choose it. Connecting a datagram socket sends nothing.
pub(super) fn route(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let probe = std::net::UdpSocket::bind((any, 0)).ok()?;
    probe.connect(peer).ok()?;
    Some(probe.local_addr().ok()?.ip())
}
