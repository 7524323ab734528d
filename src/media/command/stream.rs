//! Peers that are reached by TCP (RFC 6544): how their addresses are told from those of datagrams, wherever an address says where a peer is.
//!
//! It is written as that of IPv6 with the number of the connection as its flow, which datagrams of ours have none of. Two connections of one peer,
//! and a datagram of the same address and port, are three addresses.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;

/// The address of a connection's peer.
pub fn of_stream(connection: NonZeroU32, peer: SocketAddr) -> SocketAddr {
    let ip = match peer.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    SocketAddr::V6(SocketAddrV6::new(ip, peer.port(), connection.get(), 0))
}

/// Which connection it is; none for one of datagrams.
pub fn connection(of: SocketAddr) -> Option<NonZeroU32> {
    match of {
        SocketAddr::V4(_) => None,
        SocketAddr::V6(v6) => NonZeroU32::new(v6.flowinfo()),
    }
}

/// As the peer itself would write it.
pub fn plain(of: SocketAddr) -> SocketAddr {
    match connection(of) {
        Some(_) => SocketAddr::new(of.ip().to_canonical(), of.port()),
        None => of,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_datagrams_of_one_peer_are_told_apart_and_written_as_they_are() {
        for peer in ["192.0.2.7:4000", "[2001:db8::7]:4000"] {
            let peer: SocketAddr = peer.parse().unwrap();
            let numbers = [1, 2].map(|number| NonZeroU32::new(number).unwrap());
            let [one, two] = numbers.map(|number| of_stream(number, peer));
            assert!(one != two && one != peer && connection(peer).is_none());
            assert_eq!([one, two].map(connection), numbers.map(Some));
            assert_eq!([one, two, peer].map(plain), [peer; 3]);
        }
    }
}
