//! The port of a worker that browsers share: its sockets, whose a datagram is, and the ways between workers for legs that have moved.
//!
//! ```text
//!   socket of worker 0 ---> whose? ---> a leg here
//!                                 '---> a leg that has moved to worker 1: a ring, and it is woken
//!   a leg on worker 1 ---> by the socket of worker 0, whoever sends
//!   thread `rtc` ---> a ring: whose this source is
//! ```

use super::Wake;
use super::ports::Shared;
use crate::id::{MediaLegId, WorkerId};
use crate::keyed::Key;
use crate::limits;
use crate::media::command::{CheckName, Port};
use crate::media::packet::Packet;
use crate::media::shared::SharedPort;
use crate::shell::rtc::{Heard, Source};
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Epoll tokens of shared sockets: this one and below, behind that of the command ring.
const TOKENS: u64 = u64::MAX - 1;
/// There is one socket for each family.
const SOCKETS: u64 = 2;
/// Datagrams that wait for one worker by way of one other, at least.
const LEAST: usize = 32;

/// True for the token of a shared socket.
pub(super) fn is_gate(token: u64) -> bool {
    (TOKENS - SOCKETS + 1..=TOKENS).contains(&token)
}

/// Those of this worker, in the order of their tokens.
fn of(home: WorkerId, shared: &[Arc<Shared>]) -> impl Iterator<Item = &Arc<Shared>> {
    shared.iter().filter(move |shared| shared.home == home)
}

/// The sockets of a worker are waited on from now on.
///
/// # Errors
/// The system has no room for that: no browser of this worker would ever be heard.
pub(super) fn watch(home: WorkerId, shared: &[Arc<Shared>], epoll: &OwnedFd) -> io::Result<()> {
    for (token, shared) in (0..SOCKETS).map(|nth| TOKENS - nth).zip(of(home, shared)) {
        epoll::add(
            epoll,
            &shared.socket,
            epoll::EventData::new_u64(token),
            epoll::EventFlags::IN,
        )?;
    }
    Ok(())
}

/// What is new about a leg that has a port of this worker.
pub(super) enum Share {
    /// Checks with this name are its.
    Named(CheckName),
    /// It lives on this worker.
    LivesOn(WorkerId),
    /// It is gone.
    Gone,
}

/// A datagram for a leg of another worker.
type Handed = (MediaLegId, SocketAddr, Packet);

/// The way to another worker.
struct Neighbour {
    ring: rtrb::Producer<Handed>,
    wake: Wake,
}

/// What one worker has of it.
pub(super) struct Gate {
    ports: Vec<Arc<Shared>>,
    pub(super) whose: SharedPort,
    sources: rtrb::Consumer<Source>,
    /// By number; none to itself.
    to: Vec<Option<Neighbour>>,
    from: Vec<rtrb::Consumer<Handed>>,
    /// From whom the next is taken.
    turn: usize,
}

/// The gates of all workers, whose wakes these are, and how they are told whose a source is.
pub(super) fn gates(shared: &[Arc<Shared>], wakes: &[Wake], key: Key) -> (Vec<Gate>, Vec<Heard>) {
    let mut gates = Vec::with_capacity(wakes.len());
    let mut heard = Vec::with_capacity(wakes.len());
    for (home, wake) in (0..).map(WorkerId).zip(wakes) {
        let (ring, sources) = rtrb::RingBuffer::new(limits::HEARD);
        let wake = wake.clone();
        heard.push(Heard { ring, wake });
        gates.push(Gate {
            ports: of(home, shared).cloned().collect(),
            whose: SharedPort::new(limits::LEGS_PER_WORKER, key),
            sources,
            to: Vec::with_capacity(wakes.len()),
            from: Vec::with_capacity(wakes.len()),
            turn: 0,
        });
    }
    let room = (limits::HANDED_OVER / wakes.len().max(1)).max(LEAST);
    for here in 0..gates.len() {
        for (there, wake) in wakes.iter().enumerate() {
            let way = (here != there).then(|| rtrb::RingBuffer::new(room));
            let way = way.map(|(ring, from)| {
                gates[there].from.push(from);
                let wake = wake.clone();
                Neighbour { ring, wake }
            });
            gates[here].to.push(way);
        }
    }
    (gates, heard)
}

impl Gate {
    /// Which they are.
    pub fn ports(&self) -> impl Iterator<Item = Port> + '_ {
        self.ports.iter().map(|shared| shared.port)
    }

    /// The next datagram of a socket.
    pub fn receive(&self, token: u64, into: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let nth = usize::try_from(TOKENS - token).ok()?;
        self.ports.get(nth)?.socket.recv_from(into).ok()
    }

    /// Whose a datagram is; what is known of sources counts from the moment that it was told.
    pub fn whose(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<MediaLegId> {
        while let Ok((leg, from, is_its)) = self.sources.pop() {
            self.whose.source(leg, from, is_its);
        }
        self.whose.leg(from, datagram)
    }

    /// Something is new about a leg.
    pub fn share(&mut self, here: WorkerId, leg: MediaLegId, share: Share) {
        match share {
            Share::Named(name) => self.whose.name(leg, name),
            Share::LivesOn(worker) => self.whose.moved(leg, Some(worker).filter(|worker| *worker != here)),
            Share::Gone => self.whose.forget(leg),
        }
    }

    /// A datagram is for a leg that is not here. A ring that is full loses it, as a network may.
    pub fn hand_over(&mut self, leg: MediaLegId, from: SocketAddr, packet: &Packet) {
        let away = self.whose.away(leg).map(|worker| usize::from(worker.0));
        let neighbour = away.and_then(|worker| self.to.get_mut(worker)).and_then(Option::as_mut);
        let Some(neighbour) = neighbour else {
            return self.whose.stray();
        };
        match neighbour.ring.push((leg, from, packet.clone())) {
            Ok(()) => neighbour.wake.wake(),
            Err(_) => self.whose.stray(),
        }
    }

    /// The next datagram of another worker for a leg that lives here, which lies in the packet then.
    pub fn take_handed(&mut self, into: &mut Packet) -> Option<(MediaLegId, SocketAddr)> {
        for _ in 0..self.from.len() {
            self.turn = (self.turn + 1) % self.from.len();
            if let Ok((leg, from, packet)) = self.from[self.turn].pop() {
                *into = packet;
                return Some((leg, from));
            }
        }
        None
    }

    /// True if there is more.
    pub fn has_more(&self) -> bool {
        self.from.iter().any(|ring| !ring.is_empty())
    }
}
