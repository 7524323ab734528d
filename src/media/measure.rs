//! What is told of a leg: its counters and quality, and the metrics that its peer asks for.

use super::bridge::Path;
use super::command::LegStats;
use super::half::Counts;
use super::jitter;
use super::leg::Leg;
use super::quality::Journey;
use super::rtcp::extended::{Buffer, Metrics};
use crate::time::Instant;
use codecs::Rate;
use std::time::Duration;

/// How long a peer must have been heard before its quality can be told.
const LISTENED: Duration = Duration::from_secs(1);
/// RFC 3611 4.7.6: losses are filled in from what was before, the buffer is adaptive, how fast depends.
const REBUILT: u8 = 0b1111_0000;

impl Leg {
    /// What the stream of the peer went through; `None` before the first second.
    fn journey(&self, now: Instant) -> Option<Journey> {
        let codec = self.rx.stream.map(|stream| stream.codec)?;
        self.rx.first_heard.filter(|first| now.since(*first) >= LISTENED)?;
        let (expected, _) = self.rx.source.totals();
        // What comes too late is as good as lost.
        let missing = self.rx.source.lost() + self.rx.counts.late;
        // Who transcodes to narrow band makes it that, whatever the peer sends.
        let is_decoded = self
            .rx
            .decode
            .as_ref()
            .is_some_and(|decode| decode.rate() >= Rate::Wide);
        let is_wide = self.rx.path == Path::Relay || is_decoded;
        Some(Journey {
            codec,
            wide_band: self.rx.wide_band && is_wide,
            loss: missing as f32 / expected.max(1) as f32,
            burst_ratio: self.rx.source.bursts().ratio(),
            jitter_us: self.rx.source.jitter_us(),
            round_trip_us: self.reporter.round_trip_us(),
        })
    }

    /// The metrics of the peer's stream (RFC 3611 4.7); `None` before its first packet.
    pub(super) fn metrics(&self, now: Instant) -> Option<Metrics> {
        let (ssrc, stream) = (self.rx.source.ssrc()?, self.rx.stream?);
        let (expected, _) = self.rx.source.totals();
        let share = |count: u64| (256 * count).checked_div(expected).unwrap_or(0).min(255) as u8;
        let journey = self.journey(now);
        let tenths = |mos: f32| (mos * 10.0).round().clamp(10.0, 50.0) as u8;
        let level = |level: Option<f32>| level.map(|level| level.round().clamp(-127.0, 30.0) as i8);
        // A relayed packet waits for nothing.
        let buffer = match &self.rx.decode {
            // What comes in time goes straight through.
            Some(decode) => Buffer {
                config: REBUILT,
                nominal_ms: 0,
                maximum_ms: decode.target().as_millis() as u16,
                absolute_ms: jitter::TARGET_MAX.as_millis() as u16,
            },
            None => Buffer::default(),
        };
        Some(Metrics {
            ssrc,
            loss: share(self.rx.source.lost()),
            discard: share(self.rx.counts.late),
            bursts: self.rx.source.bursts().summary(stream.ptime_ms),
            round_trip_ms: self
                .reporter
                .round_trip_us()
                .map_or(0, |us| u16::try_from(us / 1_000).unwrap_or(u16::MAX)),
            end_system_ms: 0,
            signal: level(self.rx.meter.level()),
            noise: level(self.rx.meter.noise()),
            rating: journey.map(|journey| journey.conversation().narrow().round() as u8),
            listening: journey.map(|journey| tenths(journey.listening().mos())),
            conversation: journey.map(|journey| tenths(journey.conversation().mos())),
            buffer,
        })
    }

    /// Counters and quality from the opening to now.
    pub fn stats(&self, now: Instant) -> LegStats {
        let Counts {
            received,
            late,
            dropped,
            strangers,
            forged,
            concealed,
            digits,
            data,
        } = self.rx.counts;
        let journey = self.journey(now);
        LegStats {
            received,
            sent: self.tx.sender.packets() + self.tx.datagrams,
            lost: self.rx.source.lost(),
            late,
            dropped,
            strangers,
            forged,
            concealed,
            underruns: self.rx.decode.as_ref().map_or(0, |decode| decode.underruns()),
            jitter_us: self.rx.source.jitter_us(),
            round_trip_us: self.reporter.round_trip_us(),
            peer_fraction_lost: self.reporter.peer_fraction_lost(),
            peer_lost: self.reporter.peer_lost(),
            mos: journey.map(|journey| journey.conversation().mos()),
            wide_band: journey.is_some_and(|journey| journey.wide_band),
            level_dbm0: self.rx.meter.level(),
            silence: self.rx.meter.silence(),
            peer: self.reporter.peer(),
            troubles: self.rx.judge.ever(),
            digits,
            data,
            codec: self.rx.stream.filter(|stream| !stream.udptl).map(|stream| stream.codec),
            fax: self.rx.was_fax,
        }
    }
}
