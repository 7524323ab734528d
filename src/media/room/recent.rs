//! What somebody said just before he is heard. He is found out by what is decoded, and what is decoded is what lay in the jitter buffer: packets of his
//! first syllable have come and gone by then. So the last few are kept, and go out first when he is forwarded.

use crate::limits;
use crate::media::packet::Packet;
use crate::media::rtp::{HEADER_BYTES, Header, View};
use crate::media::source::Arrival;
use crate::time::Instant;
use std::time::Duration;

/// Packets that are kept: 160 ms in those of 20 ms, of which 120 may wait to be played (`playout`).
const KEPT: usize = 8;
/// What is older is not the beginning of what is said now.
const LASTS: Duration = Duration::from_millis(250);
/// Ticks of the clock of Opus in a millisecond (RFC 7587 4.1).
const TICKS_PER_MS: u32 = 48;

/// A packet with its fixed header alone.
#[derive(Debug)]
pub struct Kept {
    /// When it came, and where it stands in its stream.
    pub at: Instant,
    pub arrival: Arrival,
    packet: Packet,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept {
            at: Instant::ZERO,
            arrival: Arrival::Restart,
            packet: Packet::default(),
        }
    }
}

impl Kept {
    /// Keeps this one, which [`is_speech`].
    pub fn put(&mut self, now: Instant, arrival: Arrival, view: &View<'_>) {
        let header = Header {
            marker: view.marker,
            payload_type: 0,
            sequence: view.sequence,
            timestamp: view.timestamp,
            ssrc: view.ssrc,
        };
        header.write(&mut self.packet)[..view.payload.len()].copy_from_slice(view.payload);
        self.packet.set_len(HEADER_BYTES + view.payload.len());
        (self.at, self.arrival) = (now, arrival);
    }

    /// The packet.
    pub fn view(&self) -> Option<View<'_>> {
        View::parse(self.packet.as_slice()).ok()
    }
}

/// The last packets of somebody who is not forwarded.
#[derive(Debug)]
pub struct Recent {
    kept: Box<[Kept]>,
    /// Where the next goes, and how many there are.
    next: usize,
    len: usize,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent {
            kept: (0..KEPT).map(|_| Kept::default()).collect(),
            next: 0,
            len: 0,
        }
    }
}

impl Recent {
    /// Keeps one more, if it is speech; the oldest is forgotten.
    pub fn keep(&mut self, now: Instant, arrival: Arrival, view: &View<'_>) {
        if is_speech(view) {
            self.kept[self.next].put(now, arrival, view);
            self.next = (self.next + 1) % KEPT;
            self.len = (self.len + 1).min(KEPT);
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Leaves what was said in the last milliseconds, and of that so many packets at most.
    pub fn trim(&mut self, now: Instant, ms: u32, most: usize) {
        let newest = self.iter().last().and_then(Kept::view).map(|view| view.timestamp);
        let is_early = |kept: &Kept| {
            let said = kept
                .view()
                .zip(newest)
                .map(|(view, newest)| newest.wrapping_sub(view.timestamp));
            // One that was overtaken on its way is newer than the last.
            now.since(kept.at) < LASTS && said.is_some_and(|said| said < ms * TICKS_PER_MS || said > 1 << 31)
        };
        let old = self.iter().position(is_early).unwrap_or(self.len);
        self.len = (self.len - old).min(most);
    }

    /// All, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        let first = self.next + KEPT - self.len;
        (first..first + self.len).map(|at| &self.kept[at % KEPT])
    }
}

/// It is no more than speech: an empty one keeps a way open (RFC 6263 4.1), and one that is too long would go out as often as there are listeners.
pub fn is_speech(view: &View<'_>) -> bool {
    (1..=limits::VOICE_BYTES).contains(&view.payload.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(1_000 + ms)
    }

    fn keep(recent: &mut Recent, n: u16) {
        let view = View {
            marker: false,
            payload_type: 111,
            sequence: n,
            timestamp: u32::from(n) * 960,
            ssrc: 1,
            payload: &[1; 80],
        };
        recent.keep(at(u64::from(n) * 20), Arrival::Newest(1), &view);
    }

    fn numbers(recent: &Recent) -> Vec<u16> {
        recent.iter().map(|kept| kept.view().unwrap().sequence).collect()
    }

    #[test]
    fn the_last_are_kept_and_of_them_those_that_are_wanted() {
        let mut recent = Recent::default();
        assert_eq!(numbers(&recent), [0u16; 0]);
        (0..13).for_each(|n| keep(&mut recent, n));
        assert_eq!(numbers(&recent), [5, 6, 7, 8, 9, 10, 11, 12]);
        recent.trim(at(250), 100, 99);
        assert_eq!(numbers(&recent), [8, 9, 10, 11, 12]);
        recent.trim(at(250), 100, 2);
        assert_eq!(numbers(&recent), [11, 12]);
        keep(&mut recent, 13);
        assert_eq!(numbers(&recent), [11, 12, 13]);
        // One of them is too old.
        recent.trim(at(480), 1_000, 99);
        assert_eq!(numbers(&recent), [12, 13]);
        recent.clear();
        assert_eq!(numbers(&recent), [0u16; 0]);
        recent.trim(at(480), 100, 99);
        (14..16).for_each(|n| keep(&mut recent, n));
        assert_eq!(numbers(&recent), [14, 15]);
    }
}
