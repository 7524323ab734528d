//! Feedback about all that comes by one way, whatever stream it is of (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1): which packets
//! came, and when. From it the sender estimates what the way carries.
//!
//! ```text
//!   |V=2|P|FMT=15 | PT=205 | length |    base: the number of the first packet that is told of
//!   | SSRC of who writes           |    count: of so many
//!   | SSRC of a stream that came   |    reference: in 64 ms; the first that came is told from it on
//!   | base          | count        |
//!   | reference (24 bits) | nth (8)|    nth: of these packets, counted, so that a lost one is seen
//!   | chunks of 16 bits: what became of each |
//!   | of each that came the time since the one before: 8 bits of 250 us, or 16 with sign |
//! ```

use super::Pen;
use super::feedback::{Head, TRANSPORT};

/// The most packets that are told of at once: with two octets of time each this is less than a packet.
pub const STATUSES: usize = 512;
/// Microseconds of the unit in which times are told.
pub const TICK_MICROS: u64 = 250;
/// Units in one of the reference time.
const REFERENCE: u64 = 64_000 / TICK_MICROS;
const FORM: u8 = 15;
/// Octets that a length counts.
const WORD: usize = 4;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Absent,
    /// It came so long after the one before, at most 255 units.
    Soon(u8),
    /// So long, or before it.
    Else(i16),
}

impl Status {
    const fn symbol(self) -> u16 {
        match self {
            Status::Absent => 0,
            Status::Soon(_) => 1,
            Status::Else(_) => 2,
        }
    }
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// A stream that came by this way: browsers take no notice of what is about others.
    pub of: u32,
    /// Which of these packets it is.
    pub nth: u8,
    /// The number of the first packet that is told of.
    pub base: u16,
}

/// Tells of the packets from `report.base` on, at most `STATUSES`, when each came, in units of 250 us, if it did. To the start of a buffer for
/// a packet; its length, and of how many it tells: fewer than there are where one came more than 8 s after another, or before. `None`
/// where nothing came.
pub fn write(
    buffer: &mut [u8],
    head: Head<'_>,
    report: Report,
    ticks: impl Iterator<Item = Option<u64>>,
) -> Option<(usize, usize)> {
    let (mut all, mut len) = ([Status::Absent; STATUSES], 0);
    let (mut reference, mut last) = (None, 0);
    for (slot, tick) in all.iter_mut().zip(ticks) {
        if let Some(tick) = tick {
            if reference.is_none() {
                last = tick / REFERENCE * REFERENCE;
                reference = Some(last / REFERENCE);
            }
            let since = i64::try_from(tick).ok()? - i64::try_from(last).ok()?;
            let Ok(since) = i16::try_from(since) else { break };
            *slot = u8::try_from(since).map_or(Status::Else(since), Status::Soon);
            last = tick;
        }
        len += 1;
    }
    let (reference, all) = (reference?, &all[..len]);
    let mut pen = Pen { buffer, len: 0 };
    pen.empty(head);
    let feedback = pen.begin(TRANSPORT, FORM);
    pen.word(head.ssrc);
    pen.word(report.of);
    pen.word(u32::from(report.base) << 16 | len as u32);
    pen.word((reference as u32) << 8 | u32::from(report.nth));
    let mut rest = all;
    while !rest.is_empty() {
        let (chunk, taken) = chunk(rest);
        pen.bytes(&chunk.to_be_bytes());
        rest = &rest[taken..];
    }
    for status in all {
        match status {
            Status::Absent => {}
            Status::Soon(since) => pen.bytes(&[*since]),
            Status::Else(since) => pen.bytes(&since.to_be_bytes()),
        }
    }
    // RFC 3550 6.4.1: the last octet tells how many there are.
    let padding = pen.len.next_multiple_of(WORD) - pen.len;
    if padding > 0 {
        pen.bytes(&[0, 0, 0][..padding - 1]);
        pen.bytes(&[padding as u8]);
        pen.buffer[feedback] |= super::PADDED;
    }
    pen.end(feedback);
    Some((pen.len, len))
}

/// The next chunk, and of how many packets it tells: a run of equal ones where that is longer than what a vector holds, else 14 of one bit, or 7 of
/// two where times of 16 bits are among them. What a vector has beyond the last packet counts for nothing.
fn chunk(rest: &[Status]) -> (u16, usize) {
    const ONE_BIT: u16 = 0x8000;
    const TWO_BITS: u16 = 0xc000;
    let first = rest.first().map_or(0, |status| status.symbol());
    let run = rest.iter().take_while(|status| status.symbol() == first).count();
    let is_wide = rest.iter().take(14).any(|status| status.symbol() > 1);
    let (kind, bits, most) = if is_wide { (TWO_BITS, 2, 7) } else { (ONE_BIT, 1, 14) };
    if run >= most || run == rest.len() {
        return (first << 13 | run as u16, run);
    }
    let taken = rest.len().min(most);
    let symbols = rest[..taken].iter().zip((0..most).rev());
    let vector = symbols.fold(kind, |vector, (status, place)| {
        vector | status.symbol() << (place * bits)
    });
    (vector, taken)
}

#[cfg(test)]
#[path = "tests_transport.rs"]
pub(crate) mod tests;
