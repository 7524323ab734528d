//! Extended reports (RFC 3611): the blocks that a call has use for, read in place and written behind our own reports.

use super::{Digest, Malformed, Pen, ntp, word};
use crate::media::bursts::Summary;
use crate::time::Instant;

/// Packet type (RFC 3611 2).
pub const PACKET_TYPE: u8 = 207;
const REFERENCE_TIME: u8 = 4;
const REFERENCE_TIME_BYTES: usize = 8;
const DELAY: u8 = 5;
const DELAY_BYTES: usize = 12;
const METRICS: u8 = 7;
const METRICS_BYTES: usize = 32;
/// "Unavailable", of a level, a rating and a score (RFC 3611 4.7.4, 4.7.5).
const UNAVAILABLE: u8 = 127;
/// Packets in a row that end a burst: what RFC 3611 4.7.6 recommends.
pub const GMIN: u8 = 16;

/// When a reference time came, as who sent it is told (RFC 3611 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// Whose reference time it is.
    pub ssrc: u32,
    /// Its middle 32 bits.
    pub last: u32,
    /// Since it came, in 1/65536 s.
    pub since: u32,
}

/// The jitter buffer of who writes metrics (RFC 3611 4.7.6, 4.7.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffer {
    /// How losses are concealed, whether the buffer adapts itself, and how fast: as on the wire.
    pub config: u8,
    /// Milliseconds that a packet waits that comes in time.
    pub nominal_ms: u16,
    /// The most that one waits now.
    pub maximum_ms: u16,
    /// The most that one ever can.
    pub absolute_ms: u16,
}

/// VoIP metrics of one stream (RFC 3611 4.7). What nobody can measure on the way of a packet is not here: it is written as unavailable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Whose packets.
    pub ssrc: u32,
    /// Lost since the start, in 1/256.
    pub loss: u8,
    /// Discarded since the start, in 1/256: they came too late.
    pub discard: u8,
    /// How both lie in time.
    pub bursts: Summary,
    /// Round trip.
    pub round_trip_ms: u16,
    /// Sum of what both directions wait in the end system.
    pub end_system_ms: u16,
    /// dBm0 of speech.
    pub signal: Option<i8>,
    /// dBm0 of what is between it.
    pub noise: Option<i8>,
    /// R of G.107.
    pub rating: Option<u8>,
    /// Ten times the score without what delay does.
    pub listening: Option<u8>,
    /// Ten times the score of a conversation.
    pub conversation: Option<u8>,
    /// What it passes.
    pub buffer: Buffer,
}

/// What extended reports we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extended {
    /// Our reference time: the time of the report.
    pub reference: Option<Instant>,
    /// The answer to the peer's.
    pub delay: Option<Delay>,
    /// Of the stream that we receive.
    pub metrics: Option<Metrics>,
}

impl Metrics {
    fn read(block: &[u8; METRICS_BYTES]) -> Metrics {
        let half = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
        let level = |at: usize| (block[at] != UNAVAILABLE).then_some(block[at] as i8);
        // RFC 3611 4.7.5: what is outside of these is to be ignored.
        let within = |at: usize, range: std::ops::RangeInclusive<u8>| range.contains(&block[at]).then_some(block[at]);
        Metrics {
            ssrc: word(block, 0),
            loss: block[4],
            discard: block[5],
            bursts: Summary {
                burst_density: block[6],
                gap_density: block[7],
                burst_ms: half(8),
                gap_ms: half(10),
            },
            round_trip_ms: half(12),
            end_system_ms: half(14),
            signal: level(16),
            noise: level(17),
            rating: within(20, 0..=100),
            listening: within(22, 10..=50),
            conversation: within(23, 10..=50),
            buffer: Buffer {
                config: block[24],
                nominal_ms: half(26),
                maximum_ms: half(28),
                absolute_ms: half(30),
            },
        }
    }

    fn octets(&self) -> [u8; METRICS_BYTES] {
        let mut block = [0; METRICS_BYTES];
        let mut at = 0;
        let mut put = |octets: &[u8]| {
            block[at..at + octets.len()].copy_from_slice(octets);
            at += octets.len();
        };
        let Summary {
            burst_density,
            gap_density,
            burst_ms,
            gap_ms,
        } = self.bursts;
        put(&self.ssrc.to_be_bytes());
        put(&[self.loss, self.discard, burst_density, gap_density]);
        for half in [burst_ms, gap_ms, self.round_trip_ms, self.end_system_ms] {
            put(&half.to_be_bytes());
        }
        let level = |level: Option<i8>| level.map_or(UNAVAILABLE, |level| level as u8);
        let or_none = |value: Option<u8>| value.unwrap_or(UNAVAILABLE);
        // Residual echo and the R of networks beyond are nothing that we could know.
        put(&[level(self.signal), level(self.noise), UNAVAILABLE, GMIN]);
        put(&[or_none(self.rating), UNAVAILABLE]);
        put(&[or_none(self.listening), or_none(self.conversation)]);
        put(&[self.buffer.config, 0]);
        for half in [self.buffer.nominal_ms, self.buffer.maximum_ms, self.buffer.absolute_ms] {
            put(&half.to_be_bytes());
        }
        block
    }
}

/// Reads the body of an extended report. Blocks that we do not know, or whose length is none of theirs, are passed over (RFC 3611 3).
pub(super) fn read(body: &[u8], ours: u32, digest: &mut Digest) -> Result<(), Malformed> {
    let mut rest = body.get(4..).ok_or(Malformed::Truncated)?;
    let from = word(body, 0);
    while !rest.is_empty() {
        let header: &[u8; 4] = rest.first_chunk().ok_or(Malformed::Truncated)?;
        let len = 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (block, after) = rest[4..].split_at_checked(len).ok_or(Malformed::Truncated)?;
        match header[0] {
            // The middle of the timestamp.
            REFERENCE_TIME if len == REFERENCE_TIME_BYTES => digest.reference = Some((from, word(block, 2))),
            DELAY => {
                let own = block.chunks_exact(DELAY_BYTES).find(|sub| word(sub, 0) == ours);
                digest.delay = own.map(delay).or(digest.delay);
            }
            METRICS => {
                let own = <&[u8; METRICS_BYTES]>::try_from(block).ok();
                let own = own.map(Metrics::read).filter(|metrics| metrics.ssrc == ours);
                digest.metrics = own.or(digest.metrics);
            }
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

fn delay(sub: &[u8]) -> Delay {
    Delay {
        ssrc: word(sub, 0),
        last: word(sub, 4),
        since: word(sub, 8),
    }
}

/// Writes what there is; nothing where there is nothing.
pub(super) fn write(pen: &mut Pen<'_>, ssrc: u32, extended: &Extended) {
    if *extended == Extended::default() {
        return;
    }
    let report = pen.begin(PACKET_TYPE, 0);
    pen.word(ssrc);
    if let Some(now) = extended.reference {
        let (seconds, fraction) = ntp(now);
        block(pen, REFERENCE_TIME, REFERENCE_TIME_BYTES);
        pen.word(seconds);
        pen.word(fraction);
    }
    if let Some(delay) = extended.delay {
        block(pen, DELAY, DELAY_BYTES);
        for value in [delay.ssrc, delay.last, delay.since] {
            pen.word(value);
        }
    }
    if let Some(metrics) = extended.metrics {
        block(pen, METRICS, METRICS_BYTES);
        pen.bytes(&metrics.octets());
    }
    pen.end(report);
}

fn block(pen: &mut Pen<'_>, kind: u8, len: usize) {
    let [high, low] = ((len / 4) as u16).to_be_bytes();
    pen.bytes(&[kind, 0, high, low]);
}

#[cfg(test)]
#[path = "tests_extended.rs"]
mod tests;
