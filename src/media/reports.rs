//! When a leg sends RTCP and what it learns from the peer's (RFC 3550 6.2, 6.4).

use super::rtcp::{self, Compound, Digest};
use super::sender::Sender;
use super::source::Source;
use crate::time::Instant;
use std::time::Duration;

/// The minimum interval (RFC 3550 6.2). With two members 5 % of any audio's bandwidth allows more often, so the minimum rules.
const INTERVAL: Duration = Duration::from_secs(5);
/// RFC 3550 6.3.1 divides by e - 3/2, since timer reconsideration converges below the wanted interval.
const COMPENSATION: f64 = std::f64::consts::E - 1.5;

/// The RTCP of one leg.
#[derive(Clone, Debug)]
pub struct Reporter {
    cname: Box<str>,
    random: u64,
    due: Option<Instant>,
    has_reported: bool,
    /// Packets sent at the last report and at the one before: a member is a sender until two reports without a packet (RFC 3550 6.4).
    packets_reported: [u64; 2],
    /// The peer's last sender report: its middle NTP and when it came.
    last_sr: Option<(u32, Instant)>,
    round_trip_us: Option<u32>,
    peer_fraction_lost: Option<u8>,
}

impl Reporter {
    /// Reports under this name; the seed spreads the legs' reports over time.
    pub fn new(cname: Box<str>, seed: u64) -> Self {
        Self {
            cname,
            random: seed | 1,
            due: None,
            has_reported: false,
            packets_reported: [0; 2],
            last_sr: None,
            round_trip_us: None,
            peer_fraction_lost: None,
        }
    }

    /// Starts the timer, if it does not run: the first interval is half as long (RFC 3550 6.2).
    pub fn start(&mut self, now: Instant) {
        if self.due.is_none() {
            let wait = self.interval() / 2;
            self.due = Some(now + wait);
        }
    }

    /// When the next report is due.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// True once a report was written.
    pub fn has_reported(&self) -> bool {
        self.has_reported
    }

    /// Round trip in microseconds, if the peer has reported one.
    pub fn round_trip_us(&self) -> Option<u32> {
        self.round_trip_us
    }

    /// What the peer says it lost of our packets, in 1/256.
    pub fn peer_fraction_lost(&self) -> Option<u8> {
        self.peer_fraction_lost
    }

    /// Half to one and a half times the interval (RFC 3550 6.3.1).
    fn interval(&mut self) -> Duration {
        // xorshift64*: spreading is all it is for.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let unit = (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64;
        INTERVAL.mul_f64((0.5 + unit) / COMPENSATION)
    }

    /// There is nowhere to send to yet: tries again after an interval.
    pub fn postpone(&mut self, now: Instant) {
        let wait = self.interval();
        self.due = Some(now + wait);
    }

    /// Takes the peer's report.
    pub fn received(&mut self, now: Instant, digest: &Digest) {
        if let Some(ntp) = digest.sender_report {
            self.last_sr = Some((ntp, now));
        }
        let Some(block) = digest.block else { return };
        self.peer_fraction_lost = Some(block.fraction_lost);
        if block.last_sr == 0 {
            return;
        }
        // RFC 3550 6.4.1: A - LSR - DLSR in 1/65536 s. What is negative or above 10 s is a peer's mistake.
        let away = rtcp::ntp_middle(now)
            .wrapping_sub(block.last_sr)
            .wrapping_sub(block.delay_since_last_sr);
        if away < 10 << 16 {
            self.round_trip_us = Some(((u64::from(away) * 1_000_000) >> 16) as u32);
        }
    }

    /// Writes the report that is due, or the farewell, and sets the next time. Returns its length.
    pub fn write(
        &mut self,
        now: Instant,
        sender: &Sender,
        source: &mut Source,
        goodbye: bool,
        buffer: &mut [u8],
    ) -> usize {
        self.has_reported = true;
        let sending = sender.packets() > self.packets_reported[1];
        self.packets_reported = [sender.packets(), self.packets_reported[0]];
        let block = source.report().map(|block| match self.last_sr {
            Some((ntp, at)) => {
                let delay = (now.since(at).as_micros() as u64).wrapping_mul(65_536) / 1_000_000;
                super::source::Block {
                    last_sr: ntp,
                    delay_since_last_sr: delay as u32,
                    ..block
                }
            }
            None => block,
        });
        let wait = self.interval();
        self.due = Some(now + wait);
        let sent = sending.then(|| (now, sender.sent(now)));
        let compound = Compound {
            ssrc: sender.ssrc(),
            sent,
            block,
            cname: &self.cname,
            goodbye,
        };
        rtcp::write(buffer, &compound)
    }
}
