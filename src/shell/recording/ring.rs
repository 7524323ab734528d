//! From a packet thread to the thread that writes: a ring of octets for each recorded leg. Neither end waits for the other, and what finds
//! no room is counted.

use crate::limits;
use crate::media::tap::{Heard, Sink};
use crate::time::Instant;
use codecs::Codec;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Before each payload: when (8), SSRC (4), timestamp (4), sequence (2), length (2), codec (1).
const HEAD: usize = 21;
/// By their code.
const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::Opus, Codec::G722];

/// The place of a codec in `CODECS`.
const fn code(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 1,
        Codec::Opus => 2,
        Codec::G722 => 3,
    }
}

/// The packet thread's end.
#[derive(Debug)]
pub struct Writer {
    ring: rtrb::Producer<u8>,
    lost: Arc<AtomicU64>,
}

/// The other end.
#[derive(Debug)]
pub struct Reader {
    ring: rtrb::Consumer<u8>,
    lost: Arc<AtomicU64>,
    payload: [u8; limits::RTP_PACKET_BYTES],
}

/// A ring.
pub fn ring() -> (Writer, Reader) {
    let (producer, consumer) = rtrb::RingBuffer::new(limits::RECORDING_RING);
    let lost = Arc::<AtomicU64>::default();
    let writer = Writer {
        ring: producer,
        lost: lost.clone(),
    };
    let reader = Reader {
        ring: consumer,
        lost,
        payload: [0; limits::RTP_PACKET_BYTES],
    };
    (writer, reader)
}

impl Sink for Writer {
    fn take(&mut self, heard: &Heard<'_>) {
        // Whoever wrote has stopped: a full disk.
        if self.ring.is_abandoned() {
            return;
        }
        let Ok(len) = u16::try_from(heard.payload.len()) else {
            return;
        };
        let Ok(mut space) = self.ring.write_chunk(HEAD + heard.payload.len()) else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&heard.at.as_nanos().to_ne_bytes());
        head[8..12].copy_from_slice(&heard.ssrc.to_ne_bytes());
        head[12..16].copy_from_slice(&heard.timestamp.to_ne_bytes());
        head[16..18].copy_from_slice(&heard.sequence.to_ne_bytes());
        head[18..20].copy_from_slice(&len.to_ne_bytes());
        head[20] = code(heard.codec);
        let (first, second) = space.as_mut_slices();
        // The end of the ring may lie within.
        let mut put = |at: usize, octets: &[u8]| {
            let (before, behind) = (at.min(first.len()), at.saturating_sub(first.len()));
            let cut = octets.len().min(first.len() - before);
            first[before..before + cut].copy_from_slice(&octets[..cut]);
            second[behind..behind + octets.len() - cut].copy_from_slice(&octets[cut..]);
        };
        put(0, &head);
        put(HEAD, heard.payload);
        space.commit_all();
    }
}

impl Reader {
    /// The oldest packet.
    pub fn packet(&mut self) -> Option<Heard<'_>> {
        let mut head = [0; HEAD];
        // A packet is in the ring as a whole, or not yet.
        read(&mut self.ring, &mut head).then_some(())?;
        let len = usize::from(u16::from_ne_bytes(octets(&head, 18))).min(limits::RTP_PACKET_BYTES);
        read(&mut self.ring, &mut self.payload[..len]).then_some(())?;
        Some(Heard {
            at: Instant::from_nanos(u64::from_ne_bytes(octets(&head, 0))),
            codec: *CODECS.get(usize::from(head[20]))?,
            ssrc: u32::from_ne_bytes(octets(&head, 8)),
            timestamp: u32::from_ne_bytes(octets(&head, 12)),
            sequence: u16::from_ne_bytes(octets(&head, 16)),
            payload: &self.payload[..len],
        })
    }

    /// The leg is gone, or records elsewhere: once this is true, what is in the ring is all.
    pub fn is_over(&self) -> bool {
        let is_over = self.ring.is_abandoned();
        // What was written before the other end went is seen after it.
        fence(Ordering::Acquire);
        is_over
    }

    /// Packets that found no room.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

fn octets<const N: usize>(head: &[u8; HEAD], at: usize) -> [u8; N] {
    std::array::from_fn(|n| head[at + n])
}

fn read(ring: &mut rtrb::Consumer<u8>, into: &mut [u8]) -> bool {
    let Ok(chunk) = ring.read_chunk(into.len()) else {
        return false;
    };
    let (first, second) = chunk.as_slices();
    into[..first.len()].copy_from_slice(first);
    into[first.len()..].copy_from_slice(second);
    chunk.commit_all();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_as_they_went_in_and_a_full_ring_counts() {
        let (mut writer, mut reader) = ring();
        let payload: Vec<u8> = (0..=255).collect();
        let heard = |n: usize| Heard {
            at: Instant::from_nanos(5 + n as u64),
            codec: CODECS[n % CODECS.len()],
            ssrc: 0xdead_beef,
            sequence: n as u16,
            timestamp: u32::MAX - n as u32,
            payload: &payload[..n % 256],
        };
        assert_eq!(reader.packet(), None);
        let (mut taken, mut filled) = (0, 0);
        for n in 0..2_000 {
            writer.take(&heard(n));
            if n < 300 && n % 7 < 5 {
                assert_eq!(reader.packet(), Some(heard(taken)));
                taken += 1;
            }
        }
        // Short ones find room for a while after the first long one did not.
        while let Some(left) = reader.packet() {
            assert_eq!(left, heard(usize::from(left.sequence)));
            assert!(usize::from(left.sequence) >= taken);
            (taken, filled) = (taken + 1, filled + HEAD + left.payload.len());
        }
        assert!(filled > limits::RECORDING_RING - HEAD - 255, "{filled}");
        assert_eq!(reader.lost(), 2_000 - taken as u64);
        assert!(!reader.is_over());
        drop(writer);
        assert!(reader.is_over());
    }

    #[test]
    fn nobody_is_left_to_write() {
        let (mut writer, reader) = ring();
        drop(reader);
        let heard = Heard {
            at: Instant::ZERO,
            codec: Codec::Pcmu,
            ssrc: 1,
            sequence: 1,
            timestamp: 1,
            payload: &[1; 1_400],
        };
        (0..100).for_each(|_| writer.take(&heard));
        assert_eq!(
            writer.lost.load(Ordering::Relaxed),
            0,
            "it is not the ring that is full"
        );
    }
}
