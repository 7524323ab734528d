//! TCP to peers (RFC 6062): an allocation of a client on a stream whose relayed address is one of TCP. Its connections with peers are each
//! joined to a stream of the client's own.
//!
//! ```text
//!   Connect --------------> Opening --(connected)--> success: CONNECTION-ID -+
//!                              |                                             |
//!                              '--(not, 30 s)------> 447                     |
//!   a peer, with a permission --------> ConnectionAttempt: CONNECTION-ID ----+--> Waiting --(30 s)--> closed
//!                                                                                    |
//!                                       ConnectionBind by another stream ------------+--> Joined --(either end)--> both closed
//! ```
//!
//! What flows between the two is the shell's; it asks here how fast that may be.

use super::credentials::Who;
use super::peers::Standing;
use super::request::Back;
use super::{Client, Output, Relay, RelayId, Server, StreamId, Timer, seconds};
use crate::limits;
use crate::stun::message::{Class, ErrorCode, Message, Writer, kind, method};
use crate::time::{Clock, Instant};
use rand_chacha::rand_core::RngCore;
use std::net::SocketAddr;

/// A connection with a peer, by a number that nobody guesses (CONNECTION-ID, RFC 6062 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// See the diagram.
#[derive(Debug)]
enum State {
    /// Until the peer answers; then its client is answered.
    Opening(Box<Back>),
    /// For a stream of the client.
    Waiting,
    /// To this one.
    Joined(StreamId),
}

/// One connection with a peer.
#[derive(Debug)]
pub(super) struct Connection {
    /// Whose, by its place.
    allocation: u32,
    peer: SocketAddr,
    state: State,
}

impl Server {
    /// RFC 6062 5.2. The answer comes when the peer has taken the connection, or has not.
    pub(super) fn connect(
        &mut self,
        at: Clock,
        message: &Message<'_>,
        back: &Back,
        who: &Who,
    ) -> Result<(), ErrorCode> {
        let own = self.own(back.client, who)?;
        let peer = message.covers(kind::XOR_PEER_ADDRESS);
        let peer = peer.and_then(|value| message.unxored(value));
        let peer = peer.filter(|_| self.allocations[own as usize].tcp);
        let peer = peer.ok_or(ErrorCode::BAD_REQUEST)?;
        let mut beside = self.connections.values().filter(|other| other.allocation == own);
        if beside.any(|other| other.peer == peer) {
            return Err(ErrorCode::CONNECTION_EXISTS);
        }
        let relay = self.allocations[own as usize].relay(peer.ip());
        let relay = relay.ok_or(ErrorCode::FAMILY_MISMATCH)?;
        // That others have been refused it since does not end what they have; it gets no more.
        if !self.turn.tcp_peers || !self.is_open_to_tcp(peer) {
            self.counters.denied += 1;
            return Err(ErrorCode::FORBIDDEN);
        }
        let opening = State::Opening(Box::new(back.clone()));
        let id = self
            .begin(at, own, peer, opening)
            .ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        self.outputs
            .push_back(Output::Connect(id, relay, self.peers.inward(peer)));
        Ok(())
    }

    /// Whether a peer may be reached by TCP: of this machine, relayed addresses only, and none of those ports at which something else
    /// listens. Media is not on TCP.
    fn is_open_to_tcp(&self, peer: SocketAddr) -> bool {
        match self.peers.standing(peer.ip()) {
            Standing::Open => true,
            Standing::Ours if self.peers.is_own(peer.ip()) => self.has_connections_at(peer),
            Standing::Ours => self.peers.is_open(peer) && !self.peers.is_media(peer),
            Standing::Denied => false,
        }
    }

    fn has_connections_at(&self, peer: SocketAddr) -> bool {
        let is_there = |relay: &Relay| relay.port == peer.port() && relay.v6 == peer.is_ipv6();
        let mut owners = self.relays.iter().filter(|(_, relay)| is_there(relay));
        self.peers.is_open(peer)
            && owners.any(|(_, relay)| {
                let own = relay.owner.and_then(|own| self.allocations.get(own as usize));
                own.is_some_and(|own| own.tcp)
            })
    }

    /// A new one, if there is room.
    fn begin(&mut self, at: Clock, own: u32, peer: SocketAddr, state: State) -> Option<ConnectionId> {
        let beside = self
            .connections
            .values()
            .filter(|other| other.allocation == own)
            .count();
        if beside >= limits::RELAY_CONNECTIONS_EACH || self.connections.len() >= limits::RELAY_CONNECTIONS {
            return None;
        }
        let id = ConnectionId(self.rng.next_u32());
        if self.connections.contains_key(&id) {
            return None;
        }
        let connection = Connection {
            allocation: own,
            peer,
            state,
        };
        self.connections.insert(id, connection);
        self.deadlines
            .set(Timer::Connection(id), at.now + limits::RELAY_CONNECTION_WAIT);
        Some(id)
    }

    /// The shell has connected, or could not.
    pub fn connected(&mut self, at: Clock, id: ConnectionId, open: bool) {
        if !open {
            return self.over(id);
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return self.outputs.push_back(Output::Disconnect(id));
        };
        let State::Opening(back) = std::mem::replace(&mut connection.state, State::Waiting) else {
            return;
        };
        self.deadlines
            .set(Timer::Connection(id), at.now + limits::RELAY_CONNECTION_WAIT);
        let mut writer = back.success();
        writer.attribute(kind::CONNECTION_ID, &id.0.to_be_bytes());
        self.answer(&back, writer);
    }

    /// A peer has connected to a relayed address (RFC 6062 5.3): which it is, or nothing where the connection is to be closed.
    pub fn accepted(&mut self, at: Clock, relay: RelayId, from: SocketAddr) -> Option<ConnectionId> {
        let own = self
            .relays
            .get(relay.0 as usize)?
            .owner
            .filter(|_| self.turn.tcp_peers)?;
        let peer = self.peers.outward(from);
        let allocation = self.allocations.get(own as usize)?;
        if allocation.permits(peer.ip(), seconds(at.now)).is_none() {
            self.counters.unpermitted += 1;
            return None;
        }
        let client = allocation.client;
        let id = self.begin(at, own, peer, State::Waiting)?;
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let mut writer = Writer::new(Class::Indication, method::CONNECTION_ATTEMPT, transaction);
        writer.xor_address(kind::XOR_PEER_ADDRESS, peer);
        writer.attribute(kind::CONNECTION_ID, &id.0.to_be_bytes());
        self.outputs.push_back(Output::Answer(client, writer.finish()));
        Some(id)
    }

    /// RFC 6062 5.4: which connection is joined to the stream, once it is answered.
    pub(super) fn connection_bind(
        &mut self,
        message: &Message<'_>,
        back: &Back,
        who: &Who,
    ) -> Result<(ConnectionId, StreamId), ErrorCode> {
        let Client::Stream { id: stream, .. } = back.client else {
            return Err(ErrorCode::BAD_REQUEST);
        };
        let has_allocation = self.by_client.contains_key(&back.client.tuple());
        let id = message.covers(kind::CONNECTION_ID).filter(|_| !has_allocation);
        let id = id.and_then(|value| value.try_into().ok()).map(u32::from_be_bytes);
        let id = ConnectionId(id.ok_or(ErrorCode::BAD_REQUEST)?);
        let connection = self.connections.get_mut(&id).ok_or(ErrorCode::BAD_REQUEST)?;
        if *self.allocations[connection.allocation as usize].user != *who.user {
            return Err(ErrorCode::WRONG_CREDENTIALS);
        }
        match connection.state {
            State::Waiting => connection.state = State::Joined(stream),
            State::Opening(_) | State::Joined(_) => return Err(ErrorCode::BAD_REQUEST),
        }
        self.deadlines.cancel(Timer::Connection(id));
        self.deadlines.cancel(Timer::Stream(stream));
        Ok((id, stream))
    }

    /// One of its ends is closed, or nobody has come for it in time: the other is closed too (RFC 6062 5.5).
    pub fn over(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.deadlines.cancel(Timer::Connection(id));
        self.outputs.push_back(Output::Disconnect(id));
        match connection.state {
            State::Opening(back) => {
                self.counters.refused += 1;
                let writer = back.error(ErrorCode::CONNECTION_FAILED);
                self.answer(&back, writer);
            }
            State::Waiting => {}
            State::Joined(stream) => self.outputs.push_back(Output::Hang(stream)),
        }
    }

    /// Those whose peers are reached no more.
    pub(super) fn disconnect_denied(&mut self) {
        let peers: Vec<(ConnectionId, SocketAddr)> = self.connections.iter().map(|(id, own)| (*id, own.peer)).collect();
        for (id, peer) in peers {
            if self.peers.standing(peer.ip()) == Standing::Denied {
                self.over(id);
            }
        }
    }

    /// Those of an allocation, or of one of its families, that ends.
    pub(super) fn disconnect(&mut self, own: u32, ends: impl Fn(SocketAddr) -> bool) {
        let is_over = |other: &Connection| other.allocation == own && ends(other.peer);
        let theirs = self.connections.iter().filter(|(_, other)| is_over(other));
        let ids: Vec<ConnectionId> = theirs.map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.over(id));
    }

    /// So many octets flow to the peer, or from there: until when nothing more shall be read, where that was more than the bandwidth allows.
    pub fn flows(&mut self, now: Instant, id: ConnectionId, to_peer: bool, octets: usize) -> Option<Instant> {
        let own = self.connections.get(&id)?.allocation;
        let allocation = self.allocations.get_mut(own as usize)?;
        let direction = usize::from(!to_peer);
        allocation.traffic[direction].add(octets);
        match to_peer {
            true => self.counters.to_peers.add(octets),
            false => self.counters.to_clients.add(octets),
        }
        allocation.caps[direction].owe(now, octets, self.turn.bandwidth)
    }
}
