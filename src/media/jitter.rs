//! The jitter buffer of a leg whose timing must be rebuilt (transcoding, repacketising): what is in order goes straight
//! through, a gap waits for what is missing, and then the rest goes on without it.
//!
//! How long a gap waits is the target: 40 ms, and 20 more, up to 120, for each packet that came after its gap was given up; half a minute
//! without such a one takes 20 back.

use crate::limits::{JITTER_PACKETS, JITTER_PAYLOAD_BYTES};
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

/// One packet's place.
#[derive(Clone, Debug)]
struct Slot {
    full: bool,
    timestamp: u32,
    /// Of its payload.
    len: u16,
    kind: Kind,
    bytes: [u8; JITTER_PAYLOAD_BYTES],
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
    /// The sequence number that comes out next; `None` before the first packet.
    next: Option<u16>,
    held: usize,
    /// When the first packet behind the gap came.
    waiting_since: Option<Instant>,
    target: Duration,
    /// Packets in time since the target was changed.
    calm: u16,
}

impl Default for Jitter {
    fn default() -> Self {
        let slot = Slot {
            full: false,
            timestamp: 0,
            len: 0,
            kind: Kind::Nothing,
            bytes: [0; JITTER_PAYLOAD_BYTES],
        };
        Self {
            slots: std::array::from_fn(|_| slot.clone()),
            next: None,
            held: 0,
            waiting_since: None,
            target: TARGET_MIN,
            calm: 0,
        }
    }
}

impl Jitter {
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
        let slot = &mut self.slots[usize::from(sequence) % JITTER_PACKETS];
        let (kind, bytes) = match content {
            Content::Audio(bytes) => (Kind::Audio, bytes),
            Content::Noise(bytes) => (Kind::Noise, bytes),
            Content::Nothing => (Kind::Nothing, &[][..]),
        };
        let Some(room) = slot.bytes.get_mut(..bytes.len()) else {
            return Offer::TooLarge;
        };
        room.copy_from_slice(bytes);
        if !slot.full {
            self.held += 1;
        }
        slot.full = true;
        slot.timestamp = timestamp;
        (slot.kind, slot.len) = (kind, bytes.len() as u16);
        Offer::Taken
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
            let payload = &slot.bytes[..usize::from(slot.len)];
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
            (slot.kind == Kind::Audio).then(|| &slot.bytes[..usize::from(slot.len)]),
        ))
    }

    /// When a gap will have waited long enough.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting_since.map(|since| since + self.target)
    }

    /// Forgets everything: a new source begins.
    pub fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.full = false;
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
        let mut jitter = Jitter::default();
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
        let mut jitter = Jitter::default();
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
        let mut jitter = Jitter::default();
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
        let mut jitter = Jitter::default();
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
        let mut jitter = Jitter::default();
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
    fn a_jump_beyond_the_buffer_begins_anew_and_large_payloads_are_refused() {
        let mut jitter = Jitter::default();
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
