//! RTP ports: pairs of sockets, bound ahead of need, so that a call never waits for one.

use crate::config;
use crate::media::command::Port;
use socket2::{Domain, Protocol, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Half a second of audio of a peer whose packets all come at once.
const SOCKET_BUFFER: usize = 64 * 1024;

/// A bound pair.
#[derive(Debug)]
pub struct Sockets {
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
        }
    }

    /// Another range from now on; what is bound stays until it is used.
    pub fn set_range(&mut self, media: &config::Media) {
        self.first = media.first_port.next_multiple_of(2);
        self.last = media.last_port;
        if !(self.first..self.last).contains(&self.next) {
            self.next = self.first;
        }
    }

    /// Binds up to `count` pairs, fewer where the range is used up. Ports that others hold are passed over.
    pub fn bind(&mut self, count: usize) -> Vec<Port> {
        let mut bound = Vec::with_capacity(count);
        let pairs = usize::from(self.last.saturating_sub(self.first)).div_ceil(2);
        let families: Vec<IpAddr> = [self.v4, self.v6].into_iter().flatten().collect();
        for _ in 0..pairs {
            if bound.len() >= count {
                break;
            }
            let rtp = self.next;
            self.next = if self.next + 3 > self.last {
                self.first
            } else {
                self.next + 2
            };
            for ip in &families {
                let port = Port { rtp, v6: ip.is_ipv6() };
                if self.spare.contains_key(&port) {
                    continue;
                }
                if let (Ok(rtp_socket), Ok(rtcp_socket)) = (open(*ip, rtp), open(*ip, rtp + 1)) {
                    self.spare.insert(
                        port,
                        Sockets {
                            rtp: rtp_socket,
                            rtcp: rtcp_socket,
                        },
                    );
                    bound.push(port);
                }
            }
        }
        bound
    }

    /// Takes the sockets of a leg that is opened.
    pub fn take(&mut self, port: Port) -> Option<Sockets> {
        self.spare.remove(&port)
    }
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

    fn range(first: u16, last: u16) -> PortRange {
        let media = config::Media {
            first_port: first,
            last_port: last,
            address: Some("127.0.0.93".parse().unwrap()),
            workers: 1,
            silence: Some(Duration::from_secs(60)),
            opus_bitrate: 24_000,
            opus_complexity: 5,
        };
        PortRange::new(&media, std::iter::empty())
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
        drop(ports.take(bound[1]).expect("bound"));
        assert_eq!(ports.bind(5).iter().map(|p| p.rtp).collect::<Vec<_>>(), [21_002]);
    }

    #[test]
    fn a_port_that_somebody_holds_is_passed_over() {
        let held = UdpSocket::bind("127.0.0.93:21023").unwrap();
        let bound = range(21_020, 21_025).bind(3);
        assert_eq!(bound.iter().map(|p| p.rtp).collect::<Vec<_>>(), [21_020, 21_024]);
        drop(held);
    }
}
