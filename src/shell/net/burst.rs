//! Several datagrams of one length to one address in one system call (UDP_SEGMENT, udp(7)): the system walks its way to the network once for all of
//! them. A frame of video is such a burst, for each who sees it.

use crate::media::packet::{Outgoing, TX_BURST};
use nix::errno::Errno;
use nix::sys::socket::sockopt::UdpGsoSegment;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, getsockopt, sendmmsg};
use std::array;
use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Bursts until it is tried again, where a way did not take one: a second of a busy room.
const RESTS: u32 = 5_000;

/// What is needed for it, made once.
pub(in crate::shell) struct Bursts {
    headers: MultiHeaders<SockaddrStorage>,
    /// The system does it; it is asked before the first. One that knows nothing of it would take a burst for one datagram.
    is_possible: Option<bool>,
    /// So many bursts go out one by one, since a way did not take one.
    rest: u32,
}

impl Bursts {
    pub fn new() -> Bursts {
        Bursts {
            headers: MultiHeaders::preallocate(1, Some(nix::cmsg_space!(u16))),
            is_possible: None,
            rest: 0,
        }
    }

    /// Sends one of a batch's bursts.
    pub fn send(&mut self, socket: &UdpSocket, burst: &[Outgoing]) {
        if burst.len() > 1 {
            let may = self.rest == 0 && self.is_possible_by(socket);
            self.rest = self.rest.saturating_sub(1);
            if may && self.send_at_once(socket, burst) {
                return;
            }
        }
        for outgoing in burst {
            // What the system will not take now is late already: it counts as lost on the way.
            let _ = socket.send_to(outgoing.packet.as_slice(), outgoing.to);
        }
    }

    fn is_possible_by(&mut self, socket: &UdpSocket) -> bool {
        *self
            .is_possible
            .get_or_insert_with(|| getsockopt(socket.as_raw_fd(), UdpGsoSegment).is_ok())
    }

    /// False where it is to be tried one by one.
    fn send_at_once(&mut self, socket: &UdpSocket, burst: &[Outgoing]) -> bool {
        let Some(first) = burst.first() else { return true };
        let octets: [IoSlice<'_>; TX_BURST] =
            array::from_fn(|nth| IoSlice::new(burst.get(nth).map_or(&[], |outgoing| outgoing.packet.as_slice())));
        let octets = [&octets[..burst.len().min(TX_BURST)]];
        let length = first.packet.as_slice().len() as u16;
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            &octets,
            [Some(SockaddrStorage::from(first.to))],
            [ControlMessage::UdpGsoSegments(&length)],
            MsgFlags::empty(),
        );
        let sent = sent.map(drop);
        self.is_over(sent)
    }

    /// What the system said of a burst: false where it is to be tried one by one.
    fn is_over(&mut self, sent: Result<(), Errno>) -> bool {
        match sent {
            // A full buffer loses them, as it does each alone.
            Ok(()) | Err(Errno::EAGAIN | Errno::ENOBUFS) => true,
            // An interface cannot, or a way through a tunnel (EIO): most others of this machine are the same.
            Err(Errno::EIO | Errno::EOPNOTSUPP) => {
                self.rest = RESTS;
                false
            }
            // The way takes no datagram of this length whole, or an earlier one came back.
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::packet::{Channel, LegIx, Packet};
    use std::net::SocketAddr;
    use std::time::Duration;

    fn burst(to: SocketAddr, lengths: &[usize]) -> Vec<Outgoing> {
        let packet = |(nth, length): (usize, &usize)| Outgoing {
            leg: LegIx(1),
            channel: Channel::Rtp,
            to,
            packet: Packet::from_slice(&vec![nth as u8; *length]).unwrap(),
        };
        lengths.iter().enumerate().map(packet).collect()
    }

    fn arrives(at: &UdpSocket) -> Vec<Vec<u8>> {
        let mut buffer = [0; 65_535];
        std::iter::from_fn(|| {
            let length = at.recv(&mut buffer).ok()?;
            Some(buffer[..length].to_vec())
        })
        .collect()
    }

    fn all_arrive(address: &str, is_possible: Option<bool>) -> Bursts {
        let there = UdpSocket::bind(address).unwrap();
        there.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let here = UdpSocket::bind(address).unwrap();
        let mut bursts = Bursts::new();
        bursts.is_possible = is_possible;
        let longest = vec![1200; TX_BURST];
        for lengths in [&[1200, 1200, 1200, 7][..], &[1], &[1500, 1500], &longest] {
            let sent = burst(there.local_addr().unwrap(), lengths);
            bursts.send(&here, &sent);
            let sent: Vec<&[u8]> = sent.iter().map(|outgoing| outgoing.packet.as_slice()).collect();
            assert_eq!(arrives(&there), sent);
        }
        bursts
    }

    #[test]
    fn each_datagram_of_a_burst_arrives_as_it_is() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let bursts = all_arrive(address, None);
            assert_eq!(bursts.is_possible, Some(true), "the loopback does it");
            all_arrive(address, Some(false));
        }
    }

    /// An interface that cannot, or a tunnel: bursts go one by one, and it is tried again some time.
    #[test]
    fn a_way_that_takes_no_bursts_is_left_alone_for_a_while() {
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        there.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let pair = burst(there.local_addr().unwrap(), &[10, 10]);
        for errno in [Errno::EIO, Errno::EOPNOTSUPP] {
            let mut bursts = Bursts::new();
            assert!(!bursts.is_over(Err(errno)), "it goes one by one");
            bursts.send(&here, &pair);
            assert_eq!(arrives(&there).len(), 2);
            for _ in 1..RESTS {
                bursts.send(&here, &pair);
            }
            arrives(&there);
            assert_eq!(bursts.is_possible, None, "the system was not even asked");
            bursts.send(&here, &pair);
            assert_eq!((arrives(&there).len(), bursts.is_possible), (2, Some(true)));
        }
        // What is full is full for each alone; what is wrong with one burst is not with the next.
        let mut bursts = Bursts::new();
        assert!(bursts.is_over(Err(Errno::EAGAIN)) && bursts.is_over(Err(Errno::ENOBUFS)));
        assert!(!bursts.is_over(Err(Errno::EMSGSIZE)) && !bursts.is_over(Err(Errno::ECONNREFUSED)));
        bursts.send(&here, &pair);
        assert_eq!((arrives(&there).len(), bursts.is_possible), (2, Some(true)));
    }

    #[test]
    fn one_that_came_back_costs_no_other_burst() {
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        there.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut bursts = Bursts::new();
        here.connect(nobody).unwrap();
        bursts.send(&here, &burst(nobody, &[100, 100]));
        bursts.send(&here, &burst(there.local_addr().unwrap(), &[100, 100]));
        assert_eq!(arrives(&there).len(), 2);
    }
}
