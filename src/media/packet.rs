//! What goes in and out of a worker: packets in fixed buffers, and the batch that it fills for the shell to send.

use crate::limits;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Octets that stay free behind every packet: SRTP and SRTCP grow at the end (tag of 16, index of 4, RFC 3711 3.1 and
/// 3.4), so sealing in place needs no copy.
pub const TAIL_ROOM: usize = 32;
/// Packets in one batch: a tick of 8,192 legs is sent in several batches, 256 keep the batch within 400 KiB of cache.
pub const TX_BATCH: usize = 256;
/// The most packets that go in one of its `bursts`: together they are less than a datagram can be, and less than the 64 that Linux cuts one into.
pub const TX_BURST: usize = 32;
/// The most packets that one call of `Worker::on_packet` or `Worker::on_input` adds: twelve packets of 120 ms that waited behind a
/// gap, with 120 ms of concealment, all cut into packets of 10 ms, a copy and a report.
pub const TX_PER_CALL: usize = 160;

/// A leg's place in its worker. The shell keeps the leg's sockets under the same index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegIx(pub u16);

impl LegIx {
    /// As an index of the shell's own table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which of a leg's two sockets a packet came by or goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// The even port: RTP, and RTCP when it is multiplexed (RFC 5761).
    Rtp,
    /// The odd port.
    Rtcp,
}

/// One datagram in a buffer of fixed size.
#[derive(Clone)]
pub struct Packet {
    len: usize,
    bytes: [u8; limits::RTP_PACKET_BYTES + TAIL_ROOM],
}

impl Default for Packet {
    fn default() -> Self {
        Self {
            len: 0,
            bytes: [0; limits::RTP_PACKET_BYTES + TAIL_ROOM],
        }
    }
}

impl Packet {
    /// A packet with these octets, or `None` if they are more than `limits::RTP_PACKET_BYTES`.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut packet = Packet::default();
        packet.buffer().get_mut(..bytes.len())?.copy_from_slice(bytes);
        packet.set_len(bytes.len());
        Some(packet)
    }

    /// The space to receive into; `set_len` follows.
    pub fn buffer(&mut self) -> &mut [u8] {
        &mut self.bytes[..limits::RTP_PACKET_BYTES]
    }

    /// Says how much of the buffer is the datagram; what is beyond `limits::RTP_PACKET_BYTES` does not count.
    pub fn set_len(&mut self, len: usize) {
        self.len = len.min(limits::RTP_PACKET_BYTES);
    }

    /// The datagram.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Lets the datagram be sealed in place, which takes of the room behind it: `seal` gets all of the buffer with how much of it is the
    /// datagram, and gives how much of it is then. False, and as it was or spoiled, where that fails.
    pub(super) fn seal(&mut self, seal: impl FnOnce(&mut [u8], usize) -> Option<usize>) -> bool {
        let sealed = seal(&mut self.bytes, self.len);
        self.len = sealed.unwrap_or(self.len);
        sealed.is_some()
    }

    /// The datagram, to be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Media is private: the length is all that a log may show.
        write!(f, "Packet({} octets)", self.len)
    }
}

/// A packet on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// By whose socket.
    pub leg: LegIx,
    /// By which of the two.
    pub channel: Channel,
    /// To where.
    pub to: SocketAddr,
    /// What.
    pub packet: Packet,
}

/// Packets for the shell to send: filled by the worker, emptied by the shell, never growing.
pub struct TxBatch {
    slots: Box<[Outgoing]>,
    len: usize,
    overflow: u64,
}

impl Default for TxBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl TxBatch {
    /// An empty batch of `TX_BATCH` slots; the only allocation of its life.
    pub fn new() -> Self {
        let slot = Outgoing {
            leg: LegIx(0),
            channel: Channel::Rtp,
            to: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            packet: Packet::default(),
        };
        Self {
            slots: vec![slot; TX_BATCH].into_boxed_slice(),
            len: 0,
            overflow: 0,
        }
    }

    /// What is to be sent, in order.
    pub fn packets(&self) -> &[Outgoing] {
        &self.slots[..self.len]
    }

    /// The same in parts of one leg, address and length, of which only the last packet may be shorter: what a system can send at once
    /// (UDP_SEGMENT, udp(7)).
    pub fn bursts(&self) -> impl Iterator<Item = &[Outgoing]> {
        let mut rest = self.packets();
        std::iter::from_fn(move || {
            let (burst, behind) = rest.split_at_checked(burst(rest))?;
            rest = behind;
            (!burst.is_empty()).then_some(burst)
        })
    }

    /// How many it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Forgets what was sent.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// How many more packets it takes.
    pub fn room(&self) -> usize {
        self.slots.len() - self.len
    }

    /// True when the batch must be sent and cleared before the worker is called again.
    pub fn must_flush(&self) -> bool {
        self.room() < TX_PER_CALL
    }

    /// Packets that found no slot since the batch was made; more than 0 means that the shell did not heed `must_flush`.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// The next slot; `None`, counted, when the batch is full.
    pub(super) fn next(&mut self, leg: LegIx, channel: Channel, to: SocketAddr) -> Option<&mut Packet> {
        let Some(slot) = self.slots.get_mut(self.len) else {
            self.overflow += 1;
            return None;
        };
        self.len += 1;
        slot.leg = leg;
        slot.channel = channel;
        slot.to = to;
        slot.packet.len = 0;
        Some(&mut slot.packet)
    }

    /// Has each packet sealed that came behind the first `from`; what cannot be sealed is taken out.
    pub(super) fn seal(&mut self, from: usize, mut seal: impl FnMut(&mut Outgoing) -> bool) {
        let mut at = from;
        while at < self.len {
            if seal(&mut self.slots[at]) {
                at += 1;
            } else {
                self.slots[at..self.len].rotate_left(1);
                self.len -= 1;
            }
        }
    }

    /// Takes back the slot that `next` gave, when nothing came of it.
    pub(super) fn undo(&mut self) {
        self.len = self.len.saturating_sub(1);
    }
}

/// How many of the first go together.
fn burst(packets: &[Outgoing]) -> usize {
    let way = |outgoing: &Outgoing| (outgoing.leg, outgoing.channel, outgoing.to);
    let Some(first) = packets.first() else { return 0 };
    let same = packets.iter().take(TX_BURST).take_while(|next| way(next) == way(first));
    let equal = same
        .clone()
        .take_while(|next| next.packet.len == first.packet.len)
        .count();
    let is_shorter = |next: &Outgoing| (1..first.packet.len).contains(&next.packet.len);
    equal + usize::from(same.clone().nth(equal).is_some_and(is_shorter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_batch_counts_what_it_cannot_take() {
        let mut batch = TxBatch::new();
        let to = SocketAddr::from(([127, 0, 0, 1], 4000));
        for _ in 0..TX_BATCH {
            assert!(batch.next(LegIx(1), Channel::Rtp, to).is_some());
        }
        assert!(batch.must_flush());
        assert!(batch.next(LegIx(1), Channel::Rtp, to).is_none());
        assert_eq!((batch.packets().len(), batch.overflow()), (TX_BATCH, 1));
        batch.clear();
        assert!(!batch.must_flush());
    }

    /// Puts a packet of so many octets in.
    fn put(batch: &mut TxBatch, leg: u16, port: u16, len: usize) {
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let packet = batch.next(LegIx(leg), Channel::Rtp, to).unwrap();
        packet.set_len(len);
    }

    #[test]
    fn what_goes_together_is_of_one_way_and_length_but_for_the_last() {
        let mut batch = TxBatch::new();
        let packets = [
            (1, 4000, 900),
            (1, 4000, 900),
            (1, 4000, 700),
            // Behind a shorter one nothing goes with it.
            (1, 4000, 700),
            (1, 4000, 701),
            // Elsewhere, and by another socket.
            (1, 4002, 701),
            (2, 4002, 701),
            (2, 4002, 0),
        ];
        packets
            .iter()
            .for_each(|(leg, port, len)| put(&mut batch, *leg, *port, *len));
        let parts: Vec<usize> = batch.bursts().map(<[Outgoing]>::len).collect();
        assert_eq!(parts, [3, 1, 1, 1, 1, 1]);
        let all: usize = batch.bursts().flatten().map(|outgoing| outgoing.packet.len).sum();
        assert_eq!(all, packets.iter().map(|(.., len)| len).sum::<usize>());
        batch.clear();
        assert_eq!(batch.bursts().count(), 0);
        (0..TX_BURST + 3).for_each(|_| put(&mut batch, 1, 4000, limits::RTP_PACKET_BYTES));
        let parts: Vec<usize> = batch.bursts().map(<[Outgoing]>::len).collect();
        assert_eq!(parts, [TX_BURST, 3]);
        const { assert!(TX_BURST * (limits::RTP_PACKET_BYTES + TAIL_ROOM) < 65_507) };
    }

    #[test]
    fn a_packet_never_exceeds_its_buffer_and_does_not_print_its_content() {
        assert!(Packet::from_slice(&[7; limits::RTP_PACKET_BYTES + 1]).is_none());
        let mut packet = Packet::from_slice(&[7; 3]).unwrap();
        assert_eq!(format!("{packet:?}"), "Packet(3 octets)");
        packet.set_len(100_000);
        assert_eq!(packet.as_slice().len(), limits::RTP_PACKET_BYTES);
    }
}
