//! Datagrams between the relay and media of this process. What a client of TURN sends to a media port of ours, and what is sent back, goes by
//! rings between the threads, and not through the system's network: two system calls and a socket's buffer less for each.
//!
//! ```text
//!   relay: Way::Media ----> who has this port? ----> the ring of its worker ----> the leg, as if its socket had it
//!   leg:   a relayed port of ours? ----------------> the ring of the relay -----> the client, as if the relayed socket had it
//! ```
//!
//! Both see the same addresses as by the network, so what finds nobody here goes there: a leg that is just moving from one worker to
//! another, media at another address than the port's, what is longer than media takes, the set-up of browsers (`super::rtc`), and what
//! finds a full ring: there each leg and each relayed address has a buffer of its own, so that nobody's flood is others' loss.

use super::bell::Bell;
use super::media::Wake;
use crate::limits;
use crate::media::packet::{Channel, LegIx, Packet};
use crate::relay::RelayId;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Whose each port is, of one family; 0 is nobody's.
#[derive(Debug)]
struct Ports(Box<[AtomicU32]>);

impl Default for Ports {
    fn default() -> Ports {
        Ports((0..1 << 16).map(|_| AtomicU32::new(0)).collect())
    }
}

impl Ports {
    fn at(&self, port: u16) -> &AtomicU32 {
        &self.0[usize::from(port)]
    }
}

/// What all threads look into.
#[derive(Debug)]
struct Map {
    /// By family: who has a media port. A worker, a leg's place, and which of its two ports.
    media: [Ports; 2],
    /// Of which relayed address each relayed port is.
    relayed: [Ports; 2],
    /// Where relayed ports are.
    addresses: Vec<IpAddr>,
    counts: Arc<Counts>,
}

/// Datagrams that went this way.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// From the relay to media.
    pub(super) to_media: AtomicU64,
    /// And back.
    pub(super) to_relay: AtomicU64,
    /// Those that found a full ring, and went by the network.
    pub(super) full: AtomicU64,
}

impl Counts {
    /// Whether a datagram was taken.
    fn count(&self, taken: &AtomicU64, is_taken: bool) -> bool {
        let counter = if is_taken { taken } else { &self.full };
        counter.fetch_add(1, Ordering::Relaxed);
        is_taken
    }
}

impl Map {
    fn has(&self, relayed: SocketAddr) -> bool {
        let port = self.relayed[usize::from(relayed.is_ipv6())].at(relayed.port());
        port.load(Ordering::Relaxed) != 0 && self.addresses.contains(&relayed.ip())
    }
}

/// For a leg.
struct ToLeg {
    at: LegIx,
    channel: Channel,
    /// To which port, so that a leg that has the place of another is known.
    to: u16,
    from: SocketAddr,
    packet: Packet,
}

/// For a relayed address.
struct ToRelayed {
    to: SocketAddr,
    from: SocketAddr,
    packet: Packet,
}

/// Both ends, for so many workers, whose wakes these are; the first is the relay's, which has this bell and these addresses.
pub(super) fn ends(wakes: Vec<Wake>, bell: &Arc<Bell>, addresses: &[IpAddr]) -> (RelayEnd, Vec<MediaEnd>) {
    let map = Arc::new(Map {
        media: Default::default(),
        relayed: Default::default(),
        addresses: addresses.to_vec(),
        counts: Arc::default(),
    });
    let mut relay = RelayEnd {
        map: map.clone(),
        workers: Vec::with_capacity(wakes.len()),
    };
    let mut ends = Vec::with_capacity(wakes.len());
    for (worker, wake) in (0..).zip(wakes) {
        let (to_legs, from_relay) = rtrb::RingBuffer::new(limits::WITHIN);
        let (to_relay, from_legs) = rtrb::RingBuffer::new(limits::WITHIN);
        relay.workers.push(Worker {
            to_legs,
            from_legs,
            wake,
            has_news: false,
        });
        ends.push(MediaEnd {
            map: map.clone(),
            worker,
            from_relay,
            to_relay,
            bell: bell.clone(),
            has_news: false,
        });
    }
    (relay, ends)
}

struct Worker {
    to_legs: rtrb::Producer<ToLeg>,
    from_legs: rtrb::Consumer<ToRelayed>,
    wake: Wake,
    /// Something is in the ring that the thread was not woken for.
    has_news: bool,
}

/// The relay's end.
pub(super) struct RelayEnd {
    map: Arc<Map>,
    workers: Vec<Worker>,
}

/// The place of no leg: a port that many share.
pub(super) const SHARED: LegIx = LegIx(u16::MAX);

/// Bits of a token for the channel and the place; above them is the worker.
const PLACE: u32 = 17;

impl RelayEnd {
    /// For those who only look.
    pub(super) fn counts(&self) -> Arc<Counts> {
        self.map.counts.clone()
    }

    /// A relayed port is open, or is not any more.
    pub(super) fn open(&self, relayed: SocketAddr, id: Option<RelayId>) {
        let port = self.map.relayed[usize::from(relayed.is_ipv6())].at(relayed.port());
        port.store(id.map_or(0, |id| id.0 + 1), Ordering::Relaxed);
    }

    /// Which it is, if it is open.
    pub(super) fn relay(&self, relayed: SocketAddr) -> Option<RelayId> {
        let port = self.map.relayed[usize::from(relayed.is_ipv6())].at(relayed.port());
        port.load(Ordering::Relaxed).checked_sub(1).map(RelayId)
    }

    /// Takes a datagram for a media port of ours; false where it has to go by the network.
    pub(super) fn put(&mut self, from: SocketAddr, to: SocketAddr, octets: &[u8]) -> bool {
        let port = self.map.media[usize::from(to.is_ipv6())].at(to.port());
        let Some(token) = port.load(Ordering::Relaxed).checked_sub(1) else {
            return false;
        };
        let Some(worker) = self.workers.get_mut((token >> PLACE) as usize) else {
            return false;
        };
        let Some(packet) = Packet::from_slice(octets) else {
            return false;
        };
        let datagram = ToLeg {
            at: LegIx((token >> 1) as u16),
            channel: if token & 1 == 0 { Channel::Rtp } else { Channel::Rtcp },
            to: to.port(),
            from,
            packet,
        };
        worker.has_news = true;
        let is_taken = worker.to_legs.push(datagram).is_ok();
        if worker.to_legs.slots() == limits::WITHIN / 2 {
            worker.wake.wake();
        }
        self.map.counts.count(&self.map.counts.to_media, is_taken)
    }

    /// Wakes those for whom there is something.
    pub(super) fn flush(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.has_news) {
            worker.has_news = false;
            worker.wake.wake();
        }
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The next datagram of this worker for a relayed address: its octets go there, and who they are for and from is given.
    pub(super) fn take(&mut self, worker: usize, into: impl FnOnce(&[u8])) -> Option<(SocketAddr, SocketAddr)> {
        let ToRelayed { to, from, packet } = self.workers[worker].from_legs.pop().ok()?;
        into(packet.as_slice());
        Some((to, from))
    }

    /// True if there is more of anybody.
    pub(super) fn has_more(&self) -> bool {
        self.workers.iter().any(|worker| !worker.from_legs.is_empty())
    }
}

/// A worker's end.
pub(super) struct MediaEnd {
    map: Arc<Map>,
    worker: u16,
    from_relay: rtrb::Consumer<ToLeg>,
    to_relay: rtrb::Producer<ToRelayed>,
    bell: Arc<Bell>,
    has_news: bool,
}

/// What has come for a leg.
pub(super) struct Arrival {
    pub(super) at: LegIx,
    pub(super) channel: Channel,
    /// To which port.
    pub(super) to: u16,
    pub(super) from: SocketAddr,
}

impl MediaEnd {
    fn token(&self, at: LegIx, channel: Channel) -> u32 {
        1 + (u32::from(self.worker) << PLACE | u32::from(at.0) << 1 | u32::from(channel == Channel::Rtcp))
    }

    /// The port of a leg, of this family, is at this place from now on.
    pub(super) fn settle(&self, at: LegIx, v6: bool, rtp: u16) {
        let ports = &self.map.media[usize::from(v6)];
        ports.at(rtp).store(self.token(at, Channel::Rtp), Ordering::Relaxed);
        ports
            .at(rtp | 1)
            .store(self.token(at, Channel::Rtcp), Ordering::Relaxed);
    }

    /// This port is this worker's, whichever of its legs a datagram is for: it arrives for `SHARED`.
    pub(super) fn settle_shared(&self, v6: bool, port: u16) {
        let token = self.token(SHARED, Channel::Rtp);
        self.map.media[usize::from(v6)].at(port).store(token, Ordering::Relaxed);
    }

    /// And is there no more.
    pub(super) fn unsettle(&self, at: LegIx, v6: bool, rtp: u16) {
        let ports = &self.map.media[usize::from(v6)];
        for (port, channel) in [(rtp, Channel::Rtp), (rtp | 1, Channel::Rtcp)] {
            let (own, relaxed) = (self.token(at, channel), Ordering::Relaxed);
            // Another worker may have it already.
            let _ = ports.at(port).compare_exchange(own, 0, relaxed, relaxed);
        }
    }

    /// The next datagram for a leg, which lies in the packet then.
    pub(super) fn take(&mut self, into: &mut Packet) -> Option<Arrival> {
        let ToLeg {
            at,
            channel,
            to,
            from,
            packet,
        } = self.from_relay.pop().ok()?;
        *into = packet;
        Some(Arrival { at, channel, to, from })
    }

    /// True if there is more.
    pub(super) fn has_more(&self) -> bool {
        !self.from_relay.is_empty()
    }

    /// True for a relayed address of ours: what is for it does not go by the network.
    pub(super) fn has(&self, to: SocketAddr) -> bool {
        self.map.has(to)
    }

    /// Takes a datagram for a relayed address of ours, from an address that may be a wildcard; false where it has to go by the network.
    pub(super) fn put(&mut self, mut from: SocketAddr, to: SocketAddr, packet: &Packet) -> bool {
        if !self.map.has(to) {
            return false;
        }
        if from.ip().is_unspecified() {
            // The system would take this one to itself.
            from.set_ip(to.ip());
        }
        let datagram = ToRelayed {
            to,
            from,
            packet: packet.clone(),
        };
        self.has_news = true;
        let is_taken = self.to_relay.push(datagram).is_ok();
        if self.to_relay.slots() == limits::WITHIN / 2 {
            self.bell.ring();
        }
        self.map.counts.count(&self.map.counts.to_relay, is_taken)
    }

    /// Wakes the relay, if there is something for it.
    pub(super) fn flush(&mut self) {
        if std::mem::take(&mut self.has_news) {
            self.bell.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ends_of(workers: usize) -> (RelayEnd, Vec<MediaEnd>) {
        let wakes = (0..workers).map(|_| Wake::new().unwrap()).collect();
        ends(wakes, &Bell::new().unwrap(), &[addr("192.0.2.1:0").ip()])
    }

    #[test]
    fn a_datagram_finds_the_leg_that_has_its_port_and_its_answer_the_relayed_port() {
        let (mut relay, mut media) = ends_of(2);
        let (relayed, leg) = (addr("192.0.2.1:50000"), addr("192.0.2.1:20002"));
        assert!(!relay.put(relayed, leg, b"early"), "nobody has the port");
        media[1].settle(LegIx(7), false, 20_002);
        assert!(relay.put(relayed, leg, b"rtp") && relay.put(relayed, addr("192.0.2.1:20003"), b"rtcp"));
        assert!(
            !relay.put(relayed, addr("[2001:db8::1]:20002"), b"rtp"),
            "another family"
        );
        assert!(!relay.put(relayed, leg, &[0; limits::RTP_PACKET_BYTES + 1]));
        let mut packet = Packet::default();
        assert!(media[0].take(&mut packet).is_none());
        for (to, channel, octets) in [(20_002, Channel::Rtp, &b"rtp"[..]), (20_003, Channel::Rtcp, b"rtcp")] {
            let came = media[1].take(&mut packet).expect("it is there");
            assert_eq!(
                (came.at, came.channel, came.to, came.from),
                (LegIx(7), channel, to, relayed)
            );
            assert_eq!(packet.as_slice(), octets);
        }
        assert!(!media[1].put(leg, relayed, &packet), "it is not open");
        relay.open(relayed, Some(RelayId(0)));
        assert!(
            !media[1].put(leg, addr("198.51.100.1:50000"), &packet),
            "somebody else's"
        );
        assert!(media[1].put(addr("0.0.0.0:20002"), relayed, &packet));
        let mut octets = Vec::new();
        let went = relay.take(1, |came| octets.extend_from_slice(came));
        assert_eq!((went, &octets[..]), (Some((relayed, leg)), &b"rtcp"[..]));
        assert_eq!(relay.relay(relayed), Some(RelayId(0)));
        relay.open(relayed, None);
        assert_eq!(relay.relay(relayed), None);
        assert!(!media[1].put(leg, relayed, &packet));
        let counts = relay.counts();
        let counted = [&counts.to_media, &counts.to_relay, &counts.full].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counted, [2, 1, 0]);
    }

    /// A leg moves: its new worker may be there before the old one has let go.
    #[test]
    fn a_port_belongs_to_who_has_it_now_and_what_finds_a_full_ring_goes_by_the_network() {
        let (mut relay, media) = ends_of(2);
        let (relayed, leg) = (addr("192.0.2.1:50000"), addr("192.0.2.1:20002"));
        media[0].settle(LegIx(1), false, 20_002);
        media[1].settle(LegIx(2), false, 20_002);
        media[0].unsettle(LegIx(1), false, 20_002);
        assert!((0..limits::WITHIN).all(|_| relay.put(relayed, leg, b"x")));
        assert!((0..3).all(|_| !relay.put(relayed, leg, b"x")));
        assert_eq!(relay.counts().full.load(Ordering::Relaxed), 3);
        assert!(!media[0].has_more() && media[1].has_more());
        media[1].unsettle(LegIx(2), false, 20_002);
        assert!(!relay.put(relayed, leg, b"x"));
    }
}
