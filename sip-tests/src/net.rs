//! The network: hosts on links that lose, delay, double and reorder, and NATs by the names of RFC 4787.

use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tandem::time::Instant;

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The node under test.
    Node,
    /// A peer, by number.
    Peer(usize),
}

/// What happens to datagrams between a host and the middle of the network, in both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Probability that a datagram is lost.
    pub loss: f64,
    /// The shortest time.
    pub delay: Duration,
    /// At most this much more.
    pub jitter: Duration,
    /// Probability that a datagram comes twice.
    pub duplicate: f64,
    /// Probability that a datagram is held back so that later ones overtake it.
    pub reorder: f64,
    /// Datagrams with more octets are dropped (fragments that do not pass).
    pub mtu: usize,
    /// Nothing passes.
    pub cut: bool,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            loss: 0.0,
            delay: Duration::from_millis(5),
            jitter: Duration::ZERO,
            duplicate: 0.0,
            reorder: 0.0,
            mtu: 65_535,
            cut: false,
        }
    }
}

/// Endpoint-independent mapping and address-dependent filtering (RFC 4787 4.1, 5): the common home router.
#[derive(Debug)]
struct Nat {
    public: IpAddr,
    next_port: u16,
    mapped: BTreeMap<SocketAddr, u16>,
    permitted: BTreeSet<(SocketAddr, IpAddr)>,
}

#[derive(Debug)]
struct Host {
    owner: Owner,
    link: Link,
    nat: Option<usize>,
}

/// All hosts.
#[derive(Debug, Default)]
pub struct Net {
    hosts: BTreeMap<IpAddr, Host>,
    nats: Vec<Nat>,
    /// Datagrams that were lost on the way, by link or by filter.
    pub lost: u64,
}

/// Where and when a datagram arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// Its source as the receiver sees it.
    pub from: SocketAddr,
    /// Its destination as the receiver sees it.
    pub to: SocketAddr,
}

impl Net {
    /// A new host.
    pub fn add(&mut self, ip: IpAddr, owner: Owner, link: Link) {
        self.hosts.insert(ip, Host { owner, link, nat: None });
    }

    /// Who has this address.
    pub fn owner(&self, ip: IpAddr) -> Option<Owner> {
        self.hosts.get(&ip).map(|host| host.owner)
    }

    /// The link of a host.
    pub fn link(&mut self, ip: IpAddr) -> &mut Link {
        &mut self.hosts.get_mut(&ip).expect("a host of this world").link
    }

    /// Puts a host behind a NAT with this outside address.
    pub fn behind_nat(&mut self, ip: IpAddr, public: IpAddr) {
        let known = self.nats.iter().position(|nat| nat.public == public);
        let number = known.unwrap_or_else(|| {
            self.nats.push(Nat {
                public,
                next_port: 40_000,
                mapped: BTreeMap::new(),
                permitted: BTreeSet::new(),
            });
            self.nats.len() - 1
        });
        self.hosts.get_mut(&ip).expect("a host of this world").nat = Some(number);
    }

    /// The NAT forgets its mappings: the same hosts get other ports (a router that restarts).
    pub fn rebind(&mut self, public: IpAddr) {
        for nat in self.nats.iter_mut().filter(|nat| nat.public == public) {
            nat.mapped.clear();
            nat.permitted.clear();
            nat.next_port += 1_000;
        }
    }

    /// The source that the rest of the network sees.
    pub fn outside(&mut self, from: SocketAddr, to: IpAddr) -> SocketAddr {
        let Some(nat) = self.hosts.get(&from.ip()).and_then(|host| host.nat) else {
            return from;
        };
        let nat = &mut self.nats[nat];
        nat.permitted.insert((from, to));
        let port = *nat.mapped.entry(from).or_insert_with(|| {
            // Even ports, so that nobody else has the one beside an RTP port.
            nat.next_port += 2;
            nat.next_port
        });
        SocketAddr::new(nat.public, port)
    }

    /// The host behind an outside address, if the NAT lets `from` in.
    pub fn inside(&self, to: SocketAddr, from: IpAddr) -> Option<SocketAddr> {
        let Some(nat) = self.nats.iter().find(|nat| nat.public == to.ip()) else {
            // The address of a host behind a NAT means nothing outside.
            return self.hosts.get(&to.ip()).filter(|host| host.nat.is_none()).map(|_| to);
        };
        let (inside, _) = nat.mapped.iter().find(|(_, port)| **port == to.port())?;
        nat.permitted.contains(&(*inside, from)).then_some(*inside)
    }

    /// Sends a datagram: none, one or two arrivals.
    pub fn send(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        from: SocketAddr,
        to: SocketAddr,
        octets: usize,
    ) -> Vec<Arrival> {
        let Some(near) = self.hosts.get(&from.ip()).map(|host| host.link) else {
            return Vec::new();
        };
        let seen = self.outside(from, to.ip());
        let inner = self.inside(to, seen.ip());
        let far = inner
            .and_then(|inner| self.hosts.get(&inner.ip()))
            .map(|host| host.link);
        let (Some(inner), Some(far)) = (inner, far) else {
            self.lost += 1;
            return Vec::new();
        };
        let mut copies = Vec::new();
        let doubled = rng.chance(near.duplicate) || rng.chance(far.duplicate);
        for _ in 0..1 + usize::from(doubled) {
            match pass(rng, &near, octets).zip(pass(rng, &far, octets)) {
                Some((a, b)) => copies.push(Arrival {
                    at: now + a + b,
                    from: seen,
                    to: inner,
                }),
                None => self.lost += 1,
            }
        }
        copies
    }

    /// The time that an octet of a stream takes from one host to another; `None` when a link is cut.
    pub fn stream_delay(&self, rng: &mut Rng, a: IpAddr, b: IpAddr) -> Option<Duration> {
        let mut sum = Duration::ZERO;
        for ip in [a, b] {
            let link = self.hosts.get(&ip)?.link;
            if link.cut {
                return None;
            }
            sum += link.delay;
            // What is lost is sent again.
            if rng.chance(link.loss) {
                sum += Duration::from_millis(200);
            }
        }
        Some(sum)
    }
}

fn pass(rng: &mut Rng, link: &Link, octets: usize) -> Option<Duration> {
    if link.cut || octets > link.mtu || rng.chance(link.loss) {
        return None;
    }
    let jitter = Duration::from_nanos(rng.below(link.jitter.as_nanos() as u64 + 1));
    let held = if rng.chance(link.reorder) {
        rng.millis(10, 60)
    } else {
        Duration::ZERO
    };
    Some(link.delay + jitter + held)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4787: one mapping for every destination; who was not spoken to is not let in; after a rebinding nobody is.
    #[test]
    fn a_nat_maps_filters_and_rebinds() {
        let (mut net, mut rng) = (Net::default(), Rng::new(1));
        let [phone, node, other]: [SocketAddr; 3] =
            ["10.0.0.2:5060", "192.0.2.1:5060", "192.0.2.9:5060"].map(|text| text.parse().unwrap());
        for (ip, owner) in [
            (phone.ip(), Owner::Peer(0)),
            (node.ip(), Owner::Node),
            (other.ip(), Owner::Peer(1)),
        ] {
            net.add(ip, owner, Link::default());
        }
        let public: IpAddr = "203.0.113.7".parse().unwrap();
        net.behind_nat(phone.ip(), public);
        let out = net.send(Instant::ZERO, &mut rng, phone, node, 100)[0];
        assert_eq!((out.from.ip(), out.to), (public, node));
        assert_eq!(net.send(Instant::ZERO, &mut rng, node, out.from, 100)[0].to, phone);
        assert!(net.send(Instant::ZERO, &mut rng, other, out.from, 100).is_empty());
        assert_eq!(net.outside(phone, other.ip()), out.from);
        net.rebind(public);
        assert!(net.send(Instant::ZERO, &mut rng, node, out.from, 100).is_empty());
        assert_ne!(net.outside(phone, node.ip()), out.from);
    }
}
