//! One received stream: sequence numbers, loss and jitter (RFC 3550 A.1, A.3, A.8).

use super::bursts::Bursts;
use crate::time::Instant;

/// A jump ahead of more than this is a restart of the source, not loss (RFC 3550 A.1).
pub const MAX_DROPOUT: u16 = 3000;
/// A packet that is older than this is a restart, not reordering (RFC 3550 A.1).
const MAX_MISORDER: u16 = 100;
/// Packets of which it is remembered whether they came.
const REMEMBERED: u16 = 64;

/// Where a packet stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The first packet of a new source: nothing that came before continues.
    Restart,
    /// Newer than all before it, by this many sequence numbers: 1 when nothing is missing.
    Newest(u16),
    /// Older than the newest, by this many: reordered.
    Older(u16),
    /// It came before.
    Duplicate,
    /// A jump that only a second packet in sequence will prove to be a restart; to be dropped.
    Suspect,
}

/// What the sequence numbers of one SSRC tell.
#[derive(Clone, Copy, Debug, Default)]
struct Sequence {
    ssrc: u32,
    base: u32,
    max: u16,
    cycles: u32,
    /// The number that would prove a jump to be a restart.
    bad_next: Option<u16>,
    /// Bit n is set when `max - n` has come.
    seen: u64,
    /// Bit n is set when `max - n` came too late to be of use.
    discarded: u64,
    received: u64,
}

impl Sequence {
    fn start(ssrc: u32, sequence: u16) -> Self {
        Sequence {
            ssrc,
            base: u32::from(sequence),
            max: sequence,
            cycles: 0,
            bad_next: None,
            seen: 1,
            discarded: 0,
            received: 1,
        }
    }

    /// A packet that many ahead of all came: those that leave what is remembered are judged, since nothing can change them any more.
    fn advance(&mut self, sequence: u16, ahead: u16, bursts: &mut Bursts) {
        let known = ahead.min(REMEMBERED);
        for n in 0..known {
            self.judge(REMEMBERED - 1 - n, bursts);
        }
        bursts.bad(u64::from(ahead - known));
        if sequence < self.max {
            self.cycles = self.cycles.wrapping_add(1 << 16);
        }
        self.max = sequence;
        self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
        self.discarded = self.discarded.checked_shl(u32::from(ahead)).unwrap_or(0);
        self.received += 1;
        self.bad_next = None;
    }

    /// What became of the packet that many behind the newest, if the stream had begun by then.
    fn judge(&self, behind: u16, bursts: &mut Bursts) {
        if u64::from(behind) >= self.expected() {
            return;
        }
        if self.seen & !self.discarded & (1 << behind) == 0 {
            bursts.bad(1);
        } else {
            bursts.good();
        }
    }

    /// All that is remembered.
    fn judge_all(&self, bursts: &mut Bursts) {
        for behind in (0..REMEMBERED).rev() {
            self.judge(behind, bursts);
        }
    }

    fn extended_max(&self) -> u32 {
        self.cycles.wrapping_add(u32::from(self.max))
    }

    fn expected(&self) -> u64 {
        u64::from(self.extended_max().wrapping_sub(self.base)) + 1
    }
}

/// A report block's worth of a stream, from our side (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Whose packets are reported on.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the start; 24 bits, signed.
    pub cumulative_lost: i32,
    /// Highest sequence number with its cycles.
    pub highest: u32,
    /// Jitter in timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the last SR's NTP timestamp; 0 when there was none.
    pub last_sr: u32,
    /// Since that SR, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// A received stream, across changes of its SSRC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source {
    current: Option<Sequence>,
    /// Expected and received of the sources before the current one.
    past: (u64, u64),
    /// How losses lie in time, without what may still change.
    bursts: Bursts,
    /// Expected and received at the last report, of the current source.
    reported: (u64, u64),
    /// Transit time and timestamp of the last packet that counted for jitter.
    transit: Option<(u32, u32)>,
    /// 16 times the jitter, in timestamp units.
    jitter_q4: u32,
    clock: u32,
}

impl Source {
    /// Sets the RTP clock; jitter begins anew when it changes.
    pub fn set_clock(&mut self, clock: u32) {
        if self.clock != clock {
            self.clock = clock;
            self.transit = None;
            self.jitter_q4 = 0;
        }
    }

    /// Takes a packet into account and says where it stands.
    pub fn packet(&mut self, ssrc: u32, sequence: u16) -> Arrival {
        let Some(current) = self.current.as_mut().filter(|current| current.ssrc == ssrc) else {
            self.restart(ssrc, sequence);
            return Arrival::Restart;
        };
        let ahead = sequence.wrapping_sub(current.max);
        let behind = current.max.wrapping_sub(sequence);
        if ahead != 0 && ahead < MAX_DROPOUT {
            current.advance(sequence, ahead, &mut self.bursts);
            Arrival::Newest(ahead)
        } else if behind <= MAX_MISORDER {
            // Beyond the 64 that are remembered a duplicate cannot be told from a latecomer; neither is played.
            let bit = 1u64.checked_shl(u32::from(behind)).unwrap_or(0);
            if current.seen & bit != 0 {
                return Arrival::Duplicate;
            }
            current.seen |= bit;
            current.received += 1;
            Arrival::Older(behind)
        } else if current.bad_next == Some(sequence) {
            self.restart(ssrc, sequence);
            Arrival::Restart
        } else {
            current.bad_next = Some(sequence.wrapping_add(1));
            Arrival::Suspect
        }
    }

    fn restart(&mut self, ssrc: u32, sequence: u16) {
        if let Some(old) = self.current.take() {
            self.past.0 += old.expected();
            self.past.1 += old.received;
            old.judge_all(&mut self.bursts);
        }
        self.current = Some(Sequence::start(ssrc, sequence));
        self.reported = (0, 0);
        self.transit = None;
    }

    /// A packet came too late to be of use.
    pub fn discard(&mut self, sequence: u16) {
        if let Some(current) = self.current.as_mut() {
            let behind = current.max.wrapping_sub(sequence);
            current.discarded |= 1u64.checked_shl(u32::from(behind)).unwrap_or(0);
        }
    }

    /// How losses lie in time, as far as it is known now.
    pub fn bursts(&self) -> Bursts {
        let mut bursts = self.bursts;
        if let Some(current) = &self.current {
            current.judge_all(&mut bursts);
        }
        bursts
    }

    /// Whose packets come.
    pub fn ssrc(&self) -> Option<u32> {
        self.current.map(|current| current.ssrc)
    }

    /// Takes the arrival of a packet with a new timestamp into the jitter (RFC 3550 A.8).
    pub fn timing(&mut self, now: Instant, timestamp: u32) {
        let arrival = now.as_nanos() / 1_000 * u64::from(self.clock) / 1_000_000;
        // Only differences count, so 32 bits of arrival time suffice.
        let transit = (arrival as u32).wrapping_sub(timestamp);
        let Some((last_transit, last_timestamp)) = self.transit else {
            self.transit = Some((transit, timestamp));
            return;
        };
        if timestamp == last_timestamp {
            return;
        }
        self.transit = Some((transit, timestamp));
        let difference = (transit.wrapping_sub(last_transit) as i32).unsigned_abs();
        // A jump of the timestamp is not jitter: more than 10 s of difference says nothing about the network.
        if difference < self.clock.saturating_mul(10) {
            let smoothed = i64::from(self.jitter_q4) + i64::from(difference) - i64::from((self.jitter_q4 + 8) >> 4);
            self.jitter_q4 = u32::try_from(smoothed).unwrap_or(0);
        }
    }

    /// Packets that should have come and packets that came, over all sources.
    pub fn totals(&self) -> (u64, u64) {
        let (expected, received) = self.current.map_or((0, 0), |c| (c.expected(), c.received));
        (self.past.0 + expected, self.past.1 + received)
    }

    /// Lost since the start.
    pub fn lost(&self) -> u64 {
        let (expected, received) = self.totals();
        expected.saturating_sub(received)
    }

    /// Interarrival jitter in microseconds.
    pub fn jitter_us(&self) -> u32 {
        if self.clock == 0 {
            return 0;
        }
        u32::try_from(u64::from(self.jitter_q4 >> 4) * 1_000_000 / u64::from(self.clock)).unwrap_or(u32::MAX)
    }

    /// The report block of the current source (RFC 3550 A.3), and the start of the next interval. `None` before any packet.
    pub fn report(&mut self) -> Option<Block> {
        let current = self.current?;
        let expected = current.expected().saturating_sub(self.reported.0);
        let received = current.received - self.reported.1;
        self.reported = (current.expected(), current.received);
        let lost = expected.saturating_sub(received);
        let fraction = (lost * 256).checked_div(expected).unwrap_or(0).min(255);
        let cumulative = (current.expected() as i64 - current.received as i64).clamp(-0x80_0000, 0x7f_ffff);
        Some(Block {
            ssrc: current.ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: cumulative as i32,
            highest: current.extended_max(),
            jitter: self.jitter_q4 >> 4,
            last_sr: 0,
            delay_since_last_sr: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_place_in_the_sequence() {
        let mut source = Source::default();
        let steps = [
            (1, 65_534, Arrival::Restart),
            (1, 65_535, Arrival::Newest(1)),
            (1, 65_535, Arrival::Duplicate),
            (1, 2, Arrival::Newest(3)),
            (1, 0, Arrival::Older(2)),
            (1, 0, Arrival::Duplicate),
            (1, 3 + 2_999, Arrival::Suspect),
            (1, 3, Arrival::Newest(1)),
            (1, 9_000, Arrival::Suspect),
            (1, 9_001, Arrival::Restart),
            (1, 8_901, Arrival::Older(100)),
            (1, 8_900, Arrival::Suspect),
            (2, 7, Arrival::Restart),
        ];
        for (ssrc, sequence, want) in steps {
            assert_eq!(source.packet(ssrc, sequence), want, "ssrc {ssrc} sequence {sequence}");
        }
    }

    #[test]
    fn loss_counts_across_wrap_and_restart() {
        let mut source = Source::default();
        for n in 0..70_000u32 {
            if n % 10 != 5 {
                source.packet(1, (n + 65_000) as u16);
            }
        }
        assert_eq!((source.lost(), source.totals().0), (7_000, 70_000));
        source.packet(9, 1);
        source.packet(9, 3);
        assert_eq!(source.lost(), 7_001);
        let block = source.report().unwrap();
        assert_eq!(
            (block.ssrc, block.cumulative_lost, block.fraction_lost, block.highest),
            (9, 1, 85, 3)
        );
        assert_eq!(source.report().unwrap().fraction_lost, 0);
    }

    #[test]
    fn bursts_have_every_packet_of_the_stream_once_whatever_its_order() {
        let mut source = Source::default();
        let mut want = Bursts::default();
        let lost = |n: u32| (200..210).contains(&n) || (300..500).contains(&n) || n % 97 == 50;
        for n in 0..1_000u32 {
            // Each two are swapped, over the wrap too.
            let n = n ^ 1;
            if !lost(n) {
                source.packet(1, (n + 65_000) as u16);
            }
        }
        source.discard((999 + 65_000) as u16);
        // The stream begins with the one that came first.
        for n in 1..1_000 {
            match lost(n) || n == 999 {
                true => want.bad(1),
                false => want.good(),
            }
        }
        assert_eq!(source.bursts(), want);
        source.packet(7, 1);
        want.good();
        assert_eq!(source.bursts(), want, "another source goes on with the same count");
    }

    #[test]
    fn jitter_settles_at_the_mean_difference() {
        let mut source = Source::default();
        source.set_clock(8_000);
        for n in 0..1_000u32 {
            let late = u64::from(n % 2) * 5;
            source.timing(Instant::ZERO + Duration::from_millis(u64::from(n) * 20 + late), n * 160);
        }
        assert!((4_700..5_300).contains(&source.jitter_us()), "{}", source.jitter_us());
    }
}
