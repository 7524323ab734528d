//! The head of a message that carries a peer's data (RFC 8656 11.3), written without the allocator.

use super::message::{COOKIE, HEADER, HEADER_OF_ATTRIBUTE, kind, pad};
use std::net::{IpAddr, SocketAddr};

/// Octets of the longest.
pub const HEAD: usize = 48;
/// Class and method.
const DATA_INDICATION: u16 = 0x0017;

/// What stands before so many octets of data of this peer in a Data indication; gives how long it is. Behind the data is padding to whole
/// words, which is counted.
pub fn data(transaction: [u8; 12], peer: SocketAddr, length: u16, head: &mut [u8; HEAD]) -> usize {
    let (family, ip_octets) = if peer.is_ipv4() { (1, 4) } else { (2, 16) };
    let end = HEADER + HEADER_OF_ATTRIBUTE + 4 + ip_octets + HEADER_OF_ATTRIBUTE;
    let whole = (end - HEADER) as u16 + length.next_multiple_of(4);
    let address = &mut head[HEADER..];
    address[..2].copy_from_slice(&kind::XOR_PEER_ADDRESS.to_be_bytes());
    address[2..4].copy_from_slice(&(4 + ip_octets as u16).to_be_bytes());
    address[4..6].copy_from_slice(&[0, family]);
    address[6..8].copy_from_slice(&(peer.port() ^ (COOKIE >> 16) as u16).to_be_bytes());
    match peer.ip() {
        IpAddr::V4(ip) => address[8..12].copy_from_slice(&(u32::from(ip) ^ COOKIE).to_be_bytes()),
        IpAddr::V6(ip) => address[8..24].copy_from_slice(&(u128::from(ip) ^ pad(&transaction)).to_be_bytes()),
    }
    head[..2].copy_from_slice(&DATA_INDICATION.to_be_bytes());
    head[2..4].copy_from_slice(&whole.to_be_bytes());
    head[4..8].copy_from_slice(&COOKIE.to_be_bytes());
    head[8..HEADER].copy_from_slice(&transaction);
    head[end - 4..end - 2].copy_from_slice(&kind::DATA.to_be_bytes());
    head[end - 2..end].copy_from_slice(&length.to_be_bytes());
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stun::message::{Class, Message, method};

    #[test]
    fn what_is_written_is_read() {
        for (peer, length) in [("192.0.2.1:9", 0), ("192.0.2.1:65535", 5), ("[2001:db8::7]:4000", 8)] {
            let peer: SocketAddr = peer.parse().unwrap();
            let mut head = [0xff; HEAD];
            let taken = data([3; 12], peer, length, &mut head);
            let mut octets = head[..taken].to_vec();
            octets.resize(taken + usize::from(length.next_multiple_of(4)), 7);
            let message = Message::parse(&octets).expect("it is whole");
            assert_eq!((message.class, message.method), (Class::Indication, method::DATA));
            assert_eq!(message.transaction, [3; 12]);
            let told = message.unxored(message.get(kind::XOR_PEER_ADDRESS).unwrap());
            assert_eq!(told, Some(peer));
            assert_eq!(message.get(kind::DATA), Some(&vec![7; usize::from(length)][..]));
            assert_eq!(message.place(kind::DATA), Some(taken..taken + usize::from(length)));
        }
    }
}
