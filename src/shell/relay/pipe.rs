//! Connections with peers (RFC 6062), each joined to a stream of its client: octets flow both ways as they are, and are read no faster than the
//! other end takes them and the bandwidth allows.

use super::stream::Sent;
use super::thread::{DOOR, KIND, PEER, Relayed, STREAM, Thread, watch};
use crate::relay::{ConnectionId, RelayId, StreamId};
use crate::time::Clock;
use rustix::event::epoll::{self, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Connections that wait for being accepted, of one relayed address.
const BACKLOG: i32 = 16;
/// How long an address is not listened to when there are no descriptors.
const SHUT: Duration = Duration::from_millis(250);
/// Of them taken in one turn.
const ACCEPTED: usize = 4;

/// One end of the pipe; the other is a stream.
pub(super) struct Peer {
    socket: TcpStream,
    state: State,
    /// What it has not taken yet: nothing is read of the client until it has.
    outbox: Vec<u8>,
    /// Nothing is read of it, or of its client, for a while: there is no bandwidth.
    pub(super) rests: [bool; 2],
    /// What it and its stream are listened to for.
    listens: [Option<EventFlags>; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not answered yet.
    Connecting,
    /// Its client has not come for it yet: nothing is read of it.
    Waiting,
    Joined(StreamId),
}

/// A socket of a relayed address; there are several with one address: that which listens, and one for each connection from there.
fn unbound(own: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(own), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if own.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// That which listens. It is bound before it says that it shares its address, so that it shares it with nothing that was there before: another
/// program of our user that says the same would get a part of those who connect.
pub(super) fn listening(own: SocketAddr) -> io::Result<TcpListener> {
    let socket = unbound(own)?;
    socket.bind(&own.into())?;
    socket.set_reuse_port(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

pub(super) fn connecting(own: SocketAddr, peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = unbound(own)?;
    socket.set_reuse_port(true)?;
    socket.bind(&own.into())?;
    match socket.connect(&peer.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        Ok(()) | Err(_) => Ok(socket.into()),
    }
}

impl Thread {
    /// A relayed address for connections.
    pub(super) fn listen(&mut self, relay: RelayId, address: SocketAddr) -> bool {
        let bind = || {
            let socket = listening(address)?;
            watch(&self.epoll, &socket, DOOR * KIND + u64::from(relay.0))?;
            io::Result::Ok(socket)
        };
        let Ok(listener) = bind() else { return false };
        self.keep(relay, Relayed::Connections(listener, address));
        true
    }

    /// A peer has come to a relayed address.
    pub(super) fn accept(&mut self, now: Clock, relay: RelayId) {
        for _ in 0..ACCEPTED {
            let relayed = self.relays.get(relay.0 as usize).and_then(Option::as_ref);
            let Some(Relayed::Connections(listener, _)) = relayed else {
                return;
            };
            let (socket, from) = match listener.accept() {
                Ok(came) => came,
                // None is there any more; or it is gone already, and the next one is heard of in the next turn.
                Err(why) if is_of_one(&why) => return,
                Err(_) => return self.shut(now, relay),
            };
            if socket.set_nonblocking(true).is_err() {
                continue;
            }
            if let Some(id) = self.server.accepted(now, relay, from) {
                self.add(id, socket, State::Waiting);
            }
            self.carry_out(now);
        }
    }

    /// No descriptor is left for who has come, who would be told of again at once: he waits, and nothing is heard of this address for a while.
    fn shut(&mut self, now: Clock, relay: RelayId) {
        self.gauges.no_files.fetch_add(1, Ordering::Relaxed);
        self.shut.set(relay, now.now + SHUT);
        self.door(relay, EventFlags::empty());
    }

    /// It is listened to again.
    pub(super) fn reopen(&mut self, relay: RelayId) {
        self.door(relay, EventFlags::IN);
    }

    fn door(&self, relay: RelayId, flags: EventFlags) {
        let relayed = self.relays.get(relay.0 as usize).and_then(Option::as_ref);
        if let Some(Relayed::Connections(listener, _)) = relayed {
            listen_for(&self.epoll, listener, DOOR * KIND + u64::from(relay.0), flags);
        }
    }

    /// Begins to connect from a relayed address.
    pub(super) fn connect(&mut self, now: Clock, id: ConnectionId, relay: RelayId, peer: SocketAddr) {
        let relayed = self.relays.get(relay.0 as usize).and_then(Option::as_ref);
        let socket = match relayed {
            Some(Relayed::Connections(_, own)) => connecting(*own, peer).ok(),
            Some(Relayed::Datagrams(..)) | None => None,
        };
        match socket {
            Some(socket) => self.add(id, socket, State::Connecting),
            None => self.server.connected(now, id, false),
        }
    }

    fn add(&mut self, id: ConnectionId, socket: TcpStream, state: State) {
        // What is relayed is as it is; who cares for delay has small packets.
        let _ = socket.set_nodelay(true);
        let flags = if state == State::Connecting {
            EventFlags::OUT
        } else {
            EventFlags::empty()
        };
        let data = epoll::EventData::new_u64(PEER * KIND + u64::from(id.0));
        if epoll::add(&self.epoll, &socket, data, flags).is_err() {
            return self.server.over(id);
        }
        let peer = Peer {
            socket,
            state,
            outbox: Vec::new(),
            rests: [false; 2],
            listens: [Some(flags), None],
        };
        self.peers.insert(id, peer);
    }

    /// Something has happened to a connection with a peer.
    pub(super) fn peer_ready(&mut self, now: Clock, id: ConnectionId, flags: EventFlags) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let is_lost = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        match peer.state {
            State::Connecting => {
                let open = matches!(peer.socket.take_error(), Ok(None)) && !is_lost;
                peer.state = State::Waiting;
                self.server.connected(now, id, open);
            }
            State::Waiting if is_lost => self.server.over(id),
            State::Waiting => {}
            State::Joined(stream) => {
                if flags.contains(EventFlags::OUT) {
                    self.drain(id, stream);
                }
                if flags.contains(EventFlags::IN) {
                    self.flow_down(now, id, stream);
                } else if is_lost {
                    self.server.over(id);
                }
            }
        }
        self.interest(id);
        self.carry_out(now);
    }

    /// A stream of the client is joined to it.
    pub(super) fn join(&mut self, id: ConnectionId, stream: StreamId) {
        let both = self.peers.get_mut(&id).zip(self.streams.get_mut(stream.0 as usize));
        let Some((peer, joined)) = both else {
            return self.server.over(id);
        };
        (peer.state, joined.joined) = (State::Joined(stream), Some(id));
        self.interest(id);
    }

    pub(super) fn disconnect(&mut self, id: ConnectionId) {
        self.peers.remove(&id);
        self.rests.cancel((id, true));
        self.rests.cancel((id, false));
    }

    /// There is bandwidth again.
    pub(super) fn rested(&mut self, id: ConnectionId, to_peer: bool) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.rests[usize::from(to_peer)] = false;
            if let State::Joined(stream) = peer.state {
                self.unread.push(stream);
            }
            self.interest(id);
        }
    }

    /// A stream that is joined has something, or takes something.
    pub(super) fn flow_up(&mut self, now: Clock, stream: StreamId, id: ConnectionId, flags: EventFlags) {
        let both = self.peers.get(&id).zip(self.streams.get_mut(stream.0 as usize));
        let Some((peer, own)) = both else { return };
        if !peer.outbox.is_empty() || peer.rests[1] {
            if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                self.server.over(id);
            }
            return;
        }
        let mut room = std::mem::take(&mut self.room);
        match own.read(&mut room) {
            Ok(0) => self.server.over(id),
            Ok(length) => {
                self.send_up(now, id, &room[..length]);
                // Of what is deciphered already the socket says nothing.
                self.unread.push(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.unread.push(stream),
            Err(_) => self.server.over(id),
        }
        self.room = room;
        self.interest(id);
    }

    /// Octets of the client for its peer.
    pub(super) fn send_up(&mut self, now: Clock, id: ConnectionId, octets: &[u8]) {
        let Some(peer) = self.peers.get_mut(&id).filter(|_| !octets.is_empty()) else {
            return;
        };
        let taken = match peer.outbox.is_empty() {
            true => peer.socket.write(octets),
            false => Ok(0),
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return self.server.over(id),
        };
        peer.outbox.extend_from_slice(&octets[taken..]);
        self.flows(now, id, true, octets.len());
    }

    fn flow_down(&mut self, now: Clock, id: ConnectionId, stream: StreamId) {
        let both = self.peers.get_mut(&id).zip(self.streams.get_mut(stream.0 as usize));
        let Some((peer, own)) = both else { return };
        if own.is_blocked() || peer.rests[0] {
            return;
        }
        match peer.socket.read(&mut self.room) {
            Ok(0) => self.server.over(id),
            Ok(length) => match own.send(&self.room[..length]) {
                Sent::Whole | Sent::Waits => self.flows(now, id, false, length),
                Sent::Dropped | Sent::Broken => self.server.over(id),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.server.over(id),
        }
    }

    /// The peer takes more of what waits for it.
    fn drain(&mut self, id: ConnectionId, stream: StreamId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match peer.socket.write(&peer.outbox) {
            Ok(taken) => drop(peer.outbox.drain(..taken)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return self.server.over(id),
        }
        if peer.outbox.is_empty() {
            self.unread.push(stream);
        }
    }

    /// What has flowed is counted, and may be too much.
    fn flows(&mut self, now: Clock, id: ConnectionId, to_peer: bool, octets: usize) {
        if let Some(until) = self.server.flows(now.now, id, to_peer, octets)
            && let Some(peer) = self.peers.get_mut(&id)
        {
            peer.rests[usize::from(to_peer)] = true;
            self.rests.set((id, to_peer), until);
        }
    }

    /// Both ends are listened to for what can be done now.
    pub(super) fn interest(&mut self, id: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let flags = |reads: bool, writes: bool| {
            let reads = if reads { EventFlags::IN } else { EventFlags::empty() };
            reads | if writes { EventFlags::OUT } else { EventFlags::empty() }
        };
        let of_peer = match peer.state {
            State::Connecting => EventFlags::OUT,
            State::Waiting => EventFlags::empty(),
            State::Joined(stream) => {
                let Some(own) = self.streams.get(stream.0 as usize) else {
                    return;
                };
                let of_own = flags(peer.outbox.is_empty() && !peer.rests[1], own.is_blocked());
                if peer.listens[1].replace(of_own) != Some(of_own) {
                    listen_for(&self.epoll, &own.socket, STREAM * KIND + u64::from(stream.0), of_own);
                }
                flags(!own.is_blocked() && !peer.rests[0], !peer.outbox.is_empty())
            }
        };
        if peer.listens[0].replace(of_peer) != Some(of_peer) {
            listen_for(&self.epoll, &peer.socket, PEER * KIND + u64::from(id.0), of_peer);
        }
    }
}

/// True where an error of accepting is of the one who came, or nobody has (accept(2)).
fn is_of_one(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    )
}

fn listen_for(epoll: &OwnedFd, socket: impl AsFd, token: u64, flags: EventFlags) {
    // Both are there already, so there is nothing that could be missing.
    let _ = epoll::modify(epoll, socket, epoll::EventData::new_u64(token), flags);
}
