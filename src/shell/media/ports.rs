//! RTP ports: pairs of sockets, bound ahead of need, so that a call never waits for one.
//!
//! ```text
//!   bind --> spare --> taken by a leg --> resting --> spare again: the same sockets
//!                                            '------> closed, where enough of them rest
//! ```
//!
//! Who spoke to a leg may go on for a while after its end, and must not be heard by the next one that has its port. So a pair rests
//! until nothing has come to it for a time, and what came is thrown away. A peer that never stops keeps the pair from ever being
//! used again, until it is closed.

use crate::config;
use crate::id::{Transport, WorkerId};
use crate::media::command::Port;
use crate::media::packet::Channel;
use crate::shell::net;
use crate::time::Instant;
use socket2::{Domain, Protocol, SockRef, Type};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Half a second of audio of a peer whose packets all come at once.
const SOCKET_BUFFER: usize = 64 * 1024;

/// The same for a port of many: a quarter of a second of 500 browsers with 100 kbit/s each.
const SHARED_BUFFER: usize = 4 * 1024 * 1024;

/// Pairs that others hold, met in one search, before it is given up until the next one: each costs system calls, and
/// signalling waits for them.
const FAILURES: usize = 64;

/// How long nothing must have come to a pair before it is used again: longer than a packet is under way.
const REST: Duration = Duration::from_millis(500);
/// One part in so many of the range rests at most; further pairs are closed. Of 10,000 ports it is enough for 2,500 calls a second, each of
/// which leaves two pairs.
const RESTING: usize = 2;
/// Pairs that still hear somebody, met in one search, before others are bound.
const LOOKS: usize = 64;
/// Packets that one look at a resting pair throws away, so that a flood costs the next call nothing.
const THROWN: usize = 64;

/// A bound pair.
#[derive(Debug)]
pub struct Sockets {
    /// Which pair.
    pub port: Port,
    /// The address that it is bound to.
    ip: IpAddr,
    /// The even port.
    pub rtp: UdpSocket,
    /// The next one.
    pub rtcp: UdpSocket,
    /// The leg that has them takes RTCP.
    pub hears_rtcp: bool,
}

/// A bound port that all browsers of one worker share.
#[derive(Debug)]
pub struct Shared {
    /// Who has it, whatever worker its legs live on.
    pub home: WorkerId,
    /// Which.
    pub port: Port,
    ip: IpAddr,
    /// Bound.
    pub socket: UdpSocket,
}

impl Shared {
    /// Where it is bound; a wildcard, where that is at all addresses.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port.rtp)
    }
}

/// What a leg has of the network.
#[derive(Debug)]
pub enum Way {
    /// A pair of ports of its own.
    Own(Sockets),
    /// The port of a worker.
    Shared(Arc<Shared>),
}

impl Way {
    /// By what a packet goes out.
    pub fn socket(&self, channel: Channel) -> &UdpSocket {
        match (self, channel) {
            (Way::Own(sockets), Channel::Rtp) => &sockets.rtp,
            (Way::Own(sockets), Channel::Rtcp) => &sockets.rtcp,
            (Way::Shared(shared), Channel::Rtp | Channel::Rtcp) => &shared.socket,
        }
    }

    /// Where one of the two is bound; a wildcard, where that is at all addresses.
    pub fn address(&self, channel: Channel) -> SocketAddr {
        match self {
            Way::Own(sockets) => sockets.address(channel),
            Way::Shared(shared) => shared.address(),
        }
    }
}

/// Where ports come from.
#[derive(Debug)]
pub struct PortRange {
    first: u16,
    last: u16,
    next: u16,
    /// The address to bind; with a wildcard and IPv6 listeners there are ports of both families.
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
    spare: HashMap<Port, Sockets>,
    /// In the order in which their rest ends.
    resting: VecDeque<(Instant, Sockets)>,
    /// Those that legs have, or that rest.
    taken: HashSet<Port>,
}

impl PortRange {
    /// The range of the configuration. `listeners` decide the address where it names none: theirs if all share one, else
    /// the wildcard of each family that is listened on.
    pub fn new(media: &config::Media, listeners: impl Iterator<Item = SocketAddr>) -> PortRange {
        let [v4, v6] = media.bound(listeners.map(|addr| addr.ip()));
        let first = media.first_own_port();
        PortRange {
            first,
            last: media.last_port,
            next: first,
            v4,
            v6,
            spare: HashMap::new(),
            resting: VecDeque::new(),
            taken: HashSet::new(),
        }
    }

    /// Where ports are bound.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        [self.v4, self.v6].into_iter().flatten()
    }

    /// The ports that browsers share, as many as there are workers, of each family; none where they do not.
    ///
    /// # Errors
    /// A sentence, when one of them cannot be bound.
    pub fn shared(&self, media: &config::Media) -> Result<Vec<Arc<Shared>>, String> {
        let mut bound = Vec::new();
        for (home, ip) in (0..media.workers).flat_map(|home| [self.v4, self.v6].map(|ip| (home, ip))) {
            let home = WorkerId(u16::try_from(home).unwrap_or(u16::MAX));
            let (Some(rtp), Some(ip)) = (media.shared_port_of(home), ip) else {
                continue;
            };
            let socket = open(ip, rtp).map_err(|error| {
                let listen = config::Listen {
                    transport: Transport::Udp,
                    addr: SocketAddr::new(ip, rtp),
                };
                net::explain(&error, listen, "media.ports")
            })?;
            // The system grants what net.core.rmem_max says, and doubles it.
            let _ = SockRef::from(&socket).set_recv_buffer_size(SHARED_BUFFER);
            let _ = SockRef::from(&socket).set_send_buffer_size(SHARED_BUFFER);
            let port = Port { rtp, v6: ip.is_ipv6() };
            bound.push(Arc::new(Shared { home, port, ip, socket }));
        }
        Ok(bound)
    }

    /// Another range or other addresses from now on. Ports that legs have stay; spare ones and those that rest are closed.
    pub fn change(&mut self, media: &config::Media, listeners: impl Iterator<Item = SocketAddr>) {
        self.close_resting();
        let taken = std::mem::take(&mut self.taken);
        *self = PortRange {
            taken,
            ..PortRange::new(media, listeners)
        };
    }

    /// Gives up to `count` pairs, fewer where the range is used up: those that have rested, then new ones. Ports that others hold are
    /// passed over.
    pub fn bind(&mut self, count: usize, now: Instant) -> Vec<Port> {
        let mut bound = Vec::with_capacity(count);
        self.wake(&mut bound, count, now);
        self.bind_new(&mut bound, count);
        if bound.is_empty() && count > 0 {
            // The range is used up. A pair that is closed and bound anew has not heard what came before, rest or no rest.
            self.close_resting();
            self.bind_new(&mut bound, count);
        }
        bound
    }

    /// Takes back what has rested and was left alone.
    fn wake(&mut self, bound: &mut Vec<Port>, count: usize, now: Instant) {
        let most = count + LOOKS;
        for _ in 0..self.resting.len().min(most) {
            if bound.len() >= count || self.resting.front().is_none_or(|(until, _)| *until > now) {
                return;
            }
            let Some((_, sockets)) = self.resting.pop_front() else {
                return;
            };
            if sockets.throw_away() {
                self.resting.push_back((now + REST, sockets));
            } else {
                bound.push(sockets.port);
                self.taken.remove(&sockets.port);
                self.spare.insert(sockets.port, sockets);
            }
        }
    }

    fn bind_new(&mut self, bound: &mut Vec<Port>, count: usize) {
        let pairs = usize::from(self.last.saturating_sub(self.first)).div_ceil(2);
        let families: Vec<IpAddr> = [self.v4, self.v6].into_iter().flatten().collect();
        let mut failures = 0;
        for _ in 0..pairs {
            if bound.len() >= count || failures >= FAILURES {
                break;
            }
            let rtp = self.next;
            self.next = match self.next.checked_add(2) {
                Some(next) if next < self.last => next,
                Some(_) | None => self.first,
            };
            for ip in &families {
                let port = Port { rtp, v6: ip.is_ipv6() };
                if self.spare.contains_key(&port) || self.taken.contains(&port) {
                    continue;
                }
                match pair(*ip, port) {
                    Ok(sockets) => {
                        self.spare.insert(port, sockets);
                        bound.push(port);
                    }
                    Err(_) => failures += 1,
                }
            }
        }
    }

    /// Takes the sockets of a leg that is opened.
    pub fn take(&mut self, port: Port) -> Option<Sockets> {
        let sockets = self.spare.remove(&port)?;
        self.taken.insert(port);
        Some(sockets)
    }

    /// Takes the sockets of a leg that is over. They rest, unless they belong to a range of before or enough others rest.
    pub fn close(&mut self, mut sockets: Sockets, now: Instant) {
        sockets.hears_rtcp = false;
        let pairs = usize::from(self.last.saturating_sub(self.first)).div_ceil(2);
        if self.resting.len() < pairs / RESTING && self.has(&sockets) {
            self.resting.push_back((now + REST, sockets));
        } else {
            self.taken.remove(&sockets.port);
        }
    }

    fn close_resting(&mut self) {
        for (_, sockets) in self.resting.drain(..) {
            self.taken.remove(&sockets.port);
        }
    }

    /// True for a pair that would be bound today.
    fn has(&self, sockets: &Sockets) -> bool {
        let Port { rtp, v6 } = sockets.port;
        let family = if v6 { self.v6 } else { self.v4 };
        (self.first..self.last).contains(&rtp) && family.is_some() && family == Some(sockets.ip)
    }
}

impl Sockets {
    /// Where one of the two is bound; a wildcard, where the pair is at all addresses.
    pub fn address(&self, channel: Channel) -> SocketAddr {
        let port = match channel {
            Channel::Rtp => self.port.rtp,
            Channel::Rtcp => self.port.rtp + 1,
        };
        SocketAddr::new(self.ip, port)
    }

    /// Throws away what has come; true if that was anything.
    fn throw_away(&self) -> bool {
        // Both, whatever was there.
        throw_away(&self.rtp) | throw_away(&self.rtcp)
    }
}

/// Throws away what has come; true if that was anything.
pub fn throw_away(socket: &UdpSocket) -> bool {
    let mut buffer = [0; 16];
    let mut thrown = 0;
    // A packet that is longer than the buffer is cut, and gone all the same. An error is an ICMP answer, and no packet.
    while thrown < THROWN {
        match socket.recv(&mut buffer) {
            Ok(_) => thrown += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(_) => {}
        }
    }
    thrown > 0
}

fn pair(ip: IpAddr, port: Port) -> io::Result<Sockets> {
    Ok(Sockets {
        port,
        ip,
        rtp: open(ip, port.rtp)?,
        rtcp: open(ip, port.rtp + 1)?,
        hears_rtcp: false,
    })
}

fn open(ip: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let addr = SocketAddr::new(ip, port);
    let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if ip.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system may grant less; that is no reason to refuse the call.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    // Voice goes before other traffic: DSCP EF (RFC 4594 4.1). Not every system lets us.
    if ip.is_ipv4() {
        let _ = socket.set_tos_v4(0xb8);
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::ZERO;

    fn media(first: u16, last: u16) -> config::Media {
        config::Media {
            first_port: first,
            last_port: last,
            address: Some("127.0.0.93".parse().unwrap()),
            workers: 1,
            browser_tcp: None,
            shared_port: None,
            silence: Some(Duration::from_secs(60)),
            opus_bitrate: 24_000,
            opus_complexity: 5,
            opus_dtx: false,
        }
    }

    fn range(first: u16, last: u16) -> PortRange {
        PortRange::new(&media(first, last), std::iter::empty())
    }

    #[test]
    fn pairs_are_even_within_the_range_and_come_back() {
        let mut ports = range(21_000, 21_007);
        let bound = ports.bind(10, START);
        assert_eq!(
            bound.iter().map(|p| p.rtp).collect::<Vec<_>>(),
            [21_000, 21_002, 21_004, 21_006]
        );
        assert!(ports.bind(1, START).is_empty(), "all are taken");
        let sockets = ports.take(bound[1]).expect("bound");
        assert!(ports.bind(1, START).is_empty(), "a leg has it");
        ports.close(sockets, START);
        assert_eq!(ports.bind(5, START).iter().map(|p| p.rtp).collect::<Vec<_>>(), [21_002]);
    }

    #[test]
    fn a_pair_rests_until_nobody_speaks_to_it_any_more_and_then_is_the_same() {
        let mut ports = range(21_050, 21_059);
        let port = ports.bind(1, START)[0];
        let sockets = ports.take(port).expect("bound");
        let old = UdpSocket::bind("127.0.0.93:0").unwrap();
        let to = sockets.rtp.local_addr().unwrap();
        ports.close(sockets, START);
        let after = |rests: u32| START + REST * rests;
        assert_eq!(ports.bind(1, START)[0].rtp, 21_052, "it has not rested yet");
        old.send_to(&[0x80; 200], to).unwrap();
        assert_eq!(ports.bind(1, after(1))[0].rtp, 21_054, "somebody speaks to it");
        old.send_to(&[0x80; 200], to).unwrap();
        assert_eq!(ports.bind(1, after(2))[0].rtp, 21_056, "and still does");
        assert_eq!(ports.bind(1, after(3)), [port]);
        let sockets = ports.take(port).expect("bound");
        assert!(!sockets.throw_away(), "nothing of before is in it");
        assert_eq!(sockets.rtp.local_addr().unwrap(), to);
    }

    #[test]
    fn what_rests_is_used_before_a_call_is_refused() {
        let mut ports = range(21_060, 21_067);
        let port = ports.bind(4, START)[0];
        let sockets = ports.take(port).expect("bound");
        let old = UdpSocket::bind("127.0.0.93:0").unwrap();
        old.send_to(&[0x80; 200], sockets.rtp.local_addr().unwrap()).unwrap();
        ports.close(sockets, START);
        assert_eq!(ports.bind(1, START), [port]);
        assert!(!ports.take(port).expect("bound").throw_away(), "it was bound anew");
    }

    #[test]
    fn a_range_may_reach_to_the_last_port_of_all() {
        let mut ports = range(65_532, 65_535);
        let bound = ports.bind(3, START);
        assert_eq!(bound.iter().map(|p| p.rtp).collect::<Vec<_>>(), [65_532, 65_534]);
        assert!(ports.bind(1, START).is_empty(), "all are taken");
    }

    #[test]
    fn a_port_that_somebody_holds_is_passed_over() {
        let held = UdpSocket::bind("127.0.0.93:21023").unwrap();
        let bound = range(21_020, 21_025).bind(3, START);
        assert_eq!(bound.iter().map(|p| p.rtp).collect::<Vec<_>>(), [21_020, 21_024]);
        drop(held);
    }

    #[test]
    fn a_new_range_holds_at_once_and_legs_keep_what_they_have() {
        let mut ports = range(21_030, 21_033);
        let bound = ports.bind(2, START);
        let leg = ports.take(bound[0]).expect("bound");
        ports.change(&media(21_030, 21_037), std::iter::empty());
        assert_eq!(
            ports.bind(9, START).iter().map(|p| p.rtp).collect::<Vec<_>>(),
            [21_032, 21_034, 21_036]
        );
        ports.change(&media(21_030, 21_031), std::iter::empty());
        assert!(ports.bind(1, START).is_empty());
        UdpSocket::bind("127.0.0.93:21034").expect("spare ones are closed");
        ports.close(leg, START);
        assert_eq!(ports.bind(1, START).len(), 1);
    }
}
