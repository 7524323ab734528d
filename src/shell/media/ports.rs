//! RTP ports: pairs of sockets, bound ahead of need, so that a call never waits for one.

use crate::config;
use crate::media::command::Port;
use socket2::{Domain, Protocol, Type};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Half a second of audio of a peer whose packets all come at once.
const SOCKET_BUFFER: usize = 64 * 1024;

/// Pairs that others hold, met in one search, before it is given up until the next one: each costs system calls, and
/// signalling waits for them.
const FAILURES: usize = 64;

/// A bound pair.
#[derive(Debug)]
pub struct Sockets {
    /// Which pair.
    pub port: Port,
    /// The even port.
    pub rtp: UdpSocket,
    /// The next one.
    pub rtcp: UdpSocket,
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
    /// Those that legs have.
    taken: HashSet<Port>,
}

impl PortRange {
    /// The range of the configuration. `listeners` decide the address where it names none: theirs if all share one, else
    /// the wildcard of each family that is listened on.
    pub fn new(media: &config::Media, listeners: impl Iterator<Item = SocketAddr>) -> PortRange {
        let addrs: Vec<IpAddr> = match media.address {
            Some(address) => vec![address],
            None => listeners.map(|addr| addr.ip()).collect(),
        };
        let of = |v4: bool| {
            let mut own = addrs.iter().filter(|ip| ip.is_ipv4() == v4);
            let first = own.next().copied()?;
            let wildcard = if v4 {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED)
            } else {
                IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            };
            Some(if own.all(|ip| *ip == first) { first } else { wildcard })
        };
        let first = media.first_port.next_multiple_of(2);
        PortRange {
            first,
            last: media.last_port,
            next: first,
            v4: of(true),
            v6: of(false),
            spare: HashMap::new(),
            taken: HashSet::new(),
        }
    }

    /// Another range or other addresses from now on. Ports that legs have stay; spare ones are closed.
    pub fn change(&mut self, media: &config::Media, listeners: impl Iterator<Item = SocketAddr>) {
        let taken = std::mem::take(&mut self.taken);
        *self = PortRange {
            taken,
            ..PortRange::new(media, listeners)
        };
    }

    /// Binds up to `count` pairs, fewer where the range is used up. Ports that others hold are passed over.
    pub fn bind(&mut self, count: usize) -> Vec<Port> {
        let mut bound = Vec::with_capacity(count);
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
        bound
    }

    /// Takes the sockets of a leg that is opened.
    pub fn take(&mut self, port: Port) -> Option<Sockets> {
        let sockets = self.spare.remove(&port)?;
        self.taken.insert(port);
        Some(sockets)
    }

    /// Closes the sockets of a leg that is over.
    pub fn close(&mut self, sockets: Sockets) {
        self.taken.remove(&sockets.port);
    }
}

fn pair(ip: IpAddr, port: Port) -> io::Result<Sockets> {
    Ok(Sockets {
        port,
        rtp: open(ip, port.rtp)?,
        rtcp: open(ip, port.rtp + 1)?,
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
    use std::time::Duration;

    fn media(first: u16, last: u16) -> config::Media {
        config::Media {
            first_port: first,
            last_port: last,
            address: Some("127.0.0.93".parse().unwrap()),
            workers: 1,
            silence: Some(Duration::from_secs(60)),
            opus_bitrate: 24_000,
            opus_complexity: 5,
        }
    }

    fn range(first: u16, last: u16) -> PortRange {
        PortRange::new(&media(first, last), std::iter::empty())
    }

    #[test]
    fn pairs_are_even_within_the_range_and_come_back() {
        let mut ports = range(21_000, 21_007);
        let bound = ports.bind(10);
        assert_eq!(
            bound.iter().map(|p| p.rtp).collect::<Vec<_>>(),
            [21_000, 21_002, 21_004, 21_006]
        );
        assert!(ports.bind(1).is_empty(), "all are taken");
        let sockets = ports.take(bound[1]).expect("bound");
        assert!(ports.bind(1).is_empty(), "a leg has it");
        ports.close(sockets);
        assert_eq!(ports.bind(5).iter().map(|p| p.rtp).collect::<Vec<_>>(), [21_002]);
    }

    #[test]
    fn a_range_may_reach_to_the_last_port_of_all() {
        let mut ports = range(65_532, 65_535);
        let bound = ports.bind(3);
        assert_eq!(bound.iter().map(|p| p.rtp).collect::<Vec<_>>(), [65_532, 65_534]);
        assert!(ports.bind(1).is_empty(), "all are taken");
    }

    #[test]
    fn a_port_that_somebody_holds_is_passed_over() {
        let held = UdpSocket::bind("127.0.0.93:21023").unwrap();
        let bound = range(21_020, 21_025).bind(3);
        assert_eq!(bound.iter().map(|p| p.rtp).collect::<Vec<_>>(), [21_020, 21_024]);
        drop(held);
    }

    #[test]
    fn a_new_range_holds_at_once_and_legs_keep_what_they_have() {
        let mut ports = range(21_030, 21_033);
        let bound = ports.bind(2);
        let leg = ports.take(bound[0]).expect("bound");
        ports.change(&media(21_030, 21_037), std::iter::empty());
        assert_eq!(
            ports.bind(9).iter().map(|p| p.rtp).collect::<Vec<_>>(),
            [21_032, 21_034, 21_036]
        );
        ports.change(&media(21_030, 21_031), std::iter::empty());
        assert!(ports.bind(1).is_empty());
        UdpSocket::bind("127.0.0.93:21034").expect("spare ones are closed");
        ports.close(leg);
        assert_eq!(ports.bind(1).len(), 1);
    }
}
