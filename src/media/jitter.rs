//! The jitter buffer of a leg whose timing must be rebuilt (transcoding, repacketising): what is in order goes straight
//! through, a gap waits for what is missing, and then the rest goes on without it.
//!
//! How long a gap waits is the target: 40 ms, and 20 more, up to 120, for each packet that came after its gap was given up; half a minute
//! without such a one takes 20 back.

use crate::limits::{JITTER_BLOCKS, JITTER_PACKETS, JITTER_PAYLOAD_BYTES};
use crate::time::Instant;
use std::time::Duration;

/// How long a gap waits at least: two packets of 20 ms, which is the reordering that load-balanced paths show.
const TARGET_MIN: Duration = Duration::from_millis(40);
/// How long a gap waits at most.
pub const TARGET_MAX: Duration = Duration::from_millis(120);
const STEP: Duration = Duration::from_millis(20);
/// Packets in time after which a gap need not wait so long: half a minute of 20 ms.
const CALM: u16 = 1_500;
/// Packets behind a gap that end the wait earlier: their number shows that time was lost in a burst, not in order.
const HELD_MAX: usize = 12;

/// Octets that are taken at a time: a packet of 20 ms of G.711 or G.722 takes one.
const BLOCK: usize = 160;
/// Blocks of the longest payload.
const MOST_BLOCKS: usize = JITTER_PAYLOAD_BYTES.div_ceil(BLOCK);

/// One packet's place.
#[derive(Clone, Copy, Debug)]
struct Slot {
    full: bool,
    timestamp: u32,
    /// Of its payload.
    len: u16,
    kind: Kind,
    /// Where its payload is, in order.
    blocks: [u8; MOST_BLOCKS],
}

impl Slot {
    fn blocks(&self) -> &[u8] {
        &self.blocks[..usize::from(self.len).div_ceil(BLOCK)]
    }
}

/// The payloads that wait: small packets take little of it, so that many of them, or a few large ones, have room.
#[derive(Clone, Debug)]
struct Store {
    blocks: Box<[[u8; BLOCK]]>,
    free: [u8; JITTER_BLOCKS],
    count: usize,
    /// What was read last, in one piece.
    out: [u8; JITTER_PAYLOAD_BYTES],
}

impl Store {
    fn new(blocks: usize) -> Store {
        let count = blocks.min(JITTER_BLOCKS);
        Store {
            blocks: vec![[0; BLOCK]; count].into(),
            free: std::array::from_fn(|n| n as u8),
            count,
            out: [0; JITTER_PAYLOAD_BYTES],
        }
    }

    /// Where the payload is now; `None` when there is no room for it.
    fn write(&mut self, payload: &[u8]) -> Option<[u8; MOST_BLOCKS]> {
        let needed = payload.len().div_ceil(BLOCK);
        if payload.len() > JITTER_PAYLOAD_BYTES || needed > self.count {
            return None;
        }
        let mut places = [0; MOST_BLOCKS];
        for (place, part) in places.iter_mut().zip(payload.chunks(BLOCK)) {
            self.count -= 1;
            *place = self.free[self.count];
            self.blocks[usize::from(*place)][..part.len()].copy_from_slice(part);
        }
        Some(places)
    }

    fn read(&mut self, slot: &Slot) -> &[u8] {
        let out = &mut self.out[..usize::from(slot.len)];
        for (part, place) in out.chunks_mut(BLOCK).zip(slot.blocks()) {
            part.copy_from_slice(&self.blocks[usize::from(*place)][..part.len()]);
        }
        out
    }

    fn give_back(&mut self, slot: &Slot) {
        for place in slot.blocks() {
            self.free[self.count] = *place;
            self.count += 1;
        }
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Audio,
    Noise,
    Nothing,
}

/// What a packet brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Audio of the agreed codec.
    Audio(&'a [u8]),
    /// Comfort noise (RFC 3389): a pause begins or goes on.
    Noise(&'a [u8]),
    /// A place in the sequence only (an event).
    Nothing,
}

/// What became of an offered packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is in the buffer.
    Taken,
    /// Its time has gone by.
    Late,
    /// Its payload is larger than a slot.
    TooLarge,
}

/// What comes out next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pop<'a> {
    /// The next packet in sequence: timestamp and payload.
    Audio(u32, &'a [u8]),
    /// The next packet in sequence is comfort noise: timestamp and payload.
    Noise(u32, &'a [u8]),
    /// The next packet in sequence has no audio.
    Silent,
    /// This many packets did not come; timestamp and payload (if it has audio) of the packet that comes next, which is still to be popped.
    Lost(u16, u32, Option<&'a [u8]>),
}

/// A buffer of fixed capacity, ordered by sequence number.
#[derive(Clone, Debug)]
pub struct Jitter {
    slots: [Slot; JITTER_PACKETS],
    store: Store,
    /// The sequence number that comes out next; `None` before the first packet.
    next: Option<u16>,
    held: usize,
    /// When the first packet behind the gap came.
    waiting_since: Option<Instant>,
    target: Duration,
    /// Packets in time since the target was changed.
    calm: u16,
}

impl Jitter {
    /// An empty one, whose payloads have so many blocks, at most `limits::JITTER_BLOCKS`.
    pub fn new(blocks: usize) -> Self {
        let slot = Slot {
            full: false,
            timestamp: 0,
            len: 0,
            kind: Kind::Nothing,
            blocks: [0; MOST_BLOCKS],
        };
        Self {
            slots: [slot; JITTER_PACKETS],
            store: Store::new(blocks),
            next: None,
            held: 0,
            waiting_since: None,
            target: TARGET_MIN,
            calm: 0,
        }
    }

    /// Puts a packet in its place.
    pub fn offer(&mut self, sequence: u16, timestamp: u32, content: Content<'_>) -> Offer {
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        if ahead >= 0x8000 {
            (self.target, self.calm) = ((self.target + STEP).min(TARGET_MAX), 0);
            return Offer::Late;
        }
        self.calm += 1;
        if self.calm == CALM {
            (self.target, self.calm) = (self.target.saturating_sub(STEP).max(TARGET_MIN), 0);
        }
        if usize::from(ahead) >= JITTER_PACKETS {
            // So much is missing that nothing of before is worth waiting for.
            self.clear();
            self.next = Some(sequence);
        }
        let (kind, bytes) = match content {
            Content::Audio(bytes) => (Kind::Audio, bytes),
            Content::Noise(bytes) => (Kind::Noise, bytes),
            Content::Nothing => (Kind::Nothing, &[][..]),
        };
        let slot = &mut self.slots[usize::from(sequence) % JITTER_PACKETS];
        if slot.full {
            self.store.give_back(slot);
            (slot.full, self.held) = (false, self.held - 1);
        }
        let Some(blocks) = self.store.write(bytes) else {
            return Offer::TooLarge;
        };
        *slot = Slot {
            full: true,
            timestamp,
            len: bytes.len() as u16,
            kind,
            blocks,
        };
        self.held += 1;
        Offer::Taken
    }

    /// Leaves out the packet with this number, and what is missing before it; false where others wait, which come out first.
    pub fn skip(&mut self, sequence: u16) -> bool {
        let is_alone = self.held == 0;
        let is_new = self.next.is_none_or(|next| sequence.wrapping_sub(next) < 0x8000);
        if is_alone && is_new {
            self.next = Some(sequence.wrapping_add(1));
        }
        is_alone
    }

    /// How long a gap waits now.
    pub fn target(&self) -> Duration {
        self.target
    }

    /// What comes out now, if anything: in a gap nothing does until the target has gone by.
    pub fn pop(&mut self, now: Instant) -> Option<Pop<'_>> {
        let next = self.next?;
        if self.held == 0 {
            self.waiting_since = None;
            return None;
        }
        let index = usize::from(next) % JITTER_PACKETS;
        if self.slots[index].full {
            self.waiting_since = None;
            self.held -= 1;
            self.next = Some(next.wrapping_add(1));
            let slot = &mut self.slots[index];
            slot.full = false;
            self.store.give_back(slot);
            let payload = self.store.read(slot);
            return Some(match slot.kind {
                Kind::Audio => Pop::Audio(slot.timestamp, payload),
                Kind::Noise => Pop::Noise(slot.timestamp, payload),
                Kind::Nothing => Pop::Silent,
            });
        }
        let since = *self.waiting_since.get_or_insert(now);
        if now.since(since) < self.target && self.held < HELD_MAX {
            return None;
        }
        let missing = (1..JITTER_PACKETS).find(|n| self.slots[(index + n) % JITTER_PACKETS].full)?;
        let slot = &self.slots[(index + missing) % JITTER_PACKETS];
        self.next = Some(next.wrapping_add(missing as u16));
        Some(Pop::Lost(
            missing as u16,
            slot.timestamp,
            (slot.kind == Kind::Audio).then(|| self.store.read(slot)),
        ))
    }

    /// What comes out for a player whose time has come: a gap is one at once, if something is behind it.
    pub fn pop_due(&mut self) -> Option<Pop<'_>> {
        self.waiting_since = (self.held > 0).then_some(Instant::ZERO);
        let late = Instant::ZERO + TARGET_MAX;
        self.pop(late)
    }

    /// Packets that wait.
    pub fn held(&self) -> usize {
        self.held
    }

    /// When a gap will have waited long enough.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting_since.map(|since| since + self.target)
    }

    /// Forgets everything: a new source begins.
    pub fn clear(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.full) {
            slot.full = false;
            self.store.give_back(slot);
        }
        self.held = 0;
        self.next = None;
        self.waiting_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn audio(sequence: u16) -> Pop<'static> {
        Pop::Audio(u32::from(sequence) * 160, &[1, 2])
    }

    fn offer(jitter: &mut Jitter, sequence: u16) -> Offer {
        jitter.offer(sequence, u32::from(sequence) * 160, Content::Audio(&[1, 2]))
    }

    #[test]
    fn in_order_goes_straight_through_across_the_wrap() {
        let mut jitter = Jitter::new(JITTER_BLOCKS);
        for n in 65_530..65_545u32 {
            let sequence = n as u16;
            assert_eq!(offer(&mut jitter, sequence), Offer::Taken);
            assert_eq!(jitter.pop(at(0)), Some(audio(sequence)));
            assert_eq!(jitter.pop(at(0)), None);
            assert_eq!(jitter.deadline(), None);
        }
        assert_eq!(offer(&mut jitter, 65_544u32 as u16), Offer::Late);
    }

    #[test]
    fn a_gap_waits_and_is_filled_in_time() {
        let mut jitter = Jitter::new(JITTER_BLOCKS);
        offer(&mut jitter, 1);
        assert_eq!(jitter.pop(at(0)), Some(audio(1)));
        offer(&mut jitter, 3);
        assert_eq!(jitter.pop(at(40)), None);
        assert_eq!(jitter.deadline(), Some(at(80)));
        offer(&mut jitter, 2);
        assert_eq!(jitter.pop(at(79)), Some(audio(2)));
        assert_eq!(jitter.pop(at(79)), Some(audio(3)));
        assert_eq!(jitter.pop(at(79)), None);
    }

    #[test]
    fn a_gap_that_waited_is_lost_and_what_comes_then_is_late() {
        let mut jitter = Jitter::new(JITTER_BLOCKS);
        offer(&mut jitter, 1);
        jitter.pop(at(0));
        offer(&mut jitter, 4);
        assert_eq!(jitter.pop(at(60)), None);
        assert_eq!(jitter.pop(at(100)), Some(Pop::Lost(2, 640, Some(&[1, 2]))));
        assert_eq!(jitter.pop(at(100)), Some(audio(4)));
        assert_eq!(offer(&mut jitter, 2), Offer::Late);
        jitter.offer(5, 800, Content::Nothing);
        assert_eq!(jitter.pop(at(100)), Some(Pop::Silent));
        jitter.offer(6, 960, Content::Noise(&[70]));
        assert_eq!(jitter.pop(at(100)), Some(Pop::Noise(960, &[70])));
    }

    #[test]
    fn the_target_grows_with_what_comes_late_and_shrinks_again() {
        let mut jitter = Jitter::new(JITTER_BLOCKS);
        let mut sequence = 0u16;
        let mut after_gap = |jitter: &mut Jitter, ms: u64| {
            // One in time, one that is missing, one behind it; what is missing comes when it is given up.
            for n in [1, 3] {
                offer(jitter, sequence.wrapping_add(n));
                while jitter.pop(at(ms)).is_some() {}
            }
            let waits = jitter.deadline().unwrap().since(at(ms));
            while jitter.pop(at(ms) + waits).is_some() {}
            assert_eq!(offer(jitter, sequence.wrapping_add(2)), Offer::Late);
            sequence = sequence.wrapping_add(3);
            waits.as_millis()
        };
        let waited: Vec<u128> = (0..7).map(|n| after_gap(&mut jitter, n * 1_000)).collect();
        assert_eq!(waited, [40, 60, 80, 100, 120, 120, 120]);
        for n in 0..10_000u16 {
            let sequence = 22u16.wrapping_add(n);
            offer(&mut jitter, sequence);
            while jitter.pop(at(10_000)).is_some() {}
        }
        assert_eq!(jitter.target(), TARGET_MIN);
    }

    #[test]
    fn a_burst_behind_a_gap_does_not_wait() {
        let mut jitter = Jitter::new(JITTER_BLOCKS);
        offer(&mut jitter, 1);
        jitter.pop(at(0));
        for sequence in 3..3 + HELD_MAX as u16 - 1 {
            offer(&mut jitter, sequence);
            assert_eq!(jitter.pop(at(1)), None);
        }
        offer(&mut jitter, 2 + HELD_MAX as u16);
        assert!(matches!(jitter.pop(at(1)), Some(Pop::Lost(1, 480, Some(_)))));
        assert_eq!(std::iter::from_fn(|| jitter.pop(at(1)).map(|_| ())).count(), HELD_MAX);
    }

    #[test]
    fn what_is_left_out_is_not_waited_for() {
        let mut jitter = Jitter::new(JITTER_BLOCKS);
        assert!(jitter.skip(65_534) && jitter.skip(65_535) && jitter.skip(1));
        assert_eq!(offer(&mut jitter, 0), Offer::Late);
        offer(&mut jitter, 2);
        assert!(!jitter.skip(3));
        assert_eq!(jitter.pop(at(0)), Some(audio(2)));
        assert!(jitter.skip(3) && jitter.skip(2));
        offer(&mut jitter, 4);
        assert_eq!(jitter.pop(at(0)), Some(audio(4)));
    }

    /// Payloads of any length come out as they went in, in any order, and what they took is free again.
    #[test]
    fn payloads_of_all_lengths_share_the_room() {
        let mut jitter = Jitter::new(JITTER_BLOCKS);
        let payload = |n: usize| -> Vec<u8> {
            (0..n * 37 % (JITTER_PAYLOAD_BYTES + 1))
                .map(|i| (i * 7 + n) as u8)
                .collect()
        };
        for n in 0..2_000usize {
            let order = [0, 2, 1, 3];
            for at in order {
                let sequence = (4 * n + at) as u16;
                let taken = jitter.offer(sequence, 0, Content::Audio(&payload(4 * n + at)));
                assert_eq!(taken, Offer::Taken, "{sequence}");
                // The same once more replaces itself.
                assert_eq!(
                    jitter.offer(sequence, 0, Content::Audio(&payload(4 * n + at))),
                    Offer::Taken
                );
            }
            for at in 0..4 {
                assert_eq!(jitter.pop(at_once()), Some(Pop::Audio(0, &payload(4 * n + at))));
            }
        }
        // Large ones until there is no room.
        let large = vec![1; JITTER_PAYLOAD_BYTES];
        let taken = (0..JITTER_PACKETS as u16 - 1)
            .filter(|n| jitter.offer(8_001 + n, 0, Content::Audio(&large)) == Offer::Taken);
        assert_eq!(taken.count(), JITTER_BLOCKS / MOST_BLOCKS);
        jitter.clear();
        assert_eq!(jitter.store.count, JITTER_BLOCKS);
    }

    fn at_once() -> Instant {
        at(0)
    }

    #[test]
    fn a_jump_beyond_the_buffer_begins_anew_and_large_payloads_are_refused() {
        let mut jitter = Jitter::new(JITTER_BLOCKS);
        offer(&mut jitter, 1);
        jitter.pop(at(0));
        offer(&mut jitter, 3);
        offer(&mut jitter, 500);
        assert_eq!(jitter.pop(at(1)), Some(audio(500)));
        assert_eq!(jitter.pop(at(1)), None);
        assert_eq!(
            jitter.offer(501, 0, Content::Audio(&[0; JITTER_PAYLOAD_BYTES + 1])),
            Offer::TooLarge
        );
    }
}
