//! Both sides of a recording beside one another, on our clock. What lies so far back that no packet can change it any more is ready.

use super::track::{Piece, Track, WAIT};
use crate::media::command::Side;
use crate::media::tap::Heard;
use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// How far behind the clock the writing is: what a packet waits, and a second for one that the network held back.
const BEHIND: Duration = Duration::from_millis(1_500);
/// The most that lies ahead of what is ready: `BEHIND`, a piece, and a stream that is led back. A longer pause is not made here.
const AHEAD_S: i64 = 4;

/// Both sides.
pub struct Timeline {
    start: Instant,
    rate: u32,
    sides: [Track; 2],
    /// Samples of each side that were given away.
    given: i64,
    /// From there on: left and right.
    frames: VecDeque<[i16; 2]>,
}

impl Timeline {
    /// A recording that begins now, with so many samples of each side in a second: 8,000 or 16,000.
    pub fn new(start: Instant, rate: u32) -> Timeline {
        Timeline {
            start,
            rate,
            sides: [Track::new(rate), Track::new(rate)],
            given: 0,
            frames: VecDeque::new(),
        }
    }

    /// A side's peer was heard.
    pub fn hear(&mut self, side: Side, heard: &Heard<'_>) {
        let at = self.at(heard.at);
        self.sides[side.index()].hear(at, heard);
    }

    /// Adds what is ready to `out`, as a WAV has it: left and right in turn, 16 bits each, the low octet first.
    pub fn ready(&mut self, now: Instant, out: &mut Vec<u8>) {
        let (now, second) = (self.at(now), i64::from(self.rate));
        // A second at a time: after a pause there is more than may lie ahead at once.
        let mut until = now.min(self.given + self.span(BEHIND) + second);
        loop {
            self.play(until - self.span(WAIT));
            self.give(until - self.span(BEHIND), out);
            if until >= now {
                return;
            }
            until = now.min(until + second);
        }
    }

    /// The same with everything: nothing more will come.
    pub fn finish(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.ready(now, out);
        self.play(i64::MAX);
        let end = self.given + self.frames.len() as i64;
        self.give(end.max(self.at(now)), out);
    }

    /// Packets that found no place in it.
    pub fn lost(&self) -> u64 {
        self.sides.iter().map(|side| side.lost).sum()
    }

    fn play(&mut self, until: i64) {
        let most = self.given + AHEAD_S * i64::from(self.rate);
        for (channel, side) in self.sides.iter_mut().enumerate() {
            while let Some(Piece { at, pcm }) = side.next(until) {
                for (at, sample) in (at..most).zip(pcm) {
                    // What was given away stays as it is.
                    let Ok(place) = usize::try_from(at - self.given) else {
                        continue;
                    };
                    if self.frames.len() <= place {
                        self.frames.resize(place + 1, [0; 2]);
                    }
                    self.frames[place][channel] = *sample;
                }
            }
        }
    }

    fn give(&mut self, until: i64, out: &mut Vec<u8>) {
        let count = usize::try_from(until - self.given).unwrap_or(0);
        out.reserve(4 * count);
        for _ in 0..count {
            let [left, right] = self.frames.pop_front().unwrap_or_default();
            out.extend(left.to_le_bytes());
            out.extend(right.to_le_bytes());
        }
        self.given += count as i64;
    }

    fn at(&self, instant: Instant) -> i64 {
        self.span(instant.since(self.start))
    }

    fn span(&self, time: Duration) -> i64 {
        let samples = time.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        i64::try_from(samples).unwrap_or(i64::MAX)
    }
}
