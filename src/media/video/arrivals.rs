//! What came of a peer by its number on the way (draft-holmer-rmcat-transport-wide-cc-extensions-01, 2), and when: what is told to it, so that its own
//! estimator knows what the way carries.

use crate::limits::VIDEO_ARRIVALS;
use crate::media::rtcp::feedback::Head;
use crate::media::rtcp::transport::{self, Report, TICK_MICROS};
use crate::time::Instant;
use std::num::NonZeroU64;
use std::time::Duration;

/// How often it is told: what the draft has for a usual rate, and browsers for one another.
const EVERY: Duration = Duration::from_millis(100);
/// So many that are not told yet are told at once, so that none is forgotten.
const MANY: u16 = VIDEO_ARRIVALS as u16 / 2;
/// So many in a row that are older than all that is remembered: the peer counts anew.
const ANEW: u16 = 32;

/// The last packets.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// By number: when it came, in units of the feedback.
    ticks: Box<[Option<NonZeroU64>]>,
    /// The first that is to be told, and the one behind the newest, once anything came.
    untold: Option<(u16, u16)>,
    astray: u16,
    /// A stream that is numbered.
    of: u32,
    nth: u8,
    due: Option<Instant>,
}

impl Arrivals {
    /// Nothing came.
    pub fn new() -> Arrivals {
        Arrivals {
            ticks: vec![None; VIDEO_ARRIVALS].into_boxed_slice(),
            untold: None,
            astray: 0,
            of: 0,
            nth: 0,
            due: None,
        }
    }

    fn slot(&mut self, number: u16) -> &mut Option<NonZeroU64> {
        &mut self.ticks[usize::from(number) % VIDEO_ARRIVALS]
    }

    /// A packet came: its number, of this stream.
    pub fn came(&mut self, now: Instant, number: u16, of: u32) {
        let (mut first, mut end) = self.untold.unwrap_or((number, number));
        let ahead = number.wrapping_sub(end);
        let behind = end.wrapping_sub(number);
        let is_newest = (ahead as i16) >= 0;
        if !is_newest && usize::from(behind) > VIDEO_ARRIVALS {
            self.astray += 1;
            if self.astray >= ANEW {
                (self.untold, self.astray) = (None, 0);
                self.ticks.fill(None);
            }
            return;
        }
        self.astray = 0;
        if is_newest {
            // What stood there is of a round before.
            for n in 0..=ahead.min(VIDEO_ARRIVALS as u16) {
                *self.slot(number.wrapping_sub(n)) = None;
            }
            end = number.wrapping_add(1);
            if usize::from(end.wrapping_sub(first)) > VIDEO_ARRIVALS {
                first = end.wrapping_sub(VIDEO_ARRIVALS as u16);
            }
        }
        let tick = NonZeroU64::new(now.as_nanos() / (1_000 * TICK_MICROS));
        let slot = self.slot(number);
        if slot.is_none() {
            *slot = tick;
            // One that was told to be missing is told anew, with all behind it.
            if (first.wrapping_sub(number) as i16) > 0 {
                first = number;
            }
        }
        (self.untold, self.of) = (Some((first, end)), of);
        self.due.get_or_insert(now + EVERY);
    }

    /// There is something to be told now.
    pub fn is_due(&self, now: Instant) -> bool {
        let untold = self.untold.map_or(0, |(first, end)| end.wrapping_sub(first));
        untold > 0 && (untold >= MANY || self.due.is_some_and(|due| now >= due))
    }

    /// Tells it, to the start of a buffer for a packet; its length. Call it again until that is none.
    pub fn write(&mut self, now: Instant, head: Head<'_>, buffer: &mut [u8]) -> Option<usize> {
        let (first, end) = self.untold.filter(|(first, end)| first != end)?;
        let report = Report {
            of: self.of,
            nth: self.nth,
            base: first,
        };
        let all = (0..end.wrapping_sub(first)).map(|n| {
            let tick = self.ticks[usize::from(first.wrapping_add(n)) % VIDEO_ARRIVALS];
            tick.map(NonZeroU64::get)
        });
        let written = transport::write(buffer, head, report, all);
        let told = written.map_or(end, |(_, told)| first.wrapping_add(told as u16));
        self.untold = Some((told, end));
        // The browser takes a number that is left out for a packet that was lost.
        self.nth = self.nth.wrapping_add(u8::from(written.is_some()));
        self.due = Some(now + EVERY);
        written.map(|(len, _)| len)
    }
}

#[cfg(test)]
#[path = "tests_arrivals.rs"]
mod tests;
