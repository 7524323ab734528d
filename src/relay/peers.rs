//! To whom is relayed: who may send what he likes from our address must not reach what trusts it, or nobody on the internet has.

use crate::config::{Network, Turn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Addresses that are nobody's on the internet, or not one host's (RFC 6890, RFC 8656 21.1.4), as network and prefix.
const SPECIAL_V4: [(Ipv4Addr, u8); 13] = [
    // On Linux it leads to this host.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

/// The same of IPv6, and those that a translator makes an address of IPv4 of, whatever that is (64:ff9b::/96, 2002::/16, 2001::/32).
const SPECIAL_V6: [(Ipv6Addr, u8); 10] = [
    (Ipv6Addr::UNSPECIFIED, 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Anybody's.
    Open,
    /// Ours: some ports may be reached.
    Ours,
    /// Not to be reached.
    Denied,
}

/// The rules.
#[derive(Debug, Default)]
pub(super) struct Peers {
    denied: Vec<Network>,
    allowed: Vec<Network>,
    own: Vec<IpAddr>,
    /// Where media is, as bound and as others see it; the wildcard is all of our addresses of its family.
    media_at: Vec<IpAddr>,
    media: (u16, u16),
    relayed_at: Vec<IpAddr>,
    relayed: (u16, u16),
    listeners: Vec<SocketAddr>,
    /// Relayed addresses, and the same as others see them, where these are not the same.
    behind: Vec<(IpAddr, IpAddr)>,
    /// The same of media.
    media_behind: Vec<(IpAddr, IpAddr)>,
}

impl Peers {
    /// `interfaces` are the addresses of this machine.
    pub(super) fn new(turn: &Turn, interfaces: &[IpAddr]) -> Peers {
        let (own, doors) = (&turn.own, &turn.doors);
        let pairs = doors.addresses.iter().copied().zip(doors.external.iter().copied());
        // A loopback address is nobody's on the internet as it is.
        let interfaces = interfaces
            .iter()
            .map(IpAddr::to_canonical)
            .filter(|ip| !ip.is_loopback());
        Peers {
            denied: turn.denied.clone(),
            allowed: turn.allowed.clone(),
            own: own.addresses.iter().copied().chain(interfaces).collect(),
            media_at: own.media.iter().flat_map(|(own, outside)| [*own, *outside]).collect(),
            media: own.media_ports,
            relayed_at: doors.addresses.iter().chain(&doors.external).copied().collect(),
            relayed: (doors.first_port, doors.last_port),
            listeners: own.listeners.clone(),
            behind: pairs.filter(|(own, external)| own != external).collect(),
            media_behind: {
                let pairs = own
                    .media
                    .iter()
                    .filter(|(own, outside)| own != outside && !own.is_unspecified());
                pairs.copied().collect()
            },
        }
    }

    /// True for an address of this machine.
    pub(super) fn is_own(&self, ip: IpAddr) -> bool {
        self.own.contains(&ip)
    }

    pub(super) fn standing(&self, ip: IpAddr) -> Standing {
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(ip));
        let is_mapped = ip.to_canonical() != ip;
        let leads_astray = || embedded(ip).is_some_and(|v4| self.standing(v4) != Standing::Open);
        if is_mapped || is_in(&self.denied) {
            Standing::Denied
        } else if self.own.contains(&ip) {
            match self.has_media(ip) || self.relayed_at.contains(&ip) {
                true => Standing::Ours,
                false => Standing::Denied,
            }
        } else if is_in(&self.allowed) && !leads_astray() {
            // All loopback addresses are this machine.
            if ip.is_loopback() {
                Standing::Ours
            } else {
                Standing::Open
            }
        } else if is_special(ip) {
            Standing::Denied
        } else {
            Standing::Open
        }
    }

    fn has_media(&self, ip: IpAddr) -> bool {
        self.media_at.iter().any(|own| takes_in(*own, ip))
    }

    /// True for a port of this machine that may be reached: where media is, or what is relayed; of a loopback address that the operator
    /// allows, any that we do not listen on.
    pub(super) fn is_open(&self, peer: SocketAddr) -> bool {
        let (ip, port) = (peer.ip(), peer.port());
        let within = |(first, last): (u16, u16)| (first..=last).contains(&port);
        if self.own.contains(&ip) {
            return within(self.media) && self.has_media(ip) || within(self.relayed) && self.relayed_at.contains(&ip);
        }
        let mut listeners = self.listeners.iter();
        !listeners.any(|own| own.port() == port && takes_in(own.ip(), ip))
    }

    /// True for a port at which media of this node is.
    pub(super) fn is_media(&self, peer: SocketAddr) -> bool {
        let (first, last) = self.media;
        (first..=last).contains(&peer.port()) && self.own.contains(&peer.ip()) && self.has_media(peer.ip())
    }

    /// Our addresses, and the same as others see them, for a port: media may have others than what is relayed.
    fn pairs(&self, port: u16) -> &[(IpAddr, IpAddr)] {
        let (first, last) = self.media;
        match !self.media_behind.is_empty() && (first..=last).contains(&port) {
            true => &self.media_behind,
            false => &self.behind,
        }
    }

    /// The address to send to, for what others know by this one: behind NAT not all networks have a way back in to us.
    pub(super) fn inward(&self, peer: SocketAddr) -> SocketAddr {
        let mut pairs = self.pairs(peer.port()).iter();
        let own = pairs.find(|(_, external)| *external == peer.ip());
        own.map_or(peer, |(own, _)| SocketAddr::new(*own, peer.port()))
    }

    /// The address that others know, for what came from this one.
    pub(super) fn outward(&self, peer: SocketAddr) -> SocketAddr {
        let mut pairs = self.pairs(peer.port()).iter();
        let external = pairs.find(|(own, _)| *own == peer.ip());
        external.map_or(peer, |(_, external)| SocketAddr::new(*external, peer.port()))
    }
}

/// True for an address at which somebody is who has bound this one: the wildcard is all of its family.
fn takes_in(bound: IpAddr, ip: IpAddr) -> bool {
    bound == ip || (bound.is_unspecified() && bound.is_ipv4() == ip.is_ipv4())
}

/// What a translator or a tunnel makes of an address of IPv6 that has one of IPv4 in it (RFC 6052 2.1, RFC 3056 2).
fn embedded(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = ip else { return None };
    let bits = match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => u32::from(high) << 16 | u32::from(low),
        [..] => return None,
    };
    Some(Ipv4Addr::from_bits(bits).into())
}

fn is_special(ip: IpAddr) -> bool {
    let within = |addr: IpAddr, prefix: u8| Network { addr, prefix }.contains(ip);
    match ip {
        IpAddr::V4(_) => SPECIAL_V4.iter().any(|(addr, prefix)| within((*addr).into(), *prefix)),
        IpAddr::V6(_) => SPECIAL_V6.iter().any(|(addr, prefix)| within((*addr).into(), *prefix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        let (addr, prefix) = text.split_once('/').unwrap();
        Network {
            addr: addr.parse().unwrap(),
            prefix: prefix.parse().unwrap(),
        }
    }

    fn peers() -> Peers {
        Peers {
            denied: vec![network("10.1.2.0/24"), network("203.0.113.0/24")],
            allowed: vec![
                network("10.1.0.0/16"),
                network("192.0.2.0/24"),
                network("127.0.0.0/8"),
                network("64:ff9b::/96"),
            ],
            own: ["10.1.0.5", "198.51.100.1", "10.1.0.6", "10.1.0.7"]
                .map(|ip| ip.parse().unwrap())
                .to_vec(),
            media_at: vec!["10.1.0.6".parse().unwrap(), "198.51.100.1".parse().unwrap()],
            media: (20_000, 29_999),
            relayed_at: vec!["10.1.0.5".parse().unwrap(), "198.51.100.1".parse().unwrap()],
            relayed: (49_152, 65_535),
            listeners: vec!["0.0.0.0:5060".parse().unwrap()],
            behind: vec![("10.1.0.5".parse().unwrap(), "198.51.100.1".parse().unwrap())],
            media_behind: vec![("10.1.0.6".parse().unwrap(), "198.51.100.1".parse().unwrap())],
        }
    }

    #[test]
    fn what_is_nobodys_on_the_internet_is_denied() {
        let peers = Peers::default();
        for denied in [
            "0.0.0.0",
            "10.0.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.251",
            "239.1.2.3",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "2001::1",
            "fd00::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
        ] {
            assert_eq!(peers.standing(denied.parse().unwrap()), Standing::Denied, "{denied}");
        }
        for open in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.128.0.0",
            "172.32.0.0",
            "192.0.2.1",
            "223.255.255.255",
            "2001:db8::1",
            "2a00::1",
        ] {
            assert_eq!(peers.standing(open.parse().unwrap()), Standing::Open, "{open}");
        }
    }

    /// What the operator denies stays denied, and neither list opens our own ports.
    #[test]
    fn the_lists_of_the_operator_and_our_own_addresses() {
        let peers = peers();
        for (ip, standing) in [
            ("10.1.3.1", Standing::Open),
            ("10.1.2.1", Standing::Denied),
            ("10.2.0.1", Standing::Denied),
            ("203.0.113.9", Standing::Denied),
            ("10.1.0.5", Standing::Ours),
            ("::ffff:10.1.0.5", Standing::Denied),
            ("10.1.0.6", Standing::Ours),
            ("10.1.0.7", Standing::Denied),
            ("127.0.0.9", Standing::Ours),
            ("64:ff9b::8.8.8.8", Standing::Open),
            ("64:ff9b::10.2.0.1", Standing::Denied),
            ("64:ff9b::10.1.0.5", Standing::Denied),
            ("64:ff9b::127.0.0.9", Standing::Denied),
            ("198.51.100.1", Standing::Ours),
            ("198.51.100.2", Standing::Open),
        ] {
            assert_eq!(peers.standing(ip.parse().unwrap()), standing, "{ip}");
        }
        let ports = [22, 5060, 3478, 19_999, 20_000, 29_999, 30_000, 49_152, 65_535];
        for (ip, open) in [
            ("198.51.100.1", &[20_000, 29_999, 49_152, 65_535][..]),
            ("10.1.0.5", &[49_152, 65_535]),
            ("10.1.0.6", &[20_000, 29_999]),
            ("10.1.0.7", &[]),
            ("127.0.0.9", &[22, 3478, 19_999, 20_000, 29_999, 30_000, 49_152, 65_535]),
        ] {
            let ip = ip.parse().unwrap();
            let reached: Vec<u16> = ports
                .into_iter()
                .filter(|port| peers.is_open(SocketAddr::new(ip, *port)))
                .collect();
            assert_eq!(reached, open, "{ip}");
        }
    }

    /// Where the file names no address of media, it is where signalling listens, and not at every address of the machine.
    #[test]
    fn media_is_where_it_is_bound() {
        use crate::config::{Sources, parse};
        let of = |listen: &str, more: &str| {
            let yaml = format!(
                "listen: [ {listen} ]\ndomains: [ example.com ]\nmedia: {{ ports: 20000-20099 }}\n{more}turn: {{ listen: [ \"udp://198.51.100.7\" ], \
                 secret: north }}\n"
            );
            let config = parse("test", &yaml, &Sources::NONE).unwrap_or_else(|problems| panic!("{problems:?}"));
            let interfaces = ["198.51.100.8", "2001:db8::8"].map(|ip| ip.parse().unwrap());
            Peers::new(&config.turn.unwrap(), &interfaces)
        };
        let one = of("\"udp://198.51.100.1:5060\"", "");
        let two = of("\"udp://198.51.100.1:5060\", \"udp://198.51.100.2:5060\"", "");
        let all = of("\"udp://0.0.0.0:5060\"", "");
        let nat = of("\"udp://198.51.100.1:5060\"", "advertise: 203.0.113.1\n");
        for (peer, open) in [
            ("198.51.100.1:20000", [true, true, true, true]),
            ("198.51.100.8:20000", [false, true, true, false]),
            ("203.0.113.1:20000", [true, true, true, true]),
            // Nobody listens there.
            ("[2001:db8::8]:20000", [false; 4]),
        ] {
            let peer = peer.parse().unwrap();
            let reached = [&one, &two, &all, &nat].map(|peers| match peers.standing(SocketAddr::ip(&peer)) {
                Standing::Open => true,
                Standing::Ours => peers.is_open(peer),
                Standing::Denied => false,
            });
            assert_eq!(reached, open, "{peer}");
        }
        let (inside, outside) = (
            "198.51.100.1:20000".parse().unwrap(),
            "203.0.113.1:20000".parse().unwrap(),
        );
        assert_eq!((nat.inward(outside), nat.outward(inside)), (inside, outside));
    }

    #[test]
    fn behind_nat_we_reach_ourselves_without_it() {
        let peers = peers();
        let (inside, outside) = ("10.1.0.5:50000".parse().unwrap(), "198.51.100.1:50000".parse().unwrap());
        assert_eq!((peers.inward(outside), peers.outward(inside)), (inside, outside));
        // Media is at another address.
        let (inside, outside) = ("10.1.0.6:20000".parse().unwrap(), "198.51.100.1:20000".parse().unwrap());
        assert_eq!((peers.inward(outside), peers.outward(inside)), (inside, outside));
        assert!(peers.is_media(outside) && peers.is_media(inside));
        let other = "198.51.100.2:50000".parse().unwrap();
        assert_eq!((peers.inward(other), peers.outward(other)), (other, other));
    }
}
