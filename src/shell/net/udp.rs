//! Datagrams in and out.
//!
//! The system is asked when a datagram came, and how many it had to drop before it since the socket was full: how far we are behind.
//!
//! A socket that is bound to a wildcard asks the system which address of ours each datagram was sent to (`IP_PKTINFO`), and
//! answers from that address: a machine may have several, and a peer drops what comes from another one than it called.

use crate::id::{ConnectionId, Flow, ListenerId, Transport};
use nix::libc;
use nix::sys::socket::sockopt::{
    Ipv4PacketInfo, Ipv6RecvPacketInfo, RcvBufForce, ReceiveTimestampns, RxqOvfl, SndBufForce,
};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt};
use socket2::{Domain, Protocol, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Room for bursts while the machine is busy: a thousand datagrams of full size.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

pub(super) fn listen(addr: SocketAddr) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system may grant less (net.core.rmem_max) to those who are not root; that is no reason not to start.
    let fd = socket.as_raw_fd();
    if setsockopt(fd, RcvBufForce, &SOCKET_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    }
    if setsockopt(fd, SndBufForce, &SOCKET_BUFFER).is_err() {
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    }
    socket.set_nonblocking(true)?;
    // Where neither is to be had, nothing counts as overload; that is no reason not to start either.
    let _ = setsockopt(fd, ReceiveTimestampns, &true);
    let _ = setsockopt(fd, RxqOvfl, &1);
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => setsockopt(fd, Ipv4PacketInfo, &true)?,
        IpAddr::V6(ip) if ip.is_unspecified() => setsockopt(fd, Ipv6RecvPacketInfo, &true)?,
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    socket.bind(&addr.into())?;
    let socket = UdpSocket::from(socket);
    Ok((socket.local_addr()?, socket))
}

/// How much of the room that it should have a socket was granted.
pub(super) fn room(socket: &UdpSocket) -> f64 {
    // Linux counts its own keeping of books, and gives twice what was asked for (socket(7)).
    let granted = socket2::SockRef::from(socket).recv_buffer_size().unwrap_or(0) / 2;
    granted as f64 / SOCKET_BUFFER as f64
}

/// One datagram.
pub(super) struct Received {
    /// In octets.
    pub(super) length: usize,
    pub(super) peer: SocketAddr,
    /// The address of ours that it was sent to, where the socket does not say it.
    called: Option<IpAddr>,
    /// Of one that was asked about it.
    pub(super) arrival: Option<Arrival>,
}

/// How a datagram came.
pub(super) struct Arrival {
    /// When the system had it, since 1970 by the wall clock.
    pub(super) at: Duration,
    /// How many its socket has had to drop before.
    pub(super) dropped: u32,
}

impl Received {
    /// The flow that it came by.
    pub(super) fn flow(&self, id: ListenerId, bound: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            listener: id,
            connection: ConnectionId(0),
            local: SocketAddr::new(self.called.unwrap_or(bound.ip()), bound.port()),
            peer: self.peer,
        }
    }
}

/// Takes one datagram from a socket; how it came is told if that `is_asked`, since it costs a little.
pub(super) fn receive(
    socket: &UdpSocket,
    bound: SocketAddr,
    is_asked: bool,
    buffer: &mut [u8],
    control: &mut Vec<u8>,
) -> io::Result<Received> {
    if is_asked || bound.ip().is_unspecified() {
        return with_control(socket.as_raw_fd(), is_asked, buffer, control);
    }
    let (length, peer) = socket.recv_from(buffer)?;
    Ok(Received {
        length,
        peer,
        called: None,
        arrival: None,
    })
}

/// Room for what a socket tells of a datagram.
pub(super) fn control() -> Vec<u8> {
    nix::cmsg_space!(libc::in6_pktinfo, libc::timespec, u32)
}

/// One datagram with what the socket tells of it.
fn with_control(socket: RawFd, is_asked: bool, buffer: &mut [u8], control: &mut Vec<u8>) -> io::Result<Received> {
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket, &mut parts, Some(control), MsgFlags::empty())?;
    // A socket that has dropped none does not say so.
    let (mut called, mut came, mut dropped) = (None, None, 0);
    for part in message.cmsgs() {
        match part {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                called = Some(Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr)).into());
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => called = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into()),
            ControlMessageOwned::ScmTimestampns(at) => came = Some(Duration::from(at)),
            ControlMessageOwned::RxqOvfl(count) => dropped = count,
            _ => {}
        }
    }
    let peer = message
        .address
        .as_ref()
        .and_then(address)
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(Received {
        length: message.bytes,
        peer,
        called,
        arrival: came.filter(|_| is_asked).map(|at| Arrival { at, dropped }),
    })
}

fn address(of: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = of.as_sockaddr_in().map(|addr| SocketAddr::V4((*addr).into()));
    v4.or_else(|| of.as_sockaddr_in6().map(|addr| SocketAddr::V6((*addr).into())))
}

/// Sends one datagram, from a wildcard socket by the flow's own address.
pub(super) fn send(socket: &UdpSocket, bound: IpAddr, flow: Flow, bytes: &[u8]) -> io::Result<()> {
    if bound.is_unspecified() {
        send_from(socket.as_raw_fd(), flow, bytes)
    } else {
        socket.send_to(bytes, flow.peer).map(|_| ())
    }
}

fn send_from(socket: RawFd, flow: Flow, bytes: &[u8]) -> io::Result<()> {
    let to = SockaddrStorage::from(flow.peer);
    let parts = [IoSlice::new(bytes)];
    let send = |from: &[ControlMessage<'_>]| sendmsg(socket, &parts, from, MsgFlags::empty(), Some(&to));
    let sent = match flow.local.ip() {
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
    let probe = UdpSocket::bind((any, 0)).ok()?;
    probe.connect(peer).ok()?;
    Some(probe.local_addr().ok()?.ip())
}
