//! TCP: ordered octets that can be cut, connections that can be refused.

use crate::net::{Net, Owner};
use crate::rng::Rng;
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::time::Duration;
use tandem::id::{Ticket, Transport};
use tandem::time::Instant;

/// How long a stream waits before it sends again.
pub const AGAIN: Duration = Duration::from_millis(500);

/// One end of a connection.
#[derive(Debug)]
pub struct End {
    /// Who has it.
    pub owner: Owner,
    /// Its own address.
    pub addr: SocketAddr,
    /// Its address as the other end sees it.
    pub seen: SocketAddr,
    /// What came and was not cut into messages yet.
    pub buffer: BytesMut,
    last_arrival: Instant,
    /// Written while a link was cut: sent again until it passes.
    held: Vec<Bytes>,
}

impl End {
    fn new(owner: Owner, addr: SocketAddr, seen: SocketAddr) -> End {
        End {
            owner,
            addr,
            seen,
            buffer: BytesMut::new(),
            last_arrival: Instant::ZERO,
            held: Vec::new(),
        }
    }
}

/// A connection: end 0 opened it.
#[derive(Debug)]
pub struct Connection {
    /// Both ends.
    pub ends: [End; 2],
    /// TCP, or what stands for TLS here: who is at the other end is not looked at.
    pub transport: Transport,
    /// Octets may pass.
    pub open: bool,
    /// It was closed or refused.
    pub closed: bool,
    /// Whom the node tells that it is open.
    pub ticket: Option<Ticket>,
    /// What the opener wrote before it was open.
    pub waiting: Vec<Bytes>,
}

/// What happens on a connection at some time.
#[derive(Clone, Debug)]
pub enum StreamEvent {
    /// The listener has seen the opening.
    Opening,
    /// The opener learns that it is open.
    Opened,
    /// The opener learns that nobody listens.
    Refused,
    /// What was held back is tried again, from this end.
    Again(usize),
    /// Octets arrive at an end.
    Data(usize, Bytes),
    /// An end learns that it was closed.
    Closed(usize),
}

/// All connections.
#[derive(Debug, Default)]
pub struct Streams {
    /// By number.
    pub list: Vec<Connection>,
    /// Cuts what is written into pieces of random size.
    pub chop: bool,
}

impl Streams {
    /// Begins to open a connection; `Opening` happens at the listener.
    pub fn open(
        &mut self,
        from: (Owner, SocketAddr),
        seen: SocketAddr,
        to: (Owner, SocketAddr),
        ticket: Option<Ticket>,
    ) -> usize {
        let ends = [End::new(from.0, from.1, seen), End::new(to.0, to.1, to.1)];
        self.list.push(Connection {
            ends,
            transport: Transport::Tcp,
            open: false,
            closed: false,
            ticket,
            waiting: Vec::new(),
        });
        self.list.len() - 1
    }

    /// A live connection between an owner and a remote address, as that owner sees it.
    pub fn find(&self, owner: Owner, remote: SocketAddr) -> Option<usize> {
        let is = |connection: &Connection| {
            (0..2).any(|end| connection.ends[end].owner == owner && connection.ends[1 - end].seen == remote)
        };
        self.list
            .iter()
            .rposition(|connection| !connection.closed && is(connection))
    }

    /// Which end an owner has.
    pub fn end_of(&self, number: usize, owner: Owner) -> usize {
        usize::from(self.list[number].ends[0].owner != owner)
    }

    /// Octets on their way to the other end, in order.
    pub fn write(
        &mut self,
        now: Instant,
        net: &Net,
        rng: &mut Rng,
        number: usize,
        from: usize,
        bytes: &Bytes,
    ) -> Vec<(Instant, StreamEvent)> {
        let mut events = Vec::new();
        let (a, b) = (self.list[number].ends[0].addr.ip(), self.list[number].ends[1].addr.ip());
        let end = &mut self.list[number].ends[from];
        if net.stream_delay(rng, a, b).is_none() || !end.held.is_empty() {
            if end.held.is_empty() {
                events.push((now + AGAIN, StreamEvent::Again(from)));
            }
            end.held.push(bytes.clone());
            return events;
        }
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            let size = if self.chop {
                1 + rng.below(400) as usize
            } else {
                rest.len()
            };
            let piece = rest.split_to(size.min(rest.len()));
            let Some(delay) = net.stream_delay(rng, a, b) else {
                return events;
            };
            let end = &mut self.list[number].ends[1 - from];
            end.last_arrival = end.last_arrival.max(now + delay);
            events.push((end.last_arrival, StreamEvent::Data(1 - from, piece)));
        }
        events
    }

    /// Tries again what an end has held back.
    pub fn again(
        &mut self,
        now: Instant,
        net: &Net,
        rng: &mut Rng,
        number: usize,
        from: usize,
    ) -> Vec<(Instant, StreamEvent)> {
        let held = std::mem::take(&mut self.list[number].ends[from].held);
        held.iter()
            .flat_map(|bytes| self.write(now, net, rng, number, from, bytes))
            .collect()
    }
}
