//! The sockets for datagrams. Whoever owns them fetches what has come without any queue between, and what is to go out leaves
//! together: a peer on this machine or behind one network card is woken once for all of it.

use super::NetCounters;
use super::keepalives::Keepalives;
use super::udp::{self, Arrival};
use crate::id::{Flow, ListenerId};
use crate::limits;
use crate::shell::bell::Bell;
use crate::shell::clock;
use crate::sip::frame;
use crate::stun;
use bytes::Bytes;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Datagrams of one socket before others have their turn.
const TURN: usize = 128;
/// The epoll token of the bell; listeners have theirs by number.
const BELL: u64 = u64::MAX;
/// Datagrams that gather before they leave.
const GATHERED: usize = 256;
/// Routes that are remembered.
const ROUTES: usize = 10_000;

/// A socket with the address that it is bound to.
struct Bound {
    socket: UdpSocket,
    addr: SocketAddr,
    /// How many datagrams it was said to have dropped.
    dropped: u32,
}

/// A socket that had datagrams.
struct Ready {
    id: ListenerId,
    /// How many more may be taken of it.
    left: usize,
    /// One has told how it came.
    is_heard: bool,
}

impl Bound {
    fn waited(&mut self, arrival: &Arrival) -> Duration {
        let before = std::mem::replace(&mut self.dropped, arrival.dropped);
        if before == arrival.dropped {
            clock::age(arrival.at)
        } else {
            Duration::MAX
        }
    }
}

/// All sockets for datagrams of a node.
pub(super) struct Datagrams {
    epoll: OwnedFd,
    /// The bell is among what is waited for.
    has_bell: bool,
    sockets: BTreeMap<ListenerId, Bound>,
    /// Those that had datagrams.
    ready: Vec<Ready>,
    /// One has used up its turn.
    behind: bool,
    /// The same, since somebody asked.
    was_behind: bool,
    /// How long a datagram has waited at most, since somebody asked.
    waited: Duration,
    /// What is to leave next, each peer's in order.
    outgoing: Vec<(Flow, Bytes)>,
    buffer: Box<[u8]>,
    control: Vec<u8>,
    /// Our address towards a host, as the system's routes choose it.
    routes: HashMap<IpAddr, Option<IpAddr>>,
    keepalives: Keepalives,
}

impl Datagrams {
    pub(super) fn new() -> io::Result<Datagrams> {
        Ok(Datagrams {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            has_bell: false,
            sockets: BTreeMap::new(),
            ready: Vec::new(),
            behind: false,
            was_behind: false,
            waited: Duration::ZERO,
            outgoing: Vec::with_capacity(GATHERED),
            buffer: vec![0; limits::SIP_MESSAGE_BYTES].into_boxed_slice(),
            control: udp::control(),
            routes: HashMap::new(),
            keepalives: Keepalives::new(),
        })
    }

    pub(super) fn listen(&mut self, id: ListenerId, addr: SocketAddr) -> io::Result<SocketAddr> {
        let (addr, socket) = udp::listen(addr)?;
        let token = epoll::EventData::new_u64(u64::from(id.0));
        epoll::add(&self.epoll, &socket, token, epoll::EventFlags::IN)?;
        let dropped = 0;
        self.sockets.insert(id, Bound { socket, addr, dropped });
        Ok(addr)
    }

    /// Its port is free when this returns.
    pub(super) fn close(&mut self, id: ListenerId) {
        self.sockets.remove(&id);
    }

    /// Waits until there is a datagram, the bell rings, or the time has passed; for ever without a time.
    pub(super) fn wait(&mut self, bell: Option<&Bell>, timeout: Option<Duration>) {
        if let Some(bell) = bell.filter(|_| !self.has_bell) {
            epoll::add(
                &self.epoll,
                bell,
                epoll::EventData::new_u64(BELL),
                epoll::EventFlags::IN,
            )
            .expect("both descriptors are ours");
            self.has_bell = true;
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        self.ready.clear();
        self.behind = false;
        let mut events = [MaybeUninit::uninit(); limits::LISTENERS + 1];
        let events = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return,
            Err(error) => panic!("epoll on our own descriptors: {error}"),
        };
        for event in events {
            match (event.data.u64(), bell) {
                (BELL, Some(bell)) => bell.silence(),
                (token, _) => self.ready.extend(u16::try_from(token).map(|id| Ready {
                    id: ListenerId(id),
                    left: TURN,
                    is_heard: false,
                })),
            }
        }
    }

    /// The next datagram that may be SIP, of the sockets that were ready. What is no SIP is counted.
    pub(super) fn next(&mut self, counters: &NetCounters) -> Option<(Flow, Bytes)> {
        loop {
            let ready = self.ready.last_mut()?;
            let (id, bound) = (ready.id, self.sockets.get_mut(&ready.id));
            if ready.left == 0 {
                (self.behind, self.was_behind) = (true, true);
            }
            let Some(bound) = bound.filter(|_| ready.left > 0) else {
                self.ready.pop();
                continue;
            };
            ready.left -= 1;
            let is_asked = !ready.is_heard;
            match udp::receive(&bound.socket, bound.addr, is_asked, &mut self.buffer, &mut self.control) {
                Ok(received) => {
                    ready.is_heard = true;
                    if let Some(arrival) = &received.arrival {
                        self.waited = self.waited.max(bound.waited(arrival));
                    }
                    let (octets, flow) = (&self.buffer[..received.length], received.flow(id, bound.addr));
                    // RFC 5626 8: the keep-alive of phones, which is no message.
                    if let Some(answer) = stun::answer(octets, flow.peer) {
                        if !self.keepalives.take(flow.peer.ip()) {
                            counters.unanswered.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        let sent = udp::send(&bound.socket, bound.addr.ip(), flow, &answer);
                        counters
                            .send_failed
                            .fetch_add(u64::from(sent.is_err()), Ordering::Relaxed);
                        continue;
                    }
                    if let Some(message) = frame::datagram(octets) {
                        return Some((flow, Bytes::copy_from_slice(message)));
                    }
                    counters.not_sip.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready.pop();
                }
                // An ICMP answer to something that we sent: the next datagram is as good as ever.
                Err(_) => {}
            }
        }
    }

    /// How much of the room that it should have the least of the sockets has.
    pub(super) fn room(&self) -> f64 {
        self.sockets
            .values()
            .map(|bound| udp::room(&bound.socket))
            .fold(1.0, f64::min)
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether one has used up a turn since this was asked last: only then the system may have dropped some.
    pub(super) fn was_behind(&mut self) -> bool {
        std::mem::take(&mut self.was_behind)
    }

    /// How long datagrams have waited for us at most since this was asked last, by the first that was taken of each socket each time;
    /// for ever where some were dropped, since the socket was full.
    pub(super) fn waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// Sends with the next [`Datagrams::flush`]; false if there is no socket for this flow.
    pub(super) fn send(&mut self, flow: Flow, bytes: Bytes, counters: &NetCounters) -> bool {
        if self.socket(flow).is_none() {
            return false;
        }
        self.outgoing.push((flow, bytes));
        if self.outgoing.len() >= GATHERED {
            self.flush(counters);
        }
        true
    }

    /// Sends what has gathered.
    pub(super) fn flush(&mut self, counters: &NetCounters) {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        // Each peer has its own in order, one behind the other: woken by the first, it is still at work when the others come.
        outgoing.sort_by_key(|(flow, _)| flow.peer);
        for (flow, bytes) in outgoing.drain(..) {
            let sent = self
                .socket(flow)
                .map(|Bound { socket, addr, .. }| udp::send(socket, addr.ip(), flow, &bytes));
            if !matches!(sent, Some(Ok(()))) {
                // As if it was lost on the way: the transaction layer repeats it.
                counters.send_failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.outgoing = outgoing;
    }

    /// The socket of a flow: its own listener, or after a restart or reload one that is bound to the flow's address, or else one of
    /// its family.
    fn socket(&self, flow: Flow) -> Option<&Bound> {
        let is_own = |bound: SocketAddr| {
            bound == flow.local || (bound.ip().is_unspecified() && bound.port() == flow.local.port())
        };
        let is_family = |bound: &Bound| bound.addr.is_ipv4() == flow.peer.is_ipv4();
        let own = self.sockets.get(&flow.listener);
        if let Some(own) = own.filter(|own| is_own(own.addr) && is_family(own)) {
            return Some(own);
        }
        let fit = self.sockets.iter().filter(|(_, bound)| is_family(bound));
        let best = fit.max_by_key(|(id, bound)| (is_own(bound.addr), **id == flow.listener, Reverse(**id)));
        best.map(|(_, bound)| bound)
    }

    /// Our address towards a peer.
    pub(super) fn route(&mut self, peer: SocketAddr) -> Option<IpAddr> {
        if self.routes.len() >= ROUTES {
            self.routes.clear();
        }
        *self.routes.entry(peer.ip()).or_insert_with(|| udp::route(peer))
    }

    pub(super) fn forget_routes(&mut self) {
        self.routes.clear();
    }
}
